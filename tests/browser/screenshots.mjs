// npm run screenshots -- OUTDIR [PAGE...]: every page and every step of the demo, light and dark, wide and narrow, as PNG files;
// the pages also in German, and as if they were written from right to left.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Demo } from "./harness/demo.mjs";
import { PAGES } from "./harness/pages.mjs";
import { SPA_TOUR, TOUR } from "./harness/tour.mjs";
import { World, openPage } from "./harness/world.mjs";

const [outDir, ...wanted] = process.argv.slice(2);
if (!outDir) {
  console.error("usage: npm run screenshots -- OUTDIR [PAGE...]");
  process.exit(2);
}
await mkdir(outDir, { recursive: true });

const isWanted = (name) => wanted.length === 0 || wanted.includes(name);

async function shoot(name, page, colorSchemes = ["light", "dark"]) {
  for (const colorScheme of colorSchemes) {
    for (const width of [1280, 320]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      const path = join(outDir, `${name}-${colorScheme}-${width}.png`);
      await page.screenshot({ path, fullPage: true });
      console.log(path);
    }
  }
}

const world = await World.start("SQLite");
try {
  for (const [name, arrive] of Object.entries(PAGES)) {
    if (!isWanted(name)) continue;
    for (const locale of ["en-GB", "de-DE"]) {
      const opened = [];
      const open = async (options) => {
        opened.push(await world.open({ locale, ...options }));
        return opened.at(-1).page;
      };
      const page = await open();
      await arrive({ world, page, open });
      if (locale === "de-DE") {
        await shoot(`${name}-german`, page, ["light"]);
      } else {
        await shoot(name, page);
        await page.evaluate(() => (document.documentElement.dir = "rtl"));
        await shoot(`${name}-rtl`, page, ["light"]);
      }
      for (const one of opened) await one.close();
    }
  }

  for (const [prefix, tour] of [["demo", TOUR], ["demo-spa", SPA_TOUR]]) {
    if (!Object.keys(tour).some((name) => isWanted(`${prefix}-${name}`))) continue;
    const demo = await Demo.start();
    try {
      const { page, close } = await openPage(world.browser, demo.origins, { refusals: [`403 ${demo.notesUrl}`] });
      for (const [name, step] of Object.entries(tour)) {
        await step({ demo, page });
        if (isWanted(`${prefix}-${name}`)) await shoot(`${prefix}-${name}`, page);
      }
      await close();
    } finally {
      await demo.stop();
    }
  }
} finally {
  await world.stop();
}

// npm run screenshots -- OUTDIR: every page, in light and in dark, wide and narrow, as PNG files.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { PAGES } from "./harness/pages.mjs";
import { World } from "./harness/world.mjs";

const [outDir] = process.argv.slice(2);
if (!outDir) {
  console.error("usage: npm run screenshots -- OUTDIR");
  process.exit(2);
}
await mkdir(outDir, { recursive: true });

const world = await World.start("SQLite");
try {
  for (const [name, arrive] of Object.entries(PAGES)) {
    const { page, close } = await world.open();
    await arrive({ world, page });
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [1280, 320]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 800 });
        const path = join(outDir, `${name}-${colorScheme}-${width}.png`);
        await page.screenshot({ path, fullPage: true });
        console.log(path);
      }
    }
    await close();
  }
} finally {
  await world.stop();
}

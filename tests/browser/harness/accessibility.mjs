// What every page must be: free of what axe can find, whole on a phone, with larger text, and from right to left.

import assert from "node:assert/strict";
import axe from "axe-core";

const WCAG_2_2_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const WIDE = { width: 1280, height: 800 };
// Reflow (WCAG 2.2 §1.4.10) asks for this one.
const NARROW = { width: 320, height: 640 };

export async function assertAccessible(page) {
  const light = await background(page);
  assert.deepEqual(await violations(page), [], "axe in light");
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await background(page), light, "the background in dark");
  assert.deepEqual(await violations(page), [], "axe in dark");
  await page.emulateMedia({ colorScheme: "light" });

  for (const viewport of [WIDE, NARROW]) {
    await page.setViewportSize(viewport);
    for (const dir of ["ltr", "rtl"]) {
      for (const fontSize of ["100%", "200%"]) {
        assert.deepEqual(await overflow(page, dir, fontSize), [], `sticks out at ${viewport.width} pixels, ${dir}, text at ${fontSize}`);
      }
    }
  }
}

async function violations(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe.source);
  const result = await page.evaluate((tags) => globalThis.axe.run({ runOnly: tags }), WCAG_2_2_AA);
  assert.ok(result.passes.length > 0, "axe had nothing to check");
  return result.violations.map(({ id, help, nodes }) => ({ id, help, at: nodes.map(({ html }) => html) }));
}

function background(page) {
  return page.evaluate(() => {
    const painted = [document.body, document.documentElement].map((element) => getComputedStyle(element).backgroundColor);
    return painted.find((color) => color !== "rgba(0, 0, 0, 0)") ?? "none";
  });
}

// What makes the page scroll sideways, or is wider than its own box, which then covers a neighbour.
function overflow(page, dir, fontSize) {
  return page.evaluate(
    ([dir, fontSize]) => {
      const root = document.documentElement;
      root.dir = dir;
      root.style.fontSize = fontSize;
      const wider = (element) => element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
      const spills = (element) => wider(element) && getComputedStyle(element).overflowX === "visible";
      const found = [root, ...document.body.querySelectorAll("*")].filter((element) => (element === root ? wider : spills)(element));
      root.dir = "ltr";
      root.style.fontSize = "";
      return found.map((element) => element.outerHTML.slice(0, 160));
    },
    [dir, fontSize],
  );
}

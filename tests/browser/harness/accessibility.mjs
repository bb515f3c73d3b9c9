// What every page must be: free of what axe can find, whole on a phone, with larger text, from right to left and in colours that the
// system forces, still where motion is unwelcome, and within reach of the keyboard.

import assert from "node:assert/strict";
import axe from "axe-core";

const WCAG_2_2_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const WIDE = { width: 1280, height: 1024 };
// Reflow (WCAG 2.2 §1.4.10) asks for this one: the wide one at 400 %.
const NARROW = { width: 320, height: 256 };
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

export async function assertAccessible(page) {
  const light = await background(page);
  assert.deepEqual(await violations(page), [], "axe in light");
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await background(page), light, "the background in dark");
  assert.deepEqual(await violations(page), [], "axe in dark");
  await page.emulateMedia({ colorScheme: "light", forcedColors: "active" });
  assert.deepEqual(await violations(page), [], "axe in forced colours");
  await assertWalkable(page);
  await page.emulateMedia({ forcedColors: "none" });
  assert.deepEqual(await moving(page), [], "moves although motion is unwelcome");

  for (const viewport of [WIDE, NARROW]) {
    await page.setViewportSize(viewport);
    for (const dir of ["ltr", "rtl"]) {
      for (const fontSize of ["100%", "200%"]) {
        const how = `at ${viewport.width} pixels, ${dir}, text at ${fontSize}`;
        assert.deepEqual(await unfit(page, dir, fontSize), { spilling: [], cut: [], broken: [] }, how);
      }
    }
  }
  await assertWalkable(page);
}

// Tab reaches everything that can be used, nothing keeps it, and it is always seen where it is (WCAG 2.2 §2.1.1, §2.1.2, §2.4.7, §2.4.11).
export async function assertWalkable(page) {
  const all = await page.evaluate((focusable) => {
    const found = [...document.querySelectorAll(focusable)].filter((element) => element.checkVisibility() && element.tabIndex >= 0);
    for (const [index, element] of found.entries()) element.dataset.stop = String(index);
    return found.map((element) => element.outerHTML.slice(0, 160));
  }, FOCUSABLE);
  const reached = new Set();
  // Once round, from wherever the focus is, and over the edge of the page.
  for (let tabs = 0; tabs < all.length + 3; tabs += 1) {
    await page.keyboard.press("Tab");
    const stop = await focus(page);
    if (!stop) continue;
    assert.ok(stop.isSeen, `the focus is invisible on ${all[stop.index]}`);
    reached.add(stop.index);
  }
  const missed = all.filter((_, index) => !reached.has(index));
  assert.deepEqual(missed, [], "out of reach of Tab");
}

// Where the focus is, unless it is on the page itself.
export function focus(page) {
  return page.evaluate(() => {
    const { activeElement } = document;
    if (!activeElement || activeElement === document.body) return null;
    const { outlineStyle, outlineWidth } = getComputedStyle(activeElement);
    const { top, bottom } = activeElement.getBoundingClientRect();
    const isOnScreen = bottom > 0 && top < globalThis.innerHeight;
    return { index: Number(activeElement.dataset.stop), isSeen: isOnScreen && outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
  });
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

// The pages of a test are opened with `reducedMotion: "reduce"`.
function moving(page) {
  return page.evaluate(() => {
    const moves = (element) => {
      const { transitionDuration, animationName } = getComputedStyle(element);
      return parseFloat(transitionDuration) > 0 || animationName !== "none";
    };
    return [...document.querySelectorAll("body, body *")].filter(moves).map((element) => element.outerHTML.slice(0, 160));
  });
}

// What makes the page scroll sideways, or is wider than its own box, which then covers a neighbour; fields that hide a part of what
// they hold; and words of ours that are broken.
function unfit(page, dir, fontSize) {
  return page.evaluate(
    ([dir, fontSize]) => {
      const root = document.documentElement;
      root.dir = dir;
      root.style.fontSize = fontSize;
      const wider = (element) => element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
      const spills = (element) => wider(element) && getComputedStyle(element).overflowX === "visible";
      const lines = (element) => {
        const range = document.createRange();
        range.selectNodeContents(element);
        return new Set([...range.getClientRects()].map(({ top }) => Math.round(top))).size;
      };
      const breaks = (element) => element.checkVisibility() && lines(element) > element.innerText.trim().split(/[\s-]+/).length;
      const select = (selector, is) => [...document.querySelectorAll(selector)].filter(is).map((element) => element.outerHTML.slice(0, 160));
      const found = {
        spilling: [...(wider(root) ? ["the page"] : []), ...select("body, body *", spills)],
        cut: select("input[readonly]", wider),
        // Addresses break where they must, and on the smallest screen a long word in the largest letters has no place.
        broken: fontSize === "100%" ? select("button, .button, summary:not(:has(code)), label, h1:not(:has(bdi)), h2", breaks) : [],
      };
      root.dir = "ltr";
      root.style.fontSize = "";
      return found;
    },
    [dir, fontSize],
  );
}

// Every page in front of people who read, see and type differently: WCAG 2.2 AA, light and dark, narrow, large, the keyboard alone.

import assert from "node:assert/strict";
import { assertAccessible } from "./harness/accessibility.mjs";
import { PAGES } from "./harness/pages.mjs";
import { on } from "./harness/world.mjs";

const TABS_AT_MOST = 20;

on("SQLite", (test) => {
  for (const [name, arrive] of Object.entries(PAGES)) {
    test(`${name}: axe finds nothing, and every width, text size and direction fits`, async ({ world, page, open }) => {
      await arrive({ world, page, open });
      await assertAccessible(page);
    });
  }

  test("the keyboard alone leads through sign-in and consent to the app", async ({ world, page }) => {
    const person = await world.person();
    await page.goto(world.app.authorizationUrl());
    await tabTo(page, "[name=email]");
    await page.keyboard.type(person.email);
    await tabTo(page, "[name=password]");
    await page.keyboard.type(person.password);
    await page.keyboard.press("Enter");

    await page.waitForSelector("#allow");
    await tabTo(page, "#allow");
    await page.keyboard.press("Enter");
    assert.ok((await world.app.response(page)).params.code);
  });

  test("the keyboard alone reaches Deny and every button of the account", async ({ world, page, open }) => {
    await PAGES.consent({ world, page });
    await tabTo(page, "#deny");
    const account = await open();
    await PAGES.account({ world, page: account });
    await tabTo(account, "#sessions button");
    await tabTo(account, "#apps button");
    await tabTo(account, "#sign-out");
  });

  test("password managers are told which field is which", async ({ world, page }) => {
    await PAGES["sign-in"]({ world, page });
    assert.match(await page.getAttribute("[name=email]", "autocomplete"), /\busername\b/);
    assert.equal(await page.getAttribute("[name=password]", "autocomplete"), "current-password");
    assert.equal(await page.getAttribute("[name=password]", "type"), "password");
  });
});

// Tabs until the element has the focus, and visibly so.
async function tabTo(page, selector) {
  for (let tabs = 0; tabs <= TABS_AT_MOST; tabs += 1) {
    const focus = await page.evaluate((wanted) => {
      const { activeElement } = document;
      const { outlineStyle, boxShadow } = getComputedStyle(activeElement);
      return { there: activeElement.matches(wanted), visible: outlineStyle !== "none" || boxShadow !== "none" };
    }, selector);
    if (focus.there) {
      assert.ok(focus.visible, `the focus on ${selector} is invisible`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail(`${TABS_AT_MOST} times Tab did not reach ${selector}`);
}

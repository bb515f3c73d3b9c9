// Every page in front of people who read, see and type differently: WCAG 2.2 AA, light and dark, narrow, large, the keyboard alone.

import assert from "node:assert/strict";
import { assertAccessible, focus } from "./harness/accessibility.mjs";
import { PAGES } from "./harness/pages.mjs";
import { on } from "./harness/world.mjs";

const TABS_AT_MOST = 20;
const LOCALES = { English: "en-GB", German: "de-DE" };

on("SQLite", (test) => {
  for (const [language, locale] of Object.entries(LOCALES)) {
    for (const [name, arrive] of Object.entries(PAGES)) {
      const what = "axe finds nothing, Tab goes everywhere, and every width, text size and direction fits";
      test(`${name} in ${language}: ${what}`, { locale }, async ({ world, page, open }) => {
        await arrive({ world, page, open: (options) => open({ locale, ...options }) });
        assert.equal(await page.getAttribute("html", "lang"), locale.slice(0, 2));
        await assertAccessible(page);
      });
    }
  }

  test("the keyboard alone leads through sign-in, consent and the account to the sign-out", async ({ world, page }) => {
    const person = await world.person();
    await page.goto(world.app.authorizationUrl());
    // Chromium moves the focus to where `autofocus` is once it has drawn the page: what is typed before is lost.
    await page.waitForSelector("[name=email]:focus");
    await page.keyboard.type(person.email);
    await tabTo(page, "[name=password]");
    await page.keyboard.type(person.password);
    await page.keyboard.press("Enter");

    await page.waitForSelector("#allow");
    await tabTo(page, "#allow");
    await page.keyboard.press("Space");
    const { params } = await world.app.response(page);
    assert.equal((await world.app.redeem(params.code)).status, 200);

    await page.goto(`${world.issuer}/account`);
    await tabTo(page, "#apps button");
    await page.keyboard.press("Space");
    await page.waitForSelector(".empty");
    await tabTo(page, ".everywhere summary");
    await page.keyboard.press("Enter");
    await tabTo(page, "#sign-out-everywhere");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#sign-in-again");
    await tabTo(page, "#sign-in-again");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#sign-in");
  });

  for (const name of ["sign-in-refused", "sign-in-busy"]) {
    test(`${name}: the focus is on the field to correct, which says what is wrong`, async ({ world, page }) => {
      await PAGES[name]({ world, page });
      const field = await page.waitForSelector("[name=password]:focus");
      const described = await field.evaluate((input) => document.getElementById(input.getAttribute("aria-describedby"))?.innerText);
      assert.equal(described, await page.innerText("[role=alert]"));
    });
  }

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
    if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) {
      assert.ok((await focus(page)).isSeen, `the focus on ${selector} is invisible`);
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail(`${TABS_AT_MOST} times Tab did not reach ${selector}`);
}

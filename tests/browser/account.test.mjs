// The account page: what acts in a person's name, and the buttons that end it.

import assert from "node:assert/strict";
import { allow, assertAsksForSignIn, obtainTokens, openAccount, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

const THIS_BROWSER = "This browser";

on("SQLite", (test) => {
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "" : " with JavaScript off";

    test(`the account page lists this browser and the app${how}`, { javaScriptEnabled }, async ({ world, page }) => {
      const began = Date.now();
      await obtainTokens(page, world.app, await world.person());
      await openAccount(page, world);

      assert.equal(await page.locator("#sessions > li").count(), 1);
      assert.match(await page.innerText("#sessions"), /^Chrome on Linux\s+This browser\s+Signed in .+\s+Last used .+$/m);
      await assertTimes(page, "#sessions", 2, began);

      assert.equal(await page.locator("#apps > li").count(), 1);
      const app = await page.innerText("#apps");
      for (const shown of [world.app.name, new URL(world.app.origin).host, "See your e-mail address", "Since", "Last used"]) {
        assert.ok(app.includes(shown), `${shown} is not in: ${app}`);
      }
      await assertTimes(page, "#apps", 2, began);
    });

    test(`removing an app ends its tokens and its consent${how}`, { javaScriptEnabled }, async ({ world, page }) => {
      const { confidentialApp } = world;
      const tokens = await obtainTokens(page, confidentialApp, await world.person());
      await openAccount(page, world);
      await page.locator("#apps").getByRole("button", { name: "Remove access" }).click();
      await page.locator("#apps").getByText(confidentialApp.name).waitFor({ state: "detached" });

      const refreshed = await confidentialApp.refresh(tokens.refresh_token);
      assert.equal(refreshed.status, 400);
      assert.equal(refreshed.body.error, "invalid_grant");
      await page.goto(confidentialApp.authorizationUrl());
      await page.waitForSelector("#allow");
    });
  }

  test("browsers are named, and only the one in use is this browser", async ({ world, page, open }) => {
    const person = await world.person();
    const named = {
      "Firefox on Windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
      "Chrome on Android": "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36",
      "Unknown browser": "a program of one's own",
    };
    for (const browser of [page, ...(await Promise.all(Object.values(named).map((userAgent) => open({ userAgent }))))]) {
      await openAccount(browser, world);
      await signIn(browser, person);
      await browser.waitForSelector("#sessions");
    }

    await openAccount(page, world);
    assert.deepEqual((await page.locator("#sessions h3 > bdi").allInnerTexts()).sort(), ["Chrome on Linux", ...Object.keys(named)].sort());
    assert.equal(await session(page, { hasText: THIS_BROWSER }).locator("bdi").first().innerText(), "Chrome on Linux");
  });

  test("a session that is ended from another browser is signed out", async ({ world, page, open }) => {
    const person = await world.person();
    const elsewhere = await open();
    for (const browser of [page, elsewhere]) {
      await openAccount(browser, world);
      await signIn(browser, person);
      await browser.waitForSelector("#sessions");
    }

    await openAccount(page, world);
    assert.equal(await page.locator("#sessions > li").count(), 2);
    await session(page, { hasNotText: THIS_BROWSER }).getByRole("button", { name: "End session" }).click();
    await page.waitForFunction(() => document.querySelectorAll("#sessions > li").length === 1);

    await openAccount(elsewhere, world);
    await assertAsksForSignIn(elsewhere);
    await openAccount(page, world);
    await page.waitForSelector("#sessions");
  });

  test("ending this browser's session signs it out", async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person());
    await session(page, { hasText: THIS_BROWSER }).getByRole("button", { name: "End session" }).click();
    await page.waitForSelector("#sessions", { state: "detached" });

    await openAccount(page, world);
    await assertAsksForSignIn(page);
  });

  test("signing out ends the session, and the app asks for a sign-in again", async ({ world, page }) => {
    const { confidentialApp } = world;
    await obtainTokens(page, confidentialApp, await world.person());
    await openAccount(page, world);
    await page.click("#sign-out");
    await page.waitForSelector("#sign-out", { state: "detached" });

    await page.goto(confidentialApp.authorizationUrl());
    await assertAsksForSignIn(page);
  });

  test("a page of the account that was open before signing out changes nothing", async ({ world, page }) => {
    const { confidentialApp } = world;
    const person = await world.person();
    // Offline access, which needs `prompt=consent`, is what outlives signing out.
    const { refresh_token } = await obtainTokens(page, confidentialApp, person, { prompt: "consent" });
    await openAccount(page, world);
    const second = await page.context().newPage();
    await openAccount(second, world);
    await second.click("#sign-out");
    await second.waitForSelector("#sign-out", { state: "detached" });

    await page.locator("#apps").getByRole("button", { name: "Remove access" }).click();
    await assertAsksForSignIn(page);
    assert.equal((await confidentialApp.refresh(refresh_token)).status, 200);
    await page.goto(confidentialApp.authorizationUrl());
    await signIn(page, person);
    assert.ok((await confidentialApp.response(page)).params.code);
  });
});

function session(page, which) {
  return page.locator("#sessions > li").filter(which);
}

// Each time lies between the beginning of the test and now, and is written for people to the minute.
async function assertTimes(page, list, count, began) {
  const times = page.locator(`${list} time`);
  assert.equal(await times.count(), count);
  for (const time of await times.all()) {
    const at = new Date(await time.getAttribute("datetime"));
    assert.ok(at >= began - 1000 && at <= Date.now(), at.toISOString());
    const day = at.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric", timeZone: "UTC" });
    assert.equal(await time.innerText(), `${day}, ${at.toISOString().slice(11, 16)} UTC`);
  }
}

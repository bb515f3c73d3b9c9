// The account page: what acts in a person's name, and the buttons that end it.

import assert from "node:assert/strict";
import { allow, assertAsksForSignIn, obtainTokens, openAccount, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

const THIS_BROWSER = "This browser";

on("SQLite", (test) => {
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "" : " with JavaScript off";

    test(`the account page lists this browser and the app${how}`, { javaScriptEnabled }, async ({ world, page }) => {
      await obtainTokens(page, world.app, await world.person());
      await openAccount(page, world);

      assert.equal(await page.locator("#sessions > li").count(), 1);
      assert.equal(await page.locator("#apps > li").count(), 1);
      assert.match(await page.innerText("#apps"), /Holiday Planner/);
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

// The tour of `grantor demo`: each step leads from the page of the one before to a page that is worth a look.

import assert from "node:assert/strict";
import { allow, deny, signIn } from "./verbs.mjs";

export const TOUR = {
  machine: async ({ demo, page }) => {
    await page.goto(demo.appUrl);
    await page.click("#machine");
    await page.click("#run");
    await page.waitForSelector("#step:has-text('The API accepted the token')");
  },
  home: async ({ demo, page }) => {
    await page.goto(demo.appUrl);
    await page.waitForSelector("#start");
  },
  "sign-in": async ({ page }) => {
    await page.click("#start");
    await page.waitForSelector("#sign-in");
  },
  consent: async ({ demo, page }) => {
    await signIn(page, demo.person);
    await page.waitForSelector("#allow");
  },
  "signed-in": async ({ page }) => {
    await allow(page);
    await page.waitForSelector("#claims");
  },
  refreshed: async ({ page }) => {
    await page.click("#refresh");
    await page.waitForSelector("#changes");
  },
  "api-accepts": async ({ page }) => {
    await page.click("#call-api");
    await page.waitForSelector("#step:has-text('The API accepted the token')");
  },
  active: async ({ page }) => {
    await page.click("#introspect");
    await page.waitForSelector("#step:has-text('The access token is active')");
  },
  revoked: async ({ page }) => {
    await page.click("#revoke");
    await page.waitForSelector("#step:has-text('Revoked')");
  },
  inactive: async ({ page }) => {
    await page.click("#introspect");
    await page.waitForSelector("#step:has-text('not active')");
  },
  "refresh-refused": async ({ page }) => {
    await page.click("#refresh");
    await page.waitForSelector("#error");
  },
  "signed-out": async ({ page }) => {
    await page.click("#sign-out");
    await page.waitForSelector("#account");
  },
  account: async ({ page }) => {
    await page.click("#account");
    await page.waitForSelector("#sessions");
  },
  "access-removed": async ({ page }) => {
    await page.click("#apps button");
    await page.waitForSelector("#apps", { state: "detached" });
  },
  // With its access removed, the app must ask for it again.
  denied: async ({ demo, page }) => {
    await page.click("#sign-out");
    await page.waitForSelector("text=You are signed out");
    await page.goto(demo.appUrl);
    await page.click("#start");
    await signIn(page, demo.person);
    await deny(page);
    await page.waitForSelector("#error");
  },
};

// The same for the single-page app.
export const SPA_TOUR = {
  home: async ({ demo, page }) => {
    await page.goto(demo.spaUrl);
    await page.waitForSelector("#sign-in");
  },
  consent: async ({ demo, page }) => {
    await page.click("#sign-in");
    await page.waitForURL(/\/login/);
    await signIn(page, demo.person);
    await page.waitForSelector("#allow");
  },
  "signed-in": async ({ demo, page }) => {
    await allow(page);
    await answered(page, 200);
    assert.equal(page.url(), `${demo.spaUrl}/`, "the code is not left in the address bar");
  },
  read: async ({ page }) => {
    await page.click("#read");
    await page.waitForSelector("#answer-json:has-text('\"notes\": []')");
  },
  "refused-by-the-api": async ({ page }) => {
    await page.click("#write button");
    await answered(page, 403);
    assert.match(await page.innerText("#reason"), /lacks the scope.*notes:write/s);
  },
  "asked-for-more": async ({ page }) => {
    await page.click("#ask-more");
    await allow(page);
    await page.waitForSelector("#scope:has-text('notes:read notes:write')");
  },
  written: async ({ page }) => {
    await page.fill("#note", "Mind the Jabberwock");
    await page.click("#write button");
    await answered(page, 201);
    assert.match(await page.innerText("#answer-json"), /Mind the Jabberwock/);
  },
  refreshed: async ({ page }) => {
    await page.click("#refresh");
    await page.waitForSelector("#answer-json:has-text('refresh_token')");
  },
  "signed-out": async ({ page }) => {
    await page.click("#sign-out");
    await page.waitForSelector("#sign-in:visible");
    await page.waitForSelector("#answer-url:has-text('revoke')");
  },
};

async function answered(page, status) {
  await page.waitForSelector(`#answer-status:has-text('${status}')`);
}

// The tour of `grantor demo`: each step leads from the page of the one before to a page that is worth a look.

import { allow, deny, signIn } from "./verbs.mjs";

export const TOUR = {
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

// Every page that a person can meet, and how to get there in a new browser.

import { allow, assertAsksForSignIn, obtainTokens, openAccount, signIn } from "./verbs.mjs";

export const PAGES = {
  "sign-in": async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl());
    await page.waitForSelector("#sign-in");
  },
  "sign-in-refused": async ({ world, page }) => {
    const person = await world.person();
    await page.goto(world.app.authorizationUrl());
    await signIn(page, { ...person, password: "not the password" });
    await page.waitForSelector("[role=alert]");
  },
  "sign-in-again": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person());
    await page.waitForSelector("#sign-out");
    await page.goto(world.app.authorizationUrl({ prompt: "login" }));
    await page.waitForSelector("#sign-in");
  },
  consent: async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl());
    await signIn(page, await world.person());
    await page.waitForSelector("#allow");
  },
  account: async ({ world, page }) => {
    await obtainTokens(page, world.app, await world.person());
    await openAccount(page, world);
    await page.waitForSelector("#sessions");
  },
  "signed-out": async ({ world, page }) => {
    await openAccount(page, world);
    await assertAsksForSignIn(page);
    await signIn(page, await world.person());
    await page.click("#sign-out");
    await page.waitForSelector("#sign-out", { state: "detached" });
  },
  error: async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl({ redirect_uri: "https://elsewhere.example/callback" }));
    await page.waitForSelector("#error-id");
  },
  "form-post": async ({ world, page }) => {
    // The app answers with "no content", so the page that posts to it stays.
    await page.route(`${world.app.redirectUri}*`, (route) => route.fulfill({ status: 204 }));
    await page.goto(world.app.authorizationUrl({ response_mode: "form_post" }));
    await signIn(page, await world.person());
    await allow(page);
    await page.waitForSelector("#continue");
  },
};

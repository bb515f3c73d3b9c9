// What a person does on Grantor's pages.

import assert from "node:assert/strict";

export async function signIn(page, { email, password }) {
  await page.fill("[name=email]", email);
  await page.fill("[name=password]", password);
  await page.click("#sign-in");
}

export async function signUp(page, { email, name, password }) {
  await page.fill("[name=email]", email);
  await page.fill("[name=name]", name);
  await page.fill("[name=password]", password);
  await page.click("#sign-up");
}

export async function allow(page) {
  await page.click("#allow");
}

export async function deny(page) {
  await page.click("#deny");
}

// From the app through sign-in and consent and back; answers the tokens.
export async function obtainTokens(page, app, person, params = {}) {
  await page.goto(app.authorizationUrl(params));
  await signIn(page, person);
  await allow(page);
  const response = await app.response(page);
  const { status, body } = await app.redeem(response.params.code);
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

export async function openAccount(page, world) {
  await page.goto(`${world.issuer}/account`);
}

export async function assertAsksForSignIn(page) {
  await page.waitForSelector("#sign-in");
}

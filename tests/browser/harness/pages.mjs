// Every page that a person can meet, and how to get there in a new browser.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { App } from "./app.mjs";
import { allow, assertAsksForSignIn, obtainTokens, openAccount, signIn, signUp } from "./verbs.mjs";

const BROWSERS = [
  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
  "a program of one's own",
];

// What a client's developer or a person could choose to break a page: no place to wrap, markup, the other direction.
const LONG_NAME = `${"Wide".repeat(16)}<b>&amp;</b> תוכנית`;
const LONG_ORIGIN = `https://${"l".repeat(60)}.${"o".repeat(60)}.${"n".repeat(60)}.example`;
const LONG_MAILBOX = "amailbox".repeat(6);
const MANY_SCOPES = ["openid", "profile", "email", "address", "phone", "offline_access"].concat(
  Array.from({ length: 8 }, (_, index) => `https://api.example/scopes/${"permission".repeat(index)}:${index}`),
);

export const PAGES = {
  "sign-in": async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl());
    await page.waitForSelector("#sign-in");
  },
  "sign-in-without-app": async ({ world, page }) => {
    await openAccount(page, world);
    await page.waitForSelector("#sign-in");
  },
  "sign-in-refused": async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl());
    await signIn(page, { ...stranger(), password: "not the password" });
    await page.waitForSelector("#problem");
  },
  "sign-in-throttled": async ({ world, page }) => {
    const guesser = stranger();
    while ((await signInWithoutBrowser(world, guesser)).status !== 429);
    await page.goto(world.app.authorizationUrl());
    await signIn(page, guesser);
    await page.waitForSelector("#problem.caution");
  },
  "sign-in-busy": async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl());
    // Of many who sign in at once the server refuses some; the page shows the first such answer.
    await page.route(`${world.issuer}/login`, async (route) => {
      let answer;
      const isRefused = () => answer?.status() === 503;
      const others = Array.from({ length: 8 }, async () => {
        while (!isRefused()) await signInWithoutBrowser(world, stranger());
      });
      while (!isRefused()) answer = await route.fetch();
      await Promise.all(others);
      await route.fulfill({ response: answer });
    });
    await signIn(page, stranger());
    await page.waitForSelector("#problem");
  },
  "sign-in-again": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person());
    await page.waitForSelector("#sign-out");
    await page.goto(world.app.authorizationUrl({ prompt: "login" }));
    await page.waitForSelector("#sign-in");
  },
  "sign-in-again-overlong": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person(LONG_MAILBOX));
    await page.waitForSelector("#sign-out");
    await page.goto(world.app.authorizationUrl({ prompt: "login" }));
    await page.waitForSelector("#sign-in");
  },
  "sign-up": async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl({ prompt: "create" }));
    await page.waitForSelector("#sign-up");
  },
  "sign-up-refused": async ({ world, page }) => {
    const { email } = await world.person(LONG_MAILBOX);
    await page.goto(`${world.issuer}/signup`);
    await signUp(page, { email, name: LONG_NAME, password: "correct horse" });
    await page.waitForSelector("#problem");
  },
  "sign-up-common-password": async ({ world, page }) => {
    await page.goto(`${world.issuer}/signup`);
    await signUp(page, { email: stranger().email, name: LONG_NAME, password: "password1234" });
    await page.waitForSelector("#problem");
  },
  "sign-up-password-like-email": async ({ world, page }) => {
    const { email } = stranger();
    await page.goto(`${world.issuer}/signup`);
    await signUp(page, { email, name: "Alice", password: email.toUpperCase() });
    await page.waitForSelector("#problem");
  },
  "account-choice": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person());
    await page.waitForSelector("#sign-out");
    await page.goto(world.app.authorizationUrl({ prompt: "select_account" }));
    await page.waitForSelector("#continue");
  },
  "account-choice-overlong": async ({ world, page }) => {
    const app = await world.appElsewhere(LONG_NAME, LONG_ORIGIN);
    await openAccount(page, world);
    await signIn(page, await world.person(LONG_MAILBOX));
    await page.waitForSelector("#sign-out");
    await page.goto(app.authorizationUrl({ prompt: "select_account" }));
    await page.waitForSelector("#continue");
  },
  consent: async ({ world, page }) => {
    const app = await world.appElsewhere("Photo Prints", "https://prints.example");
    await page.goto(app.authorizationUrl());
    await signIn(page, await world.person());
    await page.waitForSelector("#allow");
  },
  "consent-on-this-device": async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl());
    await signIn(page, await world.person());
    await page.waitForSelector("#allow");
  },
  "consent-overlong": async ({ world, page }) => {
    const app = await world.appElsewhere(LONG_NAME, LONG_ORIGIN, MANY_SCOPES);
    await page.goto(app.authorizationUrl({ scope: MANY_SCOPES.join(" ") }));
    await signIn(page, await world.person(LONG_MAILBOX));
    await page.waitForSelector("#allow");
  },
  "consent-self-registered": async ({ world, page }) => {
    const app = await selfRegistered(world);
    await page.goto(app.authorizationUrl());
    await signIn(page, await world.person());
    await page.waitForSelector("#self-registered");
    await page.waitForSelector("#links > li:nth-child(4)");
  },
  account: async ({ world, page }) => {
    await obtainTokens(page, world.app, await world.person());
    await openAccount(page, world);
    await page.waitForSelector("#sessions");
  },
  "account-without-apps": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person());
    await page.waitForSelector("#sessions");
  },
  "account-crowded": async ({ world, page, open }) => {
    const person = await world.person(LONG_MAILBOX);
    const app = await world.appElsewhere(LONG_NAME, LONG_ORIGIN, MANY_SCOPES);
    for (const userAgent of BROWSERS) {
      const elsewhere = await open({ userAgent });
      await openAccount(elsewhere, world);
      await signIn(elsewhere, person);
      await elsewhere.waitForSelector("#sessions");
    }
    await obtainTokens(page, world.app, person);
    await page.route(`${LONG_ORIGIN}/**`, (route) => route.fulfill({ status: 204 }));
    await page.goto(app.authorizationUrl({ scope: MANY_SCOPES.join(" ") }));
    await Promise.all([page.waitForResponse((response) => response.url().startsWith(LONG_ORIGIN)), allow(page)]);
    await openAccount(page, world);
    await page.waitForSelector("#sessions > li:nth-child(4)");
    await page.waitForSelector("#apps > li:nth-child(2)");
  },
  "account-in-parts": async ({ world, page }) => {
    const person = await world.person();
    for (let browsers = 0; browsers < 45; browsers += 1) await signInWithoutBrowser(world, person);
    await openAccount(page, world);
    await signIn(page, person);
    await page.click("#sessions ~ .turns a[rel=next]");
    await page.waitForSelector("#sessions ~ .turns a[rel=prev]");
  },
  "account-everywhere": async ({ world, page }) => {
    await PAGES.account({ world, page });
    await page.click(".everywhere summary");
    await page.waitForSelector("#sign-out-everywhere", { state: "visible" });
  },
  "signed-out-everywhere": async ({ world, page }) => {
    await PAGES["account-everywhere"]({ world, page });
    await page.click("#sign-out-everywhere");
    await page.waitForSelector("#sign-in-again");
  },
  "signed-out": async ({ world, page }) => {
    await openAccount(page, world);
    await assertAsksForSignIn(page);
    await signIn(page, await world.person());
    await page.click("#sign-out");
    await page.waitForSelector("#sign-out", { state: "detached" });
  },
  "sign-out": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person());
    await page.waitForSelector("#sessions");
    const clientId = new URL(world.app.authorizationUrl()).searchParams.get("client_id");
    await page.goto(`${world.issuer}/oauth/logout?client_id=${clientId}`);
    await page.waitForSelector("#stay");
  },
  "sign-out-mistaken": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person(LONG_MAILBOX));
    await page.waitForSelector("#sessions");
    await page.goto(`${world.issuer}/oauth/logout?id_token_hint=nonsense`);
    await page.waitForSelector("#remedy");
  },
  "signed-out-with-frames": async ({ world, page }) => {
    const metadata = ({ origin, signedOutUri }) => ({
      frontchannel_logout_uri: `${origin}/signed-out?everywhere`,
      post_logout_redirect_uris: [signedOutUri],
    });
    const app = await world.host(App.register(world.grantor, "Photo Books", "--confidential", metadata));
    await obtainTokens(page, app, await world.person());
    const query = new URLSearchParams({ client_id: app.credentials.client_id, post_logout_redirect_uri: app.signedOutUri });
    await page.goto(`${world.issuer}/oauth/logout?${query}`);
    await page.click("#sign-out");
    await page.waitForSelector("#continue");
    await page.waitForSelector("iframe", { state: "attached" });
  },
  "error-self-registered": async ({ world, page }) => {
    const app = await selfRegistered(world);
    await page.goto(app.authorizationUrl({ code_challenge_method: "plain" }));
    await page.waitForSelector("#return");
  },
  error: async ({ world, page }) => {
    await page.goto(world.app.authorizationUrl({ redirect_uri: "https://elsewhere.example/callback" }));
    await page.waitForSelector("#error-id");
  },
  "error-not-found": async ({ world, page }) => {
    await page.goto(`${world.issuer}/nothing-here`);
    await page.waitForSelector("#error-id");
  },
  "error-expired": async ({ world, page }) => {
    await page.goto(`${world.issuer}/login?request=never-made`);
    await page.waitForSelector("#error-id");
  },
  "error-too-many": async ({ world, page }) => {
    await openAccount(page, world);
    await signIn(page, await world.person());
    await page.waitForSelector("#sessions");
    const account = `${world.issuer}/account`;
    while ((await page.request.get(account)).status() !== 429);
    assert.equal((await page.goto(account)).status(), 429);
    await page.waitForSelector("#error-id");
  },
  "error-cross-site": async ({ world, page }) => {
    await page.goto(world.app.redirectUri);
    await page.setContent(`<form method=post action="${world.issuer}/account/sign-out"><button>Win a prize</button></form>`);
    await page.click("button");
    await page.waitForSelector("#error-id");
  },
  "error-other-account": async ({ world, page }) => {
    await PAGES["consent-on-this-device"]({ world, page });
    const second = await page.context().newPage();
    await openAccount(second, world);
    await second.click("#sign-out");
    await second.click("#sign-in-again");
    await signIn(second, await world.person("bob"));
    await second.waitForSelector("#sessions");
    await allow(page);
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

function selfRegistered(world) {
  const origin = "https://prints.example";
  return world.appThatRegisteredItself("Photo Prints", origin, {
    scope: "openid profile email offline_access",
    client_uri: origin,
    logo_uri: `${origin}/logo.png`,
    policy_uri: `${origin}/privacy`,
    tos_uri: `${origin}/terms`,
  });
}

// Nobody's e-mail, and another each time: failures count for the account.
function stranger() {
  return { email: `alice-${randomBytes(4).toString("hex")}@example.com`, password: "any" };
}

function signInWithoutBrowser(world, { email, password }) {
  return fetch(`${world.issuer}/login`, {
    method: "POST",
    redirect: "manual",
    headers: { origin: world.grantor.origin },
    body: new URLSearchParams({ email, password }),
  });
}

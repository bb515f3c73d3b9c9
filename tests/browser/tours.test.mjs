// The tours of the documentation, followed to the letter in an empty folder: what is printed there is what works.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { launch } from "./harness/chromium.mjs";
import { Newcomer } from "./harness/newcomer.mjs";
import { allow, signIn } from "./harness/verbs.mjs";
import { openPage } from "./harness/world.mjs";

const ALICE = { email: "alice@example.com", password: "correct horse battery staple" };

describe("the tours", { timeout: 180_000 }, () => {
  let browser;
  let dir;
  let newcomer;
  before(async () => {
    browser = await launch();
    dir = await mkdtemp(join(tmpdir(), "grantor-tours-"));
    newcomer = await Newcomer.arrive(dir);
    await newcomer.follow("README.md", { section: "Start" });
    // Every other tour calls this API.
    api = await newcomer.follow("docs/tours/api.md");
  });
  after(async () => {
    await browser?.close();
    await newcomer?.stop();
    if (dir) await rm(dir, { recursive: true });
  });
  let api;

  // Opens a page, runs, and reports what went wrong with what the servers said.
  async function open(run) {
    const { page, close } = await openPage(browser, newcomer.origins);
    try {
      await run(page);
      await close();
    } catch (error) {
      console.error(`at ${page.url()}\n${await page.innerText("body").catch(() => "")}\n--- the servers' log\n${newcomer.log()}`);
      throw error;
    }
  }

  it("an API accepts a good token, says why it refuses others, and can ask the server", () => {
    assert.match(api, /\{"owner":"tester","notes":\["Buy a looking glass"\]\}/);
    assert.match(api, /HTTP\/1\.1 401 Unauthorized[^]*WWW-Authenticate: Bearer scope="notes:read"/);
    assert.match(api, /\{"why":"Send an access token: Authorization: Bearer TOKEN"\}/);
    assert.match(api, /\{"why":"Invalid Compact JWS"\}/);
    assert.match(api, /\{"why":"The token lacks the scope notes:read\."\}/);
    assert.match(api, /^true$/m);
  });

  it("a machine client gets a token and calls the API", async () => {
    const printed = await newcomer.follow("docs/tours/machine-client.md");
    assert.match(printed, /"token_type": "Bearer"/);
    assert.match(printed, /"sub": "nightly"/);
    assert.match(printed, /^200 \{"owner":"nightly"/m);
  });

  it("a server-side app signs a person in, calls the API for them, and signs out", async () => {
    await newcomer.follow("docs/tours/server-side-app.md");
    await open(async (page) => {
      await page.goto(newcomer.url(3001));
      await page.click("text=Sign in");
      await signIn(page, ALICE);
      await allow(page);
      await page.click("text=My notes");
      assert.match(await page.innerText("pre"), /"owner":"[0-9a-f-]{36}"/);
      await page.goBack();
      await page.click("text=Sign out");
      await page.waitForSelector("text=Sign in");
    });
  });

  it("a single-page app signs a person in and calls the API for them", async () => {
    await newcomer.follow("docs/tours/spa.md");
    await open(async (page) => {
      await page.goto(newcomer.url(3000));
      await page.click("#sign-in");
      await page.waitForURL(/\/login/);
      await signIn(page, ALICE);
      await allow(page);
      await page.click("#notes");
      await page.waitForSelector("#shown:has-text('Buy a looking glass')");
    });
  });

  it("an app signs a person in with OpenID Connect, knows who it is, and signs them out", async () => {
    const printed = await newcomer.follow("docs/tours/openid.md");
    assert.match(printed, /"userinfo_endpoint": "http/);
    await open(async (page) => {
      await page.goto(newcomer.url(3002));
      await page.click("text=Sign in");
      await signIn(page, ALICE);
      await allow(page);
      await page.waitForSelector("h1:has-text('Hello, Alice')");
      assert.match(await page.innerText("p"), /You are alice@example\.com, and for this app always [0-9a-f-]{36}\./);
      await page.click("text=Sign out");
      await page.waitForSelector("h1:has-text('Library')");
      await page.click("text=Sign in");
      await page.waitForSelector("[name=password]");
    });
  });

  it("curl alone leads from nothing to a verified token, and to one for a person that is refreshed and revoked", async () => {
    const fill = async (content, printed) => {
      if (!content.includes("CODE=...")) return content;
      return content.replace("CODE=...", `CODE=${await codeFor(printed.match(/^http\S+\/oauth\/authorize\S+$/m)[0])}`);
    };
    const printed = await newcomer.follow("docs/tours/curl.md", { fill });
    assert.match(printed, /signature: true/);
    assert.match(printed, /"refresh_token": "grt_/);
    assert.match(printed, /"active": true/);
    assert.match(printed, /\{"active":false\}/);
  });

  // The code in the address bar of a browser that was sent to where nothing listens.
  async function codeFor(url) {
    let code;
    await open(async (page) => {
      await page.goto(url);
      await signIn(page, ALICE);
      const sent = page.waitForRequest(/\/callback\?/);
      await allow(page);
      code = new URL((await sent).url()).searchParams.get("code");
    });
    return code;
  }
});

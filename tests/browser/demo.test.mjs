// `grantor demo`: what a newcomer runs first, from the sample app's first page to the account page.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { assertAccessible } from "./harness/accessibility.mjs";
import { launch } from "./harness/chromium.mjs";
import { Demo } from "./harness/demo.mjs";
import { SPA_TOUR, TOUR } from "./harness/tour.mjs";
import { allow, deny } from "./harness/verbs.mjs";
import { openPage } from "./harness/world.mjs";

const LAST = Symbol("the last step");

describe("the demo", { timeout: 120_000 }, () => {
  let browser;
  let demo;
  before(async () => {
    browser = await launch();
    demo = await Demo.start();
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });

  // Ends after the step that `look` calls the last one.
  async function tour(options, look, steps = TOUR) {
    const { page, close } = await openPage(browser, demo.origins, options);
    try {
      for (const [name, step] of Object.entries(steps)) {
        await step({ demo, page });
        if ((await look(name, page)) === LAST) break;
      }
      await close();
    } catch (error) {
      console.error(`at ${page.url()}\n${await page.innerText("body").catch(() => "")}\n--- the demo's log\n${demo.log()}`);
      throw error;
    }
  }

  it("leads through sign-in, tokens, refresh, introspection and revocation, on accessible pages", async () => {
    await tour({}, (_, page) => assertAccessible(page));
  });

  it("works with JavaScript off", async () => {
    await tour({ javaScriptEnabled: false }, () => {});
  });

  it("shows the claims, and no secret in what went over the wire", async () => {
    await tour({}, async (name, page) => {
      if (name !== "signed-in") return undefined;
      const claims = await page.innerText("#claims");
      for (const claim of ["iss", "sub", "aud", "exp", "gid"]) assert.match(claims, new RegExp(`^${claim}$`, "m"));
      const token = await page.textContent("#access-token");
      const wire = await page.textContent("section[aria-labelledby=wire-title]");
      assert.ok(!wire.includes(token.trim()));
      assert.match(wire, /code_verifier/);
      return LAST;
    });
  });

  it("has a single-page app that signs in, calls the API, is refused, asks for more, refreshes and signs out, accessibly", async () => {
    await tour({ refusals: [`403 ${demo.notesUrl}`] }, (_, page) => assertAccessible(page), SPA_TOUR);
  });

  it("keeps the tokens of the single-page app in its memory alone", async () => {
    const look = async (name, page) => {
      if (name !== "signed-in") return undefined;
      const kept = await page.evaluate(() => [Object.keys(sessionStorage), Object.keys(localStorage), document.cookie]);
      assert.deepEqual(kept, [[], [], ""]);
      await page.reload();
      await page.waitForSelector("#sign-in:visible");
      return LAST;
    };
    await tour({}, look, SPA_TOUR);
  });

  it("has a single-page app that believes no answer that it did not ask for, or of another server", async () => {
    await tour({}, async (name, page) => {
      await page.goto(`${demo.spaUrl}/?code=stolen&state=made-up`);
      await page.waitForSelector("#problem:has-text('state')");
      await page.evaluate(() => sessionStorage.setItem("request", JSON.stringify({ state: "own", verifier: "own" })));
      await page.goto(`${demo.spaUrl}/?code=stolen&state=own&iss=http%3A%2F%2Fother.example`);
      await page.waitForSelector("#problem:has-text('does not name the server')");
      assert.ok(await page.isHidden("#signed-in"));
      return LAST;
    }, SPA_TOUR);
  });

  it("has a single-page app that says what was denied", async () => {
    await tour({}, async (name, page) => {
      if (name !== "consent") return undefined;
      await deny(page);
      await page.waitForSelector("#problem:has-text('access_denied')");
      return LAST;
    }, SPA_TOUR);
  });
});

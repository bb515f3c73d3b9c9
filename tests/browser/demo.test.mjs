// `grantor demo`: what a newcomer runs first, from the sample app's first page to the account page.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { assertAccessible } from "./harness/accessibility.mjs";
import { launch } from "./harness/chromium.mjs";
import { Demo } from "./harness/demo.mjs";
import { TOUR } from "./harness/tour.mjs";
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
  async function tour(options, look) {
    const { page, close } = await openPage(browser, demo.origins, options);
    try {
      for (const [name, step] of Object.entries(TOUR)) {
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
});

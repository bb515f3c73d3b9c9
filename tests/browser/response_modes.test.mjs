// OAuth 2.0 Form Post Response Mode: the code arrives in the body of a POST.

import assert from "node:assert/strict";
import { allow, deny, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

on("SQLite", (test) => {
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "by itself" : "by its button with JavaScript off";

    test(`form_post delivers the code ${how}`, { javaScriptEnabled }, async ({ world, page }) => {
      const { app } = world;
      await page.goto(app.authorizationUrl({ response_mode: "form_post" }));
      await signIn(page, await world.person());
      await allow(page);
      if (!javaScriptEnabled) await page.click("#continue");

      const { method, params } = await app.response(page);
      assert.equal(method, "POST");
      assert.equal((await app.redeem(params.code)).status, 200);
    });

    test(`form_post delivers a refusal ${how}`, { javaScriptEnabled }, async ({ world, page }) => {
      await page.goto(world.app.authorizationUrl({ response_mode: "form_post" }));
      await signIn(page, await world.person());
      await deny(page);
      if (!javaScriptEnabled) await page.click("#continue");

      const { method, params } = await world.app.response(page);
      assert.equal(method, "POST");
      assert.equal(params.error, "access_denied");
    });
  }
});

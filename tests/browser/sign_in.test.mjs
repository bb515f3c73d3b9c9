// Sign-in, consent and back to the app (OAuth 2.1 §4.1), on both databases.

import assert from "node:assert/strict";
import { DATABASES } from "./harness/database.mjs";
import { allow, deny, signIn, signUp } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

for (const database of DATABASES) {
  on(database, (test) => {
    for (const javaScriptEnabled of [true, false]) {
      const how = javaScriptEnabled ? "" : " with JavaScript off";

      test(`a person signs in and allows the app, which redeems the code${how}`, { javaScriptEnabled }, async ({ world, page }) => {
        const { app } = world;
        await page.goto(app.authorizationUrl());
        await signIn(page, await world.person());
        assert.match(await page.innerText("main"), /Holiday Planner/);
        await allow(page);

        const { method, params } = await app.response(page);
        assert.equal(method, "GET");
        const tokens = await app.redeem(params.code);
        assert.equal(tokens.status, 200, JSON.stringify(tokens.body));
        assert.equal((await app.refresh(tokens.body.refresh_token)).status, 200);
      });

      test(`a newcomer makes an account on the way and gets back to the app${how}`, { javaScriptEnabled }, async ({ world, page }) => {
        await page.goto(world.app.authorizationUrl());
        await page.click("#sign-up-instead");
        await signUp(page, { email: `new-${Date.now()}-${javaScriptEnabled}@example.com`, name: "New Comer", password: "correct horse" });
        await allow(page);
        assert.ok((await world.app.response(page)).params.code);
      });

      test(`a person chooses to go on with their account${how}`, { javaScriptEnabled }, async ({ world, page }) => {
        const person = await world.person();
        await page.goto(world.app.authorizationUrl());
        await signIn(page, person);
        await page.goto(world.app.authorizationUrl({ prompt: "select_account" }));
        assert.match(await page.innerText(".person"), new RegExp(person.email));
        await page.click("#continue");
        await allow(page);
        assert.ok((await world.app.response(page)).params.code);
      });

      test(`Deny sends the person back with access_denied${how}`, { javaScriptEnabled }, async ({ world, page }) => {
        await page.goto(world.app.authorizationUrl());
        await signIn(page, await world.person());
        await deny(page);

        const { params } = await world.app.response(page);
        assert.equal(params.error, "access_denied");
        assert.equal(params.code, undefined);
      });
    }

    test("a wrong password keeps the e-mail and says what an unknown e-mail is told", async ({ world, page }) => {
      const person = await world.person();
      const refusal = async (credentials) => {
        await page.goto(world.app.authorizationUrl());
        await signIn(page, credentials);
        await page.waitForSelector("[role=alert]");
        assert.equal(await page.inputValue("[name=email]"), credentials.email);
        assert.equal(await page.inputValue("[name=password]"), "");
        return page.innerText("[role=alert]");
      };

      const wrongPassword = await refusal({ ...person, password: "not the password" });
      const unknownEmail = await refusal({ email: "nobody@example.com", password: person.password });
      assert.notEqual(wrongPassword.trim(), "");
      assert.equal(wrongPassword, unknownEmail);
    });

    test("after a refusal the right password still leads to the app", async ({ world, page }) => {
      const person = await world.person();
      await page.goto(world.app.authorizationUrl());
      await signIn(page, { ...person, password: "not the password" });
      await page.waitForSelector("[role=alert]");
      await signIn(page, person);
      await allow(page);
      assert.ok((await world.app.response(page)).params.code);
    });

    test("someone else's consent page leads to another account", async ({ world, page }) => {
      const [alice, bob] = [await world.person(), await world.person()];
      await page.goto(world.app.authorizationUrl());
      await signIn(page, alice);
      await page.getByRole("link", { name: "Use another account" }).click();
      assert.equal(await page.inputValue("[name=email]"), "");
      await signIn(page, bob);
      await page.getByText(bob.email).waitFor();
      await allow(page);
      assert.ok((await world.app.response(page)).params.code);
    });

    test("someone who is signed in is not asked for the password again", async ({ world, page }) => {
      const { confidentialApp } = world;
      await page.goto(confidentialApp.authorizationUrl());
      await signIn(page, await world.person());
      await allow(page);
      await confidentialApp.response(page);

      await page.goto(confidentialApp.authorizationUrl());
      assert.ok((await confidentialApp.response(page)).params.code);
    });
  });
}

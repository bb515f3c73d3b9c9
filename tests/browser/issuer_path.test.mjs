// An issuer with a path: every page, asset and redirect is below it.

import assert from "node:assert/strict";
import { DATABASES } from "./harness/database.mjs";
import { PAGES } from "./harness/pages.mjs";
import { allow, assertAsksForSignIn, openAccount, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

const PATH = "/tenant/a";

// One of each kind: what is left has the same layout and the same forms.
const LOOKED_AT = ["sign-in-again", "consent", "account", "signed-out", "error-not-found", "form-post"];

for (const database of DATABASES) {
  on(
    database,
    (test) => {
      test("a person signs in, allows the app, sees it on the account page, and signs out", async ({ world, page }) => {
        const { confidentialApp: app } = world;
        const visited = [];
        page.on("request", (request) => visited.push(request.url()));
        await page.goto(app.authorizationUrl());
        await signIn(page, await world.person());
        await allow(page);
        const { params } = await app.response(page);
        assert.equal(params.iss, world.issuer);
        const tokens = await app.redeem(params.code);
        assert.equal(tokens.status, 200, JSON.stringify(tokens.body));
        const refreshed = await app.refresh(tokens.body.refresh_token);
        assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body));
        assert.equal((await app.revoke(refreshed.body.refresh_token)).status, 200);
        assert.equal((await app.refresh(refreshed.body.refresh_token)).body.error, "invalid_grant");

        await openAccount(page, world);
        await page.getByText("Photo Books").waitFor();
        await page.click("#apps button");
        await page.waitForSelector("#apps", { state: "detached" });
        await page.click("#sign-out");
        await page.click("text=Sign in again");
        await assertAsksForSignIn(page);

        const ours = visited.filter((url) => url.startsWith(world.grantor.origin));
        assert.deepEqual(
          ours.filter((url) => !url.startsWith(`${world.issuer}/`)),
          [],
        );
        assert.ok(ours.some((url) => url.endsWith(".css")));
      });
    },
    PATH,
  );
}

on(
  "SQLite",
  (test) => {
    for (const name of LOOKED_AT) {
      test(`${name} loads all that it needs and leads nowhere else`, async ({ world, page, open }) => {
        await PAGES[name]({ world, page, open });
        const links = await page.$$eval("[href], [src], form[action]", (all) => all.map((one) => one.href ?? one.src ?? one.action));
        for (const link of links.filter((url) => new URL(url).origin === world.grantor.origin)) {
          assert.ok(link.startsWith(`${world.issuer}/`), link);
        }
      });
    }
  },
  PATH,
);

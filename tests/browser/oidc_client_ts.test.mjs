// A single-page app on another origin, written with npm's `oidc-client-ts` as its developer writes it.

import assert from "node:assert/strict";
import { DATABASES } from "./harness/database.mjs";
import { Spa } from "./harness/spa.mjs";
import { allow, assertAsksForSignIn, openAccount, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

function serve(world) {
  const register = async (origin) => {
    const metadata = JSON.stringify({ post_logout_redirect_uris: [`${origin}/signed-out`] });
    const flags = ["--public", "--redirect-uri", `${origin}/`, "--metadata", metadata];
    const { client_id } = await world.grantor.command(["client", "create", "--name", "Tea Party", ...flags]);
    return { authority: world.issuer, client_id };
  };
  return world.host(Spa.serve(world.issuer, register));
}

// What the page shows once it tells of `what`.
async function shown(page, what) {
  await page.waitForFunction(() => document.getElementById("shown")?.textContent);
  await page.waitForFunction((what) => JSON.parse(document.getElementById("shown").textContent).what === what, what).catch(async () => {
    assert.equal(await page.innerText("#shown"), what);
  });
  return JSON.parse(await page.innerText("#shown"));
}

// What the token endpoint says of a refresh token that the page has let go.
async function refresh(world, client_id, refresh_token) {
  const form = new URLSearchParams({ grant_type: "refresh_token", client_id, refresh_token });
  return (await fetch(world.app.endpoint("token_endpoint"), { method: "POST", body: form })).json();
}

for (const database of DATABASES) {
  on(database, (test) => {
    test("oidc-client-ts signs in, asks who it is, refreshes, revokes and signs out", async ({ world, page }) => {
      const spa = await serve(world);
      const person = await world.person();
      await page.goto(spa.origin);
      await shown(page, "welcome");
      await page.click("#sign-in");
      await page.waitForURL(/\/login/);
      await signIn(page, person);
      await allow(page);
      const first = await shown(page, "signed in");
      assert.equal(page.url(), `${spa.origin}/`, "the code is not left in the address bar");
      assert.equal(first.profile.name, "Alice", "of UserInfo");
      assert.equal(first.profile.email, person.email);

      await page.click("#refresh");
      const refreshed = await shown(page, "refreshed");
      assert.notEqual(refreshed.access_token, first.access_token);
      assert.notEqual(refreshed.refresh_token, first.refresh_token);
      assert.notEqual(refreshed.id_token, first.id_token);
      assert.equal(refreshed.profile.sub, first.profile.sub);

      await page.click("#revoke");
      assert.equal((await shown(page, "revoked")).refresh_token, null);
      const { error } = await refresh(world, first.profile.aud, refreshed.refresh_token);
      assert.equal(error, "invalid_grant");

      await page.click("#sign-out");
      assert.equal((await shown(page, "signed out")).user, null);
      assert.equal(page.url(), `${spa.origin}/`);
      await openAccount(page, world);
      await assertAsksForSignIn(page);
    });
  });
}

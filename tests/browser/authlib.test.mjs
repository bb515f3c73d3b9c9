// A server-side app written with PyPI's Authlib (and Flask), as its developer writes it: authlib/app.py.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { PythonApp } from "./harness/authlib.mjs";
import { DATABASES } from "./harness/database.mjs";
import { allow, assertAsksForSignIn, openAccount, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

// An app that authenticates by this method.
function start(world, method) {
  const register = async (origin) => {
    const pair = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    const [key, publicKey] = await Promise.all([pair.privateKey, pair.publicKey].map((key) => webcrypto.subtle.exportKey("jwk", key)));
    const metadata = {
      token_endpoint_auth_method: method,
      post_logout_redirect_uris: [`${origin}/signed-out`],
      ...(method === "private_key_jwt" && { jwks: { keys: [publicKey] } }),
    };
    const flags = ["--redirect-uri", `${origin}/callback`, "--metadata", JSON.stringify(metadata)];
    const client = await world.grantor.command(["client", "create", "--name", "Queen's Croquet", "--confidential", ...flags]);
    const { kty, crv, x, y, d } = key;
    return { ...client, issuer: world.issuer, token_endpoint_auth_method: method, key: { kty, crv, x, y, d } };
  };
  return world.host(PythonApp.start(register));
}

async function told(page) {
  return JSON.parse(await page.innerText("body"));
}

// From the app through sign-in and consent and back; answers the claims of the ID token, which the library verified.
async function signInAt(app, page, person) {
  await page.goto(`${app.origin}/sign-in`);
  await signIn(page, person);
  await allow(page);
  await page.waitForURL((url) => url.href.startsWith(`${app.origin}/callback`));
  const { id_token_claims, ...rest } = await told(page);
  assert.ok(id_token_claims, JSON.stringify(rest));
  return id_token_claims;
}

async function at(app, page, path) {
  await page.goto(`${app.origin}${path}`);
  return told(page);
}

for (const database of DATABASES) {
  on(database, (test) => {
    test("Authlib signs in, asks who it is, refreshes and signs out", async ({ world, page }) => {
      const app = await start(world, "client_secret_basic");
      const person = await world.person();
      const { sub, auth_time, nonce } = await signInAt(app, page, person);
      assert.ok(nonce);
      const { name, email, ...userinfo } = await at(app, page, "/userinfo");
      assert.deepEqual([userinfo.sub, name, email], [sub, person.name, person.email]);

      const later = await at(app, page, "/userinfo-later");
      assert.equal(later.refreshed, true);
      assert.equal(later.userinfo.sub, sub);
      assert.deepEqual([later.id_token_claims.sub, later.id_token_claims.auth_time], [sub, auth_time]);

      assert.deepEqual(await at(app, page, "/sign-out"), { signed_out: true });
      await openAccount(page, world);
      await assertAsksForSignIn(page);
    });
  });
}

on("SQLite", (test) => {
  for (const method of ["client_secret_jwt", "private_key_jwt"]) {
    test(`Authlib authenticates by ${method}`, async ({ world, page }) => {
      const app = await start(world, method);
      const { sub } = await signInAt(app, page, await world.person());
      const later = await at(app, page, "/userinfo-later");
      assert.deepEqual([later.refreshed, later.userinfo.sub], [true, sub]);
    });
  }
});

// A server-side app written with npm's `openid-client`, as its developer writes it: whatever it does with a provider.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import * as oidc from "openid-client";
import { App } from "./harness/app.mjs";
import { DATABASES } from "./harness/database.mjs";
import { allow, assertAsksForSignIn, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

// The library asks what its keys are by this name, which Node 18 does not have.
globalThis.CryptoKey ??= webcrypto.CryptoKey;

const NAME = "Cheshire Cards";
const SCOPE = "openid profile email offline_access";
// ID tokens come straight from the provider; this verifies their signatures all the same.
const options = { execute: [oidc.allowInsecureRequests, oidc.enableNonRepudiationChecks] };

// RFC 6749 §5.2: a challenge comes with it, by which the library tells.
const isInvalidClient = { status: 401, code: "OAUTH_WWW_AUTHENTICATE_CHALLENGE" };

function register(world, metadata = {}) {
  const members = (app) => ({ post_logout_redirect_uris: [app.signedOutUri], ...metadata });
  return world.host(App.register(world.grantor, NAME, "--confidential", members));
}

// What the app knows of the provider: where its endpoints are is discovered (OpenID Discovery §4).
function discover(world, app, authentication) {
  const { client_id, client_secret } = app.credentials;
  return oidc.discovery(new URL(world.issuer), client_id, client_secret, authentication, options);
}

// From the app through sign-in and consent and back (OpenID Core §3.1); answers tokens that the library checked.
async function obtainTokens(page, world, app, config, params = {}) {
  const [state, nonce, verifier] = [oidc.randomState(), oidc.randomNonce(), oidc.randomPKCECodeVerifier()];
  const request = { redirect_uri: app.redirectUri, scope: SCOPE, state, nonce, prompt: "consent", ...params };
  const pkce = { code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" };
  await page.goto(oidc.buildAuthorizationUrl(config, { ...request, ...pkce }).href);
  await signIn(page, await world.person());
  await allow(page);
  const brought = await app.brought(page);
  const expected = { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true };
  return { brought, tokens: await oidc.authorizationCodeGrant(config, received(app, brought), expected) };
}

// As the framework of an app hands it over.
function received(app, { method, params }) {
  const form = new URLSearchParams(params);
  if (method === "POST") return new Request(app.redirectUri, { method, body: form });
  return new URL(`${app.redirectUri}?${form}`);
}

// A key pair for assertions, with the public half as registered.
async function keyPair(kid) {
  const pair = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const jwk = await webcrypto.subtle.exportKey("jwk", pair.publicKey);
  return { key: { key: pair.privateKey, kid }, jwks: { keys: [{ ...jwk, kid, use: "sig", alg: "ES256" }] } };
}

for (const database of DATABASES) {
  on(database, (test) => {
    test("openid-client signs in, asks who it is, refreshes, introspects, revokes and signs out", async ({ world, page }) => {
      const app = await register(world);
      const config = await discover(world, app);
      const { tokens } = await obtainTokens(page, world, app, config);
      const { sub, auth_time } = tokens.claims();

      const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, sub);
      assert.equal(userinfo.name, "Alice");
      assert.match(userinfo.email, /^alice-/);

      const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
      assert.equal(refreshed.claims().sub, sub);
      assert.equal(refreshed.claims().auth_time, auth_time);
      assert.equal(refreshed.claims().nonce, undefined, "OpenID Core §12.2");

      const before = await oidc.tokenIntrospection(config, refreshed.access_token);
      assert.deepEqual([before.active, before.sub, before.client_id], [true, sub, app.credentials.client_id]);
      await oidc.tokenRevocation(config, refreshed.refresh_token);
      assert.deepEqual(await oidc.tokenIntrospection(config, refreshed.access_token), { active: false });
      await assert.rejects(oidc.refreshTokenGrant(config, refreshed.refresh_token), { error: "invalid_grant" });

      const signOut = { id_token_hint: tokens.id_token, post_logout_redirect_uri: app.signedOutUri, state: oidc.randomState() };
      await page.goto(oidc.buildEndSessionUrl(config, signOut).href);
      await page.waitForURL(`${app.signedOutUri}?state=${signOut.state}`);
      await page.goto(`${world.issuer}/account`);
      await assertAsksForSignIn(page);
    });
  });
}

on("SQLite", (test) => {
  for (const alg of ["RS256", "ES256", "EdDSA"]) {
    test(`openid-client verifies an ID token signed by ${alg}, which form_post brought about`, async ({ world, page }) => {
      const app = await register(world, { id_token_signed_response_alg: alg });
      const { client_id, client_secret } = app.credentials;
      const metadata = { client_secret, id_token_signed_response_alg: alg };
      const config = await oidc.discovery(new URL(world.issuer), client_id, metadata, undefined, options);
      const { brought } = await obtainTokens(page, world, app, config, { response_mode: "form_post" });
      assert.equal(brought.method, "POST");
    });
  }

  test("openid-client authenticates by private_key_jwt at every endpoint", async ({ world, page }) => {
    const { key, jwks } = await keyPair("looking-glass");
    const app = await register(world, { token_endpoint_auth_method: "private_key_jwt", jwks });
    assert.equal(app.credentials.client_secret, undefined);
    const config = await discover(world, app, oidc.PrivateKeyJwt(key));
    const { tokens } = await obtainTokens(page, world, app, config);
    const refreshed = await oidc.refreshTokenGrant(config, tokens.refresh_token);
    assert.equal((await oidc.tokenIntrospection(config, refreshed.access_token)).active, true);
    await oidc.tokenRevocation(config, refreshed.refresh_token);
    assert.equal((await oidc.tokenIntrospection(config, refreshed.access_token)).active, false);

    const impostor = await discover(world, app, oidc.PrivateKeyJwt((await keyPair("looking-glass")).key));
    await assert.rejects(oidc.tokenIntrospection(impostor, refreshed.access_token), isInvalidClient);
  });

  test("openid-client authenticates by client_secret_jwt", async ({ world, page }) => {
    const app = await register(world, { token_endpoint_auth_method: "client_secret_jwt" });
    const config = await discover(world, app, oidc.ClientSecretJwt(app.credentials.client_secret));
    const { tokens } = await obtainTokens(page, world, app, config);
    await oidc.refreshTokenGrant(config, tokens.refresh_token);
    const byPost = await discover(world, app, oidc.ClientSecretPost(app.credentials.client_secret));
    await assert.rejects(oidc.tokenIntrospection(byPost, tokens.access_token), isInvalidClient);
  });

  test("openid-client registers itself with an initial access token and signs a person in", async ({ world, page }) => {
    const app = await world.host(App.listen(world.grantor, NAME));
    const metadata = { client_name: NAME, redirect_uris: [app.redirectUri], application_type: "native" };
    const grants = { grant_types: ["authorization_code", "refresh_token"], token_endpoint_auth_method: "client_secret_post" };
    const { registration_token } = await world.grantor.command(["registration-token", "create"]);
    const may = { ...options, initialAccessToken: registration_token };
    const config = await oidc.dynamicClientRegistration(new URL(world.issuer), { ...metadata, ...grants }, undefined, may);
    const { tokens } = await obtainTokens(page, world, app, config);
    assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).name, "Alice");
  });
});

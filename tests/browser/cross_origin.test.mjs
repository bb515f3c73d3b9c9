// What pages of other origins may do: post an authorization request, and call the endpoints for apps.

import assert from "node:assert/strict";
import { DATABASES } from "./harness/database.mjs";
import { allow, assertAsksForSignIn, openAccount, signIn } from "./harness/verbs.mjs";
import { on } from "./harness/world.mjs";

// Shows a form on the app's own page, another site than Grantor's, and submits it.
async function postFromTheApp(page, app, params = {}) {
  const url = new URL(app.authorizationUrl(params));
  const fields = [...url.searchParams].map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`);
  await page.goto(app.redirectUri);
  await page.setContent(`<form method="post" action="${url.origin}${url.pathname}">${fields.join("")}<button>Sign in</button></form>`);
  await page.click("button");
}

// Whether Chromium sent a cookie with each request to Grantor, in their order.
function watchCookies(page, world) {
  const seen = [];
  page.on("request", (request) => {
    if (request.isNavigationRequest() && request.url().startsWith(world.issuer)) {
      seen.push(request.allHeaders().then((headers) => [request.method(), "cookie" in headers]));
    }
  });
  return () => Promise.all(seen);
}

for (const database of DATABASES) {
  on(database, (test) => {
    test("a request that the app's page posts finds the session, though the post brings no cookie", async ({ world, page }) => {
      const { confidentialApp: app } = world;
      await openAccount(page, world);
      await signIn(page, await world.person());
      await page.waitForSelector("#sessions");
      await postFromTheApp(page, app);
      await allow(page);
      assert.ok((await app.response(page)).params.code);

      const cookies = watchCookies(page, world);
      for (const params of [{}, { prompt: "none" }]) {
        await postFromTheApp(page, app, params);
        const { params: answer } = await app.response(page);
        assert.ok(answer.code, JSON.stringify(answer));
        assert.equal((await app.redeem(answer.code)).status, 200);
      }
      const twice = [
        ["POST", false],
        ["GET", true],
      ];
      assert.deepEqual(await cookies(), [...twice, ...twice]);
    });

    test("a request that the app's page posts leads a stranger through sign-in and consent", async ({ world, page }) => {
      await postFromTheApp(page, world.app);
      await assertAsksForSignIn(page);
      await signIn(page, await world.person());
      await allow(page);
      assert.equal((await world.app.redeem((await world.app.response(page)).params.code)).status, 200);
    });
  });
}

on("SQLite", (test) => {
  // In a browser of its own: that a page of another site meets a refusal is no problem here.
  async function onThePageOfTheApp(world, look) {
    const context = await world.browser.newContext();
    try {
      const page = await context.newPage();
      await page.goto(world.app.redirectUri);
      await look((url, init) =>
        page.evaluate(
          async ([url, init]) => {
            try {
              const answer = await fetch(url, init);
              const { status, headers } = answer;
              return { status, challenge: headers.get("www-authenticate"), body: await answer.text() };
            } catch (error) {
              return { blocked: String(error) };
            }
          },
          [url, init],
        ),
      );
    } finally {
      await context.close();
    }
  }

  const VERSION = { "MCP-Protocol-Version": "2025-11-25" };

  test("a script of another origin reads the metadata, and that a document is not there", async ({ world }) => {
    await onThePageOfTheApp(world, async (fetch) => {
      const metadata = await fetch(world.app.metadataUrl, { headers: VERSION });
      assert.equal(JSON.parse(metadata.body).issuer, world.issuer);
      const missing = await fetch(`${world.issuer}/.well-known/oauth-protected-resource`, { headers: VERSION });
      assert.equal(missing.status, 404, JSON.stringify(missing));
      assert.equal((await fetch(world.app.endpoint("jwks_uri"))).status, 200);
    });
  });

  test("a script of another origin calls the token endpoint and reads why it is refused", async ({ world }) => {
    await onThePageOfTheApp(world, async (fetch) => {
      const body = "grant_type=client_credentials";
      const headers = { ...VERSION, Authorization: "Basic eDp5", "Content-Type": "application/x-www-form-urlencoded", DPoP: "proof" };
      const refused = await fetch(world.app.endpoint("token_endpoint"), { method: "POST", headers, body });
      assert.equal(refused.status, 401, JSON.stringify(refused));
      assert.equal(JSON.parse(refused.body).error, "invalid_client");
      assert.match(refused.challenge, /^Basic /);
      assert.equal((await fetch(world.app.endpoint("token_endpoint"), { headers })).status, 405);
      assert.equal((await fetch(world.app.endpoint("revocation_endpoint"), { method: "POST", headers, body })).status, 401);
    });
  });

  test("a script of another origin reads neither introspection nor pages, and posts no form of theirs", async ({ world }) => {
    await onThePageOfTheApp(world, async (fetch) => {
      const form = { method: "POST", headers: { "Content-Type": "application/x-www-form-urlencoded" }, body: "token=x" };
      const closed = [
        [world.app.endpoint("introspection_endpoint"), form],
        [world.app.endpoint("authorization_endpoint"), form],
        [world.app.authorizationUrl(), {}],
        [`${world.issuer}/account`, {}],
        [`${world.issuer}/account`, { credentials: "include" }],
        [`${world.issuer}/login`, form],
      ];
      for (const [url, init] of closed) assert.ok((await fetch(url, init)).blocked, url);
    });
  });
});

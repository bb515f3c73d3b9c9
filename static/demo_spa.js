// A browser-based app, whole and without a library: sign-in with PKCE, refresh, calls of an API, revocation. Copy it.
let tokens; // Nowhere else, so that nothing is left to steal: whoever reloads signs in again, mostly without a password.
const { issuer, clientId, api, scope } = document.body.dataset;
const redirectUri = `${location.origin}/`;
const byId = (id) => document.getElementById(id);
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// The issuer is all that the app is told (RFC 8414 §3.1).
async function discover() {
  const { origin, pathname } = new URL(issuer);
  const metadata = await (await fetch(`${origin}/.well-known/oauth-authorization-server${pathname.replace(/\/$/, "")}`)).json();
  if (metadata.issuer !== issuer) throw new Error("otherIssuer");
  return metadata;
}

// The authorization request (OAuth 2.1 §4.1.1) with a PKCE challenge (RFC 7636 §4.2).
async function signIn(scope) {
  const [state, verifier] = [random(), random()];
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const url = new URL((await discover()).authorization_endpoint);
  const request = { response_type: "code", client_id: clientId, redirect_uri: redirectUri, scope, state };
  const pkce = { code_challenge: base64url(new Uint8Array(digest)), code_challenge_method: "S256" };
  for (const [name, value] of Object.entries({ ...request, ...pkce })) url.searchParams.set(name, value);
  // All that outlives the redirect.
  sessionStorage.setItem("request", JSON.stringify({ state, verifier }));
  location.assign(url);
}

// The answer, which is believed only if this tab asked for it (§7.10) and the right server sent it (RFC 9207).
async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  const request = JSON.parse(sessionStorage.getItem("request"));
  if (!answer.has("state")) return;
  sessionStorage.removeItem("request");
  history.replaceState(null, "", redirectUri); // The code does not stay in the address bar.
  if (answer.get("state") !== request?.state) throw new Error("otherState");
  if (answer.get("iss") !== issuer) throw new Error("otherIssuer");
  if (answer.has("error")) throw new Error(`${answer.get("error")}: ${answer.get("error_description")}`);
  await obtainTokens({ grant_type: "authorization_code", code: answer.get("code"), code_verifier: request.verifier });
}

// The token request (§3.2.2). A public client has no secret: it only says who it is.
async function obtainTokens(form) {
  const body = new URLSearchParams({ ...form, client_id: clientId });
  const response = await fetch((await discover()).token_endpoint, { method: "POST", body });
  const answer = await response.json();
  if (response.status === 400) tokens = undefined; // Spent, expired or revoked: only a new sign-in helps.
  if (!response.ok) throw new Error(`${answer.error}: ${answer.error_description}`);
  tokens = { ...tokens, ...answer, expiresAt: Date.now() + answer.expires_in * 1000 };
  show(response, answer);
}

// Every refresh brings a new refresh token; the old one must not be used again (§4.3.1).
const refresh = () => obtainTokens({ grant_type: "refresh_token", refresh_token: tokens.refresh_token });

async function callApi(method, note) {
  if (Date.now() > tokens.expiresAt - 10_000) await refresh();
  const headers = { Authorization: `Bearer ${tokens.access_token}`, ...(note && { "Content-Type": "application/json" }) };
  const response = await fetch(`${api}/notes`, { method, headers, body: note && JSON.stringify(note) });
  show(response, await response.json());
}

// Revoking also ends what a thief may have; forgetting would not (RFC 7009 §2.1).
async function signOut() {
  const body = new URLSearchParams({ token: tokens.refresh_token, client_id: clientId });
  show(await fetch((await discover()).revocation_endpoint, { method: "POST", body }), {});
  tokens = undefined;
}

// Only text is ever put into the page, so nothing that arrives can become markup.
function show({ url, status }, answer) {
  for (const [name, value] of Object.entries({ url, status, ...answer })) byId(`answer-${name}`)?.replaceChildren(value);
  byId("answer-json").textContent = JSON.stringify(answer, (name, value) => (name.endsWith("_token") ? "…" : value), 2);
  byId("reason").hidden = !answer.what_to_change;
  byId("ask-more").hidden = answer.error !== "insufficient_scope";
  byId("answer").hidden = false;
}

function render(problem) {
  document.body.classList.toggle("signed-in", Boolean(tokens));
  byId("scope").textContent = tokens?.scope;
  byId("problem").hidden = !problem;
  byId("problem").textContent = byId("problem").dataset[problem?.message] ?? problem?.message;
}

// One thing after the other, so that two clicks never use one refresh token twice.
let work = finishSignIn().then(() => render(), render);
const on = (id, event, action) =>
  byId(id).addEventListener(event, (fired) => {
    fired.preventDefault();
    work = work.then(action).then(() => render(), render);
  });
on("sign-in", "click", () => signIn(scope));
on("ask-more", "click", () => signIn(`${tokens.scope} ${byId("answer-scope").textContent}`));
on("read", "click", () => callApi("GET"));
on("write", "submit", () => callApi("POST", { text: byId("note").value }));
on("refresh", "click", refresh);
on("sign-out", "click", signOut);

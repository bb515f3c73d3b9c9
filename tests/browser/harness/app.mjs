// An app that signs people in with Grantor: Authorization Code with PKCE, its callback on a loopback address.

import { createHash, randomBytes } from "node:crypto";
import { setDefaultResultOrder } from "node:dns";
import { once } from "node:events";
import { createServer } from "node:http";

// The server listens on 127.0.0.1; without this, Node 18 would ask for `localhost` at ::1 alone.
setDefaultResultOrder("ipv4first");

export class App {
  // `kind` is `--public` or `--confidential`; `metadata`, members of client metadata, may depend on the app.
  static async register(grantor, name, kind, metadata) {
    const app = await App.listen(grantor, name);
    await app.#register(kind, app.redirectUri, ...(metadata ? ["--metadata", JSON.stringify(metadata(app))] : []));
    return app;
  }

  // An app with a callback and without a registration.
  static async listen(grantor, name) {
    const app = new App(grantor, name);
    app.#server.listen(0, "127.0.0.1");
    await once(app.#server, "listening");
    app.origin = `http://127.0.0.1:${app.#server.address().port}`;
    app.redirectUri = `${app.origin}/callback`;
    app.signedOutUri = `${app.origin}/signed-out`;
    return app;
  }

  // An app of which only the registration exists.
  static async registerElsewhere(grantor, name, redirectUri, scopes) {
    const app = new App(grantor, name);
    await app.#register("--confidential", redirectUri, ...scopes.flatMap((scope) => ["--scope", scope]));
    return app;
  }

  // An app that registered itself, with an initial access token (RFC 7591 §3).
  static async registerItself(grantor, name, redirectUri, metadata = {}) {
    const app = new App(grantor, name);
    app.redirectUri = redirectUri;
    const { registration_token } = await grantor.command(["registration-token", "create"]);
    await app.#discover();
    const answer = await fetch(app.endpoint("registration_endpoint"), {
      method: "POST",
      headers: { authorization: `Bearer ${registration_token}`, "content-type": "application/json" },
      body: JSON.stringify({ client_name: name, redirect_uris: [redirectUri], ...metadata }),
    });
    app.#client = await answer.json();
    if (answer.status !== 201) throw new Error(`registration: ${answer.status} ${JSON.stringify(app.#client)}`);
    return app;
  }

  #client;
  #metadata;
  #response;
  #server;
  #state;
  #verifier;

  constructor(grantor, name) {
    this.name = name;
    this.grantor = grantor;
    this.#server = createServer((request, response) => this.#callback(request, response));
  }

  // RFC 8414 §3.1: the well-known part stands before the path of the issuer.
  get metadataUrl() {
    const { origin, issuer } = this.grantor;
    return `${origin}/.well-known/oauth-authorization-server${issuer.slice(origin.length)}`;
  }

  endpoint(name) {
    return this.#metadata[name];
  }

  // Where the browser goes to begin. One request at a time: a second call forgets the first.
  authorizationUrl(params = {}) {
    this.#state = random();
    this.#verifier = random();
    this.#response = undefined;
    const url = new URL(this.#metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      response_type: "code",
      client_id: this.#client.client_id,
      redirect_uri: this.redirectUri,
      scope: "openid profile email offline_access",
      state: this.#state,
      code_challenge: createHash("sha256").update(this.#verifier).digest("base64url"),
      code_challenge_method: "S256",
      ...params,
    });
    return url.href;
  }

  // As `grantor client create` printed them.
  get credentials() {
    const { client_id, client_secret } = this.#client;
    return { client_id, client_secret };
  }

  // What the browser brought to the callback, unchecked.
  async brought(page) {
    await page.waitForURL((url) => url.href.startsWith(this.redirectUri));
    return this.#response;
  }

  // The authorization response that the browser brought: its method and parameters, `state` and `iss` checked.
  async response(page) {
    const { method, params } = await this.brought(page);
    if (params.state !== this.#state) throw new Error(`state is ${params.state}, not ${this.#state}`);
    if (params.iss !== this.grantor.issuer) throw new Error(`iss is ${params.iss}, not ${this.grantor.issuer}`);
    return { method, params };
  }

  // Answers `{ status, body }`, as does `refresh`.
  redeem(code) {
    return this.#token({ grant_type: "authorization_code", code, redirect_uri: this.redirectUri, code_verifier: this.#verifier });
  }

  refresh(refreshToken) {
    return this.#token({ grant_type: "refresh_token", refresh_token: refreshToken });
  }

  // Answers `{ status }`.
  revoke(token) {
    return this.#post(this.#metadata.revocation_endpoint, { token });
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #register(kind, redirectUri, ...settings) {
    this.redirectUri = redirectUri;
    this.#client = await this.grantor.command([
      "client",
      "create",
      "--name",
      this.name,
      kind,
      "--redirect-uri",
      redirectUri,
      ...settings,
    ]);
    await this.#discover();
  }

  async #discover() {
    this.#metadata = await (await fetch(this.metadataUrl)).json();
  }

  async #token(params) {
    const answer = await this.#post(this.#metadata.token_endpoint, params);
    return { status: answer.status, body: await answer.json() };
  }

  #post(url, params) {
    const { client_id, client_secret } = this.#client;
    const credentials = client_secret ? { client_id, client_secret } : { client_id };
    return fetch(url, { method: "POST", body: new URLSearchParams({ ...params, ...credentials }) });
  }

  async #callback(request, response) {
    const url = new URL(request.url, this.origin);
    if (!["/callback", "/signed-out"].includes(url.pathname)) return response.writeHead(404).end();
    let body = "";
    for await (const chunk of request) body += chunk;
    const params = request.method === "POST" ? new URLSearchParams(body) : url.searchParams;
    if (url.pathname === "/callback") this.#response = { method: request.method, params: Object.fromEntries(params) };
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end("<!doctype html><html lang=en><title>Back at the app</title><p>Back at the app");
  }
}

function random() {
  return randomBytes(32).toString("base64url");
}

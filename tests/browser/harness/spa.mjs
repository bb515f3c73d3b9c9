// A single-page app on an origin of its own: files, and no server behind them.

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

const FILES = {
  "/": ["text/html; charset=utf-8", "oidc_client_ts/index.html"],
  "/signed-out": ["text/html; charset=utf-8", "oidc_client_ts/index.html"],
  "/app.js": ["text/javascript", "oidc_client_ts/app.js"],
  "/oidc-client-ts.min.js": ["text/javascript", "node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js"],
};
const folder = new URL("../", import.meta.url);

export class Spa {
  // `register` is given the origin, and answers the settings that the page asks for.
  static async serve(issuer, register) {
    const spa = new Spa(issuer);
    spa.#server.listen(0, "127.0.0.1");
    await once(spa.#server, "listening");
    spa.origin = `http://127.0.0.1:${spa.#server.address().port}`;
    spa.#settings = JSON.stringify(await register(spa.origin));
    return spa;
  }

  #issuer;
  #server;
  #settings;

  constructor(issuer) {
    this.#issuer = new URL(issuer).origin;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    if (pathname === "/settings.json") return response.writeHead(200, { "content-type": "application/json" }).end(this.#settings);
    if (!Object.hasOwn(FILES, pathname)) return response.writeHead(404).end();
    const [type, file] = FILES[pathname];
    const policy = `default-src 'none'; script-src 'self'; img-src data:; connect-src 'self' ${this.#issuer}`;
    response.writeHead(200, { "content-type": type, "content-security-policy": policy });
    response.end(await readFile(fileURLToPath(new URL(file, folder))));
  }
}

// What a test sees: a server, two apps, a browser, and the verbs of a person in front of it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { App } from "./app.mjs";
import { launch, watch } from "./chromium.mjs";
import { Grantor } from "./grantor.mjs";

const TEST_TIMEOUT_MS = 120_000;
const PAGE_TIMEOUT_MS = 20_000;

export class World {
  static async start(database, path) {
    const world = new World();
    try {
      world.grantor = await Grantor.start(database, path);
      // A public client that returns to loopback is asked for consent each time; a confidential one is remembered.
      world.app = await App.register(world.grantor, "Holiday Planner", "--public");
      world.confidentialApp = await App.register(world.grantor, "Photo Books", "--confidential");
      world.#origins.push(world.grantor.origin, world.app.origin, world.confidentialApp.origin);
      world.browser = await launch();
    } catch (error) {
      await world.stop().catch(() => {});
      throw error;
    }
    return world;
  }

  // Where pages may send requests.
  #origins = [];
  // What ends with this world.
  #visitors = [];

  get issuer() {
    return this.grantor.issuer;
  }

  // A person whom nobody else's test knows.
  async person(mailbox = "alice") {
    const person = {
      name: "Alice",
      email: `${mailbox}-${randomBytes(4).toString("hex")}@example.com`,
      password: `correct horse ${randomBytes(4).toString("hex")}`,
    };
    const args = ["user", "create", "--email", person.email, "--name", person.name, "--password-stdin"];
    await this.grantor.command(args, `${person.password}\n`);
    return person;
  }

  // Something that a test starts, at an `origin` of its own, until `stop`.
  async host(starting) {
    const visitor = await starting;
    this.#visitors.push(visitor);
    this.#origins.push(visitor.origin);
    return visitor;
  }

  // An app on a host that does not exist: people are sent to Grantor by it; who lets them go back there answers for it.
  async appElsewhere(name, origin, scopes = []) {
    this.#origins.push(origin);
    return App.registerElsewhere(this.grantor, name, `${origin}/callback`, scopes);
  }

  // The same of an app that registered itself.
  async appThatRegisteredItself(name, origin, metadata) {
    this.#origins.push(origin);
    return App.registerItself(this.grantor, name, `${origin}/callback`, metadata);
  }

  log() {
    return [this.grantor, ...this.#visitors].map((one) => one.log?.() ?? "").join("\n");
  }

  open(options) {
    return openPage(this.browser, this.#origins, options);
  }

  async stop() {
    await this.browser?.close();
    for (const visitor of this.#visitors) await visitor.stop();
    await this.app?.stop();
    await this.confidentialApp?.stop();
    await this.grantor?.stop();
  }
}

// A page in a browser without cookies, which may send requests to `origins`; what is wrong in it is reported by `close`.
export async function openPage(browser, origins, { refusals, ...options } = {}) {
  // Without transitions, so that a colour that is measured is the colour that stays.
  const context = await browser.newContext({ locale: "en-GB", colorScheme: "light", reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(PAGE_TIMEOUT_MS);
  const problems = watch(context, origins, refusals);
  const page = await context.newPage();
  const close = async () => {
    await context.close();
    assert.deepEqual(problems, [], "what Chromium complained about");
  };
  return { page, close };
}

// Declares the tests of one server: `test(name, run)` or `test(name, contextOptions, run)`, with `run({ world, page, open })`,
// where `open` gives the page of one more browser. `path` is that of the issuer.
export function on(database, declare, path = "") {
  describe(`on ${database}${path && ` at ${path}`}`, () => {
    let world;
    before(async () => {
      world = await World.start(database, path);
    });
    after(() => world?.stop());
    declare((name, ...rest) => {
      const run = rest.pop();
      it(name, { timeout: TEST_TIMEOUT_MS }, () => inBrowser(world, rest[0], run));
    });
  });
}

async function inBrowser(world, options, run) {
  const opened = [];
  const open = async (own) => {
    const one = await world.open(own);
    opened.push(one);
    return one.page;
  };
  const page = await open(options);
  try {
    await run({ world, page, open });
    for (const one of opened.splice(0)) await one.close();
  } catch (error) {
    console.error(`at ${page.url()}\n${await page.innerText("body").catch(() => "")}\n--- the servers' log\n${world.log()}`);
    throw error;
  } finally {
    for (const one of opened) await one.close().catch(() => {});
  }
}

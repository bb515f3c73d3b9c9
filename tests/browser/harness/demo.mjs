// `grantor demo` on free loopback ports, and what it prints for a newcomer.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assertBuilt, binary, freePort, terminate, withoutSettings } from "./grantor.mjs";

export class Demo {
  static async start() {
    assertBuilt();
    const dir = await mkdtemp(join(tmpdir(), "grantor-browser-"));
    const demo = new Demo(dir, await Promise.all(["--listen", "--app-listen", "--spa-listen", "--api-listen"].map(onFreePort)));
    try {
      await demo.#printed("Ctrl-C");
    } catch (error) {
      await demo.stop().catch(() => {});
      throw error;
    }
    return demo;
  }

  #dir;
  #process;
  #exited;
  #out = "";

  constructor(dir, addresses) {
    this.#dir = dir;
    const args = ["demo", ...addresses.flat()];
    const env = { ...withoutSettings(process.env), TMPDIR: dir };
    this.#process = spawn(binary, args, { cwd: dir, env, stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = once(this.#process, "exit");
    for (const stream of [this.#process.stdout, this.#process.stderr]) stream.on("data", (chunk) => (this.#out += chunk));
  }

  // The sample app's address, as printed.
  get appUrl() {
    return this.#out.match(/sample app +(\S+)/)[1];
  }

  get spaUrl() {
    return this.#out.match(/single-page app +(\S+)/)[1];
  }

  get notesUrl() {
    return this.#out.match(/API that they call +(\S+)/)[1];
  }

  get origins() {
    return [...this.#out.matchAll(/http:\/\/[^/\s]+/g)].map(([origin]) => origin);
  }

  // The first of the people printed.
  get person() {
    const [, email, password] = this.#out.match(/^ +(\S+@\S+) +(\S+)$/m);
    return { email, password };
  }

  log() {
    return this.#out;
  }

  // Nothing of the demo may outlive it.
  async stop() {
    const code = await terminate(this.#process, this.#exited);
    const left = await readdir(this.#dir);
    await rm(this.#dir, { recursive: true });
    if (code !== 0 || left.length) throw new Error(`SIGTERM ended the demo with ${code}, leaving [${left}]\n${this.#out}`);
  }

  async #printed(text) {
    while (!this.#out.includes(text)) {
      const ended = await Promise.race([this.#exited, once(this.#process.stdout, "data").then(() => null)]);
      if (ended) throw new Error(`the demo ended with ${ended[0]}\n${this.#out}`);
    }
  }
}

async function onFreePort(flag) {
  return [flag, `127.0.0.1:${await freePort()}`];
}

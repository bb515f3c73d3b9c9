// The app in Python: a process of the Python that `tests/run` equips.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freePort } from "./grantor.mjs";

const READY_WITHIN_MS = 30_000;
const folder = fileURLToPath(new URL("../authlib/", import.meta.url));
const python = `${folder}.venv/bin/python`;

export class PythonApp {
  // `register` is given the origin, and answers the settings of the app.
  static async start(register) {
    if (!existsSync(python)) throw new Error(`${python} is missing: run \`make test\`, which installs it`);
    const port = await freePort();
    const app = new PythonApp(port, await register(`http://127.0.0.1:${port}`));
    try {
      await app.#ready();
    } catch (error) {
      await app.stop();
      throw error;
    }
    return app;
  }

  #process;
  #exited;
  #log = "";

  constructor(port, settings) {
    this.origin = `http://127.0.0.1:${port}`;
    this.#process = spawn(python, ["-B", "app.py"], { cwd: folder, stdio: ["pipe", "pipe", "pipe"] });
    this.#exited = once(this.#process, "exit");
    for (const stream of [this.#process.stdout, this.#process.stderr]) stream.on("data", (chunk) => (this.#log += chunk));
    this.#process.stdin.end(JSON.stringify({ ...settings, port }));
  }

  log() {
    return this.#log;
  }

  async stop() {
    this.#process.kill();
    await this.#exited;
  }

  async #ready() {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (Date.now() < deadline && this.#process.exitCode === null) {
      if (await fetch(this.origin).catch(() => null)) return;
      await sleep(50);
    }
    throw new Error(`the app in Python did not become ready\n${this.#log}`);
  }
}

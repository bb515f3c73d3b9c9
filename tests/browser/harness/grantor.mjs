// The built `grantor`: `serve` on a free loopback port with a database of its own, and the command line beside it.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { freshDatabase } from "./database.mjs";

const READY_WITHIN_MS = 30_000;
const STOPPED_WITHIN_MS = 15_000;
const LOG_LINES_SHOWN = 40;

const root = fileURLToPath(new URL("../../../", import.meta.url));
export const binary = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "debug", "grantor");

export class Grantor {
  // `path` is that of the issuer.
  static async start(database, path = "") {
    assertBuilt();
    const dir = await mkdtemp(join(tmpdir(), "grantor-browser-"));
    const db = await freshDatabase(database, dir);
    const port = await freePort();
    const grantor = new Grantor(dir, db, port, path);
    try {
      await grantor.#ready();
    } catch (error) {
      await grantor.stop().catch(() => {});
      throw error;
    }
    return grantor;
  }

  #dir;
  #database;
  #env;
  #process;
  #exited;

  constructor(dir, database, port, path) {
    this.origin = `http://localhost:${port}`;
    this.issuer = `${this.origin}${path}`;
    this.#dir = dir;
    this.#database = database;
    this.#env = {
      ...withoutSettings(process.env),
      GRANTOR_LISTEN: `127.0.0.1:${port}`,
      GRANTOR_ISSUER: this.issuer,
      GRANTOR_DATABASE_URL: database.url,
      GRANTOR_DATA_DIR: dir,
      GRANTOR_MASTER_KEY: randomBytes(32).toString("base64"),
      GRANTOR_REGISTRATION__MODE: "token",
      // So short that a test can fill it.
      GRANTOR_PASSWORDS__HASHING_QUEUE: "1",
      GRANTOR_RATE_LIMIT__SIGNED_IN: "60/1m",
      GRANTOR_SIGN_UP__OPEN: "true",
    };
    const log = openSync(this.#logFile, "a");
    this.#process = this.#spawn(["serve"], ["ignore", log, log]);
    this.#exited = once(this.#process, "exit");
    closeSync(log);
  }

  // Runs one command and answers what its `--json` printed.
  async command(args, input = "") {
    const child = this.#spawn([...args, "--json"], ["pipe", "pipe", "pipe"]);
    let out = "";
    let err = "";
    child.stdout.on("data", (chunk) => (out += chunk));
    child.stderr.on("data", (chunk) => (err += chunk));
    // A command that reads nothing may have ended before its input is closed; its exit code says how it went.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`grantor ${args.join(" ")}: exit code ${code}\n${err}`);
    return JSON.parse(out);
  }

  // The end of the server's log, for the report of a failure.
  log() {
    const lines = readFileSync(this.#logFile, "utf8").trimEnd().split("\n");
    return lines.slice(-LOG_LINES_SHOWN).join("\n");
  }

  // SIGTERM must end the server with exit code 0, whatever the tests did to it.
  async stop() {
    const code = await terminate(this.#process, this.#exited);
    const log = this.log();
    await this.#database.drop();
    await rm(this.#dir, { recursive: true });
    if (code !== 0) throw new Error(`SIGTERM ended the server with ${code}\n${log}`);
  }

  get #logFile() {
    return join(this.#dir, "serve.log");
  }

  // Away from the repository, whose `.env` and `grantor.toml` are the developer's.
  #spawn(args, stdio) {
    return spawn(binary, args, { cwd: this.#dir, env: this.#env, stdio });
  }

  async #ready() {
    const deadline = Date.now() + READY_WITHIN_MS;
    while (Date.now() < deadline && this.#process.exitCode === null) {
      const answer = await fetch(`http://${this.#env.GRANTOR_LISTEN}/health/ready`).catch(() => null);
      if (answer?.ok) return;
      await sleep(50);
    }
    throw new Error(`the server did not become ready\n${this.log()}`);
  }
}

export function assertBuilt() {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run \`cargo build\``);
}

// Answers the exit code after SIGTERM; a process that does not end in time is killed.
export async function terminate(child, exited) {
  child.kill("SIGTERM");
  const deadline = sleep(STOPPED_WITHIN_MS, ["no exit"], { ref: false });
  const [code] = await Promise.race([exited, deadline]);
  if (code !== 0) {
    child.kill("SIGKILL");
    await exited;
  }
  return code;
}

export function withoutSettings(env) {
  return Object.fromEntries(Object.entries(env).filter(([key]) => !key.startsWith("GRANTOR_") && key !== "DATABASE_URL"));
}

export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

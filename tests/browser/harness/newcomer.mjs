// A newcomer who follows the tours of the documentation: saves the files, pastes the commands, opens the pages.
//
// Fenced blocks say what they are: `sh` is pasted into a shell, `sh server` into a terminal of its own, `js api.mjs` is saved under
// that name, and blocks of other kinds show what comes out. Only ports and the folder differ, so that nothing else here is met.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { assertBuilt, binary, freePort, terminate, withoutSettings } from "./grantor.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const SETTLED_WITHIN_MS = 30_000;
const BLOCK = /^```(\w+)(?: (\S+))?\n(.*?)^```$/gms;
const ADDRESS = /127\.0\.0\.1:(\d+)/g;
const SERVER_PORT = "8080";
// What is here already.
const PROGRAMS = {
  cargo: "exit 0",
  npm: `ln -sfn ${join(root, "tests/browser/node_modules")} node_modules`,
  // `pip` then finds in it what it is asked to install.
  python3: `[ "$2" = venv ] && exec ln -sfn ${join(root, "tests/browser/authlib/.venv")} "$3"\nPATH="\${PATH#*:}" exec python3 "$@"`,
};

// The tours ask for Node 20, these tests for less: what the older one lacks is behind a switch there.
const NODE_OPTIONS = parseInt(process.versions.node, 10) < 20 ? "--experimental-global-webcrypto" : "";

export class Newcomer {
  // Begins in an empty folder.
  static async arrive(dir) {
    assertBuilt();
    await mkdir(join(dir, "bin"));
    for (const [name, does] of Object.entries(PROGRAMS)) await writeFile(join(dir, "bin", name), `#!/bin/sh\n${does}\n`, { mode: 0o755 });
    return new Newcomer(dir);
  }

  #bin;
  #dir;
  #ports = new Map();
  #servers = [];
  #log = "";

  constructor(dir) {
    this.#bin = join(dir, "bin");
    this.#dir = dir;
  }

  // Where something is that the texts call by the address that they give it.
  url(port) {
    return `http://127.0.0.1:${this.#ports.get(String(port))}`;
  }

  get origins() {
    return [...this.#ports.keys()].map((port) => this.url(port));
  }

  // Follows a text, or one section of it, and answers what the commands printed. `fill` completes what only a person can know.
  async follow(file, { section, fill = (content) => content } = {}) {
    const text = await this.#read(file, section);
    const shell = new Shell(this.#dir, this.#env());
    let printed = "";
    for (const [, kind, name, content] of text.matchAll(BLOCK)) {
      if (kind === "sh" && name === "server") await this.#serve(content, shell, text);
      else if (kind === "sh") printed += await shell.paste(await fill(content, printed));
      else if (name) await this.#save(join(await shell.folder(), name), content);
    }
    this.#dir = await shell.folder();
    shell.end();
    return printed;
  }

  log() {
    return this.#log;
  }

  async stop() {
    for (const { child, exited } of this.#servers.reverse()) await terminate(child, exited);
  }

  async #read(file, section) {
    let text = await readFile(join(root, file), "utf8");
    if (section) text = text.split(/^(?=## )/m).find((part) => part.startsWith(`## ${section}\n`));
    for (const [, port] of text.matchAll(ADDRESS)) if (!this.#ports.has(port)) this.#ports.set(port, String(await freePort()));
    for (const [port, free] of this.#ports) text = text.replace(new RegExp(`\\b${port}\\b`, "g"), free);
    return text.replaceAll("/tmp/tour", join(this.#dir, "tour"));
  }

  #env() {
    const path = [this.#bin, dirname(binary), process.env.PATH];
    const env = { ...withoutSettings(process.env), NODE_OPTIONS, PATH: path.join(":") };
    return { ...env, GRANTOR_LISTEN: `127.0.0.1:${this.#ports.get(SERVER_PORT)}` };
  }

  async #save(path, content) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }

  // Until all that the text speaks of answers.
  async #serve(command, shell, text) {
    const child = spawn("bash", ["-c", `exec ${command}`], { cwd: await shell.folder(), env: this.#env(), stdio: ["ignore", "pipe", "pipe"] });
    this.#servers.push({ child, exited: once(child, "exit") });
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (this.#log += chunk));
    const deadline = Date.now() + SETTLED_WITHIN_MS;
    for (const [address] of text.matchAll(ADDRESS)) {
      while (!(await fetch(`http://${address}/`).catch(() => null))) {
        if (Date.now() > deadline || child.exitCode !== null) throw new Error(`${command} does not answer at ${address}\n${this.#log}`);
        await sleep(50);
      }
    }
  }
}

// One terminal, which ends at the first command that fails.
class Shell {
  #child;
  #out = "";
  #ended = false;

  constructor(cwd, env) {
    this.#child = spawn("bash", ["-euo", "pipefail"], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on("data", (chunk) => (this.#out += chunk));
    this.#child.on("exit", () => (this.#ended = true));
  }

  // Answers what the commands print.
  async paste(commands) {
    const begin = this.#out.length;
    const end = "--- that was all ---";
    this.#child.stdin.write(`${commands}\necho '${end}'\n`);
    const deadline = Date.now() + SETTLED_WITHIN_MS;
    while (!this.#out.slice(begin).endsWith(`${end}\n`)) {
      if (Date.now() > deadline || this.#ended) throw new Error(`this failed:\n${commands}\n${this.#out.slice(begin)}`);
      await sleep(10);
    }
    return this.#out.slice(begin, -end.length - 1);
  }

  async folder() {
    return (await this.paste("pwd")).trim();
  }

  end() {
    this.#child.stdin.end();
  }
}

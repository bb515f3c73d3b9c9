// A fresh database for one server: a file of its own for SQLite, a database of the cluster in TEST_DATABASE_URL for Postgres.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { promisify } from "node:util";

export const DATABASES = ["SQLite", "Postgres"];

const run = promisify(execFile);

export async function freshDatabase(kind, dir) {
  return kind === "SQLite" ? { url: `sqlite:${join(dir, "grantor.db")}`, drop: async () => {} } : freshPostgres();
}

async function freshPostgres() {
  const cluster = process.env.TEST_DATABASE_URL;
  if (!cluster) {
    throw new Error("TEST_DATABASE_URL is not set: run `make test`, or `tests/with-postgres npm --prefix tests/browser test`");
  }
  const name = `browser_${randomBytes(6).toString("hex")}`;
  const sql = (statement) => run("psql", [cluster, "-q", "-v", "ON_ERROR_STOP=1", "-c", statement]);
  await sql(`CREATE DATABASE ${name}`);
  const url = new URL(cluster);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => sql(`DROP DATABASE ${name} WITH (FORCE)`) };
}

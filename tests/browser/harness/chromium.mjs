// A real, headless Chromium, and what goes wrong in its pages.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const INSTALLED = ["/usr/bin/chromium", "/usr/bin/google-chrome"];

export function launch() {
  const executablePath = process.env.CHROMIUM ?? INSTALLED.find((path) => existsSync(path));
  if (!executablePath) throw new Error(`no Chromium (${INSTALLED.join(", ")}): run \`make test\` as root, or set CHROMIUM`);
  return chromium.launch({
    executablePath,
    // Chromium's sandbox refuses to work for root.
    chromiumSandbox: process.getuid() !== 0,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

// Collects what no page of ours may do: violate its Content-Security-Policy, throw, miss an asset, or ask another host.
// What a page asks for to be refused, as `refusals` tell in the form `403 URL`, is no mistake.
export function watch(context, origins, refusals = []) {
  const problems = [];
  context.on("console", (message) => {
    // Chromium also reports a page whose own status is an error, as ours rightly are; assets are seen below.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) problems.push(message.text());
  });
  context.on("weberror", (error) => problems.push(String(error.error())));
  context.on("response", (response) => {
    const told = `${response.status()} ${response.url()}`;
    if (!response.request().isNavigationRequest() && response.status() >= 400 && !refusals.includes(told)) problems.push(told);
  });
  context.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith("http") && !origins.includes(origin)) problems.push(`a request to ${request.url()}`);
  });
  return problems;
}

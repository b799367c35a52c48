// Runs the gateway's binary on a configuration, as an operator would.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

export async function startGateway(config, env) {
  const bin = process.env.SEAWALL_BIN;
  if (!bin) throw new Error("SEAWALL_BIN must name the gateway's binary: make sdk");

  const dir = mkdtempSync(join(tmpdir(), "seawall-sdk-"));
  const [listen, admin] = await freePorts(2);
  const file = join(dir, "seawall.yaml");
  // JSON is YAML too.
  writeFileSync(file, JSON.stringify({
    store: `sqlite:${join(dir, "seawall.db")}`,
    listen: `127.0.0.1:${listen}`,
    admin: { listen: `127.0.0.1:${admin}` },
    ...config,
  }, null, 2));

  const child = spawn(bin, ["serve", "--config", file], { cwd: dir, env: { PATH: process.env.PATH, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  const exited = new Promise((resolve) => child.on("exit", resolve));

  const gateway = {
    public: `http://127.0.0.1:${listen}`,
    admin: `http://127.0.0.1:${admin}`,
    output: () => output,
    async stop() {
      child.kill("SIGTERM");
      const code = await exited;
      rmSync(dir, { recursive: true, force: true });
      return code;
    },
    async api(path) {
      const response = await fetch(`${gateway.admin}/api/v1${path}`);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return response.json();
    },
    // Every row of a list, over all its pages.
    async all(path) {
      const rows = [];
      for (let next = ""; ;) {
        const cursor = next && (path.includes("?") ? "&" : "?") + "cursor=" + encodeURIComponent(next);
        const page = await gateway.api(path + cursor);
        rows.push(...page.data);
        if (!(next = page.next)) return rows;
      }
    },
  };

  const deadline = Date.now() + 20_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the gateway ended:\n${output}`);
    const ready = await fetch(`${gateway.admin}/readyz`).then((r) => r.ok, () => false);
    if (ready) return gateway;
    if (Date.now() > deadline) {
      await gateway.stop();
      throw new Error(`the gateway did not get ready:\n${output}`);
    }
    await wait(20);
  }
}

async function freePorts(n) {
  const servers = await Promise.all(Array.from({ length: n }, () => new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  })));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

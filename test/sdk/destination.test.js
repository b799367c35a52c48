// The example destination that examples/destination/node shows, run as it is.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";

const secret = "whsec_" + Buffer.alloc(32, 3).toString("base64");
const file = (path) => fileURLToPath(new URL(path, import.meta.url));
let child, url;
let output = "";

before(async () => {
  child = spawn(process.execPath, [file("../../examples/destination/node/server.cjs")], {
    env: { NODE_PATH: file("./node_modules"), DESTINATION_SECRET: secret, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.on("data", (data) => (output += data));
  while (!output.includes("\n")) await once(child.stdout, "data");
  url = "http://" + output.match(/listening on (\S+)/)[1];
});

after(async () => {
  child.kill();
  await once(child, "exit");
});

test("the example in Node takes what is signed, once", async () => {
  const body = JSON.stringify({ ref: "refs/heads/main" });
  const at = new Date();
  const headers = {
    "webhook-id": "dlv_1",
    "webhook-timestamp": String(Math.floor(at / 1000)),
    "webhook-signature": new Webhook(secret).sign("dlv_1", at, body),
    "seawall-type": "push",
  };
  const post = async (body) => (await fetch(url, { method: "POST", headers, body })).status;

  assert.equal(await post(body), 204);
  assert.equal(await post(body), 204);
  assert.equal(await post(body + " "), 401);
  assert.equal(output.split("push dlv_1").length - 1, 1, output);
});

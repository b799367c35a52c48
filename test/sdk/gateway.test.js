// Requests that official SDKs signed go through a running gateway. What arrives
// is checked with the official Standard Webhooks library, and, where the
// original request is forwarded, with the SDK that signed it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { Webhook } from "standardwebhooks";

import { startDestination } from "./destination.js";
import { forge } from "./forge.js";
import { startGateway } from "./gateway.js";
import { publicURL, senders } from "./senders.js";

const signing = "whsec_" + Buffer.alloc(32, 9).toString("base64");
const consumer = new Webhook(signing);

let destination, gateway;

before(async () => {
  destination = await startDestination();
  const config = { public_url: publicURL, egress: { allow: ["127.0.0.0/8"] }, sources: {}, destinations: {}, routes: [] };
  const env = { SIGNING: signing };
  for (const { name, source, env: own } of senders) {
    Object.assign(env, own);
    config.sources[name] = source;
    config.destinations[`${name}-signed`] = { url: `${destination.url}/signed/${name}`, sign: { secret: "${SIGNING}" } };
    config.destinations[`${name}-original`] = { url: `${destination.url}/original/${name}`, forward: "original" };
    config.routes.push({ from: name, to: `${name}-signed` }, { from: name, to: `${name}-original` });
  }
  gateway = await startGateway(config, env);
});

after(async () => {
  if (gateway) assert.equal(await gateway.stop(), 0, gateway.output());
  await destination?.stop();
});

const hash = (body) => createHash("sha256").update(body).digest("hex");

const post = (sender, { path = `/in/${sender.name}`, headers, body }) =>
  fetch(gateway.public + path, { method: "POST", headers, body });

// Runs work on all items, some at a time.
async function each(items, work, width = 16) {
  const queue = items.entries();
  await Promise.all(Array.from({ length: width }, async () => {
    for (const [i, item] of queue) await work(item, i);
  }));
}

test("a forged request is answered 401 and becomes no event", async () => {
  for (const sender of senders) {
    const response = await post(sender, forge(sender.samples[0]));
    assert.equal(response.status, 401, `${sender.name}: ${await response.text()}`);
    assert.deepEqual(await gateway.all(`/events?source=${sender.name}`), [], sender.name);
  }
});

test("every signed request is accepted, its repetition too", async () => {
  for (const sender of senders) {
    await each([...sender.samples, ...sender.samples], async (sample) => {
      const response = await post(sender, sample);
      const text = await response.text();
      assert.ok(response.ok, `${sender.name} ${sample.type}: ${response.status} ${text}`);
    });
  }
});

test("every event arrives once at each destination, byte for byte", async (t) => {
  const counts = {};
  for (const { name, samples } of senders) {
    counts[`/signed/${name}`] = counts[`/original/${name}`] = samples.length;
  }
  await destination.until(counts);

  let total = 0;
  for (const sender of senders) {
    const sent = sender.samples.map(({ body }) => hash(body)).sort();
    for (const kind of ["signed", "original"]) {
      const received = destination.at(`/${kind}/${sender.name}`);
      assert.deepEqual(received.map(({ body }) => hash(body)).sort(), sent, `${kind} ${sender.name}`);
      total += received.length;
    }
    const events = await gateway.all(`/events?source=${sender.name}`);
    assert.equal(events.length, sender.samples.length, sender.name);
    t.diagnostic(`${sender.name}: ${sender.samples.length} events`);
  }
  t.diagnostic(`${total} deliveries`);

  for (const state of ["held", "dead", "superseded", "canceled"]) {
    assert.deepEqual(await gateway.all(`/deliveries?state=${state}`), [], state);
  }
});

test("the official Standard Webhooks library verifies every delivery", () => {
  const ids = new Set();
  for (const sender of senders) {
    const byBody = new Map(sender.samples.map((sample) => [hash(sample.body), sample]));
    for (const { headers, body } of destination.at(`/signed/${sender.name}`)) {
      const sample = byBody.get(hash(body));
      const what = `${sender.name} ${sample.type} ${headers["webhook-id"]}`;
      consumer.verify(body, headers, { jsonParse: false });

      assert.match(headers["webhook-id"], /^dlv_[0-9a-hjkmnp-tv-z]{26}$/, what);
      assert.equal(headers["idempotency-key"], headers["webhook-id"], what);
      assert.match(headers["seawall-event"], /^evt_[0-9a-hjkmnp-tv-z]{26}$/, what);
      assert.match(headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/, what);
      assert.equal(headers["seawall-attempt"], "1", what);
      assert.equal(headers["seawall-type"], sample.type, what);
      assert.equal(headers["content-type"], sample.headers["content-type"], what);
      ids.add(headers["webhook-id"]);
    }
  }
  assert.equal(ids.size, senders.reduce((n, { samples }) => n + samples.length, 0), "one id each");
});

test("a delivery changed on its way does not verify", () => {
  const { headers, body } = destination.at("/signed/stripe")[0];
  assert.throws(() => consumer.verify(forge({ body }).body, headers, { jsonParse: false }));
});

test("with forward: original, the SDK that signed verifies what arrives", async () => {
  for (const sender of senders) {
    for (const { headers, body } of destination.at(`/original/${sender.name}`)) {
      assert.notEqual(await sender.verify(body, headers), false, sender.name);
    }
  }
});

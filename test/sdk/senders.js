// What the official SDKs sign, as each provider sends it. A sender has
//   name     of its source in the gateway
//   source   the source's configuration, secret in the environment variable env
//   env      { NAME: secret }
//   samples  what it sends: { headers, body, type }; type is what Seawall must call it
//   verify   how the SDK's own consumer checks a request: throws or answers false
import { createHmac, randomUUID } from "node:crypto";
import { createRequire } from "node:module";

import { sign as octokitSign, verify as octokitVerify } from "@octokit/webhooks-methods";
import "@shopify/shopify-api/adapters/node";
import { ApiVersion, shopifyApi } from "@shopify/shopify-api";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";

const payloads = createRequire(import.meta.url)("@octokit/webhooks-examples");

export const publicURL = "https://hooks.example.com";

const json = (value) => Buffer.from(JSON.stringify(value));
const secret = (n) => "whsec_" + Buffer.alloc(32, n).toString("base64");

// Every webhook payload that GitHub's octokit project publishes.
async function github() {
  const key = "octokit-0123456789abcdef0123456789abcdef";
  const samples = [];
  for (const { name, examples } of payloads) {
    for (const example of examples) {
      const body = json(example);
      samples.push({
        type: name,
        body,
        headers: {
          "content-type": "application/json",
          "user-agent": "GitHub-Hookshot/044aadd",
          "x-github-event": name,
          "x-github-delivery": randomUUID(),
          "x-hub-signature-256": await octokitSign(key, body.toString()),
        },
      });
    }
  }
  return {
    name: "github",
    source: { provider: "github", secret: "${GITHUB_SECRET}" },
    env: { GITHUB_SECRET: key },
    samples,
    verify: (body, headers) => octokitVerify(key, body.toString(), headers["x-hub-signature-256"]),
  };
}

async function stripe() {
  const key = "whsec_3d20bdbae9dab1d19ccc40fced4ea82b";
  const sdk = new Stripe("sk_test_4eC39HqLyjWDarjtT1zdp7dc");
  const now = Math.floor(Date.now() / 1000);
  const types = ["payment_intent.created", "payment_intent.succeeded", "invoice.paid", "charge.refunded"];
  const samples = types.map((type, i) => {
    // Indented, as Stripe sends it: whoever parses and writes it again breaks the signature.
    const body = Buffer.from(JSON.stringify({
      id: `evt_1SdkSample${i}`, object: "event", api_version: "2025-09-30.clover", created: now, type,
      data: { object: { id: `pi_${i}`, object: "payment_intent", amount: 2000, description: "Größe № 0 😀" } },
    }, null, 2));
    const header = sdk.webhooks.generateTestHeaderString({ payload: body.toString(), secret: key });
    return { type, body, headers: { "content-type": "application/json; charset=utf-8", "stripe-signature": header } };
  });
  return {
    name: "stripe",
    source: { provider: "stripe", secret: "${STRIPE_SECRET}" },
    env: { STRIPE_SECRET: key },
    samples,
    verify: (body, headers) => sdk.webhooks.constructEvent(body, headers["stripe-signature"], key),
  };
}

function standard(name, provider, prefix, Webhook, n) {
  const key = secret(n);
  const webhook = new Webhook(key);
  const samples = ["user.created", "user.updated", "user.deleted"].map((type, i) => {
    const id = `msg_${name}_${i}`;
    const at = new Date();
    const body = json({ type, timestamp: at.toISOString(), data: { id: `user_${i}`, name: "Zoë" } });
    return {
      type,
      body,
      headers: {
        "content-type": "application/json",
        [`${prefix}-id`]: id,
        [`${prefix}-timestamp`]: String(Math.floor(at / 1000)),
        [`${prefix}-signature`]: webhook.sign(id, at, body.toString()),
      },
    };
  });
  return {
    name,
    source: { provider, secret: "${" + name.toUpperCase() + "_SECRET}" },
    env: { [name.toUpperCase() + "_SECRET"]: key },
    samples,
    verify: (body, headers) => webhook.verify(body, headers),
  };
}

// The SDK has no signer: the header is made as Shopify documents it, and the
// SDK's own validator must agree before it is sent.
async function shopify() {
  const key = "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";
  const sdk = shopifyApi({
    apiKey: "key", apiSecretKey: key, hostName: "shop.example", apiVersion: ApiVersion.January26,
    isEmbeddedApp: false, logger: { log: () => {} },
  });
  const verify = async (body, headers) => {
    const rawRequest = { method: "POST", url: "/in/shop", headers };
    const result = await sdk.webhooks.validate({ rawBody: body.toString(), rawRequest, rawResponse: {} });
    return result.valid;
  };
  const samples = ["orders/create", "orders/updated", "products/delete"].map((type, i) => {
    const id = 820982911946154133n + BigInt(i); // past what a float can hold
    const body = Buffer.from(`{"id":${id},"updated_at":"2026-11-23T02:13:20+01:00","note":"<&> \\/ \\u00e9 é"}`);
    return {
      type,
      body,
      headers: {
        "content-type": "application/json",
        "x-shopify-topic": type,
        "x-shopify-shop-domain": "demo.myshopify.com",
        "x-shopify-api-version": "2026-01",
        "x-shopify-webhook-id": randomUUID(),
        "x-shopify-event-id": randomUUID(),
        "x-shopify-triggered-at": new Date().toISOString(),
        "x-shopify-hmac-sha256": createHmac("sha256", key).update(body).digest("base64"),
      },
    };
  });
  return {
    name: "shop",
    source: { provider: "shopify", secret: "${SHOPIFY_SECRET}" },
    env: { SHOPIFY_SECRET: key },
    samples,
    verify,
  };
}

function sms() {
  const key = "21259df9559a2f049b62ee93d7dea2d6";
  const path = "/in/sms?acct=7&x=a%20b";
  const samples = ["received", "delivered"].map((status, i) => {
    const params = { MessageSid: `SM${String(i).repeat(32)}`, SmsStatus: status, From: "+14155551000", Body: "Ahoy, wörld & more=1" };
    return {
      type: status,
      path,
      body: Buffer.from(new URLSearchParams(params).toString()),
      headers: {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "i-twilio-idempotency-token": randomUUID(),
        "x-twilio-signature": twilio.getExpectedTwilioSignature(key, publicURL + path, params),
      },
    };
  });
  return {
    name: "sms",
    source: { provider: "twilio", secret: "${TWILIO_TOKEN}" },
    env: { TWILIO_TOKEN: key },
    samples,
    verify: (body, headers) => twilio.validateRequest(
      key, headers["x-twilio-signature"], publicURL + path, Object.fromEntries(new URLSearchParams(body.toString()))),
  };
}

export const senders = await Promise.all([
  github(), stripe(), shopify(), sms(),
  standard("standard", "standardwebhooks", "webhook", StandardWebhook, 1),
  standard("svix", "svix", "svix", SvixWebhook, 2),
]);

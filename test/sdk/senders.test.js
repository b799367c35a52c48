// The samples by themselves: each SDK must accept what it is said to have
// signed, and nothing else. Otherwise the tests behind it would show nothing.
import assert from "node:assert/strict";
import { test } from "node:test";

import { forge } from "./forge.js";
import { senders } from "./senders.js";

for (const sender of senders) {
  test(`${sender.name}: the SDK verifies its own samples, and no forged one`, async () => {
    assert.ok(sender.samples.length > 0);
    for (const { body, headers } of sender.samples) {
      assert.notEqual(await sender.verify(body, headers), false);
    }
    const forged = forge(sender.samples[0]);
    await assert.rejects(async () => {
      if ((await sender.verify(forged.body, forged.headers)) === false) throw new Error("not valid");
    });
  });
}

// A consumer that keeps what it is sent and answers 204.
import { createServer } from "node:http";

export async function startDestination() {
  const received = new Map(); // path → requests
  let changed = () => {};

  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const list = received.get(request.url) ?? [];
      list.push({ headers: request.headers, body: Buffer.concat(chunks) });
      received.set(request.url, list);
      response.writeHead(204).end();
      changed();
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

  const at = (path) => received.get(path) ?? [];
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    at,
    // Resolves once counts, { path: n }, have been received.
    async until(counts, milliseconds = 60_000) {
      const missing = () => Object.entries(counts).filter(([path, n]) => at(path).length < n);
      let timer;
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error("not received: " + missing()
          .map(([path, n]) => `${path} has ${at(path).length} of ${n}`).join(", "))), milliseconds);
      });
      try {
        while (missing().length > 0) {
          await Promise.race([late, new Promise((resolve) => (changed = resolve))]);
        }
      } finally {
        clearTimeout(timer);
      }
    },
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}

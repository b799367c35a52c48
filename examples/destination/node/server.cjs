// A consumer of Seawall's deliveries, with the official library:
//
//   npm install standardwebhooks
//   DESTINATION_SECRET=whsec_… node server.cjs
const { createServer } = require("node:http");
const { Webhook } = require("standardwebhooks");

const webhook = new Webhook(process.env.DESTINATION_SECRET);
const port = Number(process.env.PORT ?? 9000);

// Yours: a table with the id as its primary key, written in the transaction of
// the effect (../go/main.go does so). A set in memory forgets at a restart.
const seen = new Set();

createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks); // the raw bytes: verify before parsing
    let event;
    try {
      event = webhook.verify(body, request.headers);
    } catch (error) {
      return response.writeHead(401).end(error.message);
    }

    const id = request.headers["webhook-id"]; // the same on every try
    if (!seen.has(id)) {
      console.log(`${request.headers["seawall-type"]} ${id} ${Object.keys(event).length} fields`);
      seen.add(id);
    }
    response.writeHead(204).end(); // 2xx: done; anything else: try again later
  });
}).listen(port, "127.0.0.1", function () {
  console.log(`listening on 127.0.0.1:${this.address().port}`);
});

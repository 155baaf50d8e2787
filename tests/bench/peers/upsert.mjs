// A webhook endpoint that writes to the database itself: no broker, one upsert a webhook.
import http from "node:http";
import pg from "pg";
import Stripe from "stripe";

const stripe = new Stripe("sk_test_x");
const pool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE, max: 10 });
const UPSERT = {
  name: "account",
  text: `INSERT INTO account (id, authz_id, status, last_event_at) VALUES ($1, $2, $3, $4)
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = account.version + 1,
    last_event_at = excluded.last_event_at, updated_at = now()`,
};
const server = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", async () => {
    const body = Buffer.concat(parts);
    try {
      const signature = request.headers["stripe-signature"];
      const event = stripe.webhooks.constructEvent(body, signature, process.env.BENCH_SECRET);
      const object = event.data.object;
      const values = [object.id, object.authorization ?? object.id, 1, event.created];
      await pool.query({ ...UPSERT, values });
      response.statusCode = 200;
    } catch {
      response.statusCode = 500;
    }
    response.end();
  });
});
const [host, port] = process.env.BENCH_LISTEN.split(":");
server.listen(Number(port), host, () => console.log("ready"));

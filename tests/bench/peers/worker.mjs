// A consumer with an inbox and an outbox, one transaction an event.
import amqp from "amqplib";
import pg from "pg";

const COUNT = Number(process.env.BENCH_COUNT);
const COMMAND = Buffer.alloc(200, "c");
const pool = new pg.Pool({ connectionString: process.env.BENCH_DATABASE, max: 10 });
const channel = await (await amqp.connect(process.env.BENCH_AMQP)).createChannel();
await channel.prefetch(32);

async function handle(client, message) {
  const event = JSON.parse(message.content.toString());
  const object = event.data.object;
  const authorization = object.authorization ?? object.id;
  await client.query("BEGIN");
  const inserted = await client.query({
    name: "inbox",
    text: "INSERT INTO inbox (event_id, type, account_id, payload) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    values: [event.id, event.type, object.id, message.content],
  });
  if (inserted.rowCount === 1) {
    await client.query({
      name: "lock",
      text: "SELECT status, version FROM authz WHERE id = $1 FOR UPDATE",
      values: [authorization],
    });
    await client.query({
      name: "account",
      text: `INSERT INTO account (id, authz_id, status, last_event_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = account.version + 1,
        last_event_at = excluded.last_event_at, updated_at = now()
        WHERE account.last_event_at <= excluded.last_event_at`,
      values: [object.id, authorization, 1, event.created],
    });
    await client.query({
      name: "authz",
      text: "UPDATE authz SET status = $2, version = version + 1, last_event_at = $3, updated_at = now() WHERE id = $1",
      values: [authorization, 1, event.created],
    });
    await client.query({
      name: "outbox",
      text: "INSERT INTO outbox (routing_key, payload) VALUES ($1, $2)",
      values: ["command", COMMAND],
    });
  }
  await client.query("COMMIT");
}

let done = 0;
let began = 0;
await channel.consume("bench.events", async (message) => {
  began ||= performance.now();
  const client = await pool.connect();
  try {
    await handle(client, message);
    channel.ack(message);
  } finally {
    client.release();
  }
  done += 1;
  if (done === COUNT) console.log(`done ${(performance.now() - began) / 1000}`);
});

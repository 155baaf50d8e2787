//! A batch, one transaction in two flights, one acknowledgement.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::future::{try_join, try_join3};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use serde_json::Value;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::{EVENTS, channel, database, setting};

const BATCH: usize = 256;
const PREFETCH: u16 = 512;

/// The body of a command where the bench has not set another: as much as the peers write.
const COMMAND_BYTES: usize = 200;

const INBOX: &str = "INSERT INTO inbox (event_id, type, account_id, payload) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) \
    ON CONFLICT DO NOTHING RETURNING event_id";
const LOCK: &str = "SELECT id, status, version, last_event_at FROM authz \
    WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE";
const ACCOUNTS: &str = "INSERT INTO account (id, authz_id, status, last_event_at) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[]) \
    ON CONFLICT (id) DO UPDATE SET status = excluded.status, version = account.version + 1, \
    last_event_at = excluded.last_event_at, updated_at = now() \
    WHERE account.last_event_at <= excluded.last_event_at";
const AUTHORIZATIONS: &str = "UPDATE authz SET status = new.status, version = version + 1, \
    last_event_at = new.at, updated_at = now() \
    FROM unnest($1::text[], $2::smallint[], $3::bigint[]) AS new (id, status, at) \
    WHERE authz.id = new.id";
const OUTBOX: &str = "INSERT INTO outbox (routing_key, payload) \
    SELECT * FROM unnest($1::text[], $2::bytea[])";

/// What a hand-written worker takes out of a body.
struct Event {
    id: String,
    kind: String,
    account: String,
    authorization: String,
    created: i64,
}

impl Event {
    fn of(body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap();
        let object = &value["data"]["object"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let account = text(&object["id"]);
        let authorization =
            object["authorization"].as_str().map_or_else(|| account.clone(), str::to_owned);
        let created = value["created"].as_i64().unwrap_or_default();
        Self { id: text(&value["id"]), kind: text(&value["type"]), account, authorization, created }
    }
}

struct Writer {
    database: Client,
    statements: [Statement; 5],
    command: Vec<u8>,
}

/// Works off `BENCH_COUNT` events, each with a command of `BENCH_COMMAND_BYTES`; says `done` and
/// how long it took.
pub(super) async fn run() {
    let database = database().await;
    let mut statements = Vec::new();
    for sql in [INBOX, LOCK, ACCOUNTS, AUTHORIZATIONS, OUTBOX] {
        statements.push(database.prepare(sql).await.unwrap());
    }
    let statements = statements.try_into().unwrap_or_else(|_| panic!("five statements"));
    let bytes = setting("BENCH_COMMAND_BYTES").parse().unwrap_or(COMMAND_BYTES);
    let writer = Writer { database, statements, command: vec![b'c'; bytes] };
    let (_connection, channel) = channel(&setting("BENCH_AMQP")).await;
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(EVENTS.into(), "".into(), options, arguments).await;
    let mut batches = consumer.unwrap().ready_chunks(BATCH);
    let count: usize = setting("BENCH_COUNT").parse().unwrap();
    let (mut done, mut began) = (0, None);
    while done < count {
        let batch: Vec<Delivery> = batches.next().await.unwrap().into_iter().flatten().collect();
        began.get_or_insert_with(Instant::now);
        writer.write(&batch).await.unwrap();
        let last = batch.last().unwrap();
        last.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
        done += batch.len();
    }
    let took = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
    super::super::say(&format!("done {took}"));
    std::future::pending::<()>().await;
}

impl Writer {
    async fn write(&self, batch: &[Delivery]) -> Result<(), Error> {
        let events: Vec<Event> = batch.iter().map(|one| Event::of(&one.data)).collect();
        let ids: Vec<&str> = events.iter().map(|one| &*one.id).collect();
        let kinds: Vec<&str> = events.iter().map(|one| &*one.kind).collect();
        let accounts: Vec<&str> = events.iter().map(|one| &*one.account).collect();
        let bodies: Vec<&[u8]> = batch.iter().map(|one| &*one.data).collect();
        let latest: HashMap<&str, &Event> =
            events.iter().map(|event| (&*event.account, event)).collect();
        let mut latest: Vec<&Event> = latest.into_values().collect();
        latest.sort_by(|a, b| a.authorization.cmp(&b.authorization));
        let told: Vec<&str> = latest.iter().map(|one| &*one.account).collect();
        let homes: Vec<&str> = latest.iter().map(|one| &*one.authorization).collect();
        let (status, at) =
            (vec![1_i16; latest.len()], latest.iter().map(|one| one.created).collect::<Vec<i64>>());
        let [inbox, lock, upsert, update, outbox] = &self.statements;
        let first: [&(dyn ToSql + Sync); 4] = [&ids, &kinds, &accounts, &bodies];
        let database = &self.database;
        let (_, (fresh, _)) = try_join(
            database.batch_execute("BEGIN"),
            try_join(database.query(inbox, &first), database.query(lock, &[&homes])),
        )
        .await?;
        let fresh: HashSet<&str> = fresh.iter().map(|row| row.get(0)).collect();
        let commands = vec![&*self.command; fresh.len()];
        let keys = vec!["command"; commands.len()];
        let second: [&(dyn ToSql + Sync); 4] = [&told, &homes, &status, &at];
        let third: [&(dyn ToSql + Sync); 3] = [&homes, &status, &at];
        let fourth: [&(dyn ToSql + Sync); 2] = [&keys, &commands];
        try_join(
            try_join3(
                database.execute(upsert, &second),
                database.execute(update, &third),
                database.execute(outbox, &fourth),
            ),
            database.batch_execute("COMMIT"),
        )
        .await?;
        Ok(())
    }
}

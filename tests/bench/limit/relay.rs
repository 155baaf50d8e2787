//! Rows out of the outbox, published together, deleted once all are confirmed. Straight to the
//! queue with nothing but a body, or as the contract has it: through a topic exchange, with
//! properties and headers.

use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use tokio_postgres::{Client, Statement};

use super::{COMMANDS, confirming, database, setting};

const BATCH: i64 = 256;

const TAKE: &str = "DELETE FROM outbox WHERE id = ANY(ARRAY(\
    SELECT id FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)) \
    RETURNING routing_key, payload";

/// A command that many have; making each row's own would cost the program, not the broker.
const KIND: &str = "relink.pause_data.v1";

struct Outlet {
    database: Client,
    take: Statement,
    channel: Channel,
    exchange: String,
    routing_key: &'static str,
    properties: BasicProperties,
}

/// Empties the outbox; says `done` and how long it took. With `BENCH_POLL_MS` it has no end: it
/// waits so long whenever the outbox is empty, and looks again.
pub(super) async fn run() {
    let database = database().await;
    // A delete that is lost is a command that goes out twice.
    database.batch_execute("SET synchronous_commit = off").await.unwrap();
    let take = database.prepare(TAKE).await.unwrap();
    let (_connection, channel) = confirming(&setting("BENCH_AMQP")).await;
    let exchange = setting("BENCH_COMMANDS_EXCHANGE");
    let (routing_key, properties) = match &*exchange {
        "" => (COMMANDS, BasicProperties::default().with_delivery_mode(2)),
        _ => (KIND, properties()),
    };
    let outlet = Outlet { database, take, channel, exchange, routing_key, properties };
    let poll = setting("BENCH_POLL_MS").parse().ok().map(Duration::from_millis);
    let began = Instant::now();
    loop {
        if outlet.send().await > 0 {
            continue;
        }
        let Some(poll) = poll else { break };
        tokio::time::sleep(poll).await;
    }
    super::super::say(&format!("done {}", began.elapsed().as_secs_f64()));
    std::future::pending::<()>().await;
}

/// All that a command of Relink's says beside its body, where nobody traces.
fn properties() -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("relink-livemode".into(), AMQPValue::Boolean(true));
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_message_id("live:fca_1PauseMeForTheBench000000:pause-1".into())
        .with_type(KIND.into())
        .with_timestamp(1_790_000_000)
        .with_content_type("application/cloudevents+json".into())
        .with_app_id("relink".into())
        .with_correlation_id("evt_1TheBenchDoesNotReadIt00".into())
        .with_headers(headers)
}

impl Outlet {
    /// One batch; tells how many commands it had.
    async fn send(&self) -> usize {
        let begin = self.database.batch_execute("BEGIN");
        let take = self.database.query(&self.take, &[&BATCH]);
        let (_, rows) = try_join(begin, take).await.unwrap();
        let publish = |row| {
            let row: &tokio_postgres::Row = row;
            let (exchange, routing_key) = (self.exchange.as_str().into(), self.routing_key.into());
            let (options, properties) = (BasicPublishOptions::default(), self.properties.clone());
            self.channel.basic_publish(exchange, routing_key, options, row.get(1), properties)
        };
        for confirm in join_all(rows.iter().map(publish)).await {
            confirm.unwrap().await.unwrap();
        }
        self.database.batch_execute("COMMIT").await.unwrap();
        rows.len()
    }
}

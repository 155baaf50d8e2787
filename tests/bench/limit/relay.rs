//! Rows out of the outbox, published together, deleted once all are confirmed.

use std::time::Instant;

use futures_util::future::{join_all, try_join};
use lapin::BasicProperties;
use lapin::options::BasicPublishOptions;

use super::{COMMANDS, confirming, database, setting};

const BATCH: i64 = 256;

const TAKE: &str = "DELETE FROM outbox WHERE id = ANY(ARRAY(\
    SELECT id FROM outbox ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED)) \
    RETURNING routing_key, payload";

/// Empties the outbox; says `done` and how long it took.
pub(super) async fn run() {
    let database = database().await;
    // A delete that is lost is a command that goes out twice.
    database.batch_execute("SET synchronous_commit = off").await.unwrap();
    let take = database.prepare(TAKE).await.unwrap();
    let (_connection, channel) = confirming(&setting("BENCH_AMQP")).await;
    let began = Instant::now();
    loop {
        let begin = database.batch_execute("BEGIN");
        let (_, rows) = try_join(begin, database.query(&take, &[&BATCH])).await.unwrap();
        let options = BasicPublishOptions::default();
        let publish = |row| {
            let row: &tokio_postgres::Row = row;
            let properties = BasicProperties::default().with_delivery_mode(2);
            channel.basic_publish("".into(), COMMANDS.into(), options, row.get(1), properties)
        };
        for confirm in join_all(rows.iter().map(publish)).await {
            confirm.unwrap().await.unwrap();
        }
        database.batch_execute("COMMIT").await.unwrap();
        if rows.is_empty() {
            break;
        }
    }
    super::super::say(&format!("done {}", began.elapsed().as_secs_f64()));
    std::future::pending::<()>().await;
}

//! A transaction that stays open beside the system, so that nothing dead can be removed.

use std::time::{Duration, Instant};

use relink_core::time::Span;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_engine::store::Store as _;
use relink_postgres::{PostgresConfig, PostgresStore};
use relink_tests::stage::Stage;
use tokio_postgres::Client;

use crate::row::{Plan, play};

/// What hours under load leave behind while somebody could still want to see it.
const DEAD: usize = 60_000;

/// How much longer a look may take then. One that walks over all that is dead takes hundreds of
/// times as long.
const TIMES: u32 = 10;

/// A look is as fast as the fastest of so many: the others tell of the machine.
const LOOKS: usize = 40;

pub(crate) async fn long_transaction_beside(stage: &Stage) {
    play(stage, Plan::named("a transaction that holds xmin", 607), None, async |row| {
        let beside = row.place.database().await;
        let hold = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox";
        beside.batch_execute(hold).await.unwrap();
        row.begin().await;
        row.arrived(20).await;
        let config = PostgresConfig::new(row.place.database_url.clone());
        let store = PostgresStore::connect(config).await.unwrap();
        let [outbox_before, due_before] = looks(&store).await;
        leave_dead_rows(&row.database).await;
        row.arrived(60).await;
        let [outbox, due] = looks(&store).await;
        beside.batch_execute("ROLLBACK").await.unwrap();
        row.consumes_again().await;
        assert!(outbox < outbox_before * TIMES, "outbox: {outbox_before:?}, then {outbox:?}");
        assert!(due < due_before * TIMES, "timers: {due_before:?}, then {due:?}");
        let times = |now: Duration, before: Duration| now.as_secs_f64() / before.as_secs_f64();
        row.remark(format!(
            "beside {DEAD} dead rows a look takes {:.1} times as long (outbox), {:.1} (timers)",
            times(outbox, outbox_before),
            times(due, due_before)
        ));
    })
    .await;
}

/// Rows with the times that rows have when they have been seen to, an hour ago.
async fn leave_dead_rows(database: &Client) {
    let hour_ago = "(extract(epoch FROM now()) * 1000)::bigint - 3600000";
    let outbox = format!(
        "INSERT INTO outbox (claimed_until_ms, decided_ms, size, ids, kinds, scopes, \
           correlations, traceparents, bodies) \
         SELECT {hour_ago} - n, 0, 1, ARRAY['dead:' || n], ARRAY['none'], ARRAY['live'], \
           ARRAY[''], ARRAY[NULL], ARRAY[decode(repeat('ab', 500), 'hex')] \
         FROM generate_series(1, {DEAD}) n; \
         DELETE FROM outbox WHERE ids[1] LIKE 'dead:%'"
    );
    let homes = format!(
        "INSERT INTO authorizations (scope, id, provisional, next_due_ms) \
         SELECT 'dead', 'dead:' || n, false, {hour_ago} - n FROM generate_series(1, {DEAD}) n; \
         DELETE FROM authorizations WHERE scope = 'dead'"
    );
    for sql in [outbox, homes] {
        database.batch_execute(&format!("BEGIN; {sql}; COMMIT")).await.unwrap();
    }
}

/// How long the relay and the scheduler look for what is theirs. They are asked for what was due
/// some seconds ago, so that nothing is taken from those that run.
async fn looks(store: &PostgresStore) -> [Duration; 2] {
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..LOOKS {
        let now = SystemClock.now().before(Span::seconds(20));
        let started = Instant::now();
        store.claim_outbox(now, now, 256).await.unwrap();
        fastest[0] = fastest[0].min(started.elapsed());
        let started = Instant::now();
        store.due_homes(now, 256).await.unwrap();
        fastest[1] = fastest[1].min(started.elapsed());
    }
    fastest
}

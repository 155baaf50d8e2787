//! What goes wrong with the database.

use std::time::Duration;

use relink_tests::pair::Pair;
use relink_tests::proxy::{Link, Proxy, server_of};
use relink_tests::stage::Stage;
use tokio::time::Instant;

use crate::row::{Plan, Row, play};

const PAUSED: &str = "relink_worker_paused";
const HANDED_BACK: &str = "relink_worker_handed_back_total";
const WORKERS: [&str; 2] = ["worker-1", "worker-2"];

/// What a consumer may have in hand when the database goes away, and hands back: one batch being
/// decided. Each queue of each worker has a consumer, and the third needs no database.
const IN_HAND: f64 = 256.0 * 2.0 * 2.0;

/// A process that grows by more than this while it waits is keeping what it should not.
const GROWTH_BYTES: u64 = 24 * 1024 * 1024;

pub(crate) async fn database_restarted(stage: &Stage) {
    let mut pair = Pair::start(stage, &["database"]).await;
    let servers = pair.servers.clone();
    play(stage, Plan::named("PostgreSQL restarted", 601), Some(&servers), async |row| {
        row.begin().await;
        for (percent, how) in [(20, "stop"), (50, "kill")] {
            row.arrived(percent).await;
            row.note_in_flight().await;
            pair.order(&format!("database {how}")).await;
            pair.order("database start").await;
            row.database = row.place.database().await;
            row.consumes_again().await;
        }
    })
    .await;
}

pub(crate) async fn backends_terminated(stage: &Stage) {
    play(stage, Plan::named("pg_terminate_backend storms", 602), None, async |row| {
        row.begin().await;
        let storm = row.place.database().await;
        let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE \
             datname = current_database() AND application_name = 'relink'";
        let mut ended = 0;
        for percent in [10, 25, 40, 55, 70] {
            row.arrived(percent).await;
            for _ in 0..10 {
                let killed = row.suffer(storm.query_one(sql, &[])).await.unwrap();
                ended += killed.get::<_, i64>(0);
            }
            row.consumes_again().await;
        }
        assert!(ended > 0);
        row.remark(format!("{ended} backends ended"));
    })
    .await;
}

/// The role of the workers may only read for a while: what a failover to a standby looks like.
pub(crate) async fn database_read_only(stage: &Stage) {
    play(stage, Plan::named("PostgreSQL read-only", 603), None, async |row| {
        row.begin().await;
        row.arrived(30).await;
        let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RAISE EXCEPTION 'cannot execute INSERT in a read-only transaction' \
             USING ERRCODE = '25006'; END$$";
        refuse_writes(row, refuse).await;
    })
    .await;
}

/// Makes every write fail in the same way for a while; the workers must not wear messages out
/// with it.
async fn refuse_writes(row: &mut Row<'_>, function: &str) {
    row.database.batch_execute(function).await.unwrap();
    let tables = ["inbox", "outbox", "probes", "accounts", "authorizations"];
    for table in tables {
        let sql = format!(
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON {table} \
             FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        );
        row.database.batch_execute(&sql).await.unwrap();
    }
    for worker in WORKERS {
        row.sees(worker, PAUSED, |paused| paused >= 1.0).await;
    }
    // Long enough for several probes, all of which have to fail.
    let begun = Instant::now();
    row.suffer(tokio::time::sleep_until(begun + Duration::from_secs(6))).await;
    for worker in WORKERS {
        let handed_back = row.roles[worker].metric(HANDED_BACK).await;
        assert!(handed_back <= IN_HAND, "{worker} handed {handed_back} deliveries back");
    }
    for table in tables {
        let sql = format!("DROP TRIGGER refuse ON {table}");
        row.database.batch_execute(&sql).await.unwrap();
    }
    row.consumes_again().await;
}

pub(crate) async fn disk_full(stage: &Stage) {
    play(stage, Plan::named("disk full (SQLSTATE 53100)", 604), None, async |row| {
        row.begin().await;
        row.arrived(30).await;
        let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' \
             USING ERRCODE = '53100'; END$$";
        refuse_writes(row, refuse).await;
    })
    .await;
}

pub(crate) async fn outage_of_400_ms(stage: &Stage) {
    let plan = Plan::named("database away for 400 ms, five times", 605);
    outages(stage, plan, &[10, 25, 40, 55, 70], Duration::from_millis(400)).await;
}

/// 45 webhooks a second for half a minute: the queue grows, the workers must not.
pub(crate) async fn outage_of_30_s(stage: &Stage) {
    let plan = Plan { events: 1500, per_second: 45, ..Plan::named("database away for 30 s", 606) };
    outages(stage, plan, &[10], Duration::from_secs(30)).await;
}

async fn outages(stage: &Stage, plan: Plan, percents: &[usize], length: Duration) {
    play(stage, plan, None, async |row| {
        let link = Proxy::before(server_of(&row.place.database_url)).await;
        row.place.database_url = link.in_place_of(&row.place.database_url);
        row.begin().await;
        let mut growth = 0;
        for percent in percents {
            row.arrived(*percent).await;
            let before = memory(row);
            link.set(Link::Down);
            row.suffer(tokio::time::sleep(length)).await;
            let after = memory(row);
            growth = growth.max(after.saturating_sub(before));
            link.set(Link::Flows);
            row.consumes_again().await;
        }
        let mut handed_back = 0.0;
        for worker in WORKERS {
            let by_this = row.roles[worker].metric(HANDED_BACK).await;
            let most = IN_HAND * percents.len() as f64;
            assert!(by_this <= most, "{worker} handed {by_this} deliveries back");
            handed_back += by_this;
        }
        assert!(growth < GROWTH_BYTES, "a process grew by {growth} bytes");
        row.remark(format!("{handed_back} handed back, memory +{} KiB", growth / 1024));
        link
    })
    .await;
}

/// What the larger worker holds.
fn memory(row: &Row<'_>) -> u64 {
    WORKERS.map(|worker| row.roles[worker].process.resident_bytes()).into_iter().max().unwrap()
}

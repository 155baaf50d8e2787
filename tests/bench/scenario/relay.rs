//! From the outbox to the broker: what a scheduler does with commands that their workers left.

use std::time::Instant;

use relink_bus::topology::Exchange;
use relink_tests::place::Place;
use relink_tests::process::free_address;
use relink_tests::stage::Stage;
use tokio_postgres::Client;

use super::{LOOK, Plan, Watch, bare_settings, counted, rate};
use crate::limit::{Bare, COMMANDS, SCHEMA, bind, channel, purge, queue, waiting};
use crate::plot::Course;
use crate::report::{RELINK, Report, Sample};

/// Commands as they lie in the outbox, as many together as a full batch leaves; each body is that of
/// a `pause_data`.
const OURS: &str = "INSERT INTO outbox (claimed_until_ms, decided_ms, size, ids, kinds, scopes, \
      correlations, traceparents, bodies) \
    SELECT 0, (extract(epoch FROM now()) * 1000)::bigint, count(*), \
      array_agg('live:fca_' || n || ':pause-1'), array_agg('relink.pause_data.v1'::text), \
      array_agg('live'::text), array_agg('evt_' || n), array_agg(NULL::text), \
      array_agg(convert_to($1::text, 'UTF8')) \
    FROM generate_series(1, $2::bigint) AS n GROUP BY n / 256";

const BARE: &str = "INSERT INTO outbox (routing_key, payload) \
    SELECT 'command', convert_to($1::text, 'UTF8') FROM generate_series(1, $2::bigint)";

/// A queue of a platform's.
const PLATFORM: &str = "platform.commands";

pub(super) async fn run(stage: &Stage, plan: &Plan, report: &Report) {
    let (ours, bare) = (stage.place("relink").await, stage.place("bare").await);
    ours.migrate().await;
    let body = command();
    bare.database().await.batch_execute(SCHEMA).await.unwrap();
    let (_one, broker) = channel(&ours.amqp_url).await;
    queue(&broker, PLATFORM).await;
    bind(&broker, PLATFORM, Exchange::Commands.name(), "#").await;
    let (_other, bare_broker) = channel(&bare.amqp_url).await;
    for _ in 0..plan.rounds {
        let database = ours.database().await;
        insert(&database, OURS, &body, plan.events).await;
        let sample = ours_empties(&ours, &database, plan.events).await;
        assert_eq!(waiting(&broker, PLATFORM).await, plan.events, "commands at the platform");
        purge(&broker, PLATFORM).await;
        report.add("relay", "alone", RELINK, sample);

        queue(&bare_broker, COMMANDS).await;
        insert(&bare.database().await, BARE, &body, plan.events).await;
        let settings = bare_settings(&bare, free_address(), 0);
        let mut program = Bare::start("relay", &settings);
        let watch = Watch::begin(vec![program.id()]);
        let line = program.line().await;
        let took: f64 = line.strip_prefix("done ").unwrap().parse().unwrap();
        report.add("relay", "alone", "bare", watch.end(plan.events as f64 / took, vec![]));
        program.stop().await;
    }
}

/// The envelope of a command.
fn command() -> String {
    serde_json::json!({
        "specversion": "1.0", "id": "live:fca_1PauseMeForTheBench000000:pause-1",
        "source": "/relink/live", "type": "relink.pause_data.v1",
        "subject": "fca_1PauseMeForTheBench000000", "time": "2026-11-01T12:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {
            "account": "fca_1PauseMeForTheBench000000", "account_version": 1,
            "authorization": "fcauth_1PauseMeForTheBench0000", "institution_name": "Bank 7",
            "holder": { "type": "customer", "id": "cus_Load00000000000000000007" },
            "status": "inactive", "cause": "access_expired", "action": "relink_required",
        },
    })
    .to_string()
}

async fn insert(database: &Client, sql: &str, body: &str, count: usize) {
    let count = i64::try_from(count).unwrap();
    database.execute(sql, &[&body, &count]).await.unwrap();
    database.batch_execute("VACUUM ANALYZE outbox").await.unwrap();
}

async fn ours_empties(place: &Place, database: &Client, count: usize) -> Sample {
    let mut scheduler = place.launch("scheduler", &["scheduler"], &[]);
    scheduler.answers().await;
    let watch = Watch::begin(vec![scheduler.process.id()]);
    // Counting rows would cost the database more than the relay does.
    let mut looks = Vec::new();
    loop {
        let sent = counted(scheduler.admin, "relink_commands_published_total").await;
        looks.push((Instant::now(), sent));
        if sent >= count {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let course = Course::of_looks(&looks);
    let sample = Sample { course, ..watch.end(rate(&looks), vec![]) };
    scheduler.process.stop().await;
    let row = database.query_one("SELECT count(*) FROM outbox", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0, "what was published is still in the outbox");
    sample
}

//! The same work among a hundred times as many rows, scattered over all of them.

use std::time::{Duration, Instant};

use lapin::options::BasicPublishOptions;
use relink_tests::place::Place;
use relink_tests::process::run as relink;
use relink_tests::stage::Stage;

use super::worker::drain;
use super::{Plan, check, linked};
use crate::limit::channel;
use crate::report::{RELINK, Report};
use crate::traffic::Supply;

/// Days whose partitions are filled; what was linked lies on one of them.
const DAYS: i32 = 30;

/// Every account and authorization so many times again, under ids that lie between the others',
/// then all rows in the order of ids: those that change are on pages of their own.
const COPY: &str = "INSERT INTO authorizations (scope, id, provisional, health, holder, \
        institution_name, case_open, state, updated_ms) \
    SELECT scope, 'fcauth_' || md5(id || n), provisional, health, NULL, institution_name, \
        false, state, updated_ms - n * 60000 \
    FROM authorizations, generate_series(1, $copies) AS n WHERE state IS NOT NULL; \
    INSERT INTO accounts (scope, id, home, provisional, status, cause, action, holder, last4, \
        version, state, updated_ms) \
    SELECT scope, 'fca_' || md5(id || n), 'fcauth_' || md5(home || n), provisional, status, \
        cause, action, holder, last4, version, state, updated_ms - n * 60000 \
    FROM accounts, generate_series(1, $copies) AS n WHERE state IS NOT NULL; \
    CLUSTER authorizations USING authorizations_pkey; CLUSTER accounts USING accounts_pkey";

/// A day of both, of every account that it is the turn of.
const DAY: &str = "INSERT INTO inbox (day, id, scope, kind, at_s, verdict, decided_ms) \
    SELECT current_date - $day, 'evt_' || md5(id || '$day'), scope, \
        'financial_connections.account.refreshed_balance', \
        extract(epoch FROM current_date - $day), 'unchanged', 0 \
    FROM accounts WHERE hashtext(id || '$day') % $apart = 0; \
    INSERT INTO history (day, scope, home, provisional, account, input, kind, at_s, decided_ms, \
        verdict, note, commands) \
    SELECT current_date - $day, scope, coalesce(home, id), false, id, \
        'evt_' || md5(id || '$day'), 'financial_connections.account.refreshed_balance', \
        extract(epoch FROM current_date - $day), 0, 'unchanged', '', '{}' \
    FROM accounts WHERE hashtext(id || '$day') % $apart = 0";

/// Messages that are parked while an operator looks.
const PARKED: usize = 5_000;

pub(super) async fn run(stage: &Stage, plan: &Plan, report: &Report) {
    let (place, mut supply, _) = linked(stage, plan).await;
    let before = format!("{} authorizations", plan.authorizations);
    turns(&place, plan, report, &mut supply, &before).await;
    let began = Instant::now();
    grow(&place, plan).await;
    report.note(format!("Growth: rows were made in {:.0} s.", began.elapsed().as_secs_f64()));
    sizes(&place, report).await;
    look(&place, report).await;
    let after = format!("{} authorizations", plan.authorizations * (plan.copies + 1));
    turns(&place, plan, report, &mut supply, &after).await;
    // Each is in the ledger; what was made up is on other rows.
    let slice = supply.slice(plan.events).lifecycle();
    let expiring = expire_while_working(&place);
    let (sample, longest) = tokio::join!(drain(&place, &slice, 1), expiring);
    report.add("growth", &format!("{after}, a day expires"), RELINK, sample);
    report.note(format!("Growth: a day was dropped in {:.0} ms.", longest.as_secs_f64() * 1000.0));
}

async fn turns(place: &Place, plan: &Plan, report: &Report, supply: &mut Supply, rows: &str) {
    for _ in 0..plan.rounds {
        let database = place.database().await;
        let count = "SELECT count(*) FROM inbox";
        let held = database.query_one(count, &[]).await.unwrap().get::<_, i64>(0);
        let slice = supply.slice(plan.events).lifecycle();
        let sample = drain(place, &slice, 1).await;
        check(place, usize::try_from(held).unwrap() + slice.events.len(), &slice).await;
        report.add("growth", rows, RELINK, sample);
    }
}

async fn grow(place: &Place, plan: &Plan) {
    let database = place.database().await;
    let batch = COPY.replace("$copies", &plan.copies.to_string());
    database.batch_execute(&batch).await.unwrap();
    // As the scheduler makes them.
    for day in 1..=DAYS {
        let make = "SELECT relink_make_day(parent, current_date - $1::integer) \
            FROM unnest(ARRAY['inbox', 'history']) AS parent";
        database.execute(make, &[&day]).await.unwrap();
        let rows = DAY.replace("$day", &day.to_string());
        let rows = rows.replace("$apart", &plan.days_apart.to_string());
        database.batch_execute(&rows).await.unwrap();
        crate::tell(&format!("growth: {day} of {DAYS} days"));
    }
    // Each by itself: VACUUM runs in no transaction.
    database.batch_execute("VACUUM ANALYZE").await.unwrap();
    database.batch_execute("CHECKPOINT").await.unwrap();
}

async fn sizes(place: &Place, report: &Report) {
    let sql = "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM inbox), \
        (SELECT count(*) FROM history), pg_database_size(current_database()) / 1048576";
    let row = place.database().await.query_one(sql, &[]).await.unwrap();
    let [accounts, inbox, history, mib]: [i64; 4] = std::array::from_fn(|place| row.get(place));
    report.note(format!(
        "Growth: {accounts} accounts, {inbox} rows in the inbox, {history} of history, {mib} MiB."
    ));
}

/// How long an operator waits for an answer, from the start of the process to its end; the best of
/// three, since the first reads from the disk.
async fn look(place: &Place, report: &Report) {
    let (_connection, broker) = channel(&place.amqp_url).await;
    for number in 0..PARKED {
        let body = format!("{{\"id\":\"evt_parked{number}\"}}");
        let options = BasicPublishOptions::default();
        let to = "relink.lifecycle.parked";
        let publish =
            broker.basic_publish("".into(), to.into(), options, body.as_bytes(), <_>::default());
        publish.await.unwrap();
    }
    let sql = "SELECT a.id, a.home, h.input FROM accounts a JOIN history h ON h.account = a.id \
        WHERE NOT a.provisional AND h.day = current_date - 3 LIMIT 1";
    let row = place.database().await.query_one(sql, &[]).await.unwrap();
    let [account, authorization, event]: [String; 3] = std::array::from_fn(|place| row.get(place));
    let looks: [&[&str]; 6] = [
        &["status"],
        &["explain", &account],
        &["explain", &authorization],
        &["explain", &event],
        &["forecast"],
        &["parked", "list"],
    ];
    for arguments in looks {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            let output = relink(arguments, &place.settings(&[])).await;
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "relink {arguments:?}: {said}");
            best = best.min(began.elapsed());
        }
        let (what, took) = (arguments.join(" "), best.as_secs_f64() * 1000.0);
        report.note(format!("Growth: `relink {what}` took {took:.0} ms."));
    }
}

/// Drops the oldest days one after the other while a worker is busy; the longest time it took.
async fn expire_while_working(place: &Place) -> Duration {
    let database = place.database().await;
    let mut longest = Duration::ZERO;
    for day in (DAYS - 3..=DAYS).rev() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let began = Instant::now();
        let drop_day = "SELECT relink_drop_day('inbox', current_date - $1::integer)";
        database.execute(drop_day, &[&day]).await.unwrap();
        longest = longest.max(began.elapsed());
    }
    longest
}

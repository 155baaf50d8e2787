//! What only PostgreSQL has: migrations by hand, connections, partitions, other processes.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use relink_core::aggregate::Health;
use relink_core::input::Verdict;
use relink_core::time::{Second, Time};
use relink_engine::store::{Heard, Selection, Store, StoreError, Writes};
use relink_postgres::{PostgresConfig, PostgresStore, migrate};

use relink_tests::database::{connect, execute};
use relink_tests::wait::until;

use super::world::*;

async fn ready(url: &str) -> PostgresStore {
    let config = PostgresConfig::new(url);
    migrate(&config, false).await.unwrap();
    PostgresStore::connect(config).await.unwrap()
}

async fn count(url: &str, sql: &str) -> i64 {
    connect(url).await.query_one(sql, &[]).await.unwrap().get(0)
}

/// How many steps the schema has.
const STEPS: usize = 7;

pub(crate) async fn migrations_may_run_at_once_and_again(url: String) {
    let config = PostgresConfig::new(&*url);
    let (a, b, c) = futures_util::join!(
        migrate(&config, false),
        migrate(&config, false),
        migrate(&config, false)
    );
    let applied: usize = [a, b, c].into_iter().map(|one| one.unwrap().len()).sum();
    assert_eq!(applied, STEPS);
    assert_eq!(migrate(&config, false).await.unwrap(), []);
    // 35 days back, today, 14 ahead, and the default one.
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'inbox'::regclass";
    assert_eq!(count(&url, partitions).await, 51);
}

pub(crate) async fn a_dry_run_changes_nothing(url: String) {
    let config = PostgresConfig::new(&*url);
    assert_eq!(migrate(&config, true).await.unwrap().len(), STEPS);
    assert_eq!(count(&url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, 0);
}

pub(crate) async fn a_schema_that_is_missing_or_newer_is_refused(url: String) {
    let config = PostgresConfig::new(&*url);
    let refused = |error: StoreError| match error {
        StoreError::Misconfigured(text) => {
            assert!(text.contains("RELINK_DATABASE_URL"), "{text}");
            assert!(text.contains("relink migrate"), "{text}");
        }
        other => panic!("{other:?}"),
    };
    refused(PostgresStore::connect(config.clone()).await.unwrap_err());
    migrate(&config, false).await.unwrap();
    let store = PostgresStore::connect(config.clone()).await.unwrap();
    execute(&url, "INSERT INTO relink_schema (version, name) VALUES (999, 'future')").await;
    refused(PostgresStore::connect(config.clone()).await.unwrap_err());
    refused(migrate(&config, false).await.unwrap_err());
    execute(&url, "DROP TABLE probes").await;
    refused(store.probe().await.unwrap_err());
}

pub(crate) async fn a_connection_that_was_ended_is_replaced(url: String) {
    let mut config = PostgresConfig::new(&*url);
    migrate(&config, false).await.unwrap();
    config.pool_size = 1;
    let store = PostgresStore::connect(config).await.unwrap();
    let end_others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let admin = connect(&url).await;
    let inputs = [observed(&home("fcauth_1"), "fca_1")];
    let handle = tokio::runtime::Handle::current();
    let cut = decide(move |_| {
        tokio::task::block_in_place(|| handle.block_on(admin.batch_execute(end_others))).unwrap();
        Ok(Writes::default())
    });
    let answer = store.transact(inputs.into(), cut).await;
    assert!(matches!(answer, Err(StoreError::Transient(_))), "{answer:?}");
    store.probe().await.unwrap();
    put(&store, &[aggregate(home("fcauth_1"), &[("fca_1", account(1))])]).await.unwrap();
}

pub(crate) async fn days_are_prepared_and_take_what_was_filed_without_them(url: String) {
    let store = ready(&url).await;
    let later = Time(NOW.0 + 300 * 86_400_000);
    let mut early = ignored("evt_1");
    early.at = Second(later.0 / 1000);
    let inbox = vec![inbox_row(&early, Verdict::Applied)];
    write_rows(&store, Rows { inbox, ..Rows::default() }).await.unwrap();
    let in_default = "SELECT count(*) FROM inbox_default";
    assert_eq!(count(&url, in_default).await, 1);
    store.maintain(later, 35).await.unwrap();
    assert_eq!(count(&url, in_default).await, 0);
    assert_eq!(count(&url, "SELECT count(*) FROM inbox_20270918").await, 1);
    assert_eq!(gather_all(&store, &[early]).await.1, [true]);
    // The days of the first preparation are long over.
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'history'::regclass";
    assert_eq!(count(&url, partitions).await, 51);
}

pub(crate) async fn no_row_that_was_only_locked_is_left(url: String) {
    let store = ready(&url).await;
    let inputs = [observed(&home("fcauth_1"), "fca_1"), named(&home("fcauth_2"))];
    gather(&store, &inputs).await;
    for table in ["accounts", "authorizations"] {
        assert_eq!(count(&url, &format!("SELECT count(*) FROM {table}")).await, 0);
    }
}

pub(crate) async fn a_home_in_the_hands_of_a_batch_is_not_due(url: String) {
    let store = Arc::new(ready(&url).await);
    let due = |id: &str| {
        let mut one = aggregate(home(id), &[]);
        one.state.summary.next_due = Some(Time(1));
        one
    };
    put(&*store, &[due("fcauth_1"), due("fcauth_2")]).await.unwrap();
    let (entered, is_entered) = tokio::sync::oneshot::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let gates = std::sync::Mutex::new((Some(entered), may_leave));
    let hold = decide(move |_| {
        let mut gates = gates.lock().unwrap();
        gates.0.take().unwrap().send(()).unwrap();
        // Or the thread's other tasks, the other connection's among them, would stand still.
        tokio::task::block_in_place(|| gates.1.recv_timeout(Duration::from_secs(20)).unwrap());
        Ok(Writes::default())
    });
    // On a task of its own, since holding blocks a thread.
    let busy = tokio::spawn({
        let (store, inputs) = (Arc::clone(&store), [named(&home("fcauth_1"))]);
        async move { store.transact(inputs.into(), hold).await }
    });
    is_entered.await.unwrap();
    let homes = store.due_homes(Time(9), 9).await.unwrap();
    leave.send(()).unwrap();
    busy.await.unwrap().unwrap();
    assert_eq!(homes.into_iter().map(|due| due.home).collect::<Vec<_>>(), [home("fcauth_2")]);
    assert_eq!(store.due_homes(Time(9), 9).await.unwrap().len(), 2);
}

/// Of a few among many, the planner takes the index that is there for them.
pub(crate) async fn nobody_is_found_by_reading_the_whole_table(url: String) {
    let store = ready(&url).await;
    execute(
        &url,
        "INSERT INTO authorizations (scope, id, provisional, health, state) \
           SELECT 'live', 'fcauth_' || n, false, \
             CASE WHEN n <= 3 THEN 'expiring' ELSE 'active' END, '{}' \
           FROM generate_series(1, 20000) n; \
         INSERT INTO accounts (scope, id, home, provisional, status, state, updated_ms) \
           SELECT 'live', 'fca_' || n, 'fcauth_' || n, false, 'active', '{}', \
             n * 86400000::bigint \
           FROM generate_series(1, 20000) n; \
         ANALYZE authorizations; ANALYZE accounts",
    )
    .await;
    let wanted = Selection { holder: None, health: Some(Health::Expiring), after: None, limit: 20 };
    assert_eq!(store.list(&wanted).await.unwrap().len(), 3);
    assert_eq!(store.part_ends(6_000).await.unwrap().len(), 3);
    let days = |heard: &[Heard]| -> Vec<i64> {
        heard.iter().map(|one| one.at.0.div_euclid(86_400_000)).collect()
    };
    let unheard = store.longest_unheard(None, Time(i64::MAX), 3).await.unwrap();
    assert_eq!(days(&unheard), [1, 2, 3]);
    let behind = store.longest_unheard(unheard.last(), Time(i64::MAX), 3).await.unwrap();
    assert_eq!(days(&behind), [4, 5, 6]);
    // A connection tells how it read when it ends.
    drop(store);
    until(async || {
        let used = "SELECT sum(idx_scan)::bigint FROM pg_stat_user_indexes WHERE indexrelname = ";
        let by_health = count(&url, &format!("{used}'authorizations_health'")).await;
        let by_time = count(&url, &format!("{used}'accounts_heard'")).await;
        let counted = format!("{by_health} and {by_time} looks into the indexes");
        if by_health >= 1 && by_time >= 2 { Ok(()) } else { Err(counted) }
    })
    .await;
}

/// A plan that is made while hardly anything waits is kept, and used when much does.
pub(crate) async fn what_waits_is_found_by_index_however_little_it_is(url: String) {
    let store = ready(&url).await;
    execute(
        &url,
        "INSERT INTO outbox (claimed_until_ms, decided_ms, size, ids, kinds, scopes, \
             correlations, traceparents, bodies) \
           SELECT 0, 0, 1, ARRAY['c' || n], ARRAY['relink.pause_data.v1'], ARRAY['live'], \
             ARRAY[''], ARRAY[NULL], ARRAY['{}'::bytea] FROM generate_series(1, 3) n; \
         INSERT INTO authorizations (scope, id, provisional, next_due_ms) \
           SELECT 'live', 'fcauth_' || n, false, 5 FROM generate_series(1, 3) n; \
         ANALYZE outbox; ANALYZE authorizations",
    )
    .await;
    // More often than the server makes a plan of its own for each call.
    for _ in 0..10 {
        assert_eq!(store.claim_outbox(Time(9), Time(9), 256).await.unwrap().len(), 3);
        assert_eq!(store.due_homes(Time(9), 256).await.unwrap().len(), 3);
    }
    // A connection tells how it read when it ends.
    drop(store);
    until(async || {
        let scanned = "SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables \
                       WHERE relname IN ('authorizations', 'outbox')";
        let used = "SELECT count(*) FROM pg_stat_user_indexes WHERE idx_scan > 0 AND indexrelname \
                    IN ('authorizations_due', 'outbox_claimed', 'outbox_pkey')";
        match (count(&url, used).await, count(&url, scanned).await) {
            (3, 0) => Ok(()),
            (used, scanned) => Err(format!("{used} of 3 indexes, {scanned} rows off the tables")),
        }
    })
    .await;
}

pub(crate) async fn every_figure_is_read_off_an_index(url: String) {
    let store = ready(&url).await;
    execute(
        &url,
        "INSERT INTO authorizations \
             (scope, id, provisional, health, expected_deactivation_s, institution_name, state) \
           SELECT 'live', 'fcauth_' || n, n % 50 = 0, 'active', \
             CASE WHEN n % 100 = 1 THEN 5000000000 END, 'Bank ' || n % 7, \
             to_json(repeat('x', 600)) FROM generate_series(1, 20000) n; \
         INSERT INTO cases \
             (scope, home, id, reason, opened_ms, prompts, reminders, state) \
           SELECT 'live', 'fcauth_' || n, 'case-' || n, 'inactive', n, 0, 0, '{}' \
           FROM generate_series(1, 20000) n",
    )
    .await;
    execute(&url, "VACUUM ANALYZE authorizations").await;
    execute(&url, "VACUUM ANALYZE cases").await;
    // The last 140 of the cases are within the quarter of an hour, 20 at each bank.
    let now = Time(19_861).after(relink_engine::outlook::OUTAGES_SINCE);
    let outlook = store.outlook(now).await.unwrap();
    assert_eq!(outlook.authorizations, [("active".to_owned(), 20_000)]);
    assert_eq!(outlook.expected, [(relink_engine::outlook::LATER, 200)]);
    assert_eq!(outlook.at_one_institution, 20);
    // A connection tells how it read when it ends.
    drop(store);
    until(async || {
        let scanned = "SELECT coalesce(sum(seq_tup_read), 0)::bigint FROM pg_stat_user_tables \
                       WHERE relname IN ('authorizations', 'cases') AND idx_scan > 0";
        let used = "SELECT count(*) FROM pg_stat_user_indexes WHERE idx_scan > 0 AND indexrelname \
                    IN ('authorizations_health', 'authorizations_provisional', \
                        'authorizations_expected', 'cases_opened')";
        match (count(&url, used).await, count(&url, scanned).await) {
            (4, 0) => Ok(()),
            (used, scanned) => Err(format!("{used} of 4 indexes, {scanned} rows off the tables")),
        }
    })
    .await;
}

pub(crate) async fn the_outlook_tells_how_many_days_are_prepared(url: String) {
    let store = ready(&url).await;
    let now = Time(count(&url, "SELECT (extract(epoch FROM now()) * 1000)::bigint").await);
    assert_eq!(store.outlook(now).await.unwrap().days_ahead, [("inbox", 14), ("history", 14)]);
    let later = now.after(relink_core::time::Span::days(10));
    assert_eq!(store.outlook(later).await.unwrap().days_ahead, [("inbox", 4), ("history", 4)]);
}

pub(crate) async fn an_error_tells_no_secret(_: String) {
    let silent = |error: StoreError| {
        let text = error.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        error
    };
    let urls = ["postgres://u:hunter2@", "postgres://u:hunter2@127.0.0.1:x/db", "hunter2"];
    for url in urls {
        let error = silent(PostgresStore::connect(PostgresConfig::new(url)).await.unwrap_err());
        assert!(matches!(error, StoreError::Misconfigured(_)), "{error:?}");
    }
    let away = PostgresConfig::new("postgres://u:hunter2@127.0.0.1:1/db");
    assert!(!format!("{away:?}").contains("hunter2"));
    let error = silent(PostgresStore::connect(away).await.unwrap_err());
    assert!(matches!(error, StoreError::Transient(_)), "{error:?}");
}

/// A role that every server has and that may do nothing with Relink's tables.
const POWERLESS: &str = "pg_monitor";

pub(crate) async fn a_missing_permission_says_what_to_grant(url: String) {
    let may_become = format!("SELECT pg_has_role('{POWERLESS}', 'MEMBER')::int::bigint");
    if count(&url, &may_become).await == 0 {
        eprintln!("LEFT OUT: the role of RELINK_TEST_DATABASE_URL may not become another");
        return;
    }
    drop(ready(&url).await);
    let mark = if url.contains('?') { '&' } else { '?' };
    let powerless = PostgresConfig::new(format!("{url}{mark}options=-c%20role%3D{POWERLESS}"));
    // Each statement that an error names helps, until there is nothing left to grant.
    for round in 0..20 {
        let Err(error) = work(powerless.clone(), round).await else { return };
        let StoreError::Misconfigured(told) = error else { panic!("{error:?}") };
        let (_, statement) = told.split_once("run: ").unwrap_or_else(|| panic!("{told}"));
        let statement = statement.split(';').next().unwrap();
        execute(&url, &statement.replace("<user of RELINK_DATABASE_URL>", POWERLESS)).await;
    }
    panic!("what is granted is never enough");
}

async fn work(config: PostgresConfig, round: usize) -> Result<(), StoreError> {
    let store = PostgresStore::connect(config).await?;
    store.probe().await?;
    put(&store, &[aggregate(home("fcauth_1"), &[("fca_1", account(1))])]).await?;
    let inbox = vec![inbox_row(&ignored(&format!("evt_{round}")), Verdict::Applied)];
    write_rows(&store, Rows { inbox, ..Rows::default() }).await?;
    store.history(&home("fcauth_1"), None, 9).await?;
    store.claim_outbox(NOW, NOW, 9).await.map(drop)
}

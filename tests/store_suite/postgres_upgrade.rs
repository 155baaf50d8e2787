//! What an upgrade of PostgreSQL's schema does with rows that are there.

use bytes::Bytes;
use relink_core::id::{CommandId, Scope};
use relink_core::time::Time;
use relink_engine::store::{Committed, OutboxRow, Store as _};
use relink_postgres::{PostgresConfig, PostgresStore, migrate};
use relink_tests::database::execute;

use super::outbox::bare;

/// The steps up to the one before commands that were committed together became one row.
const BEFORE_BUNDLES: [&str; 5] = [
    include_str!("../../crates/postgres/migrations/0001_initial.sql"),
    include_str!("../../crates/postgres/migrations/0002_parked.sql"),
    include_str!("../../crates/postgres/migrations/0003_days.sql"),
    include_str!("../../crates/postgres/migrations/0004_outlook.sql"),
    include_str!("../../crates/postgres/migrations/0005_heard.sql"),
];

pub(crate) async fn commands_that_wait_survive_the_step_to_bundles(url: String) {
    for step in BEFORE_BUNDLES {
        execute(&url, step).await;
    }
    execute(
        &url,
        "CREATE TABLE relink_schema (version integer PRIMARY KEY, name text NOT NULL, \
           applied_ms bigint NOT NULL DEFAULT 0); \
         INSERT INTO relink_schema SELECT n, '' FROM generate_series(1, 5) n; \
         INSERT INTO outbox VALUES \
           ('a', 'relink.pause_data.v1', 'live/acct_1', 'evt_1', 1, '00-1-2-01', '\\x00ff', 10), \
           ('b', 'relink.resume_data.v1', 'live/acct_1', 'evt_2', 2, NULL, '{}', 20)",
    )
    .await;
    let config = PostgresConfig::new(&*url);
    migrate(&config, false).await.unwrap();
    let store = PostgresStore::connect(config).await.unwrap();
    let claimed = store.claim_outbox(Time(20), Time(99), 9).await.unwrap();
    let row = |id: &str, kind: &str, event: &str, decided, body: &'static [u8]| OutboxRow {
        id: CommandId::from(id),
        kind: kind.into(),
        scope: Scope::connected(true, "acct_1"),
        correlation: event.into(),
        decided_at: Time(decided),
        traceparent: (decided == 1).then(|| "00-1-2-01".into()),
        body: Bytes::from_static(body),
        claimed_until: Time(99),
        bundle: None,
    };
    let expected = [
        row("a", "relink.pause_data.v1", "evt_1", 1, b"\x00\xff"),
        row("b", "relink.resume_data.v1", "evt_2", 2, b"{}"),
    ];
    assert_eq!(bare(&claimed), expected);
    // As one would that was committed before the database was restored, and got the same number.
    let strange = |row: &OutboxRow| Committed { decided_at: Time(7), ..row.committed() };
    let others: Vec<Committed> = claimed.iter().map(strange).collect();
    store.delete_outbox(&others).await.unwrap();
    assert_eq!(store.outlook(Time(99)).await.unwrap().outbox_depth, 2);
    let taken: Vec<_> = claimed.iter().map(OutboxRow::committed).collect();
    store.delete_outbox(&taken).await.unwrap();
    assert_eq!(store.claim_outbox(Time(999), Time(999), 9).await.unwrap(), []);
}

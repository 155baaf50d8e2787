//! The schema's version, in the file's `user_version`.

use relink_engine::store::StoreError;
use rusqlite::Connection;

use crate::error::classify;

/// The steps of the schema; the version is how many were applied.
const MIGRATIONS: [&str; 4] = [
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_parked.sql"),
    include_str!("../migrations/0003_outlook.sql"),
    include_str!("../migrations/0004_pages.sql"),
];

/// Brings the schema up to this version.
pub(crate) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let known = version(connection)?;
    for (index, step) in MIGRATIONS.iter().enumerate().skip(known) {
        // EXCLUSIVE, although the file has one owner: a reader never sees half a step.
        let text = format!("BEGIN EXCLUSIVE; {step} PRAGMA user_version = {}; COMMIT", index + 1);
        connection.execute_batch(&text).map_err(classify)?;
    }
    Ok(())
}

/// Whether the schema is the one that this version knows, for those who must not change it.
pub(crate) fn check(connection: &Connection) -> Result<(), StoreError> {
    let known = version(connection)?;
    if known < MIGRATIONS.len() {
        return Err(StoreError::Misconfigured(format!(
            "the file of RELINK_DATABASE_URL has schema version {known}, this version of Relink \
             needs {}: start `relink standalone` or run `relink migrate`",
            MIGRATIONS.len()
        )));
    }
    Ok(())
}

/// The version of the file, and the one that this version needs.
pub(crate) fn versions(connection: &Connection) -> Result<(i64, usize), StoreError> {
    let known =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(classify)?;
    Ok((known, MIGRATIONS.len()))
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    let (known, _) = versions(connection)?;
    match usize::try_from(known) {
        Ok(known) if known <= MIGRATIONS.len() => Ok(known),
        _ => Err(StoreError::Misconfigured(format!(
            "the file of RELINK_DATABASE_URL has schema version {known}, which is newer than the \
             {} of this version of Relink: start the version that ran `relink migrate`",
            MIGRATIONS.len()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use relink_core::input::Verdict;
    use relink_core::time::{Second, Time};
    use relink_engine::store::{Committed, InputKey, OutboxRow, Store as _};

    use super::*;
    use crate::SqliteStore;

    #[tokio::test]
    async fn what_an_older_version_wrote_survives_the_step_to_fewer_pages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relink.db");
        let older = Connection::open(&path).unwrap();
        for step in &MIGRATIONS[..3] {
            older.execute_batch(step).unwrap();
        }
        older
            .execute_batch(
                "PRAGMA user_version = 3; \
                 INSERT INTO accounts VALUES ('live', 'fca_2', 'fca_2', 1, NULL, NULL, NULL, NULL, \
                   NULL, NULL, 1, '{}', 86400000), \
                   ('live', 'fca_1', 'fca_1', 1, NULL, NULL, NULL, NULL, NULL, NULL, 1, '{}', 5); \
                 INSERT INTO inbox VALUES (20775, 'evt_1', 'live', 'a.kind', 1795000000, 'applied', 7), \
                   (20776, 'evt_1', 'test', 'a.kind', 1795050000, 'stale', 7); \
                 INSERT INTO outbox VALUES \
                   ('b', 'relink.resume_data.v1', 'live', 'evt_2', 2, '00-1-2-01', x'00ff', 20), \
                   ('a', 'relink.pause_data.v1', 'live', 'evt_1', 1, NULL, x'7b7d', 10)",
            )
            .unwrap();
        drop(older);
        let store = SqliteStore::open(&path).unwrap();
        let unheard = store.longest_unheard(None, Time(i64::MAX), 9).await.unwrap();
        let heard: Vec<_> =
            unheard.iter().map(|one| (one.account.account.as_str(), one.at.0)).collect();
        assert_eq!(heard, [("fca_1", 5), ("fca_2", 86_400_000)]);
        let after = store.longest_unheard(unheard.first(), Time(i64::MAX), 9).await.unwrap();
        assert_eq!(after, unheard[1..]);
        assert_eq!(store.count_unheard(Time(6)).await.unwrap(), 1);
        let known = store.inbox_row("evt_1").await.unwrap().unwrap();
        assert_eq!((known.at, known.verdict), (Second(1_795_000_000), Verdict::Applied));
        assert_eq!(store.inbox_row("evt_2").await.unwrap(), None);
        let key = |at| InputKey { scope: known.scope.clone(), id: "evt_1".into(), at: Second(at) };
        let seen = store.seen(&[key(1_795_000_000), key(1_795_050_000)]).await.unwrap();
        assert_eq!(seen, [true, false]);
        let claimed = store.claim_outbox(Time(20), Time(99), 9).await.unwrap();
        let told: Vec<_> = claimed.iter().map(|row| (row.id.as_str(), &*row.body)).collect();
        assert_eq!(told, [("a", &b"{}"[..]), ("b", &b"\x00\xff"[..])]);
        assert_eq!(claimed[1].traceparent.as_deref(), Some("00-1-2-01"));
        let taken: Vec<_> = claimed.iter().map(OutboxRow::committed).collect();
        // As one that had the number before: whoever took that one says so late.
        let other = Committed { id: "c".into(), ..taken[0].clone() };
        store.delete_outbox(&[other]).await.unwrap();
        assert_eq!(store.census().await.unwrap().outbox_depth, 2);
        store.delete_outbox(&taken).await.unwrap();
        assert_eq!(store.census().await.unwrap().outbox_depth, 0);
    }
}

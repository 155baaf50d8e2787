//! The schema's version, in the file's `user_version`.

use relink_engine::store::StoreError;
use rusqlite::Connection;

use crate::error::classify;

/// The steps of the schema; the version is how many were applied.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_initial.sql"),
    include_str!("../migrations/0002_parked.sql"),
    include_str!("../migrations/0003_outlook.sql"),
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

//! The schema's versions: applied in one transaction, under a lock, and checked on start.
//!
//! Own lines instead of a migration crate, because those take no lock: two `relink migrate` that
//! start together would both apply the same step.

use deadpool_postgres::Pool;
use relink_engine::store::StoreError;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::config::PostgresConfig;
use crate::error::classify;
use crate::maintain;
use crate::session::{Session, run_one};
use crate::sql::Sql;

/// A step of the schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Its number; the schema's version is the highest applied.
    pub version: i32,
    /// What it is about.
    pub name: &'static str,
    text: &'static str,
}

const MIGRATIONS: [Migration; 7] = [
    Migration { version: 1, name: "initial", text: include_str!("../migrations/0001_initial.sql") },
    Migration { version: 2, name: "parked", text: include_str!("../migrations/0002_parked.sql") },
    Migration { version: 3, name: "days", text: include_str!("../migrations/0003_days.sql") },
    Migration { version: 4, name: "outlook", text: include_str!("../migrations/0004_outlook.sql") },
    Migration { version: 5, name: "heard", text: include_str!("../migrations/0005_heard.sql") },
    Migration { version: 6, name: "bundles", text: include_str!("../migrations/0006_bundles.sql") },
    Migration { version: 7, name: "room", text: include_str!("../migrations/0007_room.sql") },
];

/// The statements of every step.
#[cfg(test)]
pub(crate) fn texts() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.into_iter().map(|step| step.text)
}

/// How far back the first partitions reach: Stripe's replay of 30 days, with room.
const FIRST_DAYS: u32 = 35;

/// Waits for another `migrate` to finish; the number is arbitrary and only ours. The lock ends
/// with the transaction, as no other would through a pooler.
const LOCK: &str = "\
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL statement_timeout = '10min'; \
    SET LOCAL lock_timeout = '1min'; \
    SELECT pg_advisory_xact_lock(7260515117)";

const VERSIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS relink_schema (\
    version integer PRIMARY KEY, name text NOT NULL, \
    applied_ms bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint)";

const VERSION: Sql = Sql { text: "SELECT max(version) FROM relink_schema", types: &[] };

const EXISTS: Sql = Sql { text: "SELECT to_regclass('relink_schema') IS NOT NULL", types: &[] };

const APPLIED: Sql = Sql {
    text: "INSERT INTO relink_schema (version, name) VALUES ($1, $2)",
    types: &[Type::INT4, Type::TEXT],
};

const NOW: Sql =
    Sql { text: "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", types: &[] };

/// Brings the schema up to this version; `dry_run` changes nothing. Returns the steps that were,
/// or would be, applied. Any number may run at once.
///
/// # Errors
/// [`StoreError::Misconfigured`] for a schema of a newer version; else what the database says.
pub async fn migrate(config: &PostgresConfig, dry_run: bool) -> Result<Vec<Migration>, StoreError> {
    let pool = config.pool()?;
    let session = Session::open(&pool, false, &[]).await?;
    let applied = apply(&session, dry_run).await;
    match applied {
        Ok(_) if !dry_run => session.end(),
        _ => session.roll_back().await,
    }
    let applied = applied?;
    if !dry_run {
        // Apart from the schema: a lock on a partition that is in use must not undo it.
        let rows = run_one(&pool, false, &NOW, &[]).await?;
        let now: i64 = rows.first().map_or(0, |row| row.get(0));
        maintain::prepare_days(&pool, relink_core::time::Time(now), FIRST_DAYS).await?;
    }
    Ok(applied)
}

async fn apply(session: &Session, dry_run: bool) -> Result<Vec<Migration>, StoreError> {
    let failed = |error: tokio_postgres::Error| classify(&error);
    session.batch(LOCK).await.map_err(failed)?;
    let exists: bool = first(session, &EXISTS).await?.unwrap_or_default();
    let known = if exists { first(session, &VERSION).await? } else { None };
    let known = known.unwrap_or(0);
    refuse_newer(known)?;
    let pending: Vec<_> =
        MIGRATIONS.into_iter().filter(|migration| migration.version > known).collect();
    if dry_run {
        return Ok(pending);
    }
    session.batch(VERSIONS_TABLE).await.map_err(failed)?;
    for step in &pending {
        session.batch(step.text).await.map_err(failed)?;
        session.query(&APPLIED, &[&step.version, &step.name]).await.map_err(failed)?;
    }
    session.batch("COMMIT").await.map_err(failed)?;
    Ok(pending)
}

async fn first<T>(session: &Session, sql: &'static Sql) -> Result<Option<T>, StoreError>
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let rows = session.query(sql, &[]).await.map_err(|error| classify(&error))?;
    let value = rows.first().map(|row| row.try_get::<_, Option<T>>(0));
    value.transpose().map(Option::flatten).map_err(|error| classify(&error))
}

/// The schema's version; 0: there is none.
pub(crate) async fn known(pool: &Pool) -> Result<i32, StoreError> {
    let session = Session::open(pool, false, &[]).await?;
    let rows = session.query(&VERSION, &[]).await;
    session.end();
    match rows {
        Ok(rows) => Ok(rows.first().and_then(|row| row.get(0)).unwrap_or(0)),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(0),
        Err(error) => Err(classify(&error)),
    }
}

/// The version that this one needs.
pub(crate) fn wanted() -> i32 {
    MIGRATIONS[MIGRATIONS.len() - 1].version
}

/// Whether the schema is the one that this version knows.
pub(crate) async fn check(pool: &Pool) -> Result<(), StoreError> {
    let known = known(pool).await?;
    refuse_newer(known)?;
    let wanted = wanted();
    if known < wanted {
        return Err(StoreError::Misconfigured(format!(
            "the database of RELINK_DATABASE_URL has schema version {known}, this version of \
             Relink needs {wanted}: run `relink migrate`"
        )));
    }
    Ok(())
}

fn refuse_newer(known: i32) -> Result<(), StoreError> {
    let wanted = wanted();
    if known > wanted {
        return Err(StoreError::Misconfigured(format!(
            "the database of RELINK_DATABASE_URL has schema version {known}, which is newer than \
             the {wanted} of this version of Relink: start the version that ran `relink migrate`"
        )));
    }
    Ok(())
}

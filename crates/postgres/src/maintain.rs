//! Partitions: a day each, made ahead and dropped when their time is over.

use deadpool_postgres::Pool;
use relink_core::time::Time;
use relink_engine::store::StoreError;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use crate::day::Day;
use crate::error::classify;
use crate::session::{Session, run_one};
use crate::sql::{BEGIN_ONE, Sql};

/// Tables with a partition a day.
pub(crate) const TABLES: [&str; 2] = ["inbox", "history"];

/// How many days are prepared ahead: two weeks without a scheduler lose nothing but tidiness,
/// since the default partition takes what has no day of its own.
pub(crate) const DAYS_AHEAD: i32 = 14;

/// The days to make: partition name, first day and the day after as texts, for days that have
/// none. `$1` table, `$2` and `$3` first and last day.
const MISSING: Sql = Sql {
    text: "SELECT name, day::text, (day + 1)::text \
           FROM (SELECT d::date AS day, $1 || to_char(d, '_YYYYMMDD') AS name \
                 FROM generate_series($2::date, $3::date, interval '1 day') AS d) AS days \
           WHERE to_regclass(quote_ident(name)) IS NULL ORDER BY day",
    types: &[Type::TEXT, Type::DATE, Type::DATE],
};

/// Partitions of days before `$2`, by their names.
const EXPIRED: Sql = Sql {
    text: "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
           WHERE i.inhparent = to_regclass($1) AND c.relname ~ '_[0-9]{8}$' \
             AND right(c.relname, 8) < to_char($2::date, 'YYYYMMDD') \
           ORDER BY c.relname",
    types: &[Type::TEXT, Type::DATE],
};

const EXPIRE_INBOX_DEFAULT: Sql =
    Sql { text: "DELETE FROM inbox_default WHERE day < $1", types: &[Type::DATE] };

const EXPIRE_HISTORY_DEFAULT: Sql =
    Sql { text: "DELETE FROM history_default WHERE day < $1", types: &[Type::DATE] };

/// Makes the partitions from `back` days ago to [`DAYS_AHEAD`].
pub(crate) async fn prepare_days(pool: &Pool, now: Time, back: u32) -> Result<(), StoreError> {
    let today = today(now);
    let last = Day(today.0.saturating_add(DAYS_AHEAD));
    for table in TABLES {
        let rows = run_one(pool, false, &MISSING, &[&table, &before(today, back), &last]).await?;
        let create = |row: &Row| create_partition(table, row.get(0), row.get(1), row.get(2));
        let steps: Vec<String> = rows.iter().map(create).collect();
        // Together, which is one commit; what hinders one day must not hinder the others.
        if steps.is_empty() || change(pool, &steps.join("; ")).await? {
            continue;
        }
        for step in steps {
            change(pool, &step).await?;
        }
    }
    Ok(())
}

/// Drops what is older than `retention_days`.
pub(crate) async fn expire_days(
    pool: &Pool,
    now: Time,
    retention_days: u32,
) -> Result<(), StoreError> {
    let first_kept = before(today(now), retention_days);
    for table in TABLES {
        for row in run_one(pool, false, &EXPIRED, &[&table, &first_kept]).await? {
            // Locks the whole table for the moment of the drop; DETACH CONCURRENTLY, which does
            // not, is refused beside a default partition.
            change(pool, &format!("DROP TABLE IF EXISTS {}", row.get::<_, &str>(0))).await?;
        }
    }
    for sql in [&EXPIRE_INBOX_DEFAULT, &EXPIRE_HISTORY_DEFAULT] {
        run_one(pool, false, sql, &[&first_kept]).await?;
    }
    Ok(())
}

pub(crate) fn today(now: Time) -> Day {
    Day::of(relink_core::time::Second(now.0.div_euclid(1000)))
}

fn before(day: Day, days: u32) -> Day {
    Day(day.0.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX)).max(Day::FIRST.0))
}

/// A partition is filled with what the default one holds for the day, then attached: attaching
/// locks writers out of the default partition only, where CREATE … PARTITION OF would lock the
/// whole table. The default partition is locked first, so that nothing for this day gets in
/// between; the advisory lock makes several schedulers take turns.
fn create_partition(table: &str, name: &str, day: &str, next: &str) -> String {
    format!(
        "SELECT pg_advisory_xact_lock(7260515118); \
         CREATE TABLE IF NOT EXISTS {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING INDEXES); \
         DO $$ BEGIN \
           IF NOT (SELECT relispartition FROM pg_class WHERE oid = '{name}'::regclass) THEN \
             LOCK TABLE {table}_default IN ACCESS EXCLUSIVE MODE; \
             WITH moved AS (DELETE FROM {table}_default WHERE day = '{day}' RETURNING *) \
               INSERT INTO {name} SELECT * FROM moved; \
             ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{day}') TO ('{next}'); \
           END IF; \
         END $$"
    )
}

/// One change of the tables; tells whether it could be made. What is in use right now is left to
/// the next time: a day without its partition is in the default one, an expired day is kept a
/// little longer.
async fn change(pool: &Pool, text: &str) -> Result<bool, StoreError> {
    let session = Session::open(pool, false, &[]).await?;
    let text = format!("{BEGIN_ONE}; SET LOCAL lock_timeout = '2s'; {text}; COMMIT");
    let Err(error) = session.batch(&text).await else {
        session.end();
        return Ok(true);
    };
    session.roll_back().await;
    // 55P03 lock timeout, 40P01 deadlock, 23514 the default partition got a row.
    match error.code().map(SqlState::code) {
        Some(code @ ("55P03" | "40P01" | "23514")) => {
            tracing::warn!(code, "a partition is in use and is left for next time");
            Ok(false)
        }
        _ => Err(classify(&error)),
    }
}

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

/// Days from `$2` to `$3` without a partition of the table `$1`.
const MISSING: Sql = Sql {
    text: "SELECT day::text \
           FROM (SELECT d::date AS day, $1 || to_char(d, '_YYYYMMDD') AS name \
                 FROM generate_series($2::date, $3::date, interval '1 day') AS d) AS days \
           WHERE to_regclass(quote_ident(name)) IS NULL ORDER BY day",
    types: &[Type::TEXT, Type::DATE, Type::DATE],
};

/// Days before `$2` that have a partition of the table `$1`.
const EXPIRED: Sql = Sql {
    text: "SELECT to_date(right(c.relname, 8), 'YYYYMMDD')::text \
           FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
           WHERE i.inhparent = to_regclass($1) AND c.relname ~ '_[0-9]{8}$' \
             AND right(c.relname, 8) < to_char($2::date, 'YYYYMMDD') \
           ORDER BY c.relname",
    types: &[Type::TEXT, Type::DATE],
};

/// Deletes what is before `$2` from the default partition of the table `$1`.
const EXPIRE_DEFAULT: Sql =
    Sql { text: "SELECT relink_expire_default($1, $2)", types: &[Type::TEXT, Type::DATE] };

/// Makes the partitions from `back` days ago to [`DAYS_AHEAD`].
pub(crate) async fn prepare_days(pool: &Pool, now: Time, back: u32) -> Result<(), StoreError> {
    let today = today(now);
    let last = Day(today.0.saturating_add(DAYS_AHEAD));
    for table in TABLES {
        let rows = run_one(pool, false, &MISSING, &[&table, &before(today, back), &last]).await?;
        let steps: Vec<String> = rows.iter().map(|row| step("make_day", table, row)).collect();
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
            change(pool, &step("drop_day", table, &row)).await?;
        }
        run_one(pool, false, &EXPIRE_DEFAULT, &[&table, &first_kept]).await?;
    }
    Ok(())
}

/// The days after today for which there should be partitions.
pub(crate) fn days_ahead(now: Time) -> (Day, Day) {
    let after = |days: i32| Day(today(now).0.saturating_add(days));
    (after(1), after(DAYS_AHEAD))
}

pub(crate) fn today(now: Time) -> Day {
    Day::of(relink_core::time::Second(now.0.div_euclid(1000)))
}

fn before(day: Day, days: u32) -> Day {
    Day(day.0.saturating_sub(i32::try_from(days).unwrap_or(i32::MAX)).max(Day::FIRST.0))
}

/// A call of one of the functions for days, see `migrations/0003_days.sql`: they run as the owner
/// of the tables, which whoever maintains them need not be.
fn step(function: &str, table: &str, row: &Row) -> String {
    let day: &str = row.get(0);
    format!("SELECT relink_{function}('{table}', '{day}')")
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

//! Messages that were set aside.

use relink_engine::row::{self, ParkedColumns, work_queue};
use relink_engine::store::{ParkedCount, ParkedRow, StoreError};
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use crate::error::classify;
use crate::sql::Sql;

/// Keeps a message.
pub(crate) const PARK: Sql = Sql {
    text: "INSERT INTO parked (queue, id, kind, routing_key, correlation, reason, error, \
             first_failed_ms, last_failed_ms, attempts, headers, body, at_s) \
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::jsonb, $12, $13)",
    types: &[
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::TEXT,
        Type::INT8,
        Type::INT8,
        Type::INT4,
        Type::TEXT,
        Type::BYTEA,
        Type::INT8,
    ],
};

/// Messages of a queue in the order of parking, behind a place.
pub(crate) const PARKED: Sql = Sql {
    text: "SELECT seq, queue, id, kind, routing_key, correlation, at_s, reason, error, \
             first_failed_ms, last_failed_ms, headers::text, body FROM parked \
           WHERE queue = $1 AND (requeue_ms IS NOT NULL) = $2 AND seq > $3 \
           ORDER BY seq LIMIT $4",
    types: &[Type::TEXT, Type::BOOL, Type::INT8, Type::INT8],
};

/// How many there are.
pub(crate) const COUNTS: Sql = Sql {
    text: "SELECT queue, requeue_ms IS NOT NULL, count(*), max(seq) FROM parked \
           GROUP BY 1, 2 ORDER BY 1, 2",
    types: &[],
};

/// Asks to put one back.
pub(crate) const MARK: Sql = Sql {
    text: "UPDATE parked SET requeue_ms = $2 WHERE seq = $1 AND requeue_ms IS NULL RETURNING seq",
    types: &[Type::INT8, Type::INT8],
};

/// Forgets one.
pub(crate) const UNPARK: Sql =
    Sql { text: "DELETE FROM parked WHERE seq = $1 RETURNING seq", types: &[Type::INT8] };

pub(crate) fn parked_row(row: &Row) -> Result<ParkedRow, StoreError> {
    let columns = columns(row).map_err(|error| classify(&error))?;
    row::parked(columns)
}

fn columns(row: &Row) -> Result<ParkedColumns, Error> {
    Ok(ParkedColumns {
        seq: row.try_get(0)?,
        queue: row.try_get(1)?,
        id: row.try_get(2)?,
        kind: row.try_get(3)?,
        routing_key: row.try_get(4)?,
        correlation: row.try_get(5)?,
        at_s: row.try_get(6)?,
        reason: row.try_get(7)?,
        error: row.try_get(8)?,
        first_failed_ms: row.try_get(9)?,
        last_failed_ms: row.try_get(10)?,
        headers: row.try_get(11)?,
        body: row.try_get(12)?,
    })
}

pub(crate) fn count(row: &Row) -> Result<ParkedCount, StoreError> {
    Ok(ParkedCount {
        queue: work_queue(row.get(0))?,
        is_marked: row.get(1),
        count: row.get(2),
        newest: row.get(3),
    })
}

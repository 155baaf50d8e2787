//! Messages that were set aside.

use relink_bus::port::Parked;
use relink_bus::topology::WorkQueue;
use relink_core::time::Time;
use relink_engine::row::{self, ParkedColumns, headers, work_queue};
use relink_engine::store::{ParkedCount, ParkedRow, StoreError};
use rusqlite::{Connection, ToSql};

use crate::transact::many;
use crate::write::run;

const PARK: &str = "\
    INSERT INTO parked (queue, id, kind, routing_key, correlation, reason, error, \
      first_failed_ms, last_failed_ms, attempts, headers, body, at_s) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

const PARKED: &str = "\
    SELECT seq, queue, id, kind, routing_key, correlation, at_s, reason, error, \
      first_failed_ms, last_failed_ms, headers, body FROM parked \
    WHERE queue = ?1 AND (requeue_ms IS NOT NULL) = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";

const COUNTS: &str = "\
    SELECT queue, requeue_ms IS NOT NULL, count(*), max(seq) FROM parked \
    GROUP BY 1, 2 ORDER BY 1, 2";

const MARK: &str = "UPDATE parked SET requeue_ms = ?2 WHERE seq = ?1 AND requeue_ms IS NULL";
const UNPARK: &str = "DELETE FROM parked WHERE seq = ?1";

pub(crate) fn park(connection: &Connection, parked: &Parked) -> Result<(), StoreError> {
    let delivery = &parked.delivery;
    let params: [&dyn ToSql; 13] = [
        &parked.queue,
        &delivery.id.as_deref(),
        &delivery.kind.as_deref(),
        &&*delivery.routing_key,
        &delivery.correlation.as_deref(),
        &parked.parking.reason.as_str(),
        &parked.parking.error,
        &parked.first_failed_at_unix_ms,
        &parked.last_failed_at_unix_ms,
        &delivery.headers.attempts,
        &headers(&delivery.headers)?,
        &&*delivery.body,
        &delivery.timestamp_unix_s,
    ];
    run(connection, PARK, &params).map(drop)
}

pub(crate) fn parked(
    connection: &Connection,
    queue: WorkQueue,
    is_marked: bool,
    after: i64,
    limit: i64,
) -> Result<Vec<ParkedRow>, StoreError> {
    let params: [&dyn ToSql; 4] = [&queue.name(), &is_marked, &after, &limit];
    let rows = many(connection, PARKED, &params, |row| {
        Ok(ParkedColumns {
            seq: row.get(0)?,
            queue: row.get(1)?,
            id: row.get(2)?,
            kind: row.get(3)?,
            routing_key: row.get(4)?,
            correlation: row.get(5)?,
            at_s: row.get(6)?,
            reason: row.get(7)?,
            error: row.get(8)?,
            first_failed_ms: row.get(9)?,
            last_failed_ms: row.get(10)?,
            headers: row.get(11)?,
            body: row.get(12)?,
        })
    })?;
    rows.into_iter().map(row::parked).collect()
}

pub(crate) fn counts(connection: &Connection) -> Result<Vec<ParkedCount>, StoreError> {
    let rows = many(connection, COUNTS, &[], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let read = |(queue, is_marked, count, newest): (String, bool, i64, i64)| {
        Ok(ParkedCount { queue: work_queue(&queue)?, is_marked, count, newest })
    };
    rows.into_iter().map(read).collect()
}

pub(crate) fn mark(connection: &Connection, seq: i64, at: Time) -> Result<bool, StoreError> {
    run(connection, MARK, &[&seq, &at.0]).map(|rows| rows > 0)
}

pub(crate) fn unpark(connection: &Connection, seq: i64) -> Result<bool, StoreError> {
    run(connection, UNPARK, &[&seq]).map(|rows| rows > 0)
}

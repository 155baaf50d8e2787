//! What the relay and the scheduler ask for.

use std::sync::Arc;

use bytes::Bytes;
use relink_core::id::CommandId;
use relink_core::time::Time;
use relink_engine::row::{home_key, scope};
use relink_engine::store::{Bundle, Committed, DueHome, OutboxRow, StoreError};
use rusqlite::{Connection, ToSql};

use crate::transact::many;
use crate::write::run;

const DUE: &str = "\
    SELECT scope, id, provisional, next_due_ms FROM authorizations \
    WHERE next_due_ms <= ?1 ORDER BY next_due_ms LIMIT ?2";

const CLAIM: &str = "\
    UPDATE outbox SET claimed_until_ms = ?2 WHERE seq IN ( \
      SELECT seq FROM outbox WHERE claimed_until_ms <= ?1 ORDER BY claimed_until_ms LIMIT ?3) \
    RETURNING id, kind, scope, correlation, decided_ms, traceparent, body, claimed_until_ms, seq";

/// Takes work that nobody has, or that is one's own already.
const CLAIM_WORK: &str = "\
    INSERT INTO claims AS held (work, claimant, claimed_until_ms) VALUES (?1, ?2, ?4) \
    ON CONFLICT (work) DO UPDATE \
      SET claimant = excluded.claimant, claimed_until_ms = excluded.claimed_until_ms \
      WHERE held.claimant = excluded.claimant OR held.claimed_until_ms <= ?3 \
    RETURNING work";

/// By the id as well: where the newest rows have gone, others get their numbers.
const DELETE: &str = "DELETE FROM outbox WHERE seq = ?1 AND id = ?2";

pub(crate) fn due_homes(
    connection: &Connection,
    now: Time,
    limit: i64,
) -> Result<Vec<DueHome>, StoreError> {
    let rows = many(connection, DUE, &[&now.0, &limit], |row| {
        let (scope, id): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((scope, id, row.get(2)?, row.get(3)?))
    })?;
    let due = |(scope, id, provisional, due): (String, String, bool, i64)| {
        Ok(DueHome { home: home_key(&scope, &id, provisional)?, due: Time(due) })
    };
    rows.into_iter().map(due).collect()
}

pub(crate) fn claim(
    connection: &Connection,
    now: Time,
    until: Time,
    limit: i64,
) -> Result<Vec<OutboxRow>, StoreError> {
    let rows = many(connection, CLAIM, &[&now.0, &until.0, &limit], |row| {
        let text = |index: usize| row.get::<_, String>(index);
        Ok((
            text(2)?,
            text(0)?,
            text(1)?,
            text(3)?,
            row.get(4)?,
            row.get::<_, Option<String>>(5)?,
            row.get::<_, Vec<u8>>(6)?,
            row.get(7)?,
            row.get(8)?,
        ))
    })?;
    let mut claimed = Vec::with_capacity(rows.len());
    for (scope_text, id, kind, correlation, decided, traceparent, body, until, seq) in rows {
        claimed.push(OutboxRow {
            id: CommandId::new(id),
            kind: Arc::from(kind),
            scope: scope(&scope_text)?,
            correlation: Arc::from(correlation),
            decided_at: Time(decided),
            traceparent: traceparent.map(Arc::from),
            body: Bytes::from(body),
            claimed_until: Time(until),
            bundle: Some(Bundle { seq, size: 1 }),
        });
    }
    claimed.sort_by(|a, b| (a.decided_at, &a.id).cmp(&(b.decided_at, &b.id)));
    Ok(claimed)
}

pub(crate) fn claim_work(
    connection: &Connection,
    work: &str,
    claimant: &str,
    now: Time,
    until: Time,
) -> Result<bool, StoreError> {
    let params: [&dyn ToSql; 4] = [&work, &claimant, &now.0, &until.0];
    Ok(!many(connection, CLAIM_WORK, &params, |_| Ok(()))?.is_empty())
}

pub(crate) fn delete(connection: &Connection, taken: &[Committed]) -> Result<(), StoreError> {
    for one in taken {
        let Some(Bundle { seq, .. }) = one.bundle else {
            return Err(StoreError::Refused("a command that was never committed".into()));
        };
        run(connection, DELETE, &[&seq, &one.id.as_str()])?;
    }
    Ok(())
}

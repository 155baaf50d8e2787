//! What an operator and the metrics ask for, and housekeeping.

use std::sync::Arc;

use relink_core::aggregate::{Aggregate, Health};
use relink_core::id::{AccountId, HomeKey, InputId, Scope};
use relink_core::time::{Second, Time};
use relink_engine::row::{case, commands, home, home_key, outcome, scope, signed_rows, verdict};
use relink_engine::store::{
    CaseRow, Census, HistoryRow, InboxRow, Selection, StoreError, WhyParked,
};
use rusqlite::{Connection, ToSql};

use crate::day::day;
use crate::transact::{aggregate, many, one};
use crate::write::run;

const FIND: &str = "\
    SELECT scope, id, provisional FROM authorizations WHERE id = ?1 \
    UNION SELECT scope, home, provisional FROM accounts WHERE id = ?1 ORDER BY 1, 2 LIMIT 20";

const LIST: &str = "\
    SELECT scope, id FROM authorizations \
    WHERE NOT provisional AND (id, scope) > (?1, ?2) ORDER BY id, scope LIMIT ?3";

/// Apart, so that the index of healths is used.
pub(crate) const LIST_OF_HEALTH: &str = "\
    SELECT scope, id FROM authorizations \
    WHERE NOT provisional AND (id, scope) > (?1, ?2) AND health = ?4 \
    ORDER BY id, scope LIMIT ?3";

/// Of any health where that is null; apart, so that the index of holders is used.
const LIST_OF_HOLDER: &str = "\
    SELECT scope, id FROM authorizations \
    WHERE NOT provisional AND (id, scope) > (?1, ?2) AND (?4 IS NULL OR health = ?4) \
      AND holder = ?5 ORDER BY id, scope LIMIT ?3";

const HISTORY: &str = "\
    SELECT home, provisional, account, input, kind, at_s, decided_ms, verdict, note, commands \
    FROM history WHERE home = ?1 AND scope = ?2 AND (?3 IS NULL OR account = ?3) \
    ORDER BY decided_ms DESC, seq DESC LIMIT ?4";

/// What an input did: reads the history of its day, and no other.
const INPUT_HISTORY: &str = "\
    SELECT home, provisional, account, input, kind, at_s, decided_ms, verdict, note, commands \
    FROM history WHERE day = ?1 AND scope = ?2 AND input = ?3 ORDER BY seq LIMIT ?4";

/// Looks into each day that there is, one after the other.
pub(crate) const INBOX_ROW: &str = "\
    WITH RECURSIVE days (day) AS ( \
      SELECT min(day) FROM inbox \
      UNION ALL SELECT (SELECT min(day) FROM inbox WHERE day > days.day) FROM days \
        WHERE days.day IS NOT NULL) \
    SELECT scope, id, kind, at_s, verdict FROM days JOIN inbox USING (day) \
    WHERE id = ?1 ORDER BY scope, day LIMIT 1";

const CASES: &str = "\
    SELECT state, closed_ms, outcome FROM cases WHERE home = ?1 AND scope = ?2 \
    ORDER BY opened_ms DESC, id DESC LIMIT ?3";

pub(crate) const HEALTHS: &str =
    "SELECT health, count(*) FROM authorizations GROUP BY 1 ORDER BY 1";
pub(crate) const OPEN_CASES: &str =
    "SELECT reason, count(*) FROM cases WHERE closed_ms IS NULL GROUP BY 1 ORDER BY 1";
const OUTBOX: &str = "SELECT count(*), min(decided_ms) FROM outbox";
pub(crate) const PARKED: &str = "SELECT count(*) FROM parked WHERE requeue_ms IS NULL";

const WHY_PARKED: &str = "\
    SELECT queue, reason, error, last_failed_ms FROM parked WHERE id = ?1 \
    ORDER BY seq DESC LIMIT 1";

/// Writes a row: a disk that is full, or has become read-only, says so.
const PROBE: &str = "\
    INSERT INTO probes (id, probed_ms) VALUES (1, CAST(unixepoch('subsec') * 1000 AS INTEGER)) \
    ON CONFLICT (id) DO UPDATE SET probed_ms = excluded.probed_ms";

/// Rows that one step of housekeeping deletes: some milliseconds in which others wait.
const EXPIRE_ROWS: usize = 5_000;

pub(crate) const EXPIRE: [&str; 2] = [
    "DELETE FROM inbox WHERE (day, id, scope) IN \
       (SELECT day, id, scope FROM inbox WHERE day < ?1 LIMIT ?2)",
    "DELETE FROM history WHERE seq IN (SELECT seq FROM history WHERE day < ?1 LIMIT ?2)",
];

pub(crate) fn find(connection: &Connection, id: &str) -> Result<Vec<Aggregate>, StoreError> {
    let rows = many(connection, FIND, &[&id], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
    })?;
    let mut found = Vec::with_capacity(rows.len());
    for (scope, home, provisional) in rows {
        found.extend(aggregate(connection, home_key(&scope, &home, provisional)?)?);
    }
    Ok(found)
}

pub(crate) fn list(
    connection: &Connection,
    wanted: &Selection,
) -> Result<Vec<Aggregate>, StoreError> {
    let health = wanted.health.map(Health::as_str);
    let (id, scope) = match &wanted.after {
        Some((id, scope)) => (id.as_str(), scope.to_string()),
        None => ("", String::new()),
    };
    let limit = signed_rows(wanted.limit);
    let mut params: Vec<&dyn ToSql> = vec![&id, &scope, &limit];
    let list = match (&wanted.holder, health) {
        (Some(holder), _) => {
            params.extend([&health as &dyn ToSql, holder]);
            LIST_OF_HOLDER
        }
        (None, Some(_)) => {
            params.push(&health);
            LIST_OF_HEALTH
        }
        (None, None) => LIST,
    };
    let rows = many(connection, list, &params, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    let mut found = Vec::with_capacity(rows.len());
    for (scope, id) in rows {
        found.extend(aggregate(connection, home_key(&scope, &id, false)?)?);
    }
    Ok(found)
}

pub(crate) fn history(
    connection: &Connection,
    home: &HomeKey,
    account: Option<&AccountId>,
    limit: i64,
) -> Result<Vec<HistoryRow>, StoreError> {
    let (scope, account) = (home.scope.to_string(), account.map(AccountId::as_str));
    let params: [&dyn ToSql; 4] = [&home.home.as_str(), &scope, &account, &limit];
    history_rows(connection, HISTORY, &params, &home.scope)
}

pub(crate) fn input_history(
    connection: &Connection,
    input: &InboxRow,
    limit: i64,
) -> Result<Vec<HistoryRow>, StoreError> {
    let scope = input.scope.to_string();
    let params: [&dyn ToSql; 4] = [&day(input.at), &scope, &input.id.as_str(), &limit];
    history_rows(connection, INPUT_HISTORY, &params, &input.scope)
}

fn history_rows(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    scope: &Scope,
) -> Result<Vec<HistoryRow>, StoreError> {
    let rows = many(connection, sql, params, |row| {
        let text = |index: usize| row.get::<_, String>(index);
        let read = HistoryRow {
            home: HomeKey { scope: scope.clone(), home: home(&text(0)?, row.get(1)?) },
            account: row.get::<_, Option<String>>(2)?.map(AccountId::new),
            input: InputId::new(text(3)?),
            kind: Arc::from(text(4)?),
            at: Second(row.get(5)?),
            decided_at: Time(row.get(6)?),
            verdict: Arc::from(text(7)?),
            note: text(8)?,
            commands: Vec::new(),
        };
        Ok((read, text(9)?))
    })?;
    let complete =
        |(read, list): (HistoryRow, String)| Ok(HistoryRow { commands: commands(&list)?, ..read });
    rows.into_iter().map(complete).collect()
}

pub(crate) fn inbox_row(connection: &Connection, id: &str) -> Result<Option<InboxRow>, StoreError> {
    let found = one(connection, INBOX_ROW, &[&id], |row| {
        let text = |index: usize| row.get::<_, String>(index);
        Ok((text(0)?, text(1)?, text(2)?, row.get(3)?, text(4)?))
    })?;
    let read = |(scope_text, id, kind, at, verdict_text): (String, String, String, i64, String)| {
        Ok(InboxRow {
            scope: scope(&scope_text)?,
            id: InputId::new(id),
            kind: Arc::from(kind),
            at: Second(at),
            verdict: verdict(&verdict_text)?,
        })
    };
    found.map(read).transpose()
}

pub(crate) fn cases(
    connection: &Connection,
    home: &HomeKey,
    limit: i64,
) -> Result<Vec<CaseRow>, StoreError> {
    let params: [&dyn ToSql; 3] = [&home.home.as_str(), &home.scope.to_string(), &limit];
    let rows = many(connection, CASES, &params, |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
    })?;
    let read = |(state, at, how): (String, Option<i64>, Option<String>)| {
        let closed = match (at, how) {
            (Some(at), Some(how)) => Some((Time(at), outcome(&how)?)),
            _ => None,
        };
        Ok(CaseRow { home: home.clone(), case: case(&state)?, closed })
    };
    rows.into_iter().map(read).collect()
}

pub(crate) fn census(connection: &Connection) -> Result<Census, StoreError> {
    let counts = |sql| many(connection, sql, &[], |row| Ok((row.get(0)?, row.get(1)?)));
    let (depth, oldest) = outbox(connection)?;
    Ok(Census {
        authorizations: counts(HEALTHS)?,
        open_cases: counts(OPEN_CASES)?,
        outbox_depth: depth,
        outbox_oldest: oldest,
        parked: one(connection, PARKED, &[], |row| row.get(0))?.unwrap_or_default(),
    })
}

/// Commands in the outbox, and when the oldest was decided.
pub(crate) fn outbox(connection: &Connection) -> Result<(i64, Option<Time>), StoreError> {
    let found: Option<(i64, Option<i64>)> =
        one(connection, OUTBOX, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (depth, oldest) = found.unwrap_or_default();
    Ok((depth, oldest.map(Time)))
}

pub(crate) fn why_parked(
    connection: &Connection,
    id: &str,
) -> Result<Option<WhyParked>, StoreError> {
    one(connection, WHY_PARKED, &[&id], |row| {
        let (queue, reason, error) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(WhyParked { queue, reason, error, at: Time(row.get(3)?) })
    })
}

/// Deletes some of what was filed before `first_kept`; tells whether there may be more.
pub(crate) fn expire(connection: &Connection, first_kept: i64) -> Result<bool, StoreError> {
    let mut more = false;
    for sql in EXPIRE {
        let deleted = run(connection, sql, &[&first_kept, &signed_rows(EXPIRE_ROWS)])?;
        more |= deleted >= EXPIRE_ROWS;
    }
    Ok(more)
}

pub(crate) fn probe(connection: &Connection) -> Result<(), StoreError> {
    run(connection, PROBE, &[]).map(drop)
}

//! What an operator and the metrics ask for.

use std::sync::Arc;

use relink_core::id::{AccountId, CommandId, HomeKey, InputId, Scope};
use relink_core::time::{Second, Time};
use relink_engine::row::{case, home, outcome, scope, verdict};
use relink_engine::store::{CaseRow, HistoryRow, InboxRow, WhyParked};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Fault;
use crate::sql::Sql;

/// Homes with this id, or with an account with this id.
pub(crate) const FIND: Sql = Sql {
    text: "SELECT named.scope, named.id, named.provisional, h.state::text FROM ( \
             SELECT scope, id, provisional FROM authorizations \
               WHERE id = $1 AND state IS NOT NULL \
             UNION SELECT scope, home, provisional FROM accounts \
               WHERE id = $1 AND home IS NOT NULL \
             ORDER BY 1, 2 LIMIT 20) AS named (scope, id, provisional) \
           LEFT JOIN authorizations h USING (scope, id)",
    types: &[Type::TEXT],
};

/// Authorizations in the order of their keys.
pub(crate) const LIST: Sql = Sql {
    text: "SELECT scope, id, provisional, state::text FROM authorizations \
           WHERE NOT provisional AND state IS NOT NULL \
             AND (id, scope) > ($1, $2) ORDER BY id, scope LIMIT $3",
    types: &[Type::TEXT, Type::TEXT, Type::INT8],
};

/// The same of one health: apart, so that the index of healths is used.
pub(crate) const LIST_OF_HEALTH: Sql = Sql {
    text: "SELECT scope, id, provisional, state::text FROM authorizations \
           WHERE NOT provisional AND state IS NOT NULL AND health = $4 \
             AND (id, scope) > ($1, $2) ORDER BY id, scope LIMIT $3",
    types: &[Type::TEXT, Type::TEXT, Type::INT8, Type::TEXT],
};

/// The same of one holder, and of any health where `$1` is null: apart, so that the index of holders is used.
pub(crate) const LIST_OF_HOLDER: Sql = Sql {
    text: "SELECT scope, id, provisional, state::text FROM authorizations \
           WHERE NOT provisional AND state IS NOT NULL AND ($1 IS NULL OR health = $1) \
             AND (id, scope) > ($2, $3) AND holder = $5 ORDER BY id, scope LIMIT $4",
    types: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8, Type::TEXT],
};

/// Every so many authorizations, by their keys: of the index alone, so that those that are only
/// locks or provisional are counted as well.
pub(crate) const PART_ENDS: Sql = Sql {
    text: "SELECT id, scope FROM (SELECT id, scope, row_number() OVER (ORDER BY id, scope) AS n \
             FROM authorizations) AS numbered WHERE n % $1 = 0 ORDER BY id, scope",
    types: &[Type::INT8],
};

/// The latest of a home's history; `$3` null: of all accounts.
pub(crate) const HISTORY: Sql = Sql {
    text: "SELECT home, provisional, account, input, kind, at_s, decided_ms, verdict, note, \
             commands FROM history \
           WHERE scope = $1 AND home = $2 AND ($3 IS NULL OR account = $3) \
           ORDER BY decided_ms DESC, seq DESC LIMIT $4",
    types: &[Type::TEXT, Type::TEXT, Type::TEXT, Type::INT8],
};

/// What an input did: reads the partition of its day, and no other.
pub(crate) const INPUT_HISTORY: Sql = Sql {
    text: "SELECT home, provisional, account, input, kind, at_s, decided_ms, verdict, note, \
             commands FROM history \
           WHERE day = $1 AND scope = $2 AND input = $3 ORDER BY seq LIMIT $4",
    types: &[Type::DATE, Type::TEXT, Type::TEXT, Type::INT8],
};

/// The ledger's row of an input.
pub(crate) const INBOX_ROW: Sql = Sql {
    text: "SELECT scope, id, kind, at_s, verdict FROM inbox WHERE id = $1 \
           ORDER BY scope, day LIMIT 1",
    types: &[Type::TEXT],
};

/// The latest cases of a home.
pub(crate) const CASES: Sql = Sql {
    text: "SELECT state::text, closed_ms, outcome FROM cases WHERE scope = $1 AND home = $2 \
           ORDER BY opened_ms DESC, id DESC LIMIT $3",
    types: &[Type::TEXT, Type::TEXT, Type::INT8],
};

/// Counts that cost little.
pub(crate) const COUNTS: Sql = Sql {
    text: "SELECT 'case', reason, count(*), NULL::bigint FROM cases WHERE closed_ms IS NULL \
             GROUP BY reason \
           UNION ALL SELECT 'outbox', '', coalesce(sum(size), 0), min(decided_ms) FROM outbox \
           UNION ALL SELECT 'parked', '', count(*), NULL FROM parked \
             WHERE requeue_ms IS NULL ORDER BY 1, 2",
    types: &[],
};

/// Why a message was parked the last time.
pub(crate) const WHY_PARKED: Sql = Sql {
    text: "SELECT queue, reason, error, last_failed_ms FROM parked WHERE id = $1 \
           ORDER BY seq DESC LIMIT 1",
    types: &[Type::TEXT],
};

/// Writes a row: a server that has become read-only, or whose disk is full, says so.
pub(crate) const PROBE: Sql = Sql {
    text: "INSERT INTO probes (id, probed_ms) \
           VALUES (1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) \
           ON CONFLICT (id) DO UPDATE SET probed_ms = excluded.probed_ms",
    types: &[],
};

pub(crate) fn history_row(scope: &Scope, row: &Row) -> Result<HistoryRow, Fault> {
    let commands: Vec<&str> = row.try_get(9)?;
    Ok(HistoryRow {
        home: HomeKey { scope: scope.clone(), home: home(row.try_get(0)?, row.try_get(1)?) },
        account: row.try_get::<_, Option<&str>>(2)?.map(AccountId::from),
        input: InputId::from(row.try_get::<_, &str>(3)?),
        kind: Arc::from(row.try_get::<_, &str>(4)?),
        at: Second(row.try_get(5)?),
        decided_at: Time(row.try_get(6)?),
        verdict: Arc::from(row.try_get::<_, &str>(7)?),
        note: row.try_get(8)?,
        commands: commands.into_iter().map(CommandId::from).collect(),
    })
}

pub(crate) fn inbox_row(row: &Row) -> Result<InboxRow, Fault> {
    Ok(InboxRow {
        scope: scope(row.try_get(0)?)?,
        id: InputId::from(row.try_get::<_, &str>(1)?),
        kind: Arc::from(row.try_get::<_, &str>(2)?),
        at: Second(row.try_get(3)?),
        verdict: verdict(row.try_get(4)?)?,
    })
}

pub(crate) fn why_parked(row: &Row) -> Result<WhyParked, Fault> {
    let (queue, reason, error) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(WhyParked { queue, reason, error, at: Time(row.try_get(3)?) })
}

pub(crate) fn case_row(home: &HomeKey, row: &Row) -> Result<CaseRow, Fault> {
    let case = case(row.try_get(0)?)?;
    let closed = match (row.try_get::<_, Option<i64>>(1)?, row.try_get::<_, Option<&str>>(2)?) {
        (Some(at), Some(how)) => Some((Time(at), outcome(how)?)),
        _ => None,
    };
    Ok(CaseRow { home: home.clone(), case, closed })
}

//! What the relay and the scheduler ask for.

use std::sync::Arc;

use bytes::Bytes;
use relink_core::id::CommandId;
use relink_core::time::Time;
use relink_engine::row::{home_key, scope};
use relink_engine::store::{DueHome, OutboxRow};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Fault;
use crate::sql::Sql;

/// The earliest homes with something due. The lock lasts as long as the statement and is there
/// for its SKIP LOCKED: a home in the hands of a batch is left out.
pub(crate) const DUE: Sql = Sql {
    text: "SELECT scope, id, provisional, next_due_ms FROM authorizations \
           WHERE next_due_ms <= $1 AND next_due_ms >= $3 \
           ORDER BY next_due_ms LIMIT $2 FOR KEY SHARE SKIP LOCKED",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// Claims commands, in the order of the index: any other would look at all that wait for each few
/// that are taken. SKIP LOCKED: of two relays at once each gets others; MATERIALIZED: the choice
/// is made once, whatever the planner thinks of the join.
pub(crate) const CLAIM: Sql = Sql {
    text: "WITH next AS MATERIALIZED ( \
             SELECT id FROM outbox WHERE claimed_until_ms <= $1 AND claimed_until_ms >= $4 \
             ORDER BY claimed_until_ms LIMIT $3 FOR UPDATE SKIP LOCKED) \
           UPDATE outbox o SET claimed_until_ms = $2 FROM next WHERE o.id = next.id \
           RETURNING o.id, o.kind, o.scope, o.correlation, o.decided_ms, o.traceparent, o.body, \
             o.claimed_until_ms",
    types: &[Type::INT8, Type::INT8, Type::INT8, Type::INT8],
};

/// Takes work that nobody has, or that is one's own already.
pub(crate) const CLAIM_WORK: Sql = Sql {
    text: "INSERT INTO claims AS held (work, claimant, claimed_until_ms) VALUES ($1, $2, $4) \
           ON CONFLICT (work) DO UPDATE \
             SET claimant = excluded.claimant, claimed_until_ms = excluded.claimed_until_ms \
             WHERE held.claimant = excluded.claimant OR held.claimed_until_ms <= $3 \
           RETURNING work",
    types: &[Type::TEXT, Type::TEXT, Type::INT8, Type::INT8],
};

/// Deletes commands.
pub(crate) const DELETE: Sql =
    Sql { text: "DELETE FROM outbox WHERE id = ANY ($1)", types: &[Type::TEXT_ARRAY] };

pub(crate) fn due_home(row: &Row) -> Result<DueHome, Fault> {
    let home = home_key(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?;
    Ok(DueHome { home, due: Time(row.try_get(3)?) })
}

pub(crate) fn outbox_row(row: &Row) -> Result<OutboxRow, Fault> {
    let text = |index: usize| row.try_get::<_, &str>(index).map(Arc::<str>::from);
    Ok(OutboxRow {
        id: CommandId::new(text(0)?),
        kind: text(1)?,
        scope: scope(row.try_get(2)?)?,
        correlation: text(3)?,
        decided_at: Time(row.try_get(4)?),
        traceparent: row.try_get::<_, Option<&str>>(5)?.map(Arc::from),
        body: Bytes::copy_from_slice(row.try_get(6)?),
        claimed_until: Time(row.try_get(7)?),
    })
}

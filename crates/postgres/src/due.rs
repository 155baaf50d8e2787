//! What the scheduler asks for: what is due, and work that one process at a time does.

use relink_core::time::Time;
use relink_engine::row::home_key;
use relink_engine::store::DueHome;
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

/// Takes work that nobody has, or that is one's own already.
pub(crate) const CLAIM_WORK: Sql = Sql {
    text: "INSERT INTO claims AS held (work, claimant, claimed_until_ms) VALUES ($1, $2, $4) \
           ON CONFLICT (work) DO UPDATE \
             SET claimant = excluded.claimant, claimed_until_ms = excluded.claimed_until_ms \
             WHERE held.claimant = excluded.claimant OR held.claimed_until_ms <= $3 \
           RETURNING work",
    types: &[Type::TEXT, Type::TEXT, Type::INT8, Type::INT8],
};

pub(crate) fn due_home(row: &Row) -> Result<DueHome, Fault> {
    let home = home_key(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?;
    Ok(DueHome { home, due: Time(row.try_get(3)?) })
}

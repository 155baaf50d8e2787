//! What a link is about now: asked of the database each time.

use relink_core::aggregate::{Aggregate, Case};
use relink_core::command::CaseOutcome;
use relink_engine::link::LinkClaims;
use relink_engine::store::{Store, StoreError};

/// How many of a home's latest cases are looked through: a link lives 30 days, and nobody has
/// that many outages in a month.
const CASES_MAX: usize = 50;

/// How the case of a link stands.
#[derive(Debug)]
pub(crate) enum Standing {
    /// The customer can do something.
    Open(Box<OfCase>),
    /// It is over.
    Closed(Box<OfCase>, CaseOutcome),
    /// It is over, and another case is open at the same authorization.
    Newer(Box<OfCase>),
    /// There is no such case here.
    Unknown,
}

/// A case and where it is.
#[derive(Debug)]
pub(crate) struct OfCase {
    pub(crate) aggregate: Aggregate,
    pub(crate) case: Case,
}

/// Looks a link's case up.
///
/// # Errors
/// When the database is away.
pub(crate) async fn standing(
    store: &dyn Store,
    claims: &LinkClaims,
) -> Result<Standing, StoreError> {
    // The home of an account moves when its authorization becomes known; `find` follows it.
    let found = store.find(&claims.subject).await?;
    for aggregate in found.into_iter().filter(|one| one.key.scope == claims.scope) {
        if let Some(case) = aggregate.state.case.clone().filter(|case| case.id == claims.case) {
            return Ok(Standing::Open(Box::new(OfCase { aggregate, case })));
        }
        let rows = store.cases(&aggregate.key, CASES_MAX).await?;
        let row = rows.into_iter().find(|row| row.case.id == claims.case);
        let Some((row, (_, outcome))) = row.and_then(|row| Some((row.case, row.closed?))) else {
            continue;
        };
        let has_newer = aggregate.state.case.is_some();
        let of = Box::new(OfCase { aggregate, case: row });
        return Ok(if has_newer { Standing::Newer(of) } else { Standing::Closed(of, outcome) });
    }
    Ok(Standing::Unknown)
}

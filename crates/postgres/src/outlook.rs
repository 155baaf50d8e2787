//! What the scheduler asks for every few seconds: nothing that grows with the history, and only
//! what an index tells.

use relink_core::time::{Second, Time};
use relink_engine::outlook::{LATER, OUTAGES_MAX, OUTAGES_SINCE, OVERDUE};
use tokio_postgres::types::Type;

use crate::sql::Sql;

/// Authorizations by health, those with an authorization and those without in an index each.
pub(crate) const HEALTHS: Sql = Sql {
    text: "SELECT health, sum(alike)::bigint FROM ( \
             SELECT health, count(*) AS alike FROM authorizations \
               WHERE NOT provisional AND health IS NOT NULL GROUP BY health \
             UNION ALL SELECT health, count(*) FROM authorizations \
               WHERE provisional AND health IS NOT NULL GROUP BY health) AS counted \
           GROUP BY health ORDER BY health",
    types: &[],
};

/// Authorizations by the week in which something is expected to stop working, from the second
/// `$1` on.
pub(crate) const EXPECTED: Sql = Sql {
    text: "SELECT CASE WHEN expected_deactivation_s < $1 THEN $2 \
                       ELSE least((expected_deactivation_s - $1) / 604800, $3) END, count(*) \
           FROM authorizations WHERE expected_deactivation_s IS NOT NULL GROUP BY 1 ORDER BY 1",
    types: &[Type::INT8, Type::INT8, Type::INT8],
};

/// Of the outages since `$1`, the `$2` latest of them, those of the institution with the most.
pub(crate) const AT_ONE_INSTITUTION: Sql = Sql {
    text: "SELECT count(*) FROM ( \
             SELECT home, scope FROM cases WHERE opened_ms >= $1 AND reason = 'inactive' \
             ORDER BY opened_ms DESC LIMIT $2) AS latest \
           JOIN authorizations a ON a.id = latest.home AND a.scope = latest.scope \
           WHERE a.institution_name IS NOT NULL \
           GROUP BY a.institution_name ORDER BY 1 DESC LIMIT 1",
    types: &[Type::INT8, Type::INT8],
};

/// The parameters of [`EXPECTED`].
pub(crate) fn weeks(now: Time) -> [i64; 3] {
    [Second(now.0.div_euclid(1000)).0, OVERDUE, LATER]
}

/// The parameters of [`AT_ONE_INSTITUTION`].
pub(crate) fn latest(now: Time) -> [i64; 2] {
    [now.before(OUTAGES_SINCE).0, OUTAGES_MAX]
}

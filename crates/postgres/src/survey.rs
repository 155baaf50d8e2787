//! What is held, for those who compare it with Stripe.

use std::collections::{BTreeMap, HashSet};

use relink_core::id::Scope;
use relink_core::time::Time;
use relink_engine::row::{self, home_key};
use relink_engine::store::{Heard, InputKey, StoreError, Tally};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::day::Day;
use crate::error::Fault;
use crate::gather::account_key;

use crate::sql::Sql;

/// The newest of Stripe's events; kinds of our own begin with `relink.`.
pub(crate) const LATEST_EVENT: Sql = Sql {
    text: "SELECT max(at_s) FROM inbox \
           WHERE day >= $1 AND at_s >= $2 AND kind NOT LIKE 'relink.%'",
    types: &[Type::DATE, Type::INT8],
};

/// Every scope.
pub(crate) const SCOPES: Sql = Sql {
    text: "SELECT DISTINCT scope FROM authorizations WHERE state IS NOT NULL ORDER BY 1",
    types: &[],
};

/// Accounts by the day on which they were last written, which every observation does; the one of
/// `$2` to `$4` and those before it are left out.
pub(crate) const LONGEST_UNHEARD: Sql = Sql {
    text: "SELECT updated_ms, scope, id, home, provisional FROM accounts \
           WHERE updated_ms < $1 AND heard_day <= $1 / 86400000 \
             AND state IS NOT NULL AND home IS NOT NULL \
             AND status IS DISTINCT FROM 'disconnected' \
             AND (heard_day, id, scope) > ($2 / 86400000, $3, $4) \
           ORDER BY heard_day, id, scope LIMIT $5",
    types: &[Type::INT8, Type::INT8, Type::TEXT, Type::TEXT, Type::INT8],
};

/// How many there are of them.
pub(crate) const COUNT_UNHEARD: Sql = Sql {
    text: "SELECT count(*) FROM accounts \
           WHERE updated_ms < $1 AND heard_day <= $1 / 86400000 \
             AND state IS NOT NULL AND home IS NOT NULL \
             AND status IS DISTINCT FROM 'disconnected'",
    types: &[Type::INT8],
};

/// The ledger of some days, counted.
pub(crate) const TALLY: Sql = Sql {
    text: "SELECT (day - DATE '1970-01-01')::bigint, kind NOT LIKE 'relink.%', verdict, count(*) \
           FROM inbox WHERE day BETWEEN $1 AND $2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
    types: &[Type::DATE, Type::DATE],
};

pub(crate) fn tally(row: &Row) -> Tally {
    Tally {
        day: row.get(0),
        is_event: row.get(1),
        verdict: row.get::<_, &str>(2).into(),
        count: row.get(3),
    }
}

/// The ids to look for, by the day whose partition holds them.
pub(crate) fn by_day(inputs: &[InputKey]) -> BTreeMap<Day, Vec<&str>> {
    let mut days: BTreeMap<Day, Vec<&str>> = BTreeMap::new();
    for input in inputs {
        days.entry(Day::of(input.at)).or_default().push(input.id.as_str());
    }
    days
}

/// Which inputs are among the rows that were found, by day, scope and id.
pub(crate) fn seen(inputs: &[InputKey], found: &HashSet<(Day, String, String)>) -> Vec<bool> {
    let key = |input: &InputKey| {
        (Day::of(input.at), input.scope.to_string(), input.id.as_str().to_owned())
    };
    inputs.iter().map(|input| found.contains(&key(input))).collect()
}

pub(crate) fn heard(row: &Row) -> Result<Heard, Fault> {
    let (scope, id): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Heard {
        at: Time(row.try_get(0)?),
        account: account_key(scope, id)?,
        home: home_key(scope, row.try_get(3)?, row.try_get(4)?)?,
    })
}

pub(crate) fn scope(found: &Row) -> Result<Scope, StoreError> {
    row::scope(found.get(0))
}

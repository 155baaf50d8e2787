//! What is held, for those who compare it with Stripe.

use relink_core::id::{AccountId, AccountKey, Scope};
use relink_core::time::{Second, Time};
use relink_engine::row::{home_key, scope};
use relink_engine::store::{Heard, InputKey, StoreError, Tally};
use rusqlite::{Connection, ToSql};

use crate::day::day;
use crate::sql;
use crate::transact::{many, one};

/// Kinds of our own begin with `relink.`.
const LATEST_EVENT: &str = "\
    SELECT max(at_s) FROM inbox \
    WHERE day >= ?1 AND at_s >= ?2 AND kind NOT LIKE 'relink.%'";

const SCOPES: &str = "SELECT DISTINCT scope FROM authorizations ORDER BY 1";

/// Accounts by the day on which they were last written, which every observation does; the one of
/// `?2` to `?4` and those before it are left out.
const LONGEST_UNHEARD: &str = "\
    SELECT updated_ms, scope, id, home, provisional FROM accounts \
    WHERE updated_ms < ?1 AND heard_day <= ?1 / 86400000 \
      AND coalesce(status, '') <> 'disconnected' \
      AND (heard_day, id, scope) > (?2 / 86400000, ?3, ?4) \
    ORDER BY heard_day, id, scope LIMIT ?5";

const COUNT_UNHEARD: &str = "\
    SELECT count(*) FROM accounts \
    WHERE updated_ms < ?1 AND heard_day <= ?1 / 86400000 \
      AND coalesce(status, '') <> 'disconnected'";

/// Kinds of our own begin with `relink.`.
const TALLY: &str = "\
    SELECT day, kind NOT LIKE 'relink.%', verdict, count(*) FROM inbox \
    WHERE day BETWEEN ?1 AND ?2 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

pub(crate) fn tally(
    connection: &Connection,
    from: Second,
    until: Second,
) -> Result<Vec<Tally>, StoreError> {
    many(connection, TALLY, &[&day(from), &day(until)], |row| {
        let verdict: String = row.get(2)?;
        Ok(Tally {
            day: row.get(0)?,
            is_event: row.get(1)?,
            verdict: verdict.into(),
            count: row.get(3)?,
        })
    })
}

pub(crate) fn seen(connection: &Connection, inputs: &[InputKey]) -> Result<Vec<bool>, StoreError> {
    let is_seen = |input: &InputKey| {
        let params: [&dyn ToSql; 3] =
            [&input.id.as_str(), &input.scope.to_string(), &day(input.at)];
        Ok(one(connection, sql::SEEN, &params, |_| Ok(()))?.is_some())
    };
    inputs.iter().map(is_seen).collect()
}

pub(crate) fn latest_event(
    connection: &Connection,
    since: Second,
) -> Result<Option<Second>, StoreError> {
    let found: Option<Option<i64>> =
        one(connection, LATEST_EVENT, &[&day(since), &since.0], |row| row.get(0))?;
    Ok(found.flatten().map(Second))
}

pub(crate) fn scopes(connection: &Connection) -> Result<Vec<Scope>, StoreError> {
    let texts = many(connection, SCOPES, &[], |row| row.get::<_, String>(0))?;
    texts.iter().map(|text| scope(text)).collect()
}

pub(crate) fn longest_unheard(
    connection: &Connection,
    after: Option<&Heard>,
    before: Time,
    limit: i64,
) -> Result<Vec<Heard>, StoreError> {
    let at = after.map_or(i64::MIN, |after| after.at.0);
    let id = after.map_or("", |after| after.account.account.as_str());
    let of = after.map_or(String::new(), |after| after.account.scope.to_string());
    let params: [&dyn ToSql; 5] = [&before.0, &at, &id, &of, &limit];
    let rows = many(connection, LONGEST_UNHEARD, &params, |row| {
        let text = |index: usize| row.get::<_, String>(index);
        Ok((row.get(0)?, text(1)?, text(2)?, text(3)?, row.get(4)?))
    })?;
    let heard = |(at, of, id, home, provisional): (i64, String, String, String, bool)| {
        let account = AccountKey { scope: scope(&of)?, account: AccountId::new(id) };
        Ok(Heard { at: Time(at), account, home: home_key(&of, &home, provisional)? })
    };
    rows.into_iter().map(heard).collect()
}

pub(crate) fn count_unheard(connection: &Connection, before: Time) -> Result<i64, StoreError> {
    Ok(one(connection, COUNT_UNHEARD, &[&before.0], |row| row.get(0))?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{EXPIRE, INBOX_ROW, LIST_OF_HEALTH};
    use crate::{migrate, open};

    /// How a statement would be carried out.
    fn plan(sql: &str, params: usize) -> String {
        let connection = open::memory().unwrap();
        migrate::migrate(&connection).unwrap();
        let null: [&dyn ToSql; 5] = [&1, &1, &1, &1, &1];
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        let steps = many(&connection, &explained, &null[..params], |row| row.get::<_, String>(3));
        steps.unwrap().join("; ")
    }

    #[test]
    fn nobody_is_found_by_reading_the_whole_table() {
        for (sql, params, index) in [
            (LONGEST_UNHEARD, 5, "accounts_heard"),
            (COUNT_UNHEARD, 1, "accounts_heard"),
            (LIST_OF_HEALTH, 4, "authorizations_health"),
        ] {
            let plan = plan(sql, params);
            assert!(
                plan.contains(&format!("SEARCH {}", index.split('_').next().unwrap())),
                "{plan}"
            );
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[test]
    fn the_ledger_is_not_read_for_one_event_nor_for_what_is_expired() {
        let found = plan(INBOX_ROW, 1);
        assert!(found.contains("SEARCH inbox USING PRIMARY KEY (day=? AND id=?)"), "{found}");
        let expired = plan(EXPIRE[0], 2);
        assert!(expired.contains("PRIMARY KEY (day=? AND id=? AND scope=?)"), "{expired}");
        assert!(expired.contains("SEARCH inbox USING PRIMARY KEY (day<?)"), "{expired}");
    }
}

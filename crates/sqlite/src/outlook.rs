//! What the scheduler asks for every few seconds: nothing that grows with the history, and only
//! what an index tells.

use relink_core::time::Time;
use relink_engine::outlook::{LATER, OUTAGES_MAX, OUTAGES_SINCE, OVERDUE, Outlook};
use relink_engine::store::StoreError;
use rusqlite::{Connection, ToSql};

use crate::operator::{HEALTHS, OPEN_CASES, PARKED, outbox};
use crate::transact::{many, one};

const EXPECTED: &str = "\
    SELECT CASE WHEN expected_deactivation_s < ?1 THEN ?2 \
                ELSE min((expected_deactivation_s - ?1) / 604800, ?3) END, count(*) \
    FROM authorizations WHERE expected_deactivation_s IS NOT NULL GROUP BY 1 ORDER BY 1";

const AT_ONE_INSTITUTION: &str = "\
    SELECT count(*) FROM ( \
      SELECT home, scope FROM cases WHERE opened_ms >= ?1 AND reason = 'inactive' \
      ORDER BY opened_ms DESC LIMIT ?2) AS latest \
    JOIN authorizations a ON a.id = latest.home AND a.scope = latest.scope \
    WHERE a.institution_name IS NOT NULL \
    GROUP BY a.institution_name ORDER BY 1 DESC LIMIT 1";

pub(crate) fn outlook(connection: &Connection, now: Time) -> Result<Outlook, StoreError> {
    let named = |sql| many(connection, sql, &[], |row| Ok((row.get(0)?, row.get(1)?)));
    let weeks: [&dyn ToSql; 3] = [&now.0.div_euclid(1000), &OVERDUE, &LATER];
    let latest: [&dyn ToSql; 2] = [&now.before(OUTAGES_SINCE).0, &OUTAGES_MAX];
    let (outbox_depth, outbox_oldest) = outbox(connection)?;
    let at_one = one(connection, AT_ONE_INSTITUTION, &latest, |row| row.get(0))?;
    Ok(Outlook {
        authorizations: named(HEALTHS)?,
        open_cases: named(OPEN_CASES)?,
        outbox_depth,
        outbox_oldest,
        parked: one(connection, PARKED, &[], |row| row.get(0))?.unwrap_or_default(),
        expected: many(connection, EXPECTED, &weeks, |row| Ok((row.get(0)?, row.get(1)?)))?,
        at_one_institution: at_one.unwrap_or_default(),
        // A day is no table here.
        days_ahead: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{migrate, open};

    /// How a statement would be carried out.
    fn plan(sql: &str, params: &[&dyn ToSql]) -> String {
        let connection = open::memory().unwrap();
        migrate::migrate(&connection).unwrap();
        let explained = format!("EXPLAIN QUERY PLAN {sql}");
        let steps = many(&connection, &explained, params, |row| row.get::<_, String>(3));
        steps.unwrap().join("; ")
    }

    #[test]
    fn every_figure_is_read_off_an_index() {
        let healths = plan(HEALTHS, &[]);
        assert!(healths.contains("COVERING INDEX authorizations_count"), "{healths}");
        let expected = plan(EXPECTED, &[&1, &1, &1]);
        assert!(expected.contains("COVERING INDEX authorizations_expected"), "{expected}");
        let outages = plan(AT_ONE_INSTITUTION, &[&1, &1]);
        assert!(outages.contains("cases_opened (opened_ms>?)"), "{outages}");
        assert!(outages.contains("SEARCH a USING INDEX"), "{outages}");
    }
}

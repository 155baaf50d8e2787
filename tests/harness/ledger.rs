//! What the database says at the end: the ledger and the state.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use crate::foreign::Foreign;
use crate::wait::until;

/// The queues of the workers, with their retry ladders: all must be empty at the end.
const WORK_QUEUES: [&str; 15] = [
    "relink.lifecycle",
    "relink.lifecycle.retry.1s",
    "relink.lifecycle.retry.15s",
    "relink.lifecycle.retry.2m",
    "relink.lifecycle.retry.15m",
    "relink.upcoming",
    "relink.upcoming.retry.1s",
    "relink.upcoming.retry.15s",
    "relink.upcoming.retry.2m",
    "relink.upcoming.retry.15m",
    "relink.followup",
    "relink.followup.retry.1s",
    "relink.followup.retry.15s",
    "relink.followup.retry.2m",
    "relink.followup.retry.15m",
];

const PARKED_QUEUES: [&str; 3] =
    ["relink.lifecycle.parked", "relink.upcoming.parked", "relink.followup.parked"];

/// An account as operators see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountRow {
    /// `active`, `inactive`, `disconnected`
    pub status: String,
    /// Why it is inactive.
    pub cause: Option<String>,
    /// What helps.
    pub action: Option<String>,
    /// When it is expected to become inactive.
    pub expected_deactivation_s: Option<i64>,
    /// Its authorization.
    pub home: String,
}

/// The final state, without anything that may depend on the order of events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Picture {
    /// By id.
    pub accounts: BTreeMap<String, AccountRow>,
    /// Health and whether a case is open, by id.
    pub authorizations: BTreeMap<String, (String, bool)>,
}

impl Picture {
    /// Reads it.
    pub async fn of(database: &Client) -> Self {
        let accounts = database
            .query(
                "SELECT id, coalesce(status, ''), cause, action, expected_deactivation_s, \
                 coalesce(home, '') FROM accounts WHERE state IS NOT NULL",
                &[],
            )
            .await
            .unwrap();
        let account = |row: &tokio_postgres::Row| AccountRow {
            status: row.get(1),
            cause: row.get(2),
            action: row.get(3),
            expected_deactivation_s: row.get(4),
            home: row.get(5),
        };
        let authorizations = database
            .query(
                "SELECT id, coalesce(health, ''), case_open FROM authorizations \
                 WHERE state IS NOT NULL",
                &[],
            )
            .await
            .unwrap();
        Self {
            accounts: accounts.iter().map(|row| (row.get(0), account(row))).collect(),
            authorizations: authorizations
                .iter()
                .map(|row| (row.get(0), (row.get(1), row.get(2))))
                .collect(),
        }
    }

    /// Tells the first differences instead of thousands of rows.
    ///
    /// # Panics
    /// When there are any.
    pub fn equals(&self, other: &Self) {
        fn differences<V: PartialEq + std::fmt::Debug>(
            these: &BTreeMap<String, V>,
            those: &BTreeMap<String, V>,
        ) -> Vec<String> {
            let ids: BTreeSet<&String> = these.keys().chain(those.keys()).collect();
            let differ = ids.into_iter().filter(|id| these.get(*id) != those.get(*id));
            differ.map(|id| format!("{id}: {:?} / {:?}", these.get(id), those.get(id))).collect()
        }
        let mut all = differences(&self.accounts, &other.accounts);
        all.extend(differences(&self.authorizations, &other.authorizations));
        let count = all.len();
        all.truncate(10);
        assert!(all.is_empty(), "{count} differences, the first:\n{}", all.join("\n"));
    }
}

async fn number(database: &Client, sql: &str) -> i64 {
    database.query_one(sql, &[]).await.unwrap().get(0)
}

/// How many events of Stripe's the inbox has; observations are not among them.
pub async fn events_in_inbox(database: &Client) -> i64 {
    number(database, "SELECT count(*) FROM inbox WHERE id LIKE 'evt%'").await
}

/// Which events of Stripe's the inbox has.
pub async fn ids_in_inbox(database: &Client) -> BTreeSet<String> {
    let sql = "SELECT id FROM inbox WHERE id LIKE 'evt%'";
    database.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Which commands are committed and not known to be published.
///
/// # Errors
/// When the database is away.
pub async fn ids_in_outbox(database: &Client) -> Result<BTreeSet<String>, tokio_postgres::Error> {
    let rows = database.query("SELECT unnest(ids) FROM outbox", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// How many events of Stripe's there are in the inbox by verdict.
pub async fn verdicts(database: &Client) -> BTreeMap<String, i64> {
    let sql = "SELECT verdict, count(*) FROM inbox WHERE id LIKE 'evt%' GROUP BY 1";
    database.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// The ids of all commands that were ever committed.
pub async fn committed(database: &Client) -> BTreeSet<String> {
    let sql = "SELECT DISTINCT unnest(commands) FROM history";
    database.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Every case with whether it was prompted and whether it is closed.
pub async fn cases(database: &Client) -> Vec<(String, bool, bool)> {
    let sql = "SELECT id, prompts > 0, closed_ms IS NOT NULL FROM cases";
    let rows = database.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// Waits until at least so many events are in the inbox.
pub async fn progressed(database: &Client, events: usize) {
    until(async || match events_in_inbox(database).await {
        count if usize::try_from(count).unwrap() >= events => Ok(()),
        count => Err(format!("{count} of {events} events are in the inbox")),
    })
    .await;
}

/// Waits until so many events are in the inbox and nothing is left to do: no message waits, the
/// outbox is empty, no timer is due, and, with reads, no verify is outstanding.
pub async fn settled(database: &Client, foreign: &mut Foreign, events: usize, reads: bool) {
    let events = i64::try_from(events).unwrap();
    let verifies = "SELECT count(*) FROM authorizations WHERE \
         coalesce((state->'verifies')::text, '{}') <> '{}' OR \
         coalesce((state->'authorization_verify')::text, 'null') <> 'null'";
    let due = "SELECT count(*) FROM authorizations WHERE next_due_ms < \
         (extract(epoch FROM now()) * 1000)::bigint + 10000";
    until(async || {
        let mut left = vec![
            ("events to come", events - events_in_inbox(database).await),
            (
                "commands in the outbox",
                number(database, "SELECT coalesce(sum(size), 0) FROM outbox").await,
            ),
            ("timers due", number(database, due).await),
        ];
        if reads {
            left.push(("verifies", number(database, verifies).await));
        }
        left.retain(|(_, count)| *count != 0);
        if !left.is_empty() {
            return Err(format!("{left:?}"));
        }
        let mut counts = foreign.counts(&WORK_QUEUES).await;
        counts.retain(|_, count| *count > 0);
        if counts.is_empty() { Ok(()) } else { Err(format!("messages wait: {counts:?}")) }
    })
    .await;
}

/// With every worker gone, what they had not settled is back in its queue: nothing may be there.
///
/// # Panics
/// When a message waits or is parked.
pub async fn nothing_is_left(foreign: &mut Foreign) {
    let queues: Vec<&str> = WORK_QUEUES.into_iter().chain(PARKED_QUEUES).collect();
    let mut counts = foreign.counts(&queues).await;
    counts.retain(|_, count| *count > 0);
    assert!(counts.is_empty(), "messages are left: {counts:?}");
}

//! The database: its server and schema, what keeps it from tidying up, and what waits in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use relink_bus::parked::{Depth, ParkedMessages as _};
use relink_core::time::{Span, Time};
use relink_engine::clock::SystemClock;
use relink_engine::parked::StoreLot;
use relink_engine::store::{Store, StoreError};
use relink_postgres::{Checkup, Days, Holder, Lacking, Role, Schema, Server};

use super::events::age;
use super::line::{Check, Line};
use super::settings::Wanted;
use crate::output::counted;
use crate::settings::Database;

/// What is told of PostgreSQL.
const OF_POSTGRES: [Check; 6] = [
    Check::DatabaseServer,
    Check::DatabaseSchema,
    Check::DatabasePrivileges,
    Check::DatabasePartitions,
    Check::DatabaseTransactions,
    Check::DatabaseOutbox,
];

/// What is told of a SQLite file, which has neither users nor partitions nor sessions.
const OF_SQLITE: [Check; 2] = [Check::DatabaseSchema, Check::DatabaseOutbox];

/// Days ahead with partitions that a scheduler of this week leaves, of the 14 that it makes.
const DAYS_AHEAD_MIN: i64 = 7;

/// How many transactions a slot may keep the server from tidying up after; at a hundred a second
/// that is a quarter of an hour.
const SLOT_DISTANCE: i64 = 100_000;

/// A relay sweeps what is older than some seconds: what is older than this nobody sweeps …
const OUTBOX_WARN: Span = Span(60_000);
/// … and by then a customer waits for a prompt.
const OUTBOX_FAIL: Span = Span(15 * 60_000);

/// How many are named in one line.
const NAMED_MAX: usize = 3;

/// What is told of this database.
pub(super) fn checks(database: Option<&Database>) -> &'static [Check] {
    match database {
        None => &[],
        Some(Database::Postgres(_)) => &OF_POSTGRES,
        Some(Database::Sqlite(_)) => &OF_SQLITE,
    }
}

/// The store, for what is asked through its port; nothing where it cannot be opened, which the
/// lines about the database explain.
pub(super) async fn store(database: Option<&Database>) -> Option<Arc<dyn Store>> {
    match database? {
        Database::Postgres(config) => {
            let store = relink_postgres::PostgresStore::connect((**config).clone()).await.ok()?;
            Some(Arc::new(store))
        }
        Database::Sqlite(path) => {
            let store = relink_sqlite::SqliteStore::open_read_only(path.as_ref()).ok()?;
            Some(Arc::new(store))
        }
    }
}

/// Who may see what the user of a role must not.
pub(super) const OPERATOR: &str = "this user needs no right to it; run `relink doctor` as \
                                   relink_operator, see \"A user for each role\" in \
                                   deploy/README.md";

/// Whether the user may not read a table.
pub(super) async fn is_hidden(database: Option<&Database>, table: &str) -> bool {
    let Some(Database::Postgres(config)) = database else { return false };
    let Ok(checkup) = Checkup::new(config) else { return false };
    matches!(checkup.may_read(table).await, Ok(false))
}

/// A line about a table that the user may not read.
pub(super) fn hidden(check: Check, table: &str) -> Line {
    Line::not_checked(check, format!("not checked: this user may not read {table}"), OPERATOR)
}

/// The modes of what is known.
pub(super) async fn modes(store: Option<&dyn Store>) -> BTreeSet<bool> {
    let Some(store) = store else { return BTreeSet::new() };
    let scopes = store.scopes().await.unwrap_or_default();
    scopes.into_iter().map(|scope| scope.livemode).collect()
}

/// The parked messages of a single process; a broker keeps its own.
pub(super) async fn parked(
    store: Option<Arc<dyn Store>>,
    database: Option<&Database>,
    has_broker: bool,
) -> Option<Line> {
    let store = store.filter(|_| !has_broker)?;
    if is_hidden(database, "parked").await {
        return Some(hidden(Check::Parked, "parked"));
    }
    let lot = StoreLot { store, clock: Arc::new(SystemClock) };
    Some(match lot.depths().await {
        Ok(depths) => judge_parked(&depths),
        Err(error) => Line::not_checked(Check::Parked, format!("not checked: {error}"), ""),
    })
}

/// What waits for a person.
pub(super) fn judge_parked(depths: &[Depth]) -> Line {
    let parked = depths.iter().filter(|depth| depth.parked > 0);
    let parts: Vec<String> =
        parked.map(|depth| format!("{} of {}", depth.parked, depth.queue.short_name())).collect();
    if parts.is_empty() {
        return Line::ok(Check::Parked, "no message is parked");
    }
    Line::warn(
        Check::Parked,
        format!("parked: {}", parts.join(", ")),
        "`relink parked list` shows them by reason; requeue them when it is gone, or drop them",
    )
}

/// What a look at a database is about.
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    /// Whose user it is; none named: of any role.
    pub(super) wanted: &'a [Wanted],
    /// How long a transaction may be open.
    pub(super) longest: Span,
    pub(super) now: Time,
}

pub(super) async fn look(database: Option<&Database>, look: Look<'_>, lines: &mut Vec<Line>) {
    let now = look.now;
    match database {
        None => {}
        Some(Database::Postgres(config)) => match Checkup::new(config) {
            Ok(checkup) => of_postgres(&checkup, look, lines).await,
            Err(error) => lines.push(trouble(Check::DatabaseServer, &error)),
        },
        Some(Database::Sqlite(path)) => match relink_sqlite::Checkup::of(path.as_ref()) {
            Ok(found) => {
                lines.push(schema(found.known, found.wanted));
                lines.extend(found.outbox.map(|(depth, oldest)| outbox(depth, oldest, now)));
            }
            Err(error) => lines.push(trouble(Check::DatabaseSchema, &error)),
        },
    }
}

async fn of_postgres(checkup: &Checkup, look: Look<'_>, lines: &mut Vec<Line>) {
    let Look { wanted, longest, now } = look;
    let sees_everybody = match checkup.server().await {
        Ok(found) => {
            lines.push(server(&found));
            found.sees_everybody
        }
        Err(error) => return lines.push(trouble(Check::DatabaseServer, &error)),
    };
    let holders = checkup.holders().await;
    lines.push(match holders {
        Ok(found) => transactions(&found, longest, sees_everybody),
        Err(error) => trouble(Check::DatabaseTransactions, &error),
    });
    match checkup.schema().await {
        Ok(Schema { known, wanted }) => {
            lines.push(schema(known.into(), wanted.into()));
            if known != wanted {
                return;
            }
        }
        Err(error) => return lines.push(trouble(Check::DatabaseSchema, &error)),
    }
    lines.push(match checkup.lacking(&roles(wanted)).await {
        Ok(lacking) => privileges(&lacking, wanted),
        Err(error) => trouble(Check::DatabasePrivileges, &error),
    });
    lines.push(match checkup.days(now).await {
        Ok(days) => partitions(days),
        Err(error) => trouble(Check::DatabasePartitions, &error),
    });
    lines.push(match checkup.may_read("outbox").await {
        Ok(true) => match checkup.outbox().await {
            Ok((depth, oldest)) => outbox(depth, oldest, now),
            Err(error) => trouble(Check::DatabaseOutbox, &error),
        },
        Ok(false) => hidden(Check::DatabaseOutbox, "outbox"),
        Err(error) => trouble(Check::DatabaseOutbox, &error),
    });
}

fn trouble(check: Check, error: &StoreError) -> Line {
    let advice = match error {
        StoreError::Transient(_) => "is the database of RELINK_DATABASE_URL there, and reachable?",
        _ => "correct what it names",
    };
    Line::fail(check, error.to_string(), advice)
}

fn server(found: &Server) -> Line {
    let check = Check::DatabaseServer;
    let version = &found.version;
    if found.is_read_only {
        return Line::fail(
            check,
            format!("PostgreSQL {version} only reads: a standby, or told so"),
            "let RELINK_DATABASE_URL name the primary; nothing is lost meanwhile, messages wait",
        );
    }
    Line::ok(check, format!("PostgreSQL {version}, which reads and writes"))
}

fn schema(known: i64, wanted: i64) -> Line {
    let check = Check::DatabaseSchema;
    if known == wanted {
        return Line::ok(check, format!("version {known}"));
    }
    if known > wanted {
        let found = format!("version {known}, newer than the {wanted} of this Relink");
        return Line::fail(check, found, "start the version of Relink that ran `relink migrate`");
    }
    let found = format!("version {known}, this Relink needs {wanted}");
    Line::fail(check, found, "run `relink migrate` as the owner of the tables")
}

/// Whose users of the database these are; ingress has none.
fn roles(wanted: &[Wanted]) -> Vec<Role> {
    if wanted.is_empty() {
        return Role::ALL.to_vec();
    }
    let role = |wanted: &Wanted| match wanted {
        Wanted::Ingress => None,
        Wanted::Lifecycle | Wanted::Upcoming => Some(Role::Worker),
        Wanted::Followup => Some(Role::Followup),
        Wanted::Scheduler => Some(Role::Scheduler),
        Wanted::Portal => Some(Role::Portal),
        Wanted::Standalone => Some(Role::Standalone),
    };
    wanted.iter().filter_map(role).collect()
}

/// Of a user of no named role it is not known what he needs.
fn privileges(lacking: &[Lacking], wanted: &[Wanted]) -> Line {
    let check = Check::DatabasePrivileges;
    let of = if wanted.is_empty() { "every role" } else { "the roles that were named" };
    if lacking.is_empty() {
        return Line::ok(check, format!("the user has those of {of}"));
    }
    let told = |(privilege, objects): &Lacking| format!("{privilege} on {}", objects.join(", "));
    let parts: Vec<String> = lacking.iter().map(told).collect();
    let found = format!("the user lacks of those of {of}: {}", parts.join("; "));
    if wanted.is_empty() {
        let advice = "name the role whose user it is (`relink doctor portal`): each needs less";
        return Line::warn(check, found, advice);
    }
    Line::fail(
        check,
        found,
        "as the owner of the tables run deploy/postgres/grants.sql, see \"A user for each role\" \
         in deploy/README.md",
    )
}

fn partitions(days: Days) -> Line {
    let check = Check::DatabasePartitions;
    let Days { wanted, there } = days;
    let found = format!("{there} of the {wanted} days from today have their partitions");
    if there > DAYS_AHEAD_MIN {
        return Line::ok(check, found);
    }
    Line::warn(
        check,
        format!("{found}; what has none is kept in the default one, and expires slowly"),
        "is a `relink scheduler` running, and may it make them (`relink doctor scheduler`)? \
         `relink migrate` makes them as well",
    )
}

/// What has been open for too long; the server cannot remove rows that died since.
fn transactions(holders: &[Holder], longest: Span, sees_everybody: bool) -> Line {
    let check = Check::DatabaseTransactions;
    let is_old = |holder: &&Holder| match holder.age {
        Some(age) => age >= longest,
        None => holder.distance >= SLOT_DISTANCE,
    };
    let old: Vec<&Holder> = holders.iter().filter(is_old).collect();
    let told = |holder: &&&Holder| {
        let Holder { what, name, distance, .. } = holder;
        let since = match holder.age {
            Some(since) => age(since.0.div_euclid(1000)),
            None => format!("{distance} transactions"),
        };
        format!("{what} {name} for {since}")
    };
    if old.is_empty() {
        let mut line = Line::ok(check, "nothing keeps dead rows from being removed");
        if !sees_everybody {
            line.found += ", as far as this user sees";
            line.advice = Some("to see the sessions of others: GRANT pg_read_all_stats".into());
        }
        return line;
    }
    let more = old.len().saturating_sub(NAMED_MAX);
    let mut found: Vec<String> = old.iter().take(NAMED_MAX).map(|one| told(&one)).collect();
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    Line::warn(
        check,
        format!("dead rows cannot be removed: {}", found.join(", ")),
        "end a session with pg_terminate_backend(process), a prepared transaction with ROLLBACK \
         PREPARED, an abandoned slot with pg_drop_replication_slot",
    )
}

fn outbox(depth: i64, oldest: Option<Time>, now: Time) -> Line {
    let check = Check::DatabaseOutbox;
    let Some(oldest) = oldest else { return Line::ok(check, "no command waits") };
    let since = now.since(oldest);
    let commands = counted(depth.max(0).cast_unsigned(), "command");
    let found = format!("{commands}, the oldest decided {} ago", age(since.0.div_euclid(1000)));
    let advice = "is a `relink scheduler` running, and does the broker take its commands? See its \
                  log and broker.alarms";
    if since >= OUTBOX_FAIL {
        Line::fail(check, found, advice)
    } else if since >= OUTBOX_WARN {
        Line::warn(check, found, advice)
    } else {
        Line::ok(check, found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Level;
    use super::*;

    #[test]
    fn what_is_open_for_too_long_is_named() {
        let holder = |what: &str, age: Option<i64>, distance| Holder {
            what: what.into(),
            name: "one".into(),
            age: age.map(|seconds| Span(seconds * 1000)),
            distance,
        };
        let longest = Span(300_000);
        let young = [holder("session", Some(2), 5), holder("replication slot", None, 7)];
        assert_eq!(transactions(&young, longest, true).level, Level::Ok);
        let blind = transactions(&young, longest, false);
        assert!(blind.level == Level::Ok && blind.advice.is_some(), "{blind:?}");
        let old = [
            holder("session", Some(900), 5),
            holder("prepared transaction", Some(7200), 5),
            holder("replication slot", None, 250_000),
            holder("session", Some(300), 5),
        ];
        let line = transactions(&old, longest, true);
        assert_eq!(line.level, Level::Warn);
        for part in ["15 min", "2 h", "250000 transactions", "and 1 more"] {
            assert!(line.found.contains(part), "{line:?}");
        }
    }

    #[test]
    fn levels_follow_what_happens_next() {
        assert_eq!(schema(1, 2).level, Level::Fail);
        assert_eq!(schema(3, 2).level, Level::Fail);
        assert_eq!(partitions(Days { wanted: 15, there: 15 }).level, Level::Ok);
        assert_eq!(partitions(Days { wanted: 15, there: 3 }).level, Level::Warn);
        let since = |seconds: i64| outbox(1, Some(Time(0)), Time(seconds * 1000)).level;
        assert_eq!([since(5), since(60), since(900)], [Level::Ok, Level::Warn, Level::Fail]);
        let standby = Server { version: "17.1".into(), is_read_only: true, sees_everybody: true };
        assert_eq!(server(&standby).level, Level::Fail);
    }

    #[test]
    fn what_a_named_role_lacks_fails_and_otherwise_it_warns() {
        let level = |lacking: &[Lacking], wanted: &[Wanted]| privileges(lacking, wanted).level;
        let lacking = [("DELETE".to_owned(), vec!["accounts".to_owned()])];
        assert_eq!(level(&[], &[Wanted::Scheduler]), Level::Ok);
        assert_eq!(level(&lacking, &[]), Level::Warn);
        assert_eq!(level(&lacking, &[Wanted::Lifecycle]), Level::Fail);
        let line = privileges(&lacking, &[Wanted::Lifecycle]);
        assert!(line.found.contains("DELETE on accounts"), "{line:?}");
    }

    #[test]
    fn each_role_has_a_user_but_ingress() {
        assert_eq!(roles(&[]), Role::ALL);
        assert_eq!(roles(&[Wanted::Ingress]), []);
        assert_eq!(roles(&[Wanted::Lifecycle, Wanted::Upcoming]), [Role::Worker, Role::Worker]);
    }
}

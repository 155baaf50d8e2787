//! What each role does with the tables, sequences and functions, and so what its user has to be
//! permitted. `deploy/postgres/grants.sql` grants just that.

/// Whose user of the database it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// The workers of lifecycle and upcoming, who decide.
    Worker,
    /// The followup worker in a process of its own, which writes no state.
    Followup,
    /// Timers, relay, retention.
    Scheduler,
    /// The relink page and the API.
    Portal,
    /// All of them in one process, without a broker.
    Standalone,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Worker, Self::Followup, Self::Scheduler, Self::Portal, Self::Standalone];
}

/// What something is, by the function of PostgreSQL that tells privileges on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Table,
    Sequence,
    Function,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Sequence => "sequence",
            Self::Function => "function",
        }
    }
}

/// Privileges that some roles need on some objects.
struct Right {
    kind: Kind,
    objects: &'static [&'static str],
    privileges: &'static [&'static str],
    roles: &'static [Role],
}

const fn right(
    kind: Kind,
    objects: &'static [&'static str],
    privileges: &'static [&'static str],
    roles: &'static [Role],
) -> Right {
    Right { kind, objects, privileges, roles }
}

/// Who decides.
const DECIDES: &[Role] = &[Role::Worker, Role::Scheduler, Role::Standalone];
/// Who maintains.
const MAINTAINS: &[Role] = &[Role::Scheduler, Role::Standalone];
/// Who looks.
const LOOKS: &[Role] = &[Role::Portal, Role::Standalone];

const EVERYTHING: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE"];
const KEEPING: &[&str] = &["SELECT", "INSERT", "UPDATE"];

/// The functions for days, see `migrations/0003_days.sql`, with their arguments.
const OF_DAYS: &[&str] = &[
    "relink_make_day(text, date)",
    "relink_drop_day(text, date)",
    "relink_expire_default(text, date)",
];

const RIGHTS: [Right; 15] = [
    right(Kind::Table, &["relink_schema"], &["SELECT"], &Role::ALL),
    right(Kind::Table, &["accounts", "authorizations"], EVERYTHING, DECIDES),
    right(Kind::Table, &["holders", "cases", "probes"], KEEPING, DECIDES),
    right(Kind::Table, &["inbox"], &["SELECT", "INSERT"], DECIDES),
    right(Kind::Table, &["history"], &["INSERT"], DECIDES),
    right(Kind::Sequence, &["history_seq"], &["USAGE"], DECIDES),
    right(Kind::Table, &["outbox"], &["SELECT", "INSERT", "DELETE"], DECIDES),
    right(Kind::Table, &["outbox"], &["UPDATE"], MAINTAINS),
    right(Kind::Table, &["claims"], KEEPING, MAINTAINS),
    right(Kind::Table, &["parked"], &["SELECT"], &[Role::Scheduler]),
    right(Kind::Function, OF_DAYS, &["EXECUTE"], MAINTAINS),
    right(
        Kind::Table,
        &["accounts", "authorizations", "cases", "inbox", "history"],
        &["SELECT"],
        LOOKS,
    ),
    right(Kind::Table, &["inbox", "history"], &["INSERT"], &[Role::Portal]),
    right(Kind::Sequence, &["history_seq"], &["USAGE"], &[Role::Portal]),
    right(Kind::Table, &["parked"], EVERYTHING, &[Role::Standalone]),
];

/// One privilege on one object: its kind, its name and the privilege.
pub(crate) type Need = (Kind, &'static str, &'static str);

/// What these roles need together, each once.
pub(crate) fn needs(roles: &[Role]) -> Vec<Need> {
    let mut needs: Vec<Need> = RIGHTS
        .iter()
        .filter(|right| right.roles.iter().any(|role| roles.contains(role)))
        .flat_map(|right| {
            let privileges = right.privileges.iter();
            privileges.flat_map(|privilege| {
                right.objects.iter().map(|object| (right.kind, *object, *privilege))
            })
        })
        .collect();
    needs.sort_unstable();
    needs.dedup();
    needs
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Kind, Role, needs};
    use crate::migrate::texts;

    const GRANTS: &str = include_str!("../../../deploy/postgres/grants.sql");

    fn user(role: Role) -> &'static str {
        match role {
            Role::Worker => "relink_worker",
            Role::Followup => "relink_followup",
            Role::Scheduler => "relink_scheduler",
            Role::Portal => "relink_portal",
            Role::Standalone => "relink_standalone",
        }
    }

    type Granted = BTreeSet<(Kind, String, String)>;

    /// What the script grants to whom.
    fn granted() -> BTreeMap<String, Granted> {
        let code = GRANTS.lines().filter(|line| !line.starts_with("--"));
        let code: Vec<&str> = code.flat_map(str::split_whitespace).collect();
        let mut granted: BTreeMap<String, Granted> = BTreeMap::new();
        for statement in code.join(" ").split(';') {
            let Some(grant) = statement.trim().strip_prefix("GRANT ") else { continue };
            let (privileges, rest) = grant.split_once(" ON ").unwrap();
            let (objects, users) = rest.rsplit_once(" TO ").unwrap();
            let (kind, objects) = match objects.split_once(' ') {
                Some(("SEQUENCE", names)) => (Kind::Sequence, names.to_owned()),
                Some(("FUNCTION", names)) => (Kind::Function, names.replace("), ", ");, ")),
                _ => (Kind::Table, objects.to_owned()),
            };
            let between = if kind == Kind::Function { ";, " } else { ", " };
            for user in users.split(", ") {
                let mine = granted.entry(user.to_owned()).or_default();
                for privilege in privileges.split(", ") {
                    let of = |name: &str| (kind, name.to_owned(), privilege.to_owned());
                    mine.extend(objects.split(between).map(of));
                }
            }
        }
        granted
    }

    #[test]
    fn the_script_grants_each_role_what_it_needs_and_no_more() {
        let granted = granted();
        for role in Role::ALL {
            let needs: Granted = needs(&[role])
                .into_iter()
                .map(|(kind, name, privilege)| (kind, name.to_owned(), privilege.to_owned()))
                .collect();
            assert_eq!(needs, granted[user(role)], "{role:?}");
        }
    }

    #[test]
    fn every_table_of_the_schema_is_somebodys() {
        let made = texts().flat_map(|text| text.split("CREATE TABLE ").skip(1));
        let made = made.filter_map(|rest| rest.split([' ', '(']).next());
        let mut made: BTreeSet<&str> = made.filter(|name| !name.ends_with("_default")).collect();
        // The functions for days make theirs of a name of the day.
        made.remove("IF");
        made.insert("relink_schema");
        let needed = needs(&Role::ALL);
        let needed = needed.iter().filter(|(kind, _, _)| *kind == Kind::Table);
        assert_eq!(made, needed.map(|(_, name, _)| *name).collect());
    }
}

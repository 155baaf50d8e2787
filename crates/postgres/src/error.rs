//! What went wrong, by what can be done about it.

use std::collections::BTreeSet;
use std::error::Error as _;

use deadpool_postgres::PoolError;
use relink_core::id::HomeKey;
use relink_engine::store::StoreError;
use relink_tls::Peer;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

/// Why a transaction ended without a commit.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database's answer, or none.
    Database(Error),
    /// What is known already.
    Store(StoreError),
    /// The decision touches homes that were not locked.
    Unlocked(BTreeSet<HomeKey>),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Database(error) => classify(&error),
            Fault::Store(error) => error,
            Fault::Unlocked(_) => {
                Self::Refused("the decision keeps touching homes that it does not name".into())
            }
        }
    }
}

/// Whether the same transaction may succeed at once: a deadlock, or a twin's row in the ledger.
pub(crate) fn is_contention(error: &Error) -> bool {
    let Some(error) = error.as_db_error() else {
        return false;
    };
    let twin = *error.code() == SqlState::UNIQUE_VIOLATION
        && error.table().is_some_and(|table| table.starts_with("inbox"));
    twin || [SqlState::T_R_DEADLOCK_DETECTED, SqlState::T_R_SERIALIZATION_FAILURE]
        .contains(error.code())
}

/// The error for the engine. It names the condition and the object, never a value: `DETAIL`, and
/// for data errors even the message, may quote rows.
pub(crate) fn classify(error: &Error) -> StoreError {
    match error.as_db_error() {
        Some(error) => classify_answer(error),
        None => classify_silence(error),
    }
}

fn classify_answer(error: &DbError) -> StoreError {
    let code = error.code().code();
    let told = format!("{} (SQLSTATE {code})", error.message());
    match (&code[..2], code) {
        ("22" | "23" | "54", _) => StoreError::Refused(describe_refusal(error)),
        ("28", _) if error.message().contains("client certificate") => {
            StoreError::Misconfigured(format!(
                "{told}; give one that the database accepts in {} and {}",
                Peer::Database.certificate(),
                Peer::Database.key()
            ))
        }
        ("28", _) if error.message().contains("no encryption") => {
            StoreError::Misconfigured(format!(
                "{told}; the database wants TLS: say sslmode=verify-full in RELINK_DATABASE_URL"
            ))
        }
        ("28" | "3D", _) => StoreError::Misconfigured(format!("{told}; check RELINK_DATABASE_URL")),
        (_, "42501") => StoreError::Misconfigured(format!("{told}; {}", grant(error.message()))),
        ("42" | "3F" | "0A" | "26", _) => StoreError::Misconfigured(format!(
            "{told}; RELINK_DATABASE_URL names a database that this version has not prepared: \
             run `relink migrate` (behind a transaction-mode pooler, turn prepared statements off)"
        )),
        _ => StoreError::Transient(told),
    }
}

/// What to run against a permission that is missing.
///
/// PostgreSQL names the object in its message alone (`permission denied for table inbox`, `must
/// be owner of table inbox_20261122`), and not the role: that is the one of the URL.
fn grant(message: &str) -> String {
    let role = "\"<user of RELINK_DATABASE_URL>\"";
    let said = |start: &str| message.split_once(start).map(|(_, object)| object);
    let named = |object: &str| object.rsplit(' ').next().unwrap_or_default().to_owned();
    let statement = match said("permission denied for ") {
        Some(object) if object.starts_with("schema ") => {
            // To use what is there; `migrate` also makes tables.
            format!("GRANT USAGE, CREATE ON SCHEMA {} TO {role}", named(object))
        }
        Some(object) if object.starts_with("database ") => {
            format!("GRANT CONNECT ON DATABASE {} TO {role}", named(object))
        }
        Some(object) if object.starts_with("sequence ") => {
            format!("GRANT USAGE ON SEQUENCE {} TO {role}", named(object))
        }
        Some(object) if object.starts_with("function ") => {
            format!("GRANT EXECUTE ON FUNCTION {} TO {role}", named(object))
        }
        Some(object) if object.starts_with("table ") => {
            format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {} TO {role}", named(object))
        }
        _ if said("must be owner of ").is_some() => {
            format!("GRANT \"<owner of Relink's tables>\" TO {role}")
        }
        _ => {
            format!("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        }
    };
    format!(
        "as the owner of the object run: {statement}; deploy/postgres/grants.sql has all that are needed"
    )
}

fn describe_refusal(error: &DbError) -> String {
    let object = [("table", error.table()), ("column", error.column())]
        .into_iter()
        .chain([("constraint", error.constraint())])
        .filter_map(|(what, name)| Some(format!(", {what} {}", name?)))
        .collect::<String>();
    format!("SQLSTATE {}{object}", error.code().code())
}

/// Without an answer from the server: connecting, reading or writing failed.
fn classify_silence(error: &Error) -> StoreError {
    if let Some(why) = Peer::Database.why(error) {
        return StoreError::Misconfigured(why);
    }
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let told = format!("{error}{cause}");
    // The driver offers no kind; these two can only be mended by the operator.
    if told.contains("server does not support TLS") {
        return StoreError::Misconfigured(
            "the database offers no TLS, which a server that is not on this machine has to; turn \
             `ssl` on there, or, where nobody can listen on the way, say sslmode=disable in \
             RELINK_DATABASE_URL"
                .into(),
        );
    }
    if told.contains("invalid configuration") {
        return StoreError::Misconfigured(format!("{told}; check RELINK_DATABASE_URL"));
    }
    StoreError::Transient(told)
}

/// The pool could not hand out a connection.
pub(crate) fn classify_pool(error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) => match (classify(&error), Peer::Database.hung_up(&error)) {
            (StoreError::Transient(told), Some(hint)) => {
                StoreError::Transient(format!("{told}; {hint}"))
            }
            (known, _) => known,
        },
        PoolError::Timeout(_) => StoreError::Transient("no connection became free in time".into()),
        other => StoreError::Transient(format!("no connection: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::grant;

    fn check(message: &str, expect: &str) {
        let told = grant(message);
        assert!(told.contains(expect), "{message}: {told}");
    }

    #[test]
    fn a_missing_permission_names_the_statement_that_gives_it() {
        check("permission denied for table inbox", "DELETE ON TABLE inbox TO \"<user of");
        check("permission denied for sequence history_seq", "GRANT USAGE ON SEQUENCE history_seq");
        check(
            "permission denied for function relink_make_day",
            "GRANT EXECUTE ON FUNCTION relink_make",
        );
        check("permission denied for schema public", "GRANT USAGE, CREATE ON SCHEMA public TO");
        check("permission denied for database relink", "GRANT CONNECT ON DATABASE relink TO");
        check("must be owner of table inbox_20261122", "GRANT \"<owner of Relink's tables>\" TO");
        // A server that speaks another language.
        check("keine Berechtigung für Tabelle inbox", "ON ALL TABLES IN SCHEMA public TO");
    }
}

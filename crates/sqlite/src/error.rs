//! What went wrong, by what can be done about it.

use relink_engine::row::unreadable;
use relink_engine::store::StoreError;
use rusqlite::{Error, ErrorCode};

/// The error for the engine; names the condition, never a value.
pub(crate) fn classify(error: Error) -> StoreError {
    match error {
        Error::SqliteFailure(failure, _) => {
            let told = failure.to_string();
            match failure.code {
                ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
                | ErrorCode::ParameterOutOfRange => StoreError::Refused(told),
                ErrorCode::NotADatabase
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::AuthorizationForStatementDenied => StoreError::Misconfigured(format!(
                    "{told}; check the file of RELINK_DATABASE_URL"
                )),
                _ => StoreError::Transient(told),
            }
        }
        Error::SqlInputError { error, .. } => StoreError::Misconfigured(format!(
            "{error}; the file of RELINK_DATABASE_URL is not what this version wrote"
        )),
        Error::ToSqlConversionFailure(_) | Error::InvalidParameterCount(..) => {
            StoreError::Refused("a value that SQLite cannot hold".into())
        }
        _ => unreadable("a table"),
    }
}

/// The thread has ended: the store is being closed.
pub(crate) fn closed() -> StoreError {
    StoreError::Transient("the database is being closed".into())
}

//! A connection without a thread: calls run where they are made.
//!
//! For a database in memory, whose calls never wait for a disk. A test that turns time by pausing
//! the runtime's clock sees the same order of events every time, since nothing happens elsewhere.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use relink_engine::store::StoreError;
use rusqlite::Connection;

use crate::error::classify;

/// A connection that is used by one call at a time.
#[derive(Debug)]
pub(crate) struct Inline(Mutex<Connection>);

impl Inline {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(Mutex::new(connection))
    }

    /// Runs a call in a transaction; an error, or a panic, undoes what it wrote.
    pub(crate) fn call<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connection.execute_batch("BEGIN IMMEDIATE").map_err(classify)?;
        let result = catch_unwind(AssertUnwindSafe(|| work(&connection)));
        let keep = matches!(result, Ok(Ok(_)));
        let ended = connection.execute_batch(if keep { "COMMIT" } else { "ROLLBACK" });
        let value = result.unwrap_or_else(|panic| resume_unwind(panic))?;
        ended.map(|()| value).map_err(classify)
    }
}

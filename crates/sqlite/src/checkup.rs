//! How a file is, for `relink doctor`: looks only, beside whoever has it.

use std::path::Path;

use relink_core::time::Time;
use relink_engine::store::StoreError;

use crate::{migrate, open, operator};

/// What a file shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkup {
    /// The version of its schema.
    pub known: i64,
    /// The one that this version of Relink needs.
    pub wanted: i64,
    /// Commands in the outbox, and when the oldest was decided; nothing in another schema.
    pub outbox: Option<(i64, Option<Time>)>,
}

impl Checkup {
    /// Opens the file for a moment.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] where there is no such file; else what SQLite says.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let connection = open::reader(path)?;
        let (known, wanted) = migrate::versions(&connection)?;
        let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
        let outbox = match known == wanted {
            true => Some(operator::outbox(&connection)?),
            false => None,
        };
        Ok(Self { known, wanted, outbox })
    }
}

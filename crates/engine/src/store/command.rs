//! Commands as a store keeps them between their commit and the bus.

use std::sync::Arc;

use bytes::Bytes;
use relink_core::id::{CommandId, Scope};
use relink_core::time::Time;

/// A row in which a store keeps a command, or those that were committed together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bundle {
    /// Which.
    pub seq: i64,
    /// How many commands it holds.
    pub size: u32,
}

/// A committed command, as far as the store has to know it to delete it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed {
    /// Its id.
    pub id: CommandId,
    /// When it was decided: tells its bundle from one that got the same number later, after a
    /// database was restored or a standby took over that had not heard of the first.
    pub decided_at: Time,
    /// See [`OutboxRow::bundle`].
    pub bundle: Option<Bundle>,
}

/// A committed command on its way to the bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxRow {
    /// The command's id.
    pub id: CommandId,
    /// Its type, which is its routing key.
    pub kind: Arc<str>,
    /// Whose.
    pub scope: Scope,
    /// The case or input.
    pub correlation: Arc<str>,
    /// When it was decided.
    pub decided_at: Time,
    /// W3C trace context of the input.
    pub traceparent: Option<Arc<str>>,
    /// The CloudEvent.
    pub body: Bytes,
    /// Until when nobody but the worker that committed it sends it.
    pub claimed_until: Time,
    /// Where the store keeps it, alone or with others; `None` before it is committed.
    pub bundle: Option<Bundle>,
}

impl OutboxRow {
    /// What it is deleted by.
    pub fn committed(&self) -> Committed {
        Committed { id: self.id.clone(), decided_at: self.decided_at, bundle: self.bundle }
    }
}

//! How the connection is, for readiness and metrics.

use std::sync::Arc;

use tokio::sync::watch;

/// A snapshot of one connection.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BrokerStatus {
    /// Whether connection and channel are up.
    pub connected: bool,
    /// Whether the broker has blocked publishers (a memory or disk alarm).
    pub blocked: bool,
    /// How often it was connected; more than once means that it was rebuilt.
    pub connects: u64,
    /// How often it was lost or could not be made.
    pub failures: u64,
    /// What trying again cannot help against, and what to do about it.
    pub misconfigured: Option<Arc<str>>,
}

/// Shared view of one connection: read it at any time or wait for a change.
#[derive(Clone, Debug, Default)]
pub struct BrokerState(watch::Sender<BrokerStatus>);

impl BrokerState {
    /// How it is now.
    pub fn status(&self) -> BrokerStatus {
        self.0.borrow().clone()
    }

    /// Follows the changes.
    pub fn watch(&self) -> watch::Receiver<BrokerStatus> {
        self.0.subscribe()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.0.borrow().connected
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.0.borrow().blocked
    }

    pub(crate) fn connected(&self) {
        self.0.send_modify(|status| {
            status.connected = true;
            status.blocked = false;
            status.connects += 1;
            status.misconfigured = None;
        });
    }

    pub(crate) fn blocked(&self, blocked: bool) {
        self.0.send_modify(|status| status.blocked = blocked);
    }

    /// Nothing can be done with it from now on; `lost` says why.
    pub(crate) fn down(&self) {
        self.0.send_modify(|status| {
            status.connected = false;
            status.blocked = false;
        });
    }

    pub(crate) fn lost(&self, misconfigured: Option<&str>) {
        self.0.send_modify(|status| {
            status.connected = false;
            status.blocked = false;
            status.failures += 1;
            status.misconfigured = misconfigured.map(Into::into);
        });
    }
}

//! What the portal counts.

use prometheus::{IntCounterVec, Opts, Registry};

/// Counts; cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Pages and pieces shown, by what they say.
    pub(crate) pages: IntCounterVec,
    /// Sessions asked for, by what came of it.
    pub(crate) sessions: IntCounterVec,
    /// Sessions that were read back, by how they ended.
    pub(crate) outcomes: IntCounterVec,
    /// Calls of the API, by operation and status.
    pub(crate) calls: IntCounterVec,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        Ok(Self {
            pages: counter(
                "relink_portal_pages_total",
                "Pages shown, by what they say",
                &["page"],
            )?,
            sessions: counter(
                "relink_portal_sessions_total",
                "Relink sessions asked for, by what came of it",
                &["result"],
            )?,
            outcomes: counter(
                "relink_portal_outcomes_total",
                "Relink sessions read back, by how they ended",
                &["outcome"],
            )?,
            calls: counter(
                "relink_portal_calls_total",
                "Calls of the API, by operation and status",
                &["operation", "status"],
            )?,
        })
    }
}

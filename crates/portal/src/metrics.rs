//! What the portal counts: one closed list, every label bounded and there from the start.

use prometheus::{IntCounterVec, Opts, Registry};
use relink_core::command::CaseOutcome;
use relink_stripe::client::CallError;

use crate::ended::Outcome;
use crate::relinks::RelinkError;
use crate::trouble::Trouble;

/// Pages that show neither trouble nor how a case was closed.
const PAGES: [&str; 3] = ["ask", "newer", "returned"];

/// The calls of the API.
const OPERATIONS: [&str; 11] = [
    "get_authorization",
    "get_account",
    "list_authorizations",
    "get_history",
    "get_account_history",
    "start_relink",
    "complete_relink",
    "list_parked",
    "get_parked",
    "requeue_parked",
    "drop_parked",
];

/// The status of a call that went well; the others are a dozen, and show when they occur.
const WELL: &str = "200";

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
        let metrics = Self {
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
        };
        metrics.show_zeros();
        Ok(metrics)
    }

    fn show_zeros(&self) {
        let closed = CaseOutcome::ALL.map(CaseOutcome::as_str);
        let pages = Trouble::ALL.map(Trouble::as_str).into_iter().chain(closed).chain(PAGES);
        for page in pages {
            self.pages.with_label_values(&[page]);
        }
        let refused = RelinkError::OWN_NAMES.into_iter().chain(CallError::NAMES);
        for result in refused.chain(["started"]) {
            self.sessions.with_label_values(&[result]);
        }
        for outcome in Outcome::ALL {
            self.outcomes.with_label_values(&[outcome.as_str()]);
        }
        for operation in OPERATIONS {
            self.calls.with_label_values(&[operation, WELL]);
        }
    }
}

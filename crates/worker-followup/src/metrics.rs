//! What the followup worker counts.

use prometheus::{Gauge, IntCounterVec, Opts, Registry};

/// What becomes of a command.
const RESULTS: [&str; 5] = ["done", "retried", "parked", "left_to_platform", "no_api_key"];
/// Counts reads of whatever compares with Stripe unasked; register once per process.
///
/// # Errors
/// When the registry already holds the name.
pub fn register_reads(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Reads of Stripe that no command asked for, by result";
    let opts = Opts::new("relink_reconcile_reads_total", help);
    let reads = IntCounterVec::new(opts, &["object", "result"])?;
    registry.register(Box::new(reads.clone()))?;
    Ok(reads)
}

/// The followup worker's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Reads by object and result.
    pub reads: IntCounterVec,
    /// Commands by result: done, retried, parked, left_to_platform, no_api_key.
    pub commands: IntCounterVec,
    /// The read budget as it is now.
    pub budget: Gauge,
}

impl Metrics {
    /// Registers the list.
    ///
    /// # Errors
    /// When the registry already holds one of the names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let reads = Opts::new("relink_followup_reads_total", "Reads of Stripe by result");
        let commands = Opts::new("relink_followup_commands_total", "Commands by result");
        let metrics = Self {
            reads: IntCounterVec::new(reads, &["object", "result"])?,
            commands: IntCounterVec::new(commands, &["result"])?,
            budget: Gauge::new(
                "relink_followup_budget_reads_per_second",
                "Reads a second that are asked of Stripe at the most",
            )?,
        };
        registry.register(Box::new(metrics.reads.clone()))?;
        registry.register(Box::new(metrics.commands.clone()))?;
        registry.register(Box::new(metrics.budget.clone()))?;
        for result in RESULTS {
            metrics.commands.with_label_values(&[result]);
        }
        Ok(metrics)
    }
}

//! What whoever asks Stripe counts: one closed list, every label bounded and there from the start.

use prometheus::{Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};
use relink_engine::metrics::QueueMetrics;
use relink_stripe::client::CallError;

/// What becomes of a command.
const RESULTS: [&str; 6] =
    ["done", "repeated", "retried", "parked", "left_to_platform", "no_api_key"];

/// What is asked for.
const OBJECTS: [&str; 5] = ["account", "authorization", "session", "accounts", "refresh"];

/// The commands that are carried out here.
pub(crate) const COMMANDS: [&str; 3] = ["verify_accounts", "refresh_data", "reconcile_accounts"];

/// From a turn at once to one behind thousands of others, in seconds.
const WAIT_SECONDS: [f64; 9] = [0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0];

/// From a command that is taken up at once to the end of the retry ladder and far beyond.
const AGE_SECONDS: [f64; 9] = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

/// Reads of Stripe.
#[derive(Clone, Debug)]
pub struct Reads {
    /// By object and result.
    pub results: IntCounterVec,
    /// How long each waited for its turn within the budget.
    pub wait_seconds: Histogram,
}

impl Reads {
    /// Registers the reads of whatever compares with Stripe unasked; once per process.
    ///
    /// # Errors
    /// When the registry already holds one of the names.
    pub fn unasked(registry: &Registry) -> prometheus::Result<Self> {
        let help = "Reads of Stripe that no command asked for, by result";
        Self::register(registry, "relink_reconcile", help)
    }

    fn register(registry: &Registry, prefix: &str, help: &str) -> prometheus::Result<Self> {
        let opts = Opts::new(format!("{prefix}_reads_total"), help);
        let results = IntCounterVec::new(opts, &["object", "result"])?;
        for object in OBJECTS {
            for result in CallError::NAMES.into_iter().chain(["ok"]) {
                results.with_label_values(&[object, result]);
            }
        }
        let help = "How long reads of Stripe waited for their turn within the budget";
        let opts = HistogramOpts::new(format!("{prefix}_read_wait_seconds"), help);
        let wait_seconds = Histogram::with_opts(opts.buckets(WAIT_SECONDS.into()))?;
        registry.register(Box::new(results.clone()))?;
        registry.register(Box::new(wait_seconds.clone()))?;
        Ok(Self { results, wait_seconds })
    }
}

/// The followup worker's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// What is counted of every queue.
    pub queue: QueueMetrics,
    /// Reads.
    pub reads: Reads,
    /// Commands by result; `repeated` are those that a lost connection brought again while they
    /// were under way or when they were done.
    pub commands: IntCounterVec,
    /// How old commands are when they are taken up.
    pub command_age_seconds: HistogramVec,
    /// The read budget as it is now.
    pub budget: Gauge,
}

impl Metrics {
    /// Registers the list; what is counted of the queue is registered by the engine.
    ///
    /// # Errors
    /// When the registry already holds one of the names.
    pub fn register(registry: &Registry, queue: QueueMetrics) -> prometheus::Result<Self> {
        let commands = Opts::new("relink_followup_commands_total", "Commands by result");
        let help = "How old commands are when they are taken up, also for another try";
        let age = HistogramOpts::new("relink_followup_command_age_seconds", help);
        let metrics = Self {
            queue,
            reads: Reads::register(registry, "relink_followup", "Reads of Stripe by result")?,
            commands: IntCounterVec::new(commands, &["result"])?,
            command_age_seconds: HistogramVec::new(age.buckets(AGE_SECONDS.into()), &["command"])?,
            budget: Gauge::new(
                "relink_followup_budget_reads_per_second",
                "Reads a second that are asked of Stripe at the most",
            )?,
        };
        registry.register(Box::new(metrics.commands.clone()))?;
        registry.register(Box::new(metrics.command_age_seconds.clone()))?;
        registry.register(Box::new(metrics.budget.clone()))?;
        for result in RESULTS {
            metrics.commands.with_label_values(&[result]);
        }
        for command in COMMANDS {
            metrics.command_age_seconds.with_label_values(&[command]);
        }
        Ok(metrics)
    }
}

//! What the scheduler shows of what the database holds.

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use relink_core::aggregate::Health;
use relink_core::time::Time;

use super::REASONS;
use crate::outlook::{LATER, OVERDUE, Outlook};

/// Gauges that follow the database; register once per process.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Authorizations by health.
    pub authorizations: IntGaugeVec,
    /// Open cases by reason.
    pub open_cases: IntGaugeVec,
    /// Committed commands not yet taken by the bus.
    pub outbox_depth: IntGauge,
    /// Age of the oldest of them.
    pub outbox_oldest_seconds: IntGauge,
    /// Messages that the embedded store keeps aside.
    pub parked_messages: IntGauge,
    /// Authorizations by the week in which something is expected to stop working.
    pub expected: IntGaugeVec,
    /// Most outages at one institution.
    pub at_one_institution: IntGauge,
    /// Days to come that have a partition.
    pub partitions: IntGaugeVec,
}

impl Figures {
    /// Registers the list.
    ///
    /// # Errors
    /// When the registry already holds one of the names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauges = |name: &str, help: &str, label: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let figures = Self {
            authorizations: gauges("relink_authorizations", "Authorizations by health", "health")?,
            open_cases: gauges("relink_open_cases", "Open cases by reason", "reason")?,
            outbox_depth: gauge(
                "relink_outbox_depth",
                "Committed commands that the bus has not taken yet",
            )?,
            outbox_oldest_seconds: gauge(
                "relink_outbox_oldest_seconds",
                "Age of the oldest of them",
            )?,
            parked_messages: gauge(
                "relink_parked_messages",
                "Messages that the embedded store keeps aside",
            )?,
            expected: gauges(
                "relink_expected_deactivations",
                "Authorizations by the week, from now, in which something is expected to stop working",
                "week",
            )?,
            at_one_institution: gauge(
                "relink_institution_deactivations_max",
                "Most authorizations of one institution that broke within the last 15 minutes",
            )?,
            partitions: gauges(
                "relink_partitions_ahead",
                "How many of the days to come have a partition",
                "table",
            )?,
        };
        figures.show(&Outlook::default(), Time(0));
        Ok(figures)
    }

    /// Shows what was counted. Every label is set, also to zero: an alert cannot tell a gauge that
    /// is missing.
    pub(crate) fn show(&self, outlook: &Outlook, now: Time) {
        for health in Health::ALL {
            let count = count_of(&outlook.authorizations, health.as_str());
            self.authorizations.with_label_values(&[health.as_str()]).set(count);
        }
        for reason in REASONS {
            let count = count_of(&outlook.open_cases, reason.as_str());
            self.open_cases.with_label_values(&[reason.as_str()]).set(count);
        }
        self.outbox_depth.set(outlook.outbox_depth);
        let oldest = outlook.outbox_oldest.map_or(0, |at| now.since(at).0.max(0) / 1000);
        self.outbox_oldest_seconds.set(oldest);
        self.parked_messages.set(outlook.parked);
        for week in OVERDUE..=LATER {
            let of_week = outlook.expected.iter().filter(|(known, _)| *known == week);
            let label = label_of(week);
            self.expected.with_label_values(&[&label]).set(of_week.map(|(_, count)| count).sum());
        }
        self.at_one_institution.set(outlook.at_one_institution);
        for (table, days) in &outlook.days_ahead {
            self.partitions.with_label_values(&[table]).set(*days);
        }
    }
}

fn label_of(week: i64) -> String {
    match week {
        OVERDUE => "overdue".to_owned(),
        LATER => "later".to_owned(),
        week => week.to_string(),
    }
}

fn count_of(counts: &[(String, i64)], label: &str) -> i64 {
    counts.iter().find(|(known, _)| known == label).map_or(0, |(_, count)| *count)
}

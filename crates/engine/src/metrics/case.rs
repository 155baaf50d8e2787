//! How customers fare: outages, prompts, recoveries, relink attempts.

use prometheus::Registry;
use relink_core::command::{CaseOutcome, Reason};
use relink_core::milestone::Milestone;
use relink_core::observation::RelinkOutcome;
use relink_core::time::Span;

use super::REASONS;
use super::family::{Counters, Histograms, counters, histograms};

/// From a prompt within the settle time to one that a backlog has held up for a day, in seconds.
const PROMPT_SECONDS: [f64; 10] =
    [1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];
/// From a customer who relinks at once to one who does after the last reminder, in seconds.
const RECOVERY_SECONDS: [f64; 11] = [
    60.0,
    300.0,
    900.0,
    3_600.0,
    14_400.0,
    43_200.0,
    86_400.0,
    259_200.0,
    604_800.0,
    1_209_600.0,
    2_592_000.0,
];

/// What becomes of a relink attempt, as the label says it.
const ATTEMPTS: [&str; 8] = [
    "started",
    "repaired",
    "new_authorization",
    "no_account",
    "no_authorization",
    "other",
    "cancelled",
    "abandoned",
];

/// What is counted of cases.
#[derive(Clone, Debug)]
pub struct Cases {
    opened: Counters<Reason>,
    closed: Counters<(Reason, CaseOutcome)>,
    prompt_seconds: Histograms<Reason>,
    recovery_seconds: Histograms<Reason>,
    attempts: Counters<&'static str>,
}

impl Cases {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter =
            |name: &str, help: &str, labels: &[&str]| counters(registry, name, help, labels);
        let histogram = |name: &str, help: &str, buckets: &[f64]| {
            let histograms = histograms(registry, name, help, "reason", buckets)?;
            let of = |reason: &Reason| histograms.with_label_values(&[reason.as_str()]);
            Ok::<_, prometheus::Error>(Histograms::of(REASONS, of))
        };
        let opened = counter("relink_cases_opened_total", "Cases opened", &["reason"])?;
        let help = "Cases closed, by how they were told to have ended";
        let closed = counter("relink_cases_closed_total", help, &["reason", "outcome"])?;
        let help = "Relink attempts by what became of them";
        let attempts = counter("relink_attempts_total", help, &["outcome"])?;
        let pairs = REASONS.into_iter().flat_map(|one| CaseOutcome::ALL.map(|how| (one, how)));
        Ok(Self {
            opened: Counters::of(REASONS, |one| opened.with_label_values(&[one.as_str()])),
            closed: Counters::of(pairs, |(one, how)| {
                closed.with_label_values(&[one.as_str(), how.as_str()])
            }),
            prompt_seconds: histogram(
                "relink_case_prompt_seconds",
                "From the deactivation or announcement, by Stripe's clock, to the prompt",
                &PROMPT_SECONDS,
            )?,
            recovery_seconds: histogram(
                "relink_case_recovery_seconds",
                "From the deactivation or announcement, by Stripe's clock, to its end by a recovery",
                &RECOVERY_SECONDS,
            )?,
            attempts: Counters::of(ATTEMPTS, |name| attempts.with_label_values(&[name])),
        })
    }

    /// Counts what a committed decision has come to.
    pub fn count(&self, milestone: &Milestone) {
        match milestone {
            Milestone::Opened(reason) => self.opened.inc(reason),
            Milestone::Prompted(reason, waited) => {
                self.prompt_seconds.observe(reason, seconds(*waited));
            }
            Milestone::Closed(reason, outcome, lasted) => {
                self.closed.inc(&(*reason, *outcome));
                if is_recovery(*outcome) {
                    self.recovery_seconds.observe(reason, seconds(*lasted));
                }
            }
            Milestone::Started => self.attempts.inc(&"started"),
            Milestone::Ended(outcome) => self.attempts.inc(&ended(outcome)),
        }
    }
}

/// Whether the customer can be served again.
fn is_recovery(outcome: CaseOutcome) -> bool {
    matches!(outcome, CaseOutcome::Relinked | CaseOutcome::Recovered | CaseOutcome::Moved)
}

fn ended(outcome: &RelinkOutcome) -> &'static str {
    match outcome {
        RelinkOutcome::Repaired => "repaired",
        RelinkOutcome::NewAuthorization(_) => "new_authorization",
        RelinkOutcome::Failed(reason) => {
            let known = ["no_account", "no_authorization"];
            known.into_iter().find(|known| *known == &**reason).unwrap_or("other")
        }
        RelinkOutcome::Cancelled => "cancelled",
        RelinkOutcome::Abandoned => "abandoned",
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of centuries fit")]
fn seconds(span: Span) -> f64 {
    span.0 as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_an_attempt_is_in_the_list() {
        let failed = |why: &str| RelinkOutcome::Failed(why.into());
        let by = RelinkOutcome::NewAuthorization("fcauth_1".into());
        for outcome in [
            RelinkOutcome::Repaired,
            by,
            failed("no_account"),
            failed("no_authorization"),
            failed("a newer word"),
            RelinkOutcome::Cancelled,
            RelinkOutcome::Abandoned,
        ] {
            assert!(ATTEMPTS.contains(&ended(&outcome)), "{outcome:?}");
        }
        assert_eq!(ended(&failed("a newer word")), "other", "labels are bounded");
    }

    #[test]
    fn only_what_ends_well_is_a_recovery() {
        let registry = Registry::new();
        let cases = Cases::register(&registry).unwrap();
        let span = Span::seconds(90);
        cases.count(&Milestone::Closed(Reason::Inactive, CaseOutcome::Relinked, span));
        cases.count(&Milestone::Closed(Reason::Inactive, CaseOutcome::Disconnected, span));
        let told = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "relink_case_recovery_seconds_count{reason=\"inactive\"} 1",
            "relink_case_recovery_seconds_sum{reason=\"inactive\"} 90",
            "relink_cases_closed_total{outcome=\"disconnected\",reason=\"inactive\"} 1",
            "relink_cases_closed_total{outcome=\"moved\",reason=\"numbers\"} 0",
        ] {
            assert!(told.contains(line), "{line} is not told:\n{told}");
        }
    }
}

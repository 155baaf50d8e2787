//! What was decided, by the type of what came.

use prometheus::{IntCounter, Registry};
use relink_bus::topology::{LIFECYCLE_KEYS, UNKNOWN_TYPE_KEY, UPCOMING_KEYS};
use relink_core::input::Verdict;

use super::family::counters;

/// The type under which all that have no name of their own here are counted.
const OTHER: &str = "other";
/// What falls due.
pub(crate) const TIMER: &str = "relink.timer";

/// The verdicts without their reasons: what became of it, not why.
const VERDICTS: [&str; 6] = ["applied", "unchanged", "duplicate", "stale", "deferred", "ignored"];

/// One counter for each type and verdict, looked up once.
#[derive(Clone, Debug)]
pub struct Inputs(Vec<(&'static str, [IntCounter; 6])>);

impl Inputs {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let inputs = counters(
            registry,
            "relink_worker_inputs_total",
            "Decisions by the type of the event or observation and what became of it",
            &["type", "verdict"],
        )?;
        let keys = LIFECYCLE_KEYS.iter().chain(&UPCOMING_KEYS).copied();
        let types = keys.filter(|key| *key != UNKNOWN_TYPE_KEY).chain([TIMER, OTHER]);
        let verdicts = |kind| VERDICTS.map(|verdict| inputs.with_label_values(&[kind, verdict]));
        Ok(Self(types.map(|kind| (kind, verdicts(kind))).collect()))
    }

    /// Counts an input of this type: that of a thin event, `v1.…`, like its snapshot's.
    pub fn inc(&self, kind: &str, verdict: Verdict) {
        let kind = kind.strip_prefix("v1.").unwrap_or(kind);
        let known = self.0.iter().find(|(known, _)| *known == kind).or(self.0.last());
        let of = |(_, counters): &(_, [IntCounter; 6])| counters.get(place(verdict)).cloned();
        if let Some(counter) = known.and_then(of) {
            counter.inc();
        }
    }
}

/// Where the verdict stands in [`VERDICTS`].
fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Applied => 0,
        Verdict::Unchanged => 1,
        Verdict::Duplicate => 2,
        Verdict::Stale => 3,
        Verdict::Deferred(_) => 4,
        Verdict::Ignored(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_counted_under_its_name_and_an_unknown_one_with_all_others() {
        let registry = Registry::new();
        let inputs = Inputs::register(&registry).unwrap();
        inputs.inc("financial_connections.account.deactivated", Verdict::Applied);
        inputs.inc("v1.financial_connections.account.deactivated", Verdict::Applied);
        inputs.inc("financial_connections.account.teleported", Verdict::Stale);
        let told = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            "{type=\"financial_connections.account.deactivated\",verdict=\"applied\"} 2",
            "{type=\"other\",verdict=\"stale\"} 1",
            "{type=\"other\",verdict=\"applied\"} 0",
        ] {
            assert!(told.contains(line), "{line} is not told:\n{told}");
        }
        assert!(!told.contains("teleported"), "{told}");
    }

    #[test]
    fn the_place_of_a_verdict_is_that_of_its_name() {
        for verdict in Verdict::all() {
            let name = verdict.as_str();
            assert_eq!(VERDICTS[place(verdict)], name.split('(').next().unwrap());
        }
    }
}

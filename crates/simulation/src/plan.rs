//! What a seed stands for: how Relink runs, what can go wrong, what happens at Stripe.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::chance::Chance;
use crate::fault::Fault;

/// How Relink runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deployment {
    /// One process on the bus of a single process.
    Standalone,
    /// Processes of one role each, on a broker.
    Distributed {
        /// How many run every worker.
        workers: usize,
        /// How many schedulers.
        schedulers: usize,
    },
}

/// In which form webhooks come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bodies {
    /// With details and authorization.
    Preview,
    /// Without either: what a destination of a plain version gets.
    Plain,
    /// With nothing but the id of the account.
    Thin,
}

/// One thing that happens at Stripe or at the customer's bank; which link it meets is `pick`,
/// counted round the links that there are by then, so that a plan stays whole without its mates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Step {
    pub(crate) after_ms: u64,
    pub(crate) happening: Happening,
    pub(crate) pick: u64,
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Happening {
    Link,
    Expire,
    DenyOne,
    Revoke,
    CloseOne,
    ReactivateOne,
    ReactivateAll,
    Relink,
    RelinkSilently,
    RelinkOne,
    RelinkElsewhere,
    RelinkAnew,
    RelinkInVain,
    Disconnect,
    Warn,
    MoveDate,
    RemoveDate,
    NumberExpires,
    Refresh,
}

/// How often each happens: a link's usual life above all.
const WEIGHTS: [(Happening, u64); 19] = [
    (Happening::Link, 8),
    (Happening::Expire, 12),
    (Happening::DenyOne, 12),
    (Happening::Revoke, 3),
    (Happening::CloseOne, 4),
    (Happening::ReactivateOne, 8),
    (Happening::ReactivateAll, 3),
    (Happening::Relink, 10),
    (Happening::RelinkSilently, 8),
    (Happening::RelinkOne, 4),
    (Happening::RelinkElsewhere, 3),
    (Happening::RelinkAnew, 2),
    (Happening::RelinkInVain, 3),
    (Happening::Disconnect, 3),
    (Happening::Warn, 8),
    (Happening::MoveDate, 4),
    (Happening::RemoveDate, 4),
    (Happening::NumberExpires, 3),
    (Happening::Refresh, 4),
];

/// A run, whole: the same plan gives the same run, byte for byte.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Where all chances come from.
    pub seed: u64,
    /// How Relink runs.
    pub deployment: Deployment,
    /// In which form webhooks come.
    pub bodies: Bodies,
    /// What can go wrong, and with which probability wherever it can.
    pub faults: BTreeMap<Fault, f64>,
    pub(crate) steps: Vec<Step>,
    /// Which steps are taken, by number; the others are left out.
    pub(crate) taken: BTreeSet<usize>,
}

impl Plan {
    /// What the seed stands for.
    pub fn of(seed: u64) -> Self {
        let chance = Chance::of(seed, "plan");
        let deployment = match chance.below(3) {
            0 => Deployment::Standalone,
            _ => Deployment::Distributed {
                workers: usize::try_from(chance.between(1, 4)).unwrap_or(1),
                schedulers: usize::try_from(chance.between(1, 3)).unwrap_or(1),
            },
        };
        let bodies = match chance.below(4) {
            0 => Bodies::Plain,
            1 => Bodies::Thin,
            _ => Bodies::Preview,
        };
        let faults = Fault::ALL
            .into_iter()
            .filter_map(|fault| {
                let (exists, strength) = (chance.happens(0.4), 0.2 + 0.8 * chance.part());
                exists.then(|| (fault, fault.highest() * strength))
            })
            .collect();
        let count = chance.between(6, 28);
        let steps: Vec<Step> = (0..count).map(|number| Step::any(number, &chance)).collect();
        let taken = (0..steps.len()).collect();
        Self { seed, deployment, bodies, faults, steps, taken }
    }

    /// The same without the faults that are not named.
    #[must_use]
    pub fn with_faults(mut self, named: &BTreeSet<Fault>) -> Self {
        self.faults.retain(|fault, _| named.contains(fault));
        self
    }

    /// The same with those of its steps only that are named by number.
    #[must_use]
    pub fn with_steps(mut self, named: &BTreeSet<usize>) -> Self {
        self.taken.retain(|step| named.contains(step));
        self
    }

    /// The numbers of the steps that are taken.
    pub fn steps(&self) -> &BTreeSet<usize> {
        &self.taken
    }

    pub(crate) fn probability(&self, fault: Fault) -> f64 {
        self.faults.get(&fault).copied().unwrap_or(0.0)
    }

    pub(crate) fn taken_steps(&self) -> impl Iterator<Item = (usize, Step)> + '_ {
        let taken = |number: &usize| self.steps.get(*number).map(|step| (*number, *step));
        self.taken.iter().filter_map(taken)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.deployment {
            Deployment::Standalone => f.write_str("standalone")?,
            Deployment::Distributed { workers, schedulers } => {
                write!(f, "workers: {workers}, schedulers: {schedulers}")?;
            }
        }
        write!(f, "; {:?} webhooks; faults:", self.bodies)?;
        for (fault, probability) in &self.faults {
            write!(f, " {} {probability:.3}", fault.name())?;
        }
        write!(f, "; steps:")?;
        for (number, step) in self.taken_steps() {
            write!(f, " {number}:{:?}", step.happening)?;
        }
        Ok(())
    }
}

impl Step {
    fn any(number: u64, chance: &Chance) -> Self {
        let all: u64 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut place = chance.below(all);
        let mut chosen = Happening::Link;
        for (happening, weight) in WEIGHTS {
            if place < weight {
                chosen = happening;
                break;
            }
            place -= weight;
        }
        // Bursts within one second, doubt within a few, and quiet times.
        let after_ms = match chance.below(10) {
            0..=2 => chance.below(400),
            3..=6 => chance.between(400, 8_000),
            7 | 8 => chance.between(8_000, 60_000),
            _ => chance.between(60_000, 900_000),
        };
        let pick = chance.below(1 << 32);
        // The first link is there from the beginning.
        let happening = if number == 0 { Happening::Link } else { chosen };
        Self { after_ms, happening, pick }
    }
}

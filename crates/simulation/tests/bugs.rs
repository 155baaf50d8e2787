//! The simulation bites: each bug that somebody could have written is found within a thousand
//! seeds, and the run that found it can be shortened.
//!
//! Only with the feature `bugs`: `cargo test -p relink-simulation --features bugs`. The table here
//! is the one in `tests/README.md`. Each bug's first seed is tried first; where it has lost its
//! meaning, because the plans have changed, the search begins anew and says what it finds.

#![cfg(feature = "bugs")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stdout, reason = "what is found elsewhere now is for the table")]

use std::collections::BTreeSet;

use relink_core::bug::{Bug, plant};
use relink_simulation::{Outcome, Plan, run, shrink};

/// The promise: a bug is found within so many seeds.
const SEEDS_MAX: u64 = 1000;

/// Each bug, and the first seed that finds it.
const FIRST_SEEDS: [(Bug, u64); 18] = [
    (Bug::AnswerBeforeConfirm, 1),
    (Bug::AcknowledgeBeforeCommit, 1),
    (Bug::RetryCountedOnTransient, 1),
    (Bug::HandBackForgotten, 1),
    (Bug::LedgerNotLookedInto, 1),
    (Bug::OutboxDeletedBeforeConfirm, 1),
    (Bug::PublishErrorIgnored, 3),
    (Bug::RelayAsleep, 1),
    (Bug::LateNewsWins, 8),
    (Bug::FirstOfASecondStays, 451),
    (Bug::NoDoubt, 18),
    (Bug::NoSiblingVerify, 3),
    (Bug::NoSecondRead, 199),
    (Bug::ReminderClockReset, 1),
    (Bug::WithdrawalForgotten, 1),
    (Bug::PromptRepeated, 1),
    (Bug::VersionNotRaised, 1),
    (Bug::CatchUpBlind, 8),
];

/// Runs a seed with the bug; its plan and outcome, if a promise was broken.
fn meet(bug: Bug, seed: u64) -> Option<(Plan, Outcome)> {
    plant(Some(bug));
    let plan = Plan::of(seed);
    let outcome = run(&plan).unwrap();
    plant(None);
    outcome.broken.is_some().then_some((plan, outcome))
}

fn find(bug: Bug, first: u64) -> Option<(Plan, Outcome)> {
    meet(bug, first).or_else(|| (1..=SEEDS_MAX).find_map(|seed| meet(bug, seed)))
}

#[test]
fn every_bug_is_found() {
    for (bug, first) in FIRST_SEEDS {
        let Some((plan, outcome)) = find(bug, first) else {
            panic!("{bug:?} is not found within {SEEDS_MAX} seeds");
        };
        if plan.seed != first {
            println!("{bug:?} is found by seed {} now: {}", plan.seed, outcome.broken.unwrap());
        }
    }
}

#[test]
fn every_bug_is_in_the_table_here_and_in_the_readme() {
    let here: BTreeSet<Bug> = FIRST_SEEDS.iter().map(|(bug, _)| *bug).collect();
    assert_eq!(here, BTreeSet::from(Bug::ALL));
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    for (bug, seed) in FIRST_SEEDS {
        let row = format!("| `{bug:?}` | {seed} |");
        assert!(readme.contains(&row), "tests/README.md lacks the row {row}");
    }
}

#[test]
fn without_a_bug_the_same_seeds_keep_every_promise() {
    for seed in FIRST_SEEDS.iter().map(|(_, seed)| *seed).collect::<BTreeSet<_>>() {
        assert_eq!(run(&Plan::of(seed)).unwrap().broken, None, "seed {seed}");
    }
}

#[test]
fn a_run_that_breaks_a_promise_is_shortened_and_still_breaks_it() {
    let bug = Bug::NoSiblingVerify;
    let (plan, outcome) = find(bug, 3).unwrap();
    plant(Some(bug));
    let (short, shortened) = shrink(plan.clone(), outcome.clone(), 100).unwrap();
    plant(None);
    assert!(shortened.broken.is_some());
    assert!(short.steps().len() < plan.steps().len(), "{short}");
    assert!(short.faults.len() <= plan.faults.len());
    assert!(shortened.trace.len() < outcome.trace.len());
}

//! The simulation bites: each bug that somebody could have written is found within a thousand
//! seeds, and the run that found it can be shortened.
//!
//! Only with the feature `bugs`: `cargo test -p relink-simulation --features bugs`. The table in
//! `tests/README.md` is what `RELINK_TEST_BUGS=table` prints.

#![cfg(feature = "bugs")]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]
#![expect(clippy::print_stdout, reason = "the table is printed for the document")]

use relink_core::bug::{Bug, plant};
use relink_simulation::{Outcome, Plan, run, shrink};

/// The promise: a bug is found within so many seeds.
const SEEDS_MAX: u64 = 1000;

/// The first seed that finds the bug, with its run.
fn find(bug: Bug) -> Option<(Plan, Outcome)> {
    plant(Some(bug));
    let found = (1..=SEEDS_MAX).find_map(|seed| {
        let plan = Plan::of(seed);
        let outcome = run(&plan).unwrap();
        outcome.broken.is_some().then_some((plan, outcome))
    });
    plant(None);
    found
}

/// Every bug in turn, a share of them for each of several tests that run beside each other.
fn find_share(share: usize) {
    for bug in Bug::ALL.into_iter().skip(share).step_by(SHARES) {
        let Some((plan, outcome)) = find(bug) else {
            panic!("{bug:?} is not found within {SEEDS_MAX} seeds");
        };
        let broken = outcome.broken.unwrap();
        println!("| {bug:?} | {} | {} |", plan.seed, broken.split(':').next().unwrap());
    }
}

const SHARES: usize = 3;

#[test]
fn a_first_third_of_the_bugs_is_found() {
    find_share(0);
}

#[test]
fn a_second_third_of_the_bugs_is_found() {
    find_share(1);
}

#[test]
fn a_last_third_of_the_bugs_is_found() {
    find_share(2);
}

#[test]
fn a_run_that_breaks_a_promise_is_shortened_and_still_breaks_it() {
    let bug = Bug::NoSiblingVerify;
    let (plan, outcome) = find(bug).unwrap();
    plant(Some(bug));
    let (short, shortened) = shrink(plan.clone(), outcome.clone(), 100).unwrap();
    plant(None);
    assert!(shortened.broken.is_some());
    assert!(short.steps().len() < plan.steps().len(), "{short}");
    assert!(short.faults.len() <= plan.faults.len());
    assert!(shortened.trace.len() < outcome.trace.len());
}

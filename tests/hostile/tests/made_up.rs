//! Every target with random bytes, on any compiler.
//!
//!     RELINK_TEST_INPUTS=1000000 cargo test --profile hostile -p relink-hostile
//!
//! A failure names the seed and the number of the input; `RELINK_TEST_SEED` begins there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use relink_hostile::Target;

/// In each run of the tests: a few seconds for all targets.
const INPUTS: u64 = 1_000;

/// The longest input: the largest history of events takes about as much.
const BYTES_MAX: usize = 1_024;

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

fn judge(name: &str) {
    let target = Target::named(name).expect("a target of this name");
    let first = variable("RELINK_TEST_SEED").unwrap_or(1);
    let inputs = variable("RELINK_TEST_INPUTS").unwrap_or(INPUTS);
    let mut bytes = [0; BYTES_MAX];
    for seed in first..first.saturating_add(inputs) {
        // A generator of its own for each, so that any of them can be repeated alone.
        let mut random = SmallRng::seed_from_u64(seed);
        let length = random.random_range(0..=BYTES_MAX);
        random.fill(&mut bytes[..length]);
        let judged = catch_unwind(AssertUnwindSafe(|| target.run(&bytes[..length])));
        assert!(
            judged.is_ok(),
            "again: RELINK_TEST_SEED={seed} RELINK_TEST_INPUTS=1 cargo test -p relink-hostile {name}"
        );
    }
}

#[test]
fn a_signature_holds_for_what_was_signed_and_for_nothing_else() {
    judge("signature");
}

#[test]
fn an_event_is_the_same_to_ingress_and_to_a_worker() {
    judge("event");
}

#[test]
fn odd_histories_break_no_invariant() {
    judge("decision");
}

#[test]
fn a_link_is_good_for_what_was_signed_and_for_nothing_else() {
    judge("link");
}

#[test]
fn an_observation_is_read_or_parked() {
    judge("observation");
}

#[test]
fn a_command_is_settled_whatever_stripe_answers() {
    judge("command");
}

#[test]
fn a_webhook_is_answered_and_published_as_it_should_be() {
    judge("webhook");
}

#[test]
fn a_request_to_the_portal_is_never_its_fault() {
    judge("api");
}

//! Two hundred seeds of the simulation, and that a seed is all it takes to repeat a run.
//!
//! What a run is and what it must hold is told in `crates/simulation`. `relink simulate` runs any
//! number of seeds and looks for the shortest way to a break.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::collections::BTreeSet;

use relink_simulation::{Bodies, Deployment, Fault, Plan, run};

/// The seeds, in four parts that run beside each other.
fn run_seeds(first: u64, count: u64) {
    for seed in first..first + count {
        let plan = Plan::of(seed);
        let outcome = run(&plan).unwrap();
        if let Some(broken) = outcome.broken {
            let repeat = format!("relink simulate --seed {seed} --seeds 1");
            panic!("seed {seed}: {broken}\n{plan}\nshortened and told by: {repeat}");
        }
    }
}

#[test]
fn seeds_1_to_50_keep_every_promise() {
    run_seeds(1, 50);
}

#[test]
fn seeds_51_to_100_keep_every_promise() {
    run_seeds(51, 50);
}

#[test]
fn seeds_101_to_150_keep_every_promise() {
    run_seeds(101, 50);
}

#[test]
fn seeds_151_to_200_keep_every_promise() {
    run_seeds(151, 50);
}

#[test]
fn seeds_that_broke_a_promise_once_keep_it() {
    for seed in [373, 479, 4955, 6285, 6651, 8824, 9019, 9194] {
        run_seeds(seed, 1);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    for seed in [3, 7, 22] {
        let (one, other) = (run(&Plan::of(seed)).unwrap(), run(&Plan::of(seed)).unwrap());
        assert!(one.trace.len() > 50, "a run that does something");
        assert_eq!(one, other, "seed {seed}");
    }
}

#[test]
fn the_seeds_meet_every_fault_every_deployment_and_every_form_of_webhooks() {
    let plans: Vec<Plan> = (1..=200).map(Plan::of).collect();
    let faults: BTreeSet<Fault> =
        plans.iter().flat_map(|plan| plan.faults.keys().copied()).collect();
    assert_eq!(faults, BTreeSet::from(Fault::ALL));
    for bodies in [Bodies::Preview, Bodies::Plain, Bodies::Thin] {
        assert!(plans.iter().any(|plan| plan.bodies == bodies), "{bodies:?}");
    }
    let alone = plans.iter().filter(|plan| plan.deployment == Deployment::Standalone).count();
    assert!(alone > 20 && alone < 180, "{alone}");
}

#[test]
fn a_run_without_faults_or_with_some_of_its_steps_is_a_run() {
    let plan = Plan::of(11);
    let calm = plan.clone().with_faults(&BTreeSet::new());
    assert!(calm.faults.is_empty());
    assert_eq!(run(&calm).unwrap().broken, None);
    let short = plan.with_steps(&BTreeSet::from([0, 2]));
    assert_eq!(short.steps().len(), 2);
    assert_eq!(run(&short).unwrap().broken, None);
}

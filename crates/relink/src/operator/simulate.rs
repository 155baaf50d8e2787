//! `relink simulate`: the product's own code on one thread against a simulated Stripe, with
//! everything going wrong that can; any number of seeds.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use relink_simulation::{Fault, Outcome, Plan, run as run_plan, shrink};

use crate::cli::SimulateArgs;
use crate::failure::Failure;
use crate::output::{counted, print};
use crate::progress::Progress;
use crate::shutdown;

/// Runs spent on looking for a shorter way to the same break.
const SHRINK_RUNS_MAX: usize = 200;

/// How often it is told how far it has come, in runs.
const TELL_EVERY: u64 = 100;

/// Seeds by chance are small enough to be typed.
const SEEDS_BY_CHANCE: u64 = 1_000_000_000;

/// What the command line leaves of a plan.
struct Choice {
    faults: Option<BTreeSet<Fault>>,
    steps: Option<BTreeSet<usize>>,
}

impl Choice {
    fn of(args: &SimulateArgs) -> Result<Self, Failure> {
        let mut problems = Vec::new();
        let faults = args.faults.as_ref().map(|names| {
            let known = |name: &String| {
                let found = Fault::named(name);
                if found.is_none() && name != "none" {
                    let all = Fault::ALL.map(Fault::name).join(", ");
                    problems.push(format!("--faults: there is no `{name}`; there are {all}"));
                }
                found
            };
            names.iter().filter_map(known).collect()
        });
        let steps = args.steps.as_ref().map(|steps| steps.iter().copied().collect());
        if problems.is_empty() {
            Ok(Self { faults, steps })
        } else {
            Err(Failure::usage(&problems))
        }
    }

    /// The plan of a seed; refuses steps that it does not have.
    fn plan(&self, seed: u64) -> Result<Plan, Failure> {
        let mut plan = Plan::of(seed);
        if let Some(faults) = &self.faults {
            plan = plan.with_faults(faults);
        }
        if let Some(steps) = &self.steps {
            let unknown: Vec<String> =
                steps.difference(plan.steps()).map(usize::to_string).collect();
            if !unknown.is_empty() {
                let last = plan.steps().last().map_or_else(|| "none".into(), usize::to_string);
                return Err(Failure::usage(&[format!(
                    "--steps: the plan of seed {seed} has no step {}; there are 0 to {last}",
                    unknown.join(", ")
                )]));
            }
            plan = plan.with_steps(steps);
        }
        Ok(plan)
    }
}

pub(crate) async fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let choice = Choice::of(args)?;
    let first = args.seed.unwrap_or_else(|| rand::random::<u64>() % SEEDS_BY_CHANCE);
    print(&format!("seed {first}"))?;
    let began = Instant::now();
    let progress = Progress::of(args.trace, "runs", Some(args.seeds));
    // Without anybody who looks on the signal ends the process by itself.
    let stop = match progress.is_for_somebody() {
        true => shutdown::on_signal()?,
        false => CancellationToken::new(),
    };
    let looking = Looking { progress: &progress, stop: &stop, done: AtomicU64::new(0) };
    let found = search(args, &choice, first, &looking)?;
    progress.end();
    let Some((plan, outcome)) = found else {
        if stop.is_cancelled() {
            let (done, runs) = (looking.done.into_inner(), counted(args.seeds, "run"));
            return Err(Failure::interrupted(format!(
                "{done} of {runs} done, no promise broken; `--seed {first}` begins with the same \
                 ones again"
            )));
        }
        let seconds = began.elapsed().as_secs();
        return print(&format!("{}, no promise broken, {seconds} s", counted(args.seeds, "run")));
    };
    let (seed, found) = (plan.seed, outcome.broken.clone().unwrap_or_default());
    print(&format!("seed {seed} breaks a promise: {found}\nlooking for a shorter way to it"))?;
    // On a thread of its own: a run brings its own runtime.
    let (tell, told_of) = oneshot::channel();
    std::thread::spawn(move || tell.send(shrink(plan, outcome, SHRINK_RUNS_MAX)).is_ok());
    let progress = Progress::waiting(args.trace, "shortening");
    let shortened = tokio::select! {
        () = stop.cancelled() => return Err(Failure::interrupted(format!(
            "seed {seed} breaks a promise and was not shortened; `relink simulate --seeds 1 \
             --seed {seed}` begins with it again"
        ))),
        shortened = told_of => shortened.map_err(|_| Failure::software("a run panicked"))?,
    };
    progress.end();
    let (plan, outcome) = shortened.map_err(Failure::unavailable)?;
    print(&told(&plan, &outcome))?;
    Err(Failure::no(format!("seed {seed} breaks a promise")))
}

/// Who looks on, and how far it is.
struct Looking<'a> {
    progress: &'a Progress,
    stop: &'a CancellationToken,
    done: AtomicU64,
}

/// The first run that breaks a promise, in whichever order they end.
fn search(
    args: &SimulateArgs,
    choice: &Choice,
    first: u64,
    looking: &Looking<'_>,
) -> Result<Option<(Plan, Outcome)>, Failure> {
    let processors = std::thread::available_parallelism().map_or(1, |all| all.get() as u64);
    let jobs = if args.trace { 1 } else { args.jobs.unwrap_or(processors) };
    let next = AtomicU64::new(0);
    // Of a break as of a signal the other runs hear.
    let stop = looking.stop.child_token();
    let found: Mutex<Option<Result<(Plan, Outcome), Failure>>> = Mutex::default();
    let keep = |what: Result<(Plan, Outcome), Failure>| {
        stop.cancel();
        found.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
    };
    let work = || {
        while !stop.is_cancelled() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= args.seeds {
                return;
            }
            let plan = match choice.plan(first.wrapping_add(number)) {
                Ok(plan) => plan,
                Err(failure) => return keep(Err(failure)),
            };
            match one(args, &plan, looking) {
                Ok(outcome) if outcome.broken.is_none() => {}
                Ok(outcome) => keep(Ok((plan, outcome))),
                Err(failure) => keep(Err(failure)),
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner).transpose()
}

fn one(args: &SimulateArgs, plan: &Plan, looking: &Looking<'_>) -> Result<Outcome, Failure> {
    let outcome = run_plan(plan).map_err(Failure::unavailable)?;
    let (runs, number) = (args.seeds, looking.done.fetch_add(1, Ordering::Relaxed) + 1);
    looking.progress.one_more();
    if args.trace {
        print(&format!("seed {}: {plan}\n{}", plan.seed, outcome.trace.join("\n")))?;
    } else if number.is_multiple_of(TELL_EVERY)
        && number < runs
        && !looking.progress.is_for_somebody()
    {
        print(&format!("{number} of {runs}"))?;
    }
    Ok(outcome)
}

fn told(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = outcome.trace.join("\n");
    let list = |items: Vec<String>| items.join(",");
    let faults = match plan.faults.is_empty() {
        true => "none".to_owned(),
        false => list(plan.faults.keys().map(|fault| fault.name().to_owned()).collect()),
    };
    let steps = list(plan.steps().iter().map(ToString::to_string).collect());
    let broken = outcome.broken.as_deref().unwrap_or_default();
    let _ = write!(
        text,
        "\n\n{plan}\n{broken}\n\nto repeat it:\n  \
         relink simulate --seeds 1 --seed {} --faults {faults} --steps {steps} --trace",
        plan.seed,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_a_plan_does_not_have_are_refused() {
        let choice =
            |steps: &[usize]| Choice { faults: None, steps: Some(steps.iter().copied().collect()) };
        let last = *Plan::of(17).steps().last().unwrap();
        let chosen = choice(&[0, last]).plan(17).unwrap();
        assert_eq!(chosen.steps(), &BTreeSet::from([0, last]));
        let refused = format!("{:?}", choice(&[0, last + 1, 99]).plan(17).unwrap_err());
        for part in ["code: 64", &format!("has no step {}, 99", last + 1), &format!("0 to {last}")]
        {
            assert!(refused.contains(part), "{refused}");
        }
    }
}

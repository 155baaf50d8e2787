//! What always holds, numbered; checked in tests and in debug builds after every decision.

use crate::account::Account;
use crate::aggregate::{Aggregate, Health};
use crate::health::{health, need};
use crate::id::{Home, HomeKey};
use crate::observation::Status;
use crate::policy::{ACCOUNTS_MAX, Policy};
use crate::time::Time;

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("invariant {number} broken at {home:?}: {text}")]
pub struct Broken {
    /// Its number.
    pub number: u8,
    /// Where.
    pub home: HomeKey,
    /// What should hold.
    pub text: &'static str,
}

/// Checks one aggregate.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check(aggregate: &Aggregate, policy: &Policy, now: Time) -> Result<(), Broken> {
    let broken = |(number, text, holds): (u8, &'static str, bool)| {
        (!holds).then(|| Broken { number, home: aggregate.key.clone(), text })
    };
    let mut held = of_accounts(aggregate).into_iter().chain(of_case(aggregate, policy, now));
    held.find_map(broken).map_or(Ok(()), Err)
}

type Held = (u8, &'static str, bool);

fn of_accounts(aggregate: &Aggregate) -> [Held; 6] {
    let all = |holds: fn(&Account) -> bool| aggregate.accounts.values().all(holds);
    [
        (1, "every account is at home", all_at_home(aggregate)),
        (2, "a provisional home has one account at most", {
            matches!(aggregate.key.home, Home::Authorization(_)) || aggregate.accounts.len() <= 1
        }),
        (3, "no more accounts than the limit", aggregate.accounts.len() <= ACCOUNTS_MAX),
        (4, "the last pause or resume agrees with the status", {
            all(|one| one.paused == one.status().is_some_and(|status| status != Status::Active))
        }),
        (5, "a status has a version", all(|one| one.status().is_some() == (one.version > 0))),
        (6, "disconnected is final", {
            all(|one| one.disconnected.is_none() || one.status() == Some(Status::Disconnected))
        }),
    ]
}

fn all_at_home(aggregate: &Aggregate) -> bool {
    aggregate.accounts.iter().all(|(id, account)| account.home(id) == aggregate.key.home)
}

fn of_case(aggregate: &Aggregate, policy: &Policy, now: Time) -> [Held; 6] {
    let case = aggregate.state.case.as_ref();
    let need = need(aggregate, policy, now);
    let health = health(aggregate, policy, now);
    [
        (7, "a case is open where the customer is needed", need.is_none() || case.is_some()),
        (8, "a case is open only where the customer is needed or that is being found out", {
            case.is_none() || need.is_some() || health == Health::Unverified
        }),
        (9, "the case's reason follows the health", {
            case.zip(need).is_none_or(|(case, need)| case.reason == need)
        }),
        (10, "a case has its prompt sent or due", {
            case.is_none_or(|case| case.prompts > 0 || case.prompt_due.is_some())
        }),
        (11, "the scheduler knows when the prompt is due", {
            let due = case.and_then(|case| case.prompt_due).filter(|_| need.is_some());
            due.is_none_or(|due| aggregate.state.summary.next_due.is_some_and(|at| at <= due))
        }),
        (12, "the summary tells the health", aggregate.state.summary.health == health),
    ]
}

#[cfg(debug_assertions)]
pub(crate) use of_decision::assert_decision;

#[cfg(debug_assertions)]
mod of_decision {
    use super::check;
    use crate::command::Command;
    use crate::input::{Happened, Input};
    use crate::policy::{COMMANDS_MAX, Policy};
    use crate::time::Time;
    use crate::world::World;

    /// Checks what a decision touched. A function of its own in the machine's code as well, so that
    /// whoever counts what a decision costs can leave it out.
    ///
    /// # Panics
    /// When an invariant is broken.
    #[inline(never)]
    pub(crate) fn assert_decision(
        world: &World,
        input: &Input,
        commands: &[Command],
        policy: &Policy,
        now: Time,
    ) {
        if matches!(input.happened, Happened::AccountObserved(_)) {
            assert!(commands.len() <= COMMANDS_MAX, "more commands than the limit: {commands:?}");
        }
        let mut ids: Vec<_> = commands.iter().map(|command| &command.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), commands.len(), "two commands with one id: {commands:?}");
        // Those that the batch has not touched may wait for a timer that is due by now.
        for aggregate in world.changed_homes.iter().filter_map(|home| world.get(home)) {
            let broken = check(aggregate, policy, now).err();
            let told = broken.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(broken.is_none(), "{told} after {input:?}");
        }
    }
}

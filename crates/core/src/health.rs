//! How an authorization is, and whether that calls for the customer.

use crate::account::Account;
use crate::aggregate::{Aggregate, Health};
use crate::command::Reason;
use crate::id::AccountId;
use crate::observation::{Action, Forecast, Status};
use crate::policy::Policy;
use crate::time::{Second, Time};

/// Derives the health from all accounts that are not disconnected.
pub fn health(aggregate: &Aggregate, policy: &Policy, now: Time) -> Health {
    if aggregate.accounts.is_empty() && aggregate.is_superseded() {
        return Health::Disconnected;
    }
    derive(aggregate.accounts.values(), aggregate.forecast(), policy, now)
}

/// Why the customer has to be asked, if at all.
///
/// The same derivation without what a takeover has made moot: after a relink onto another
/// authorization, what was left behind goes out as `reconcile_accounts` and is not prompted for
/// again, unless it breaks anew.
pub fn need(aggregate: &Aggregate, policy: &Policy, now: Time) -> Option<Reason> {
    if aggregate.state.takeovers.is_empty() {
        return health(aggregate, policy, now).reason();
    }
    let accounts = aggregate.accounts.iter();
    let current =
        accounts.filter(|(id, account)| !aggregate.is_moot(id, account)).map(|(_, one)| one);
    let forecast = aggregate.forecast().filter(|_| !aggregate.is_superseded());
    derive(current, forecast, policy, now).reason()
}

fn derive<'a>(
    accounts: impl Iterator<Item = &'a Account> + Clone,
    forecast: Option<&Forecast>,
    policy: &Policy,
    now: Time,
) -> Health {
    let linked = accounts.clone().filter(|account| account.status() != Some(Status::Disconnected));
    let expiring = |one: &Forecast| one.action == Action::RelinkRequired;
    if linked.clone().any(Account::needs_relink) {
        Health::RelinkRequired
    } else if linked.clone().any(|one| one.status().is_none() || one.is_unexplained()) {
        Health::Unverified
    } else if forecast.is_some_and(expiring) || linked.clone().any(Account::is_expiring) {
        // The authorization's own date says nothing once its last account is gone.
        if linked.clone().next().is_none() && accounts.clone().next().is_some() {
            return Health::Disconnected;
        }
        Health::Expiring
    } else if linked.clone().any(|one| numbers_due(one, policy, now)) {
        Health::NumbersDue
    } else if linked.clone().any(Account::is_inactive) {
        Health::Unrepairable
    } else if linked.clone().next().is_none() && accounts.clone().next().is_some() {
        Health::Disconnected
    } else {
        Health::Active
    }
}

/// Whether the account's tokenized number has stopped working or is about to.
pub fn numbers_due(account: &Account, policy: &Policy, now: Time) -> bool {
    policy.watch_numbers
        && account.numbers_end(now).is_some_and(|end| end <= now.after(policy.numbers_ahead))
}

/// The accounts that a prompt for this reason names.
pub fn concerned<'a>(
    aggregate: &'a Aggregate,
    reason: Reason,
    policy: &'a Policy,
    now: Time,
) -> impl Iterator<Item = (&'a AccountId, &'a Account)> {
    let moot = |id: &AccountId, account: &Account| aggregate.is_moot(id, account);
    let any_expiring = aggregate.accounts.values().any(Account::is_expiring);
    aggregate.accounts.iter().filter(move |(id, account)| match reason {
        Reason::Inactive => account.needs_relink() && !moot(id, account),
        // Where only the authorization has a date, it holds for all that work.
        Reason::Upcoming if any_expiring => account.is_expiring(),
        Reason::Upcoming => account.status() == Some(Status::Active),
        Reason::Numbers => numbers_due(account, policy, now),
    })
}

/// The first date at which something is expected to stop working, prompted for or not.
pub fn expected_deactivation(aggregate: &Aggregate) -> Option<Second> {
    let of_accounts = aggregate.accounts.values().filter_map(Account::forecast);
    of_accounts.chain(aggregate.forecast()).map(|forecast| forecast.date).min()
}

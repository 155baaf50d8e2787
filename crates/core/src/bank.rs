//! What banks are known to do to permissions, for the time that Stripe says nothing.
//!
//! It yields expectations of our own, to plan by: they never open a case and never prompt.

use crate::account::Account;
use crate::aggregate::Aggregate;
use crate::observation::Status;
use crate::register::value;
use crate::time::{Second, Span, Time};

/// A bank and what it does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bank {
    /// Its names as Stripe writes them; compared without regard to case.
    pub names: Vec<String>,
    /// What it does.
    pub rules: Vec<Rule>,
}

/// One thing that a bank does to accounts that were linked, or linked again, in a certain time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Concerns those linked from here on; `None`: from ever.
    pub linked_from: Option<Second>,
    /// Concerns those linked before; `None`: for ever.
    pub linked_before: Option<Second>,
    /// When their permission ends.
    pub ends: Ends,
    /// Why, for people.
    pub why: String,
}

/// When a permission ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// So long after the customer gave it.
    After(Span),
    /// For all at once.
    On(Second),
    /// One by one, and nobody says when.
    AnyTime,
}

/// What is expected of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expectation<'a> {
    /// The day; `None`: any time.
    pub date: Option<Second>,
    /// Why.
    pub why: &'a str,
}

/// What the banks are known to do to this account, the first date that is still to come; `None`
/// where Stripe has named a date itself, where the account does not work, or nothing is known.
pub fn expectation<'a>(
    banks: &'a [Bank],
    aggregate: &Aggregate,
    account: &Account,
    now: Time,
) -> Option<Expectation<'a>> {
    let told = account.forecast().or(aggregate.forecast());
    if told.is_some() || account.status() != Some(Status::Active) {
        return None;
    }
    let name = value(&account.institution_name).or(aggregate.institution_name())?;
    let is_meant = |bank: &&Bank| bank.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let bank = banks.iter().find(is_meant)?;
    // A relink is a new permission, through whatever way the bank has by then.
    let linked = value(&account.created).copied();
    let linked = linked.max(account.came_back_at()).max(aggregate.state.relinked_at)?;
    let concerns = |rule: &&Rule| {
        rule.linked_from.is_none_or(|from| linked >= from)
            && rule.linked_before.is_none_or(|before| linked < before)
    };
    let expected = bank.rules.iter().filter(concerns).map(|rule| {
        let date = match rule.ends {
            Ends::After(span) => Some(Second(linked.as_time().after(span).0.div_euclid(1000))),
            Ends::On(date) => Some(date),
            Ends::AnyTime => None,
        };
        Expectation { date, why: &rule.why }
    });
    // What has not happened by its date is not expected any more.
    let to_come = expected.filter(|one| one.date.is_none_or(|date| date.as_time() > now));
    to_come.min_by_key(|one| (one.date.is_none(), one.date))
}

//! What a decision contributes to figures: outages, prompts, recoveries and attempts.
//!
//! Nothing is decided by it. It is here because only the rules see when a case begins and ends,
//! and what of a session is news.

use crate::account::Account;
use crate::aggregate::Aggregate;
use crate::command::{CaseOutcome, Reason};
use crate::observation::RelinkOutcome;
use crate::register::Register;
use crate::time::{Second, Span};

/// Something that people count, with how long it took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Milestone {
    /// A case was opened.
    Opened(Reason),
    /// A prompt was sent, so long after what it is for was first told.
    Prompted(Reason, Span),
    /// A case was closed, so long after what it was for was first told.
    Closed(Reason, CaseOutcome, Span),
    /// A relink attempt was first seen, and goes on.
    Started,
    /// A relink attempt has ended.
    Ended(RelinkOutcome),
}

/// When what a case is for was first told, by Stripe's clock; `None` where no stamp says it.
///
/// Asked for once, when the case takes up its reason: later observations of the same outage have
/// later stamps.
pub(crate) fn began_at(aggregate: &Aggregate, reason: Reason) -> Option<Second> {
    let accounts = aggregate.accounts.values();
    match reason {
        Reason::Inactive => {
            let outages = accounts.filter(|account| account.needs_relink());
            outages.filter_map(|account| account.inactive).map(|stamp| stamp.0).min()
        }
        Reason::Upcoming => {
            let expiring = accounts.filter(|account| account.is_expiring());
            let of_accounts = expiring.filter_map(told_at);
            let own = aggregate.state.forecast.as_ref().filter(|_| aggregate.is_expiring());
            of_accounts.chain(own.map(|Register(stamp, _)| stamp.0)).min()
        }
        Reason::Numbers => None,
    }
}

fn told_at(account: &Account) -> Option<Second> {
    account.active_details.as_ref().map(|Register(stamp, _)| stamp.0)
}

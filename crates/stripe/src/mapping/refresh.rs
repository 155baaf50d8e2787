//! Refreshes of an account's data: when the next may be asked for.

use relink_core::time::Second;
use serde::Deserialize;

use super::second;
use crate::wire::{Field, Map, Text};

/// The last refresh of one kind of data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refresh {
    /// It has not ended yet.
    pub pending: bool,
    /// When Stripe takes the next one; `None` while it is pending, or where Stripe does not say.
    pub next_available_at: Option<Second>,
}

/// An account's refreshes.
#[derive(Deserialize)]
pub(super) struct Refreshes<'a> {
    #[serde(default, borrow)]
    balance_refresh: Field<Map<Attempt<'a>>>,
    #[serde(default, borrow)]
    ownership_refresh: Field<Map<Attempt<'a>>>,
    #[serde(default, borrow)]
    transaction_refresh: Field<Map<Attempt<'a>>>,
}

#[derive(Deserialize)]
struct Attempt<'a> {
    #[serde(default, borrow)]
    status: Field<Text<'a>>,
    #[serde(default)]
    next_refresh_available_at: Field<i64>,
}

impl Refreshes<'_> {
    /// The refresh of a feature, by the name it has in a request.
    pub(super) fn of(&self, feature: &str) -> Option<Refresh> {
        let attempt = match feature {
            "balance" => &self.balance_refresh,
            "ownership" => &self.ownership_refresh,
            "transactions" => &self.transaction_refresh,
            _ => return None,
        };
        let Map(attempt) = attempt.value()?;
        Some(Refresh {
            pending: attempt.status.value().is_some_and(|Text(status)| status == "pending"),
            next_available_at: second(&attempt.next_refresh_available_at),
        })
    }
}

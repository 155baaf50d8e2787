//! Between rows and what they mean.

use relink_core::account::Account;
use relink_core::aggregate::State;
use relink_core::command::CaseOutcome;
use relink_core::id::{AccountId, AuthorizationId, Home, HomeKey, Scope};
use relink_core::input::{Deferred, Ignored, Verdict};
use relink_core::time::Second;
use relink_engine::store::StoreError;

use crate::error::unreadable;

/// The day under which an input is filed, counted from 1970-01-01.
pub(crate) fn day(at: Second) -> i64 {
    at.0.div_euclid(86_400)
}

/// A scope as it stands in a row.
pub(crate) fn scope(text: &str) -> Result<Scope, StoreError> {
    Scope::parse(text).ok_or_else(|| unreadable("an unknown scope"))
}

/// A home from its columns.
pub(crate) fn home_key(
    scope_text: &str,
    id: &str,
    provisional: bool,
) -> Result<HomeKey, StoreError> {
    let home = if provisional {
        Home::Provisional(AccountId::from(id))
    } else {
        Home::Authorization(AuthorizationId::from(id))
    };
    Ok(HomeKey { scope: scope(scope_text)?, home })
}

/// The state of an account.
pub(crate) fn account(state: &str) -> Result<Account, StoreError> {
    serde_json::from_str(state).map_err(|_| unreadable("accounts"))
}

/// The state of a home.
pub(crate) fn state(state: &str) -> Result<State, StoreError> {
    serde_json::from_str(state).map_err(|_| unreadable("authorizations"))
}

/// What a state is stored as.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Refused(format!("a state that JSON cannot hold: {error}")))
}

/// A number without a sign as SQL has it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The verdict of this name.
pub(crate) fn verdict(text: &str) -> Result<Verdict, StoreError> {
    let plain = [Verdict::Applied, Verdict::Unchanged, Verdict::Duplicate, Verdict::Stale];
    plain
        .into_iter()
        .chain(Deferred::ALL.map(Verdict::Deferred))
        .chain(Ignored::ALL.map(Verdict::Ignored))
        .find(|verdict| verdict.as_str() == text)
        .ok_or_else(|| unreadable("inbox"))
}

/// The outcome of this name.
pub(crate) fn outcome(text: &str) -> Result<CaseOutcome, StoreError> {
    serde_json::from_value(text.into()).map_err(|_| unreadable("cases"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_down_before_1970() {
        assert_eq!(day(Second(0)), 0);
        assert_eq!(day(Second(-1)), -1);
    }
}

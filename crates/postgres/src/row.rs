//! Between rows and what they mean.

use bytes::BufMut as _;
use relink_core::account::Account;
use relink_core::aggregate::State;
use relink_core::command::CaseOutcome;
use relink_core::id::{AccountId, AccountKey, AuthorizationId, Home, HomeKey, Scope};
use relink_core::input::{Deferred, Ignored, Verdict};
use relink_core::time::Second;
use relink_engine::store::StoreError;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::error::unreadable;

/// A calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Day(pub(crate) i32);

impl Day {
    /// The days that a `date` of SQL can hold with room to spare; what is beyond is filed there.
    const RANGE: (i64, i64) = (-1_000_000, 100_000_000);
    /// The first of them.
    pub(crate) const FIRST: Self = Self(-1_000_000);
    /// 2000-01-01, from which the wire format counts.
    const WIRE_EPOCH: i32 = 10_957;

    /// The day under which an input is filed.
    pub(crate) fn of(at: Second) -> Self {
        let day = at.0.div_euclid(86_400).clamp(Self::RANGE.0, Self::RANGE.1);
        Self(i32::try_from(day).unwrap_or_default())
    }
}

impl ToSql for Day {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.put_i32(self.0 - Self::WIRE_EPOCH);
        Ok(IsNull::No)
    }

    accepts!(DATE);
    to_sql_checked!();
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

/// An account's key from its columns.
pub(crate) fn account_key(scope_text: &str, id: &str) -> Result<AccountKey, StoreError> {
    Ok(AccountKey { scope: scope(scope_text)?, account: AccountId::from(id) })
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
    fn days_are_counted_down_before_1970_and_end_where_sql_ends() {
        assert_eq!(Day::of(Second(0)), Day(0));
        assert_eq!(Day::of(Second(-1)), Day(-1));
        assert_eq!(Day::of(Second(i64::MIN)), Day(-1_000_000));
        assert_eq!(Day::of(Second(i64::MAX)), Day(100_000_000));
    }

    #[test]
    fn every_verdict_is_found_by_its_name() {
        for reason in Ignored::ALL {
            let known = Verdict::Ignored(reason);
            assert_eq!(verdict(known.as_str()), Ok(known));
        }
        assert!(verdict("applied?").is_err());
    }
}

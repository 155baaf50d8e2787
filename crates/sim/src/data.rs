//! What happens to the data of an account: refreshes and account numbers.

use crate::error::SimError;
use crate::event::EventType;
use crate::model::{AccountNumber, NumberStatus, Refresh, RefreshStatus};
use crate::state::{State, Subject};
use crate::verb::{Change, Feature};

/// How long ahead Stripe announces that a tokenized number expires.
const NUMBER_WARNING_S: i64 = 30 * 86_400;

impl State {
    pub(crate) fn refresh(
        &mut self,
        id: &str,
        feature: Feature,
        status: RefreshStatus,
    ) -> Result<Change, SimError> {
        let attempted_unix_s = self.clock.unix_s();
        let transactions = feature == Feature::Transactions;
        let refresh_id = transactions.then(|| self.random.id("fctxnref"));
        let ownership_id = self.random.id("fcaowns");
        let minor_units = self.random.below(1_000_000);
        let account = self.account_mut(id)?;
        let refresh = Some(Refresh { status, attempted_unix_s, id: refresh_id });
        let succeeded = status == RefreshStatus::Succeeded;
        let kind = match feature {
            Feature::Balance => {
                account.refreshes.balance = refresh;
                if succeeded {
                    let minor_units = i64::try_from(minor_units).unwrap_or_default();
                    account.balance = Some((minor_units, attempted_unix_s));
                }
                EventType::AccountRefreshedBalance
            }
            Feature::Ownership => {
                account.refreshes.ownership = refresh;
                if succeeded {
                    account.ownership = Some(ownership_id);
                }
                EventType::AccountRefreshedOwnership
            }
            Feature::Transactions => {
                account.refreshes.transactions = refresh;
                EventType::AccountRefreshedTransactions
            }
            Feature::InferredBalances => {
                account.refreshes.inferred_balances = refresh;
                EventType::AccountRefreshedInferredBalances
            }
        };
        let mut change = Change {
            authorization: Some(account.authorization.clone()),
            accounts: vec![id.into()],
            ..Change::default()
        };
        // The event says that a refresh ended; a pending one has not.
        if status != RefreshStatus::Pending {
            self.emit(kind, Subject::Account(id), &mut change);
        }
        Ok(change)
    }

    pub(crate) fn renumber(
        &mut self,
        id: &str,
        status: NumberStatus,
        expires_unix_s: Option<i64>,
    ) -> Result<Change, SimError> {
        let account = self.account(id)?;
        let mut change = Change {
            authorization: Some(account.authorization.clone()),
            accounts: vec![id.into()],
            ..Change::default()
        };
        self.set_number(id, status, expires_unix_s, &mut change)?;
        Ok(change)
    }

    /// Makes the number a tokenized one with this status and says so.
    pub(crate) fn set_number(
        &mut self,
        id: &str,
        status: NumberStatus,
        expires_unix_s: Option<i64>,
        change: &mut Change,
    ) -> Result<(), SimError> {
        let warned_from = self.clock.unix_s().saturating_add(NUMBER_WARNING_S);
        let account = self.account_mut(id)?;
        let methods_before = account.payment_methods();
        account.number = AccountNumber { tokenized: true, status, expires_unix_s };
        let methods_changed = account.payment_methods() != methods_before;
        let expires_soon = status == NumberStatus::Transactable
            && expires_unix_s.is_some_and(|expires| expires <= warned_from);
        let kind = match expires_soon {
            true => EventType::AccountUpcomingAccountNumberExpiry,
            false => EventType::AccountAccountNumbersUpdated,
        };
        self.emit(kind, Subject::Account(id), change);
        if methods_changed {
            let kind = EventType::AccountSupportedPaymentMethodTypesUpdated;
            self.emit(kind, Subject::Account(id), change);
        }
        Ok(())
    }
}

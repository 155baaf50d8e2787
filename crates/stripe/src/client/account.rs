//! Accounts: read, listed, refreshed, subscribed, disconnected.

use std::sync::Arc;

use relink_core::id::{AccountId, Scope, SessionId};
use relink_core::observation::{AccountObservation, Holder};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::budget::Budget;
use super::error::{CallError, Malformed};
use super::read::{Listing, Read};
use super::{CONNECTIONS, Client, PAGE_SIZE, checked, fit_for_a_path, observe};

const ACCOUNTS: &str = "accounts";

/// The most pages that are read of one listing: 2,000 accounts, ten times what Relink lets an
/// authorization have; beyond it something is wrong, and the read limit is shared by all.
pub const PAGES_MAX: usize = 20;

/// A page of a list.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) data: Vec<Box<RawValue>>,
    pub(super) has_more: bool,
}

impl Client {
    /// Reads an account (Stripe docs: allowed at any time, also of inactive accounts).
    pub async fn account(
        &self,
        scope: &Scope,
        id: &AccountId,
    ) -> Result<Read<AccountObservation>, CallError> {
        let answer = self.object(scope, ACCOUNTS, id.as_str()).await?;
        checked(answer, |account: &AccountObservation| account.account == *id)
    }

    /// Reads all accounts of a holder, page by page, at most [`PAGES_MAX`] pages. The turn of the
    /// first page is the caller's, as with any call; each further page takes one of `budget`.
    ///
    /// Stripe docs: accounts can be listed by holder or session only; finding the siblings of an
    /// account means listing its holder's and grouping them by authorization.
    pub async fn accounts_of_holder(
        &self,
        scope: &Scope,
        holder: &Holder,
        budget: &Budget,
    ) -> Result<Listing, CallError> {
        self.accounts(scope, (holder_key(holder), &holder.id), budget).await
    }

    /// Reads all accounts that a session returned, page by page, at most [`PAGES_MAX`] pages, with
    /// turns as [`Client::accounts_of_holder`] takes them.
    pub async fn accounts_of_session(
        &self,
        scope: &Scope,
        session: &SessionId,
        budget: &Budget,
    ) -> Result<Listing, CallError> {
        self.accounts(scope, ("session", session.as_str()), budget).await
    }

    /// Asks Stripe to fetch an account's data anew; it answers with the refreshes pending.
    ///
    /// `features`: of `balance`, `ownership`, `transactions`. Stripe docs: refused on an inactive
    /// account ([`CallError::AccountInactive`]) and before the feature's
    /// [`next_available_at`](crate::mapping::Refresh::next_available_at); a refresh that finds
    /// the link broken deactivates the account.
    pub async fn refresh(
        &self,
        scope: &Scope,
        account: &AccountId,
        features: &[Arc<str>],
        idempotency_key: &str,
    ) -> Result<Read<AccountObservation>, CallError> {
        self.act(scope, account, "refresh", features, idempotency_key).await
    }

    /// Subscribes to an account's data: about one refresh a day while it is active.
    pub async fn subscribe(
        &self,
        scope: &Scope,
        account: &AccountId,
        features: &[Arc<str>],
        idempotency_key: &str,
    ) -> Result<Read<AccountObservation>, CallError> {
        self.act(scope, account, "subscribe", features, idempotency_key).await
    }

    /// Ends the link of an account for good; no relink brings it back.
    pub async fn disconnect(
        &self,
        scope: &Scope,
        account: &AccountId,
        idempotency_key: &str,
    ) -> Result<Read<AccountObservation>, CallError> {
        self.act(scope, account, "disconnect", &[], idempotency_key).await
    }

    async fn act(
        &self,
        scope: &Scope,
        account: &AccountId,
        action: &str,
        features: &[Arc<str>],
        idempotency_key: &str,
    ) -> Result<Read<AccountObservation>, CallError> {
        let path = [CONNECTIONS, ACCOUNTS, fit_for_a_path(account.as_str())?, action];
        let form: Vec<_> = features.iter().map(|feature| ("features[]", &**feature)).collect();
        let answer = self.transport.post(scope, &path, &form, idempotency_key).await?;
        checked(answer, |found: &AccountObservation| found.account == *account)
    }

    async fn accounts(
        &self,
        scope: &Scope,
        filter: (&str, &str),
        budget: &Budget,
    ) -> Result<Listing, CallError> {
        let mut accounts: Vec<Read<AccountObservation>> = Vec::new();
        let mut after: Option<AccountId> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("limit", PAGE_SIZE), filter];
            query.extend(after.as_ref().map(|id| ("starting_after", id.as_str())));
            let call = self.transport.get(scope, &[CONNECTIONS, ACCOUNTS], &query);
            let answer = match &after {
                None => call.await?,
                Some(_) => budget.spend(call).await?,
            };
            let page: Page = serde_json::from_str(answer.body.get())
                .map_err(|_| answer.malformed(Malformed::Page))?;
            let entries = page.data.len();
            for body in page.data {
                let read = answer.part(body);
                let account: AccountObservation = observe(&read, &answer)?;
                after = Some(account.account);
                accounts.push(read);
            }
            if !page.has_more {
                return Ok(Listing { accounts, complete: true });
            }
            if entries == 0 {
                return Err(answer.malformed(Malformed::Page));
            }
        }
        Ok(Listing { accounts, complete: false })
    }
}

/// The one parameter that names the holder; Stripe docs: more than one is an error.
pub(super) fn holder_key(holder: &Holder) -> &'static str {
    if &*holder.kind == "account" {
        "account_holder[account]"
    } else if holder.id.starts_with("cusacct_") {
        "account_holder[customer_account]"
    } else {
        "account_holder[customer]"
    }
}

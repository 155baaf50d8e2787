//! Reads from Stripe's API, with a preview version, because only those tell cause, action and
//! authorization (Stripe docs: inactive accounts; relink).
//!
//! A read's answer is stamped with its `Date` header, the only clock that may be compared with
//! an event's `created`. Its JSON is kept as it came, so that an observation can carry it
//! unchanged. Nothing here waits for a rate limit: the caller owns that budget.

mod answer;
mod config;
mod error;
mod read;
mod transport;

use std::fmt;

use relink_core::id::{AccountId, AuthorizationId, Scope};
use relink_core::observation::{AccountObservation, AuthorizationObservation, Holder};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use config::{ClientConfig, ConfigError, RETRIES_MAX};
pub use error::{Malformed, ReadError, Trace};
pub use read::{Listing, Observed, Read};

use answer::Answer;
use transport::Transport;

/// The accounts asked for at a time: the most Stripe gives (Stripe docs: `limit` 1–100).
const PAGE_SIZE: &str = "100";

/// The most pages that are read for one holder: 2,000 accounts, ten times what Relink lets an
/// authorization have; beyond it something is wrong, and the read limit is shared by all.
pub const PAGES_MAX: usize = 20;

/// A client for one API key; cloning shares its connections.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
}

impl Client {
    /// Checks the configuration and builds the client; nothing is sent.
    ///
    /// Makes ring the process's TLS provider where none is installed yet.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        Ok(Self { transport: Transport::new(&config)? })
    }

    /// Reads an account (Stripe docs: allowed at any time, also of inactive accounts).
    pub async fn account(
        &self,
        scope: &Scope,
        id: &AccountId,
    ) -> Result<Read<AccountObservation>, ReadError> {
        let answer = self.object(scope, "accounts", id.as_str()).await?;
        checked(answer, |account: &AccountObservation| account.account == *id)
    }

    /// Reads an authorization; only preview versions have the endpoint.
    pub async fn authorization(
        &self,
        scope: &Scope,
        id: &AuthorizationId,
    ) -> Result<Read<AuthorizationObservation>, ReadError> {
        let answer = self.object(scope, "authorizations", id.as_str()).await?;
        checked(answer, |found: &AuthorizationObservation| found.authorization == *id)
    }

    /// Reads all accounts of a holder, page by page, at most [`PAGES_MAX`] pages.
    ///
    /// Stripe docs: accounts can be listed by holder or session only; finding the siblings of an
    /// account means listing its holder's and grouping them by authorization.
    pub async fn accounts_of_holder(
        &self,
        scope: &Scope,
        holder: &Holder,
    ) -> Result<Listing, ReadError> {
        let filter = holder_filter(holder);
        let mut accounts: Vec<Read<AccountObservation>> = Vec::new();
        let mut after: Option<AccountId> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("limit", PAGE_SIZE), (filter, &*holder.id)];
            query.extend(after.as_ref().map(|id| ("starting_after", id.as_str())));
            let answer = self.transport.get(scope, &["accounts"], &query).await?;
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

    async fn object(&self, scope: &Scope, kind: &str, id: &str) -> Result<Answer, ReadError> {
        // Ids are letters, digits and underscores; a dot or slash would be another path.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(ReadError::Malformed { what: Malformed::Id, trace: Trace::default() });
        }
        self.transport.get(scope, &[kind, id], &[]).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A page of a list.
#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    has_more: bool,
}

/// The one filter that names the holder; Stripe docs: more than one is an error.
fn holder_filter(holder: &Holder) -> &'static str {
    if &*holder.kind == "account" {
        "account_holder[account]"
    } else if holder.id.starts_with("cusacct_") {
        "account_holder[customer_account]"
    } else {
        "account_holder[customer]"
    }
}

/// Makes sure that the answer is the object that was asked for.
fn checked<T: Observed>(
    mut answer: Answer,
    is_asked_for: impl Fn(&T) -> bool,
) -> Result<Read<T>, ReadError> {
    let body = std::mem::take(&mut answer.body);
    let read = answer.part(body);
    let observed = observe(&read, &answer)?;
    if !is_asked_for(&observed) {
        return Err(answer.malformed(Malformed::Object));
    }
    Ok(read)
}

fn observe<T: Observed>(read: &Read<T>, answer: &Answer) -> Result<T, ReadError> {
    read.observe().map_err(|_| answer.malformed(Malformed::Object))
}

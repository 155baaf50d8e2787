//! Backfill: the accounts of given holders are read and published, so that an empty Relink learns
//! of what was linked before it came.

use std::collections::BTreeSet;

use relink_bus::envelope::ObservedKind;
use relink_core::id::Scope;
use relink_core::observation::{AccountObservation, Holder};
use relink_stripe::client::{CallError, Read};

use crate::observe::{Observer, Seen, Trouble, patiently};

/// Reads holders; what is published is decided like any observation.
#[derive(Clone)]
pub struct Backfill {
    /// Reads and publishes.
    pub observer: Observer,
    /// Whether anything is published, or only read and told.
    pub write: bool,
}

/// What a holder has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Holding {
    /// Accounts that Stripe lists.
    pub accounts: usize,
    /// Authorizations that they name.
    pub authorizations: usize,
    /// Whether these are all; a holder of thousands is cut off.
    pub complete: bool,
}

/// The holder that an id names: `acct_…` is a Connect account, `cus_…` or `cusacct_…` a customer.
pub fn holder(id: &str) -> Option<Holder> {
    let kind = match id.split_once('_')?.0 {
        "acct" => "account",
        "cus" | "cusacct" => "customer",
        _ => return None,
    };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let fits = id.len() <= relink_core::id::ID_BYTES_MAX && id.bytes().all(is_word);
    fits.then(|| Holder { kind: kind.into(), id: id.into() })
}

impl Backfill {
    /// Reads all accounts of a holder and the authorizations they are on.
    ///
    /// # Errors
    /// See [`Trouble`]; to do a holder again does no harm.
    pub async fn holder(&self, scope: &Scope, holder: &Holder) -> Result<Holding, Trouble> {
        let observer = &self.observer;
        let budget = &*observer.budget;
        let call = || budget.spend(observer.client.accounts_of_holder(scope, holder, budget));
        let listing = patiently(call, CallError::is_retryable, observer.waiting).await?;
        let mut authorizations = BTreeSet::new();
        let because = observer.name_of_run("backfill");
        for read in &listing.accounts {
            // The client has mapped it once, so it can be mapped.
            let seen = read.observe().map_err(|_| Trouble::Encode)?;
            authorizations.extend(seen.authorization.clone());
            if self.write {
                self.publish(scope, read, &seen, &because).await?;
            }
        }
        for id in authorizations.iter().filter(|_| self.write) {
            let read = || observer.authorization(scope, id, Some(&because));
            patiently(read, Trouble::may_pass, observer.waiting).await?;
        }
        Ok(Holding {
            accounts: listing.accounts.len(),
            authorizations: authorizations.len(),
            complete: listing.complete,
        })
    }

    async fn publish(
        &self,
        scope: &Scope,
        read: &Read<AccountObservation>,
        seen: &AccountObservation,
        because: &str,
    ) -> Result<(), Trouble> {
        let seen = Seen {
            kind: ObservedKind::Account,
            subject: seen.account.as_str(),
            read_at: read.date_unix_seconds,
            object: Some(&read.body),
        };
        let publish = || self.observer.publish(scope, &seen, Some(because));
        patiently(publish, Trouble::may_pass, self.observer.waiting).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_kind_of_holder() {
        let kind = |id: &str| holder(id).map(|holder| holder.kind.to_string());
        assert_eq!(kind("cus_1").as_deref(), Some("customer"));
        assert_eq!(kind("cusacct_1").as_deref(), Some("customer"));
        assert_eq!(kind("acct_1").as_deref(), Some("account"));
        for wrong in ["", "cus", "fca_1", "cus_1/..", "cus_1 ", "cus-1"] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
    }
}

//! `reconcile_accounts`: after a relink that made another authorization, see what there is.

use std::collections::BTreeSet;

use relink_bus::envelope::CloudEvent;
use relink_core::command::ReconcileAccounts;
use relink_core::id::AccountId;

use crate::followup::scope_of;
use crate::observe::{Observer, Trouble};

/// Reads all accounts of the holder, and those left behind that are not among them: whatever
/// moved without an event is then known, and pairs that were doubtful may no longer be.
pub(crate) async fn reconcile_accounts(
    observer: &Observer,
    event: &CloudEvent<ReconcileAccounts>,
) -> Result<(), Trouble> {
    let data = &event.data;
    let scope = scope_of(&data.about);
    let because = Some(&*event.id);
    let mut unread: BTreeSet<AccountId> = data.unmatched_old.iter().cloned().collect();
    unread.extend(data.unmatched_new.iter().cloned());
    unread.extend(data.pairs.iter().flat_map(|pair| [pair.old.clone(), pair.new.clone()]));
    unread.extend(data.doubtful.iter().flat_map(|one| one.old.iter().chain(&one.new)).cloned());
    if let Some(holder) = &data.about.holder {
        for account in observer.accounts_of_holder(&scope, holder, because).await? {
            unread.remove(&account);
        }
    }
    for account in unread {
        observer.account(&scope, &account, because).await?;
    }
    Ok(())
}

//! `refresh_data`: ask Stripe for what the outage has kept back.

use std::sync::Arc;

use relink_bus::envelope::CloudEvent;
use relink_core::command::RefreshData;
use relink_core::observation::{AccountObservation, Status};
use relink_stripe::client::{CallError, Read};

use crate::followup::scope_of;
use crate::observe::{Observer, Trouble};

/// Refreshes what is permitted and may be asked for by now; the rest is fresh already, or on its
/// way.
pub(crate) async fn refresh(
    observer: &Observer,
    event: &CloudEvent<RefreshData>,
) -> Result<(), Trouble> {
    let account = &event.data.account;
    let scope = scope_of(&event.data.about);
    let because = Some(&*event.id);
    let Some(read) = observer.account(&scope, account, because).await? else {
        return Ok(());
    };
    let seen = read.observe().map_err(|_| Trouble::Encode)?;
    // The command may have waited, and the account may be broken again.
    if seen.status != Some(Status::Active) {
        return Ok(());
    }
    let wanted = event.data.features.iter().filter(|name| may_refresh(&read, &seen, name));
    let features: Vec<Arc<str>> = wanted.cloned().collect();
    if features.is_empty() {
        return Ok(());
    }
    // Stripe refuses one key with other parameters, and what is due may differ at the next try.
    let key = format!("{}:{}", event.id, features.join("+"));
    match observer.refresh(&scope, account, &features, &key, because).await {
        // It broke between the two calls; what it is now is read, so that the state knows, too.
        Err(Trouble::Read(CallError::AccountInactive(_))) => {
            observer.account(&scope, account, because).await.map(|_| ())
        }
        other => other,
    }
}

/// Whether the customer permits it, none is under way, and Stripe takes another one by its own
/// clock (Stripe docs: `next_refresh_available_at`).
fn may_refresh(read: &Read<AccountObservation>, seen: &AccountObservation, feature: &str) -> bool {
    let permission = if feature == "balance" { "balances" } else { feature };
    let permissions = seen.description.permissions.iter().flatten();
    let is_permitted = permissions.into_iter().any(|name| &**name == permission);
    let is_due = read.refresh(feature).is_none_or(|last| {
        let later = last.next_available_at.is_some_and(|at| at.0 > read.date_unix_seconds);
        !last.pending && !later
    });
    is_permitted && is_due
}

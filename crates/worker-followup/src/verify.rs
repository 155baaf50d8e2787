//! `verify_accounts`: read back, publish what was read.

use std::sync::Arc;

use relink_bus::envelope::CloudEvent;
use relink_core::command::VerifyAccounts;
use relink_core::id::AuthorizationId;

use crate::followup::scope_of;
use crate::observe::{Observer, Trouble};

pub(crate) async fn verify(
    observer: &Observer,
    event: &CloudEvent<VerifyAccounts>,
) -> Result<(), Trouble> {
    let about = &event.data.about;
    let scope = scope_of(about);
    let because = Some(&*event.id);
    // First, because it tells of most accounts at once.
    if let Some(session) = &event.data.session {
        observer.session(&scope, session, because).await?;
    }
    for account in &event.data.accounts {
        observer.account(&scope, account, because).await?;
    }
    if let (true, Some(id)) = (event.data.read_authorization, &about.authorization) {
        let id = AuthorizationId::new(Arc::clone(id));
        observer.authorization(&scope, &id, because).await?;
    }
    Ok(())
}

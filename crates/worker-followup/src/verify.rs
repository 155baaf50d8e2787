//! `verify_accounts`: read back, publish what was read.

use std::sync::Arc;

use relink_bus::envelope::CloudEvent;
use relink_core::command::VerifyAccounts;
use relink_core::id::AuthorizationId;

use crate::followup::scope_of;
use crate::reader::{Asker, Reader, Trouble};

pub(crate) async fn verify(
    reader: &Reader,
    event: &CloudEvent<VerifyAccounts>,
) -> Result<(), Trouble> {
    let about = &event.data.about;
    let scope = scope_of(about);
    let asker = Asker { scope: &scope, request: &event.id };
    // First, because it tells of most accounts at once.
    if let Some(session) = &event.data.session {
        reader.session(asker, session).await?;
    }
    for account in &event.data.accounts {
        reader.account(asker, account).await?;
    }
    if let (true, Some(id)) = (event.data.read_authorization, &about.authorization) {
        reader.authorization(asker, &AuthorizationId::new(Arc::clone(id))).await?;
    }
    Ok(())
}

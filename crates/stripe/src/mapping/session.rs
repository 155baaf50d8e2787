//! Sessions: what has become of an attempt to relink.

use std::sync::Arc;

use relink_core::id::AuthorizationId;
use relink_core::observation::{AccountObservation, RelinkOutcome, SessionObservation, Stamp};

use super::{MappingError, SESSION, account, described, id_of, referred};
use crate::wire::{Accounts, Field, List, Map, Object, Relink};

/// The failure reason of an attempt that gives none (Stripe docs: `failure_reason` `other`).
const REASON_OTHER: &str = "other";

/// Maps a session; `None` where it was not made to relink.
pub(super) fn observation(
    object: Object<'_>,
    stamp: Stamp,
) -> Result<Option<SessionObservation>, MappingError> {
    let session = id_of(&object.id, &object.object, SESSION)?;
    let target: Option<AuthorizationId> =
        object.relink_options.value().and_then(|Map(options)| referred(&options.authorization));
    let Some(authorization) = target else {
        return Ok(None);
    };
    let status = object.status.value().map_or("", |text| &*text.0);
    let result = object.relink_result.value().map(|Map(result)| result);
    let outcome = match outcome(status, &authorization, result) {
        None if status != "pending" => return Ok(None),
        outcome => outcome,
    };
    let (accounts, is_whole) = accounts(object.accounts, stamp);
    // A relink that repaired something has at least that to name.
    let complete = is_whole && !(accounts.is_empty() && outcome == Some(RelinkOutcome::Repaired));
    Ok(Some(SessionObservation { session, stamp, authorization, outcome, accounts, complete }))
}

/// How it ended; `None` while it has not.
///
/// Stripe docs (financial-connections/relink): `relink_result.authorization` tells, whatever the
/// session's own status; a session can succeed while its relink failed. The event's description
/// says "completed" where the enum says `succeeded`. A status that is no known word counts as an
/// end only where a result stands beside it.
fn outcome(
    status: &str,
    target: &AuthorizationId,
    result: Option<&Relink<'_>>,
) -> Option<RelinkOutcome> {
    if status == "pending" {
        return None;
    }
    if let Some(made) = result.and_then(|result| referred(&result.authorization)) {
        return Some(if made == *target {
            RelinkOutcome::Repaired
        } else {
            RelinkOutcome::NewAuthorization(made)
        });
    }
    let reason = result.and_then(|result| described(&result.failure_reason));
    match status {
        "cancelled" => Some(RelinkOutcome::Cancelled),
        "succeeded" | "completed" | "failed" => {
            Some(RelinkOutcome::Failed(reason.unwrap_or_else(|| Arc::from(REASON_OTHER))))
        }
        _ => reason.map(RelinkOutcome::Failed),
    }
}

/// The accounts the session returned, and whether these are all; an entry that is no account is
/// left out.
fn accounts(field: Field<Map<Accounts<'_>>>, stamp: Stamp) -> (Vec<AccountObservation>, bool) {
    let Some(Map(list)) = field.into_value() else { return (Vec::new(), false) };
    let has_more = list.has_more.value().copied().unwrap_or(false);
    let Some(List(entries)) = list.data.into_value() else { return (Vec::new(), false) };
    let accounts = entries
        .into_iter()
        .filter_map(|Map(entry)| account::observation(entry, stamp, None).ok())
        .collect();
    (accounts, !has_more)
}

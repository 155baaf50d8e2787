//! Accounts and authorizations.

use std::sync::Arc;

use relink_core::observation::{
    AccountNumber, AccountObservation, Action, AuthorizationObservation, Description, Details,
    Forecast, Holder, InactiveDetails, Stamp, Status,
};

use super::{ACCOUNT, AUTHORIZATION, described, id_of, referred, second, storable};
use crate::wire::{self, Field, List, Map, Object, Reference, StatusDetails, Text};

/// The action of a forecast that names none: unknown, and as such never prompted for.
const ACTION_UNSTATED: &str = "unstated";

/// Maps an account; `said` is the status that the event's type tells where the body does not.
pub(super) fn observation(
    object: Object<'_>,
    stamp: Stamp,
    said: Option<Status>,
) -> Result<AccountObservation, super::MappingError> {
    let account = id_of(&object.id, &object.object, ACCOUNT)?;
    let status = status(&object.status).or(said);
    Ok(AccountObservation {
        account,
        stamp,
        status,
        details: details(status, &object.status_details),
        authorization: referred(&object.authorization),
        numbers: numbers(&object.account_numbers),
        description: Description {
            holder: holder(&object.account_holder),
            institution: name_of(&object.institution),
            institution_name: described(&object.institution_name),
            last4: described(&object.last4),
            display_name: described(&object.display_name),
            subcategory: described(&object.subcategory),
            permissions: permissions(&object.permissions),
            created: second(&object.created),
        },
        must_read: false,
    })
}

/// Maps an authorization.
///
/// Stripe docs: its `status_details` has no cause; in GA versions it has no holder either.
pub(super) fn authorization(
    object: Object<'_>,
    stamp: Stamp,
) -> Result<AuthorizationObservation, super::MappingError> {
    let authorization = id_of(&object.id, &object.object, AUTHORIZATION)?;
    let status = status(&object.status);
    Ok(AuthorizationObservation {
        authorization,
        stamp,
        status,
        details: details(status, &object.status_details),
        holder: holder(&object.account_holder),
        institution: name_of(&object.institution),
        institution_name: described(&object.institution_name),
    })
}

/// The status, where it is a known word; old recorded bodies even show `pending`.
fn status(field: &Field<Text<'_>>) -> Option<Status> {
    match &*field.value()?.0 {
        "active" => Some(Status::Active),
        "inactive" => Some(Status::Inactive),
        "disconnected" => Some(Status::Disconnected),
        _ => None,
    }
}

/// What the body says about its status; what belongs to another status is not said.
///
/// Stripe docs: `{}` means that nothing is known. Of an active object that is the statement "no
/// forecast"; of an inactive one it says nothing, because GA versions cannot carry more. Versions
/// before 2026-06 leave the key out, which says nothing either way.
fn details(status: Option<Status>, field: &Field<Map<StatusDetails<'_>>>) -> Details {
    let Some(Map(details)) = field.value() else {
        return Details::Absent;
    };
    match status {
        Some(Status::Inactive) => inactive(details).map_or(Details::Absent, Details::Inactive),
        Some(Status::Active) => active(details),
        Some(Status::Disconnected) | None => Details::Absent,
    }
}

/// Without an action nothing can be concluded, so the details count as not carried.
fn inactive(details: &StatusDetails<'_>) -> Option<InactiveDetails> {
    let Map(detail) = details.inactive.value()?;
    let action = Action::from(described(&detail.action)?);
    Some(InactiveDetails { cause: described(&detail.cause), action })
}

fn active(details: &StatusDetails<'_>) -> Details {
    match (&details.active, &details.inactive) {
        (Field::Value(Map(detail)), _) => {
            Details::Active(second(&detail.expected_deactivation_date).map(|date| Forecast {
                date,
                action: Action::from(
                    described(&detail.action).unwrap_or_else(|| Arc::from(ACTION_UNSTATED)),
                ),
                cause: described(&detail.cause),
            }))
        }
        // A forecast that cannot be read must not erase one that could.
        (Field::Unreadable, _) => Details::Absent,
        // Only the other status is spoken of.
        (Field::Absent | Field::Null, Field::Value(_)) => Details::Absent,
        (Field::Absent | Field::Null, _) => Details::Active(None),
    }
}

/// The holder: Stripe docs name the key after the type; a customer may also be given as
/// `customer_account` alone.
fn holder(field: &Field<Map<wire::AccountHolder<'_>>>) -> Option<Holder> {
    let Map(holder) = field.value()?;
    let customer = || name_of(&holder.customer).or_else(|| name_of(&holder.customer_account));
    let account = || name_of(&holder.account);
    let kind = described(&holder.kind);
    let id = match kind.as_deref() {
        Some("account") => account(),
        Some("customer") => customer(),
        _ => customer().or_else(account),
    }?;
    let kind = kind.unwrap_or_else(|| {
        Arc::from(if holder.account.value().is_some() { "account" } else { "customer" })
    });
    Some(Holder { kind, id })
}

fn name_of(field: &Field<Reference<'_>>) -> Option<Arc<str>> {
    field.value().and_then(|Reference(Text(id))| storable(id))
}

/// The numbers, sorted so that their order in the body cannot make a difference.
///
/// Null is a statement (no number is known), a missing key is not.
fn numbers(field: &Field<List<Map<wire::AccountNumber<'_>>>>) -> Option<Vec<AccountNumber>> {
    let List(entries) = match field {
        Field::Absent | Field::Unreadable => return None,
        Field::Null => return Some(Vec::new()),
        Field::Value(entries) => entries,
    };
    let mut numbers: Vec<_> = entries
        .iter()
        .filter_map(|Map(entry)| {
            Some(AccountNumber {
                tokenized: entry
                    .identifier_type
                    .value()
                    .is_some_and(|Text(kind)| kind == "tokenized_account_number"),
                status: described(&entry.status)?,
                expected_expiry: second(&entry.expected_expiry_date),
            })
        })
        .collect();
    numbers.sort_unstable();
    Some(numbers)
}

fn permissions(field: &Field<List<Text<'_>>>) -> Option<Vec<Arc<str>>> {
    let List(words) = field.value()?;
    let mut permissions: Vec<_> = words.iter().filter_map(|Text(word)| storable(word)).collect();
    permissions.sort_unstable();
    Some(permissions)
}

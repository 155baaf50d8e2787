//! Lists: filtered, newest first, by page.

use serde_json::{Value, json};

use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::event::Event;
use crate::model::{Account, Holder};
use crate::render;
use crate::state::State;

pub(crate) fn accounts(state: &State, call: &Call, _: &str) -> Result<Value, Failure> {
    let customer = call.param("account_holder[customer]").map(|id| Holder::Customer(id.into()));
    let account = call.param("account_holder[account]").map(|id| Holder::Account(id.into()));
    let session = call.param("session");
    if [customer.is_some(), account.is_some(), session.is_some()].iter().filter(|f| **f).count() > 1
    {
        let message = "You may only specify one of these parameters: account_holder, session.";
        return Err(Failure::invalid(message));
    }
    let holder = customer.or(account);
    let members = session.map(|id| match state.sessions.get(id) {
        Some(session) => Ok(&session.accounts),
        None => Err(Failure::missing("financial connections session", id)),
    });
    let members = members.transpose()?;
    let mut found: Vec<&Account> = state
        .accounts
        .values()
        .filter(|account| account.stripe_account == call.stripe_account)
        .filter(|account| holder.as_ref().is_none_or(|holder| account.holder == *holder))
        .filter(|account| members.is_none_or(|members| members.contains(&account.id)))
        .collect();
    found.sort_by_key(|account| std::cmp::Reverse((account.created_unix_s, account.sequence)));
    let ids = found.iter().map(|account| account.id.as_str()).collect();
    let (page, has_more) = page(call, &found, ids)?;
    let livemode = state.config.livemode;
    let data = page.iter().map(|account| render::account(account, call.shape, livemode)).collect();
    Ok(list(data, has_more, "/v1/financial_connections/accounts"))
}

pub(crate) fn events(state: &State, call: &Call, _: &str) -> Result<Value, Failure> {
    let types: Vec<&str> = call.array("types").into_iter().chain(call.param("type")).collect();
    if types.len() > 20 {
        return Err(Failure::parameter("types", "At most 20 types may be given."));
    }
    let delivered = call.param("delivery_success").map(|text| text == "true");
    let from = call.number("created[gte]")?.or(call.number("created")?);
    let after = call.number("created[gt]")?;
    let until = call.number("created[lte]")?.or(call.number("created")?);
    let before = call.number("created[lt]")?;
    let wanted = |event: &&Event| {
        let created = event.created_unix_s;
        event.stripe_account == call.stripe_account
            && (types.is_empty() || types.contains(&event.kind.name()))
            && delivered.is_none_or(|delivered| event.delivered == delivered)
            && from.is_none_or(|from| created >= from)
            && after.is_none_or(|after| created > after)
            && until.is_none_or(|until| created <= until)
            && before.is_none_or(|before| created < before)
    };
    // The cursor may be an event that the filters leave out, so it is found before they apply.
    let newest_first: Vec<&Event> = state.events.iter().rev().collect();
    let place = |name| {
        call.param(name).map(|id| match newest_first.iter().position(|event| event.id == id) {
            Some(place) => Ok(place),
            None => Err(Failure::missing("event", id)),
        })
    };
    let older_than = place("starting_after").transpose()?;
    let newer_than = place("ending_before").transpose()?;
    let end = newer_than.unwrap_or(newest_first.len());
    let start = older_than.map_or(0, |place| place + 1).min(end);
    let found: Vec<&Event> = newest_first[start..end].iter().copied().filter(wanted).collect();
    let (page, has_more) = cut(&found, limit(call)?, newer_than.is_some());
    Ok(list(page.iter().map(|event| event_body(event)).collect(), has_more, "/v1/events"))
}

/// The body of an event as it was rendered when it happened, whatever the version of the call.
pub(crate) fn event_body(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap_or_default()
}

fn limit(call: &Call) -> Result<usize, Failure> {
    match call.number("limit")?.unwrap_or(10) {
        limit @ 1..=100 => Ok(usize::try_from(limit).unwrap_or(10)),
        _ => Err(Failure::parameter("limit", "The limit is between 1 and 100.")),
    }
}

/// One page of what was found, by the cursors of the call.
fn page<'a, T>(call: &Call, found: &'a [T], ids: Vec<&str>) -> Result<(&'a [T], bool), Failure> {
    let place = |id: &str| {
        let place = ids.iter().position(|known| *known == id);
        place.ok_or_else(|| Failure::missing("financial connections account", id))
    };
    let start = call.param("starting_after").map(place).transpose()?.map_or(0, |place| place + 1);
    let newer_than = call.param("ending_before").map(place).transpose()?;
    let end = newer_than.unwrap_or(found.len());
    Ok(cut(&found[start.min(end)..end], limit(call)?, newer_than.is_some()))
}

/// The part of a range that fits a page: the end next to the cursor.
fn cut<T>(range: &[T], limit: usize, from_end: bool) -> (&[T], bool) {
    let has_more = range.len() > limit;
    match from_end {
        true => (&range[range.len().saturating_sub(limit)..], has_more),
        false => (&range[..range.len().min(limit)], has_more),
    }
}

fn list(data: Vec<Value>, has_more: bool, url: &str) -> Value {
    json!({ "object": "list", "data": data, "has_more": has_more, "url": url })
}

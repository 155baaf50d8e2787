//! What is known, as JSON: what holds now and not how it was merged. All times are RFC 3339.

use relink_bus::envelope::rfc3339;
use relink_core::account::Account;
use relink_core::aggregate::{Aggregate, Attempt, Case, Verify};
use relink_core::id::AccountId;
use relink_core::observation::{AccountNumber, Forecast, Stamp, Status};
use relink_core::register::value;
use relink_core::time::{Second, Time};
use relink_engine::parked::masked;
use relink_engine::store::{CaseRow, HistoryRow, WhyParked};
use serde_json::{Value, json};

use super::{Event, Found, Story};

pub(super) fn all(story: &Story) -> Value {
    json!({
        "event": story.event.as_ref().map(event_document),
        "parked": story.parked.as_ref().map(parked),
        "found": story.found.iter().map(home).collect::<Vec<_>>(),
    })
}

fn parked(why: &WhyParked) -> Value {
    json!({
        "queue": why.queue, "reason": why.reason, "error": masked(&why.error),
        "parked_at": time(why.at),
    })
}

fn event_document(event: &Event) -> Value {
    let row = &event.row;
    json!({
        "id": row.id, "type": row.kind, "created": second(row.at),
        "scope": row.scope.to_string(), "verdict": row.verdict.as_str(),
        "history": event.history.iter().map(history).collect::<Vec<_>>(),
    })
}

fn home(found: &Found) -> Value {
    let Aggregate { key, state, accounts } = &found.aggregate;
    let holder = found.aggregate.holder();
    let accounts: Vec<Value> =
        accounts.iter().map(|(id, one)| account(id, one, state.verifies.get(id))).collect();
    json!({
        "scope": key.scope.to_string(),
        "home": key.home.as_str(),
        "authorization": key.home.authorization(),
        "health": state.summary.health.as_str(),
        "status": value(&state.status).map(|status| status.as_str()),
        "forecast": found.aggregate.forecast().map(forecast),
        "holder": holder,
        "institution_name": found.aggregate.institution_name(),
        "expected_deactivation": state.summary.expected_deactivation.map(second),
        "next_due": state.summary.next_due.map(time),
        "taken_over_by": found.aggregate.taken_over_by(),
        "superseded": found.aggregate.is_superseded(),
        "verify": state.authorization_verify.as_ref().map(verify),
        "accounts": accounts,
        "cases": found.cases.iter().map(case_row).collect::<Vec<_>>(),
        "history": found.history.iter().map(history).collect::<Vec<_>>(),
    })
}

fn account(id: &AccountId, account: &Account, asked: Option<&Verify>) -> Value {
    let details = account.inactive_details();
    let numbers =
        value(&account.numbers).map(|numbers| numbers.iter().map(number).collect::<Vec<_>>());
    json!({
        "id": id,
        "status": account.status().map(Status::as_str),
        "cause": details.and_then(|details| details.cause.as_deref()),
        "action": details.map(|details| details.action.as_str()),
        "forecast": account.forecast().map(forecast),
        "authorization": account.authorization(),
        "past_authorizations": account.past_authorizations().collect::<Vec<_>>(),
        "holder": value(&account.holder),
        "institution": value(&account.institution),
        "institution_name": value(&account.institution_name),
        "last4": value(&account.last4),
        "display_name": value(&account.display_name),
        "subcategory": value(&account.subcategory),
        "permissions": value(&account.permissions),
        "numbers": numbers,
        "linked_at": value(&account.created).copied().map(second),
        "last_seen_active": seen(account.active),
        "last_seen_inactive": seen(account.inactive),
        "last_seen_disconnected": seen(account.disconnected),
        "version": account.version,
        "paused": account.paused,
        "replaced_version": account.replaced_version,
        "verify": asked.map(verify),
    })
}

fn number(number: &AccountNumber) -> Value {
    json!({
        "tokenized": number.tokenized,
        "status": number.status,
        "expected_expiry": number.expected_expiry.map(second),
    })
}

fn forecast(forecast: &Forecast) -> Value {
    json!({
        "date": second(forecast.date), "action": forecast.action.as_str(),
        "cause": forecast.cause,
    })
}

fn verify(verify: &Verify) -> Value {
    json!({
        "because": verify.because, "wanted": second(verify.wanted),
        "asked_at": time(verify.asked_at), "asked": verify.asked,
    })
}

fn case_row(row: &CaseRow) -> Value {
    let Case { id, reason, opened_at, escalated, prompts, reminders, named, .. } = &row.case;
    json!({
        "id": id,
        "reason": reason.as_str(),
        "opened_at": time(*opened_at),
        "closed_at": row.closed.map(|(at, _)| time(at)),
        "outcome": row.closed.map(|(_, outcome)| outcome.as_str()),
        "prompt_due": row.case.prompt_due.map(time),
        "prompted_at": row.case.prompted_at.map(time),
        "reminded_at": row.case.reminded_at.map(time),
        "deadline": row.case.deadline.map(second),
        "prompts": prompts,
        "reminders": reminders,
        "escalated": escalated,
        "accounts": named,
        "attempts": row.case.attempts.iter().map(attempt).collect::<Vec<_>>(),
    })
}

fn attempt(attempt: &Attempt) -> Value {
    json!({
        "session": attempt.session, "at": second(attempt.at), "outcome": attempt.outcome,
    })
}

fn history(row: &HistoryRow) -> Value {
    json!({
        "decided_at": time(row.decided_at), "at": second(row.at),
        "home": row.home.home.as_str(), "account": row.account,
        "input": row.input, "type": row.kind, "verdict": row.verdict, "note": row.note,
        "commands": row.commands,
    })
}

fn seen(stamp: Option<Stamp>) -> Option<String> {
    stamp.map(|Stamp(at, _)| second(at))
}

fn time(time: Time) -> String {
    rfc3339(time)
}

fn second(second: Second) -> String {
    rfc3339(second.as_time())
}

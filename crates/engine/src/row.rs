//! Between what a table holds and what it means; the same in every store.
//!
//! States are JSON, ids and names are text, and the columns beside a state are projections of it
//! for whoever queries the database.

use std::sync::Arc;

use relink_bus::message::{Delivery, Headers, Receipt, header};
use relink_bus::parked::ParkedMessage;
use relink_bus::topology::WorkQueue;
use relink_core::account::Account;
use relink_core::aggregate::{Aggregate, Case, State};
use relink_core::command::CaseOutcome;
use relink_core::id::{AccountId, AuthorizationId, CommandId, Home, HomeKey, Scope};
use relink_core::input::Verdict;
use relink_core::observation::Action;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::store::{ParkedRow, StoreError};

/// A row that this version cannot read: written by another version, or by hand.
pub fn unreadable(what: &str) -> StoreError {
    StoreError::Misconfigured(format!(
        "a row of {what} in RELINK_DATABASE_URL cannot be read by this version of Relink"
    ))
}

/// A scope as it stands in a row.
///
/// # Errors
/// It is none; so with all that is read here.
pub fn scope(text: &str) -> Result<Scope, StoreError> {
    Scope::parse(text).ok_or_else(|| unreadable("an unknown scope"))
}

/// A home from its columns.
pub fn home(id: &str, provisional: bool) -> Home {
    if provisional {
        Home::Provisional(AccountId::from(id))
    } else {
        Home::Authorization(AuthorizationId::from(id))
    }
}

/// A home's key from its columns.
///
/// # Errors
/// See [`scope`].
pub fn home_key(scope_text: &str, id: &str, provisional: bool) -> Result<HomeKey, StoreError> {
    Ok(HomeKey { scope: scope(scope_text)?, home: home(id, provisional) })
}

/// The state of an account.
///
/// # Errors
/// See [`scope`].
pub fn account(state: &str) -> Result<Account, StoreError> {
    stored("accounts", state)
}

/// The state of a home.
///
/// # Errors
/// See [`scope`].
pub fn state(state: &str) -> Result<State, StoreError> {
    stored("authorizations", state)
}

/// The state of a case.
///
/// # Errors
/// See [`scope`].
pub fn case(state: &str) -> Result<Case, StoreError> {
    stored("cases", state)
}

/// The commands of a row of history, where they are stored as JSON.
///
/// # Errors
/// See [`scope`].
pub fn commands(list: &str) -> Result<Vec<CommandId>, StoreError> {
    stored("history", list)
}

fn stored<T: DeserializeOwned>(table: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|_| unreadable(table))
}

/// The verdict of this name.
///
/// # Errors
/// See [`scope`].
pub fn verdict(name: &str) -> Result<Verdict, StoreError> {
    Verdict::parse(name).ok_or_else(|| unreadable("inbox"))
}

/// The outcome of this name.
///
/// # Errors
/// See [`scope`].
pub fn outcome(name: &str) -> Result<CaseOutcome, StoreError> {
    serde_json::from_value(name.into()).map_err(|_| unreadable("cases"))
}

/// What a state is stored as.
///
/// # Errors
/// JSON cannot hold it.
pub fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::Refused(format!("a state that JSON cannot hold: {error}")))
}

/// A number without a sign as SQL has it.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of rows as SQL has it.
pub fn signed_rows(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Cause and action as they stand beside an account's state: of its outage, else of its forecast.
pub fn cause_and_action(account: &Account) -> (Option<&str>, Option<&Action>) {
    match (account.inactive_details(), account.forecast()) {
        (Some(details), _) => (details.cause.as_deref(), Some(&details.action)),
        (None, Some(forecast)) => (forecast.cause.as_deref(), Some(&forecast.action)),
        (None, None) => (None, None),
    }
}

/// The authorization that took over as a whole, as it stands beside a home's state.
pub fn superseded_by(home: &Aggregate) -> Option<&str> {
    home.taken_over_by().filter(|_| home.is_superseded()).map(|by| by.as_str())
}

/// A parked message's headers under their names on the wire, as JSON, so that a requeued message
/// looks like the first one.
///
/// # Errors
/// See [`json`].
pub fn headers(headers: &Headers) -> Result<String, StoreError> {
    let texts = [
        (header::STRIPE_ACCOUNT, &headers.stripe_account),
        (header::API_VERSION, &headers.api_version),
        (header::TRACEPARENT, &headers.traceparent),
    ];
    let numbers = [
        (header::RECEIVED_AT, headers.received_at_unix_ms),
        (header::FIRST_FAILED_AT, headers.first_failed_at_unix_ms),
        (header::ATTEMPTS, Some(headers.attempts.into())),
        (header::REQUEUES, (headers.requeues > 0).then(|| headers.requeues.into())),
    ];
    let mut all = Map::new();
    for (name, text) in texts {
        all.extend(text.as_deref().map(|text| (name.to_owned(), Value::from(text))));
    }
    for (name, number) in numbers {
        all.extend(number.map(|number| (name.to_owned(), Value::from(number))));
    }
    all.extend(headers.livemode.map(|live| (header::LIVEMODE.to_owned(), Value::from(live))));
    json(&all)
}

/// A parked message's columns, in the order in which every store selects them.
#[derive(Clone, Debug)]
pub struct ParkedColumns {
    /// `seq`
    pub seq: i64,
    /// `queue`
    pub queue: String,
    /// `id`
    pub id: Option<String>,
    /// `kind`
    pub kind: Option<String>,
    /// `routing_key`
    pub routing_key: String,
    /// `correlation`
    pub correlation: Option<String>,
    /// `at_s`
    pub at_s: Option<i64>,
    /// `reason`
    pub reason: String,
    /// `error`
    pub error: String,
    /// `first_failed_ms`
    pub first_failed_ms: i64,
    /// `last_failed_ms`
    pub last_failed_ms: i64,
    /// `headers`
    pub headers: String,
    /// `body`
    pub body: Vec<u8>,
}

/// The queue of this name.
///
/// # Errors
/// See [`scope`].
pub fn work_queue(name: &str) -> Result<WorkQueue, StoreError> {
    WorkQueue::of(name).ok_or_else(|| unreadable("parked"))
}

/// A parked message from its columns.
///
/// # Errors
/// See [`scope`].
pub fn parked(row: ParkedColumns) -> Result<ParkedRow, StoreError> {
    let delivery = Delivery {
        receipt: Receipt { generation: 0, tag: 0 },
        id: row.id.map(Arc::from),
        kind: row.kind.map(Arc::from),
        routing_key: row.routing_key.into(),
        timestamp_unix_s: row.at_s,
        correlation: row.correlation.map(Arc::from),
        headers: read_headers(&row.headers)?,
        redelivered: true,
        body: row.body.into(),
    };
    let message = ParkedMessage {
        id: row.seq.to_string().into(),
        queue: work_queue(&row.queue)?,
        delivery,
        reason: row.reason.into(),
        error: row.error.into(),
        first_failed_at_unix_ms: Some(row.first_failed_ms),
        parked_at_unix_ms: Some(row.last_failed_ms),
    };
    Ok(ParkedRow { seq: row.seq, message })
}

/// Reads what [`headers`] wrote.
fn read_headers(json: &str) -> Result<Headers, StoreError> {
    let all: Map<String, Value> = stored("parked", json)?;
    let text = |name: &str| all.get(name).and_then(Value::as_str).map(Arc::from);
    let number = |name: &str| all.get(name).and_then(Value::as_i64);
    let count = |name| number(name).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    Ok(Headers {
        livemode: all.get(header::LIVEMODE).and_then(Value::as_bool),
        stripe_account: text(header::STRIPE_ACCOUNT),
        api_version: text(header::API_VERSION),
        received_at_unix_ms: number(header::RECEIVED_AT),
        traceparent: text(header::TRACEPARENT),
        attempts: count(header::ATTEMPTS),
        first_failed_at_unix_ms: number(header::FIRST_FAILED_AT),
        requeues: count(header::REQUEUES),
    })
}

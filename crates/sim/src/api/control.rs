//! The control API: verbs, clock, delivery, faults. It asks for no key: whoever can reach the
//! simulator may drive it.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::DeliveryChange;
use crate::error::SimError;
use crate::sim::{ClockChange, Fault, FaultKind, Sim};
use crate::verb::{Change, Verb};
use crate::version::Shape;
use crate::{render, state};

/// How long a flush waits unless it says otherwise.
const FLUSH_LIMIT_MS: u64 = 30_000;

/// How many faults one call may leave: far more than any test needs, far less than the memory
/// there is.
const MAX_FAULTS: usize = 100_000;

type Answer = Result<Response, Refusal>;

/// A call that makes no sense, with the words for the caller.
pub(crate) struct Refusal(StatusCode, String);

impl From<SimError> for Refusal {
    fn from(error: SimError) -> Refusal {
        let status = match error {
            SimError::NoAccount(_)
            | SimError::NoAuthorization(_)
            | SimError::NoInstitution(_)
            | SimError::NoSession(_)
            | SimError::NoEvent(_) => StatusCode::NOT_FOUND,
            SimError::Disconnected(_) => StatusCode::CONFLICT,
            SimError::Invalid(_) => StatusCode::BAD_REQUEST,
            SimError::Client(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// Reads a JSON body; none at all counts as `{}`.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|e| Refusal(StatusCode::BAD_REQUEST, e.to_string()))
}

pub(crate) async fn verb(State(sim): State<Sim>, Path(name): Path<String>, body: Bytes) -> Answer {
    let fields: Value = read(&body)?;
    // The path names the variant and the body holds its fields, as serde writes an enum.
    let verb: Verb = serde_json::from_value(json!({ name: fields }))
        .map_err(|error| Refusal(StatusCode::BAD_REQUEST, error.to_string()))?;
    let change = sim.apply(verb)?;
    Ok(Json(describe(&sim.lock(), &change)).into_response())
}

/// The new state of what a verb touched, in preview shape, and the ids of its events.
fn describe(state: &state::State, change: &Change) -> Value {
    let livemode = state.config.livemode;
    let institution = change.institution.as_ref().and_then(|id| state.institutions.get(id));
    let authorization = change.authorization.as_ref().and_then(|id| state.authorizations.get(id));
    let session = change.session.as_ref().and_then(|id| state.sessions.get(id));
    let accounts = change.accounts.iter().filter_map(|id| state.accounts.get(id));
    let account = |account| render::account(account, Shape::Preview, livemode);
    json!({
        "institution": institution.map(|i| render::institution(i, livemode)),
        "authorization": authorization.map(|a| render::authorization(a, Shape::Preview, livemode)),
        "accounts": accounts.map(account).collect::<Vec<_>>(),
        "session": session.map(|s| state.render_session(s, Shape::Preview)),
        "events": change.events,
    })
}

pub(crate) async fn state(State(sim): State<Sim>) -> Json<Value> {
    Json(sim.state())
}

pub(crate) async fn events(State(sim): State<Sim>) -> Json<Value> {
    Json(json!({ "events": sim.events() }))
}

pub(crate) async fn deliveries(State(sim): State<Sim>) -> Json<Value> {
    Json(json!({ "pending": sim.pending(), "attempts": sim.deliveries() }))
}

pub(crate) async fn delivery(State(sim): State<Sim>, body: Bytes) -> Answer {
    let change: DeliveryChange = read(&body)?;
    sim.set_delivery(change)?;
    Ok(Json(json!({})).into_response())
}

pub(crate) async fn clock(State(sim): State<Sim>, body: Bytes) -> Answer {
    let change: ClockChange = read(&body)?;
    Ok(Json(json!({ "now": sim.set_clock(&change)? })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    kind: FaultKind,
    #[serde(default = "once")]
    count: usize,
    #[serde(default)]
    after_ms: u64,
}

fn once() -> usize {
    1
}

pub(crate) async fn faults(State(sim): State<Sim>, body: Bytes) -> Answer {
    let faults: Faults = read(&body)?;
    let fault = Fault { kind: faults.kind, after: Duration::from_millis(faults.after_ms) };
    sim.inject(fault, faults.count.min(MAX_FAULTS));
    Ok(Json(json!({})).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Flush {
    timeout_ms: u64,
}

impl Default for Flush {
    fn default() -> Self {
        Flush { timeout_ms: FLUSH_LIMIT_MS }
    }
}

pub(crate) async fn flush(State(sim): State<Sim>, body: Bytes) -> Answer {
    let flush: Flush = read(&body)?;
    let flushed = sim.flush(Duration::from_millis(flush.timeout_ms)).await;
    let status = if flushed { StatusCode::OK } else { StatusCode::REQUEST_TIMEOUT };
    Ok((status, Json(json!({ "pending": sim.pending() }))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redeliver {
    event: String,
}

pub(crate) async fn redeliver(State(sim): State<Sim>, body: Bytes) -> Answer {
    let redeliver: Redeliver = read(&body)?;
    sim.redeliver(&redeliver.event)?;
    Ok(Json(json!({})).into_response())
}

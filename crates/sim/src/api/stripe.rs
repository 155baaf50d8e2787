//! Answers as Stripe would, one function per endpoint.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::api::call::Call;
use crate::api::failure::Failure;
use crate::api::{list, write};
use crate::clock::http_date;
use crate::render;
use crate::sim::{Fault, FaultKind, Sim};
use crate::state;
use crate::version::Shape;

/// Answers any call under `/v1`.
pub(crate) async fn answer(
    State(sim): State<Sim>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let (fault, request_id) = {
        let mut state = sim.lock();
        (state.faults.pop_front(), state.random.request_id())
    };
    let result = match fault {
        Some(fault) => Err(suffer(fault).await),
        None => respond(&sim, &method, &uri, &headers, &form, &request_id),
    };
    // A write may have queued webhooks.
    sim.notify();
    dress(result, &request_id, sim.now_unix_s())
}

async fn suffer(fault: Fault) -> Failure {
    tokio::time::sleep(fault.after).await;
    match fault.kind {
        FaultKind::RateLimit => Failure::rate_limited(),
        FaultKind::LockTimeout => Failure::lock_timeout(),
        FaultKind::ServerError | FaultKind::Timeout => Failure::server(),
    }
}

fn respond(
    sim: &Sim,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    form: &[u8],
    request_id: &str,
) -> Result<Value, Failure> {
    let mut state = sim.lock();
    let call = Call::read(headers, &state.config.api_key, uri.query().unwrap_or_default(), form)?;
    let unknown = || Failure::unknown_url(method.as_str(), uri.path());
    let segments: Vec<&str> = uri.path().trim_start_matches("/v1/").split('/').collect();
    if *method == Method::POST {
        state.request_id = Some(request_id.into());
        let answer = write::answer(&mut state, &call, uri.path(), form, &segments);
        state.request_id = None;
        return answer.unwrap_or_else(|| Err(unknown()));
    }
    let preview = call.shape == Shape::Preview;
    // Only reads are limited: the budget that a service shares out is that of its reads.
    let read: Read<'_> = match (method.as_str(), segments.as_slice()) {
        ("GET", ["financial_connections", "accounts"]) => ("accounts", list::accounts, ""),
        ("GET", ["financial_connections", "accounts", id]) => ("account", account, id),
        ("GET", ["financial_connections", "authorizations", id]) if preview => {
            ("authorization", authorization, id)
        }
        ("GET", ["financial_connections", "institutions", id]) if preview => {
            ("institution", institution, id)
        }
        ("GET", ["financial_connections", "sessions", id]) => ("session", session, id),
        ("GET", ["events"]) => ("events", list::events, ""),
        ("GET", ["events", id]) => ("event", event, id),
        _ => return Err(unknown()),
    };
    let (endpoint, answer, id) = read;
    if let Some(limit) = state.config.read_limit_per_second
        && !state.limiter.admit(endpoint, limit, Instant::now())
    {
        return Err(Failure::rate_limited());
    }
    answer(&state, &call, id)
}

/// An endpoint for the read limit, what answers it, and the id in the path.
type Read<'a> = (&'static str, fn(&state::State, &Call, &str) -> Result<Value, Failure>, &'a str);

fn account(state: &state::State, call: &Call, id: &str) -> Result<Value, Failure> {
    let account = state.accounts.get(id).filter(|a| a.stripe_account == call.stripe_account);
    let account = account.ok_or_else(|| Failure::missing("financial connections account", id))?;
    Ok(render::account(account, call.shape, state.config.livemode))
}

fn authorization(state: &state::State, call: &Call, id: &str) -> Result<Value, Failure> {
    let of = state.authorizations.get(id).filter(|a| a.stripe_account == call.stripe_account);
    let of = of.ok_or_else(|| Failure::missing("financial connections authorization", id))?;
    Ok(render::authorization(of, call.shape, state.config.livemode))
}

fn institution(state: &state::State, _: &Call, id: &str) -> Result<Value, Failure> {
    let institution = state.institutions.get(id);
    let institution =
        institution.ok_or_else(|| Failure::missing("financial connections institution", id))?;
    Ok(render::institution(institution, state.config.livemode))
}

fn session(state: &state::State, call: &Call, id: &str) -> Result<Value, Failure> {
    let session = state.sessions.get(id).filter(|s| s.stripe_account == call.stripe_account);
    let session = session.ok_or_else(|| Failure::missing("financial connections session", id))?;
    Ok(state.render_session(session, call.shape))
}

fn event(state: &state::State, call: &Call, id: &str) -> Result<Value, Failure> {
    let found = state.events.iter().rev().find(|event| event.id == id);
    let found = found.filter(|event| event.stripe_account == call.stripe_account);
    found.map(list::event_body).ok_or_else(|| Failure::missing("event", id))
}

/// Puts the headers on that every answer of Stripe carries.
fn dress(result: Result<Value, Failure>, request_id: &str, now_unix_s: i64) -> Response {
    let (status, body, limited_by) = match result {
        Ok(body) => (StatusCode::OK, body, None),
        Err(failure) => (failure.status, failure.body(), failure.limited_by),
    };
    let mut response = (status, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(HeaderName::from_static("request-id"), request_id);
    put(header::DATE, &http_date(now_unix_s));
    if let Some(reason) = limited_by {
        put(HeaderName::from_static("stripe-rate-limited-reason"), reason);
    }
    response
}

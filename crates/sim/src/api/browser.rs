//! The stand-in for Stripe.js, and the two calls it makes.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::api::control::{Refusal, read};
use crate::dialog::Chosen;
use crate::error::SimError;
use crate::sim::Sim;
use crate::version::Shape;

/// Stripe.js, as far as a relink page needs it.
pub(crate) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("stripe.js"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    client_secret: String,
}

/// What the person in the browser may choose.
pub(crate) async fn offer(State(sim): State<Sim>, body: Bytes) -> Response {
    let offered = read(&body)
        .and_then(|open: Open| Ok(Json(sim.lock().offer(&open.client_secret)?).into_response()));
    to_any_origin(offered)
}

/// Ends a pending session as the person in the browser chose.
pub(crate) async fn finish(State(sim): State<Sim>, body: Bytes) -> Response {
    let finished = finish_session(&sim, &body);
    sim.notify();
    to_any_origin(finished)
}

fn finish_session(sim: &Sim, body: &[u8]) -> Result<Response, Refusal> {
    let chosen: Chosen = read(body)?;
    let mut state = sim.lock();
    let id = state.choose(&chosen)?;
    let session = state.sessions.get(&id).ok_or(SimError::NoSession(id))?;
    Ok(Json(state.render_session(session, Shape::Preview)).into_response())
}

/// The page is of another origin than the simulator.
fn to_any_origin(answer: impl IntoResponse) -> Response {
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], answer).into_response()
}

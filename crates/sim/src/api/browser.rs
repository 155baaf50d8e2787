//! The stand-in for Stripe.js, and the one call it makes.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::api::control::{Refusal, read};
use crate::error::SimError;
use crate::sim::Sim;
use crate::verb::{Outcome, Relink, Verb};
use crate::version::Shape;

/// Stripe.js, as far as a relink page needs it.
pub(crate) async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("stripe.js"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    client_secret: String,
    outcome: Outcome,
}

/// Ends a pending relink session as the person in the browser chose.
pub(crate) async fn finish(State(sim): State<Sim>, body: Bytes) -> Response {
    let finished = finish_session(&sim, &body);
    sim.notify();
    // The page is of another origin than the simulator.
    ([(ACCESS_CONTROL_ALLOW_ORIGIN, "*")], finished).into_response()
}

fn finish_session(sim: &Sim, body: &[u8]) -> Result<Response, Refusal> {
    let finish: Finish = read(body)?;
    let mut state = sim.lock();
    let session = state.sessions.values().find(|s| s.client_secret == finish.client_secret);
    // The secret stays out of the words, as at Stripe.
    let id = session.map(|session| session.id.clone());
    let id = id.ok_or_else(|| SimError::NoSession("of this client secret".into()))?;
    let relink = Relink { session: Some(id.clone()), outcome: finish.outcome, ..Relink::default() };
    state.apply(Verb::Relink(relink))?;
    let session = state.sessions.get(&id).ok_or(SimError::NoSession(id))?;
    Ok(Json(state.render_session(session, Shape::Preview)).into_response())
}

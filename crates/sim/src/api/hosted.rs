//! The stand-in for Stripe's own relink page: the same choices as in the dialog, without a
//! script, and the way back to whoever made the session.

use std::fmt::Write as _;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{Html, IntoResponse, Response};
use serde_json::{Map, Value};

use crate::api::control::Refusal;
use crate::dialog::{Choice, Chosen};
use crate::error::SimError;
use crate::model::Session;
use crate::sim::Sim;
use crate::state;

const OVER: &str = "This relink is over. You can close this page.";

/// Offers what a person may choose.
pub(crate) async fn show(State(sim): State<Sim>, Path(id): Path<String>) -> Response {
    let state = sim.lock();
    let shown = session(&state, &id).and_then(|session| match session.status {
        "pending" => Ok(page(&form(&state.offer(&session.client_secret)?)).into_response()),
        _ => Ok(page(OVER).into_response()),
    });
    shown.map_err(Refusal::from).into_response()
}

/// Ends the session as the person chose, and sends the browser back.
pub(crate) async fn finish(
    State(sim): State<Sim>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let finished = finish_session(&sim, &id, &body);
    sim.notify();
    finished.into_response()
}

fn finish_session(sim: &Sim, id: &str, body: &[u8]) -> Result<Response, Refusal> {
    let mut state = sim.lock();
    let session = session(&state, id)?;
    if session.status != "pending" {
        return Ok(page(OVER).into_response());
    }
    let back = session.return_url.clone();
    let fields = url::form_urlencoded::parse(body)
        .map(|(name, value)| (name.into_owned(), Value::from(value.into_owned())));
    let mut fields: Map<String, Value> = fields.collect();
    fields.insert("client_secret".into(), session.client_secret.as_str().into());
    let chosen: Chosen = serde_json::from_value(fields.into())
        .map_err(|error| SimError::Invalid(error.to_string()))?;
    state.choose(&chosen)?;
    Ok(match back {
        // Whoever closes the window is not sent back.
        Some(back) if chosen.outcome != Choice::Pending => {
            (StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response()
        }
        _ => page("You can close this page.").into_response(),
    })
}

/// Only a hosted session has a page.
fn session<'a>(state: &'a state::State, id: &str) -> Result<&'a Session, SimError> {
    let hosted = state.sessions.get(id).filter(|session| session.hosted.is_some());
    hosted.ok_or_else(|| SimError::NoSession(id.into()))
}

/// One button for each choice; all words are the simulator's own.
fn form(offer: &Value) -> String {
    let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let mut form = format!("<p>{}</p>", text(offer, "question"));
    for choice in offer["choices"].as_array().into_iter().flatten() {
        let (outcome, label) = (text(choice, "outcome"), text(choice, "label"));
        let institution = match choice["institution"].as_str() {
            Some(name) => format!("<input type=\"hidden\" name=\"institution\" value=\"{name}\">"),
            None => String::new(),
        };
        let _ = write!(
            form,
            "<form method=\"post\">{institution}<p><button name=\"outcome\" value=\"{outcome}\" \
             data-outcome=\"{outcome}\">{label}</button></p></form>"
        );
    }
    form
}

fn page(inside: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><title>Simulated bank</title></head>\
         <body><main><h1>Simulated bank</h1>{inside}</main></body></html>"
    ))
}

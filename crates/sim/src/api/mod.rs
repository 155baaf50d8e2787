//! HTTP: the Stripe API under `/v1`, the control API under `/control`, the stand-in for
//! Stripe.js under `/v3`, that for Stripe's own relink page under `/hosted`.

mod browser;
mod call;
mod control;
mod failure;
mod hosted;
pub(crate) mod limit;
mod list;
mod stripe;
mod write;

use axum::Router;
use axum::routing::{any, get, post};

use crate::sim::Sim;

pub(crate) fn router(sim: Sim) -> Router {
    Router::new()
        // Stripe answers every unknown URL in its own words, so one handler takes them all.
        .route("/v1", any(stripe::answer))
        .route("/v1/{*path}", any(stripe::answer))
        .route("/v3/", get(browser::script))
        .route("/v3/stripe.js", get(browser::script))
        .route("/v3/sessions/offer", post(browser::offer))
        .route("/v3/sessions/finish", post(browser::finish))
        .route("/hosted/{session}", get(hosted::show).post(hosted::finish))
        .route("/control/state", get(control::state))
        .route("/control/events", get(control::events))
        .route("/control/deliveries", get(control::deliveries))
        .route("/control/delivery", post(control::delivery))
        .route("/control/clock", post(control::clock))
        .route("/control/faults", post(control::faults))
        .route("/control/flush", post(control::flush))
        .route("/control/redeliver", post(control::redeliver))
        .route("/control/{verb}", post(control::verb))
        .with_state(sim)
}

//! The HTTP API, for platforms that have a front end of their own.
//!
//! Start with [`handler`] for what each call does, [`body`] for what it takes and answers,
//! [`problem`] for every refusal; [`parked`] is the
//! part for operators; [`openapi`] tells the same to machines. Nothing is stored: an
//! `Idempotency-Key` is Stripe's to remember, so that a client secret is never kept here.

mod body;
mod handler;
mod openapi;
mod parked;
mod parked_body;
mod problem;
mod token;

pub(crate) use handler::routes;
pub use openapi::document;
pub(crate) use problem::Problem;
pub use token::{ApiToken, TokenScope};

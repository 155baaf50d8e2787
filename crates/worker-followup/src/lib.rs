//! The worker for commands that need Stripe. So far: `verify_accounts`.
//!
//! It reads accounts and authorizations back with a preview version and publishes what it learned
//! as observations; it never writes state, so that there is one writer path. Its queue has a
//! single active consumer, because Stripe's read limit is one [budget](relink_stripe::client::Budget); what Stripe answers with
//! 429 or 5xx climbs the queue's retry ladder and is parked only at its end.
//!
//! Without an API key nothing can be read: the command is accepted and counted as `no_api_key`,
//! the verify stays open on the account, and a later one finds it again.

mod metrics;
mod verify;

pub use metrics::Metrics;
pub use verify::Followup;

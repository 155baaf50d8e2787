//! The worker for commands that need Stripe: `verify_accounts`, `refresh_data` and
//! `reconcile_accounts`.
//!
//! A [`Reader`] reads with a preview version and publishes what it learned as observations; it
//! never writes state, so that there is one writer path. The queue has a single active consumer,
//! because Stripe's read limit is one [budget](relink_stripe::client::Budget); what Stripe answers
//! with 429 or 5xx climbs the queue's retry ladder and is parked only at its end. Refreshing and
//! reconciling can be left to the platform, see [`Duties`].
//!
//! Without an API key nothing can be read: the command is accepted and counted as `no_api_key`,
//! the verify stays open on the account, and a later one finds it again.

mod followup;
mod metrics;
mod reader;
mod reconcile;
mod refresh;
mod verify;

pub use followup::{Duties, Followup};
pub use metrics::Metrics;
pub use reader::{Asker, Reader, Trouble};

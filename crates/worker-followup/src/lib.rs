//! What needs Stripe: the worker for `verify_accounts`, `refresh_data` and `reconcile_accounts`,
//! and what compares Relink with Stripe without being asked by a command.
//!
//! Everything here reads with a preview version and publishes what it learned – observations, and
//! events that were missed; it never writes state, so that there is one writer path. The worker's
//! queue has a single active consumer, because Stripe's read limit is one
//! [budget](relink_stripe::client::Budget); what Stripe answers with 429 or 5xx climbs the queue's
//! retry ladder and is parked only at its end. Refreshing and reconciling can be left to the
//! platform, see [`Duties`].
//!
//! Without an API key nothing can be read: the command is accepted and counted as `no_api_key`,
//! the verify stays open on the account, and a later one finds it again.
//!
//! [`catch_up`] fetches events that webhooks have not brought, [`reconcile`] reads what nothing
//! was heard of for long, [`backfill`] what was linked before Relink came; [`audit`] only tells what
//! is missing. The scheduler runs the
//! first two by itself; operators run all three.

// Nothing that arrives makes these panic; unit tests may.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing))]
#![cfg_attr(not(test), warn(clippy::panic, clippy::string_slice, clippy::unreachable))]

pub mod audit;
pub mod backfill;
pub mod catch_up;
mod followup;
mod memory;
mod metrics;
mod observe;
pub mod reconcile;
mod reconcile_accounts;
mod refresh;
mod verify;

pub use followup::{Duties, Followup, IN_HAND};
pub use metrics::{Metrics, Reads};
pub use observe::{Observer, Trouble, Waiting, quietly};

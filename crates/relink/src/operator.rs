//! One file per operator command; [`with_stripe`] is what those share that ask Stripe.

pub(crate) mod backfill;
pub(crate) mod catch_up;
pub(crate) mod explain;
pub(crate) mod migrate;
pub(crate) mod reconcile;
pub(crate) mod schema;
mod with_stripe;

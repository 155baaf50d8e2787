//! The suite: what every store has to do, and what only one of them can.

pub(crate) mod maintain;
pub(crate) mod operator;
pub(crate) mod outbox;
pub(crate) mod outlook;
pub(crate) mod parked;
pub(crate) mod place;
pub(crate) mod postgres_only;
pub(crate) mod postgres_upgrade;
pub(crate) mod sample;
mod sqlite_only;
pub(crate) mod together;
pub(crate) mod transact;
pub(crate) mod world;

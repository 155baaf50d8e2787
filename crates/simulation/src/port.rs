//! The ports that a process gets: the real ones, with faults in between.

pub(crate) mod publisher;
pub(crate) mod store;
pub(crate) mod stripe;
pub(crate) mod subscriber;

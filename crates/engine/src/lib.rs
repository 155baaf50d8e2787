//! The shell around `decide`.
pub mod store;

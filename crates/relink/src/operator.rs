//! One file per operator command.

pub(crate) mod explain;
pub(crate) mod migrate;
pub(crate) mod schema;

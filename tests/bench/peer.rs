//! What people write by hand, in Node: stripe, amqplib and pg as their documentation shows them.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::limit::Bare;

/// Where `tests/bench/run` installs their packages.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench-peers")
}

/// Whether they can run.
pub(crate) fn are_here() -> bool {
    folder().join("node_modules/amqplib").is_dir()
}

/// Starts one.
pub(crate) fn peer(script: &str, settings: &[(&str, String)]) -> Bare {
    let mut command = Command::new("node");
    command.arg(folder().join(script)).current_dir(folder());
    Bare::run(command, settings)
}

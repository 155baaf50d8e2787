//! One file per role.

pub(crate) mod demo;
mod footing;
pub(crate) mod ingress;
pub(crate) mod portal;
pub(crate) mod scheduler;
pub(crate) mod sim;
pub(crate) mod standalone;
pub(crate) mod worker;

use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::otlp::Tracing;
use crate::settings::Admin;
use crate::shutdown::within;
use crate::telemetry::{Readiness, bind, serve_admin};

/// Runs a role's work between its admin listener and its drain deadline.
async fn run(
    admin: Admin,
    registry: Registry,
    readiness: Readiness,
    tracing: Tracing,
    stop: CancellationToken,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let ended = CancellationToken::new();
    let listener = match admin.listen {
        Some(address) => Some(bind("RELINK_ADMIN_LISTEN", address).await?),
        None => None,
    };
    let serving = listener
        .map(|listener| serve_admin(listener, registry, readiness, stop.clone(), ended.clone()));
    let (result, left) = within(&stop, admin.drain, work).await;
    let result = result.and_then(|result| result);
    tracing.close(left).await;
    ended.cancel();
    if let Some(serving) = serving {
        // A scraper that keeps its connection open must not hold up the end.
        let _ = tokio::time::timeout(std::time::Duration::from_millis(500), serving).await;
    }
    result
}

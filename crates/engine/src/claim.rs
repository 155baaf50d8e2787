//! Work that one process at a time does: whoever has the claim.

use std::sync::Arc;
use std::time::Duration;

use relink_core::time::{Span, Time};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// How long a claim lasts that nobody renews: a process that was killed is followed after that,
/// and clocks that differ by less than a few seconds do not matter.
pub const CLAIM_LIFETIME: Span = Span::seconds(30);

/// How often a claim is renewed, or looked at by who waits for it: two renewals may fail.
const RENEW: Duration = Duration::from_secs(10);

/// A claim to some work; what is done twice all the same does no harm, it only costs.
#[derive(Clone)]
pub struct Claim {
    /// Where claims are kept.
    pub store: Arc<dyn Store>,
    /// The work's name.
    pub work: &'static str,
    /// Names this process among all.
    pub claimant: Arc<str>,
    /// The machine's clock.
    pub wall: Arc<dyn Clock>,
}

impl Claim {
    /// Does the work whenever it has the claim, until told to stop; then another may have it.
    ///
    /// The work is told to stop by its token, when the claim is lost as well.
    pub async fn hold<Work, Run>(&self, stop: CancellationToken, work: Work)
    where
        Work: Fn(CancellationToken) -> Run,
        Run: Future<Output = ()>,
    {
        let mut failing = false;
        while !stop.is_cancelled() {
            let now = self.wall.now();
            let claimed = self.claim(now).await;
            let first_failure = !failing && claimed.is_err();
            failing = claimed.is_err();
            match claimed {
                Ok(true) => {
                    let held = stop.child_token();
                    tokio::join!(work(held.clone()), self.keep(held, now));
                }
                Ok(false) => {}
                // Else work that is never done looks like work of another process.
                Err(error) if first_failure => {
                    tracing::warn!(work = self.work, %error, "the work cannot be claimed");
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(RENEW) => {}
            }
        }
        let now = self.wall.now();
        // Where that fails it runs out.
        let _ = self.store.claim_work(self.work, &self.claimant, now, now).await;
    }

    async fn claim(&self, now: Time) -> Result<bool, StoreError> {
        let until = now.after(CLAIM_LIFETIME);
        self.store.claim_work(self.work, &self.claimant, now, until).await
    }

    /// Renews the claim until the work is to stop, and stops it once the claim is lost.
    async fn keep(&self, held: CancellationToken, mut since: Time) {
        loop {
            tokio::select! {
                biased;
                () = held.cancelled() => return,
                () = tokio::time::sleep(RENEW) => {}
            }
            let now = self.wall.now();
            match self.claim(now).await {
                Ok(true) => since = now,
                // Nobody else can have it while it lasts.
                Err(_) if now < since.after(CLAIM_LIFETIME) => {}
                Ok(false) | Err(_) => break,
            }
        }
        tracing::info!(work = self.work, "another process goes on with it");
        held.cancel();
    }
}

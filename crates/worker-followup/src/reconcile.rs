//! Reconcile: every account that is held is compared with Stripe, those first of which nothing was
//! heard for longest.
//!
//! What Stripe very rarely fails to tell at all, it cannot tell again (Stripe docs: irrecoverable
//! events); only a read finds it. The walk keeps no state: an observation moves an account to the
//! end of the line, so whoever begins anew goes on where the last one stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use relink_core::id::{AuthorizationId, Scope};
use relink_core::time::Time;
use relink_engine::store::{Heard, Store, StoreError};
use relink_stripe::client::CallError;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::observe::{Observer, Trouble, patiently};

/// Accounts looked up at a time: so many keep the reader busy for minutes at the usual rate.
const PAGE: usize = 1000;

/// Reads under way at a time: enough to use the budget at Stripe's usual latency.
const IN_HAND: usize = 8;

/// How often it is looked whether an account is due.
const LOOK: Duration = Duration::from_secs(600);

/// How often the walk begins at the front again: what Stripe does not know any more, and what
/// cannot be read, stays there and is not to be asked for at every look.
const ANEW: Duration = Duration::from_secs(86_400);

/// Compares what is held with Stripe.
#[derive(Clone)]
pub struct Reconcile {
    /// Reads and publishes.
    pub observer: Observer,
    /// Whose accounts are compared.
    pub store: Arc<dyn Store>,
}

/// How far a walk has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Walked {
    /// Accounts that were read, or are known to be gone.
    pub accounts: u64,
    /// Accounts that cannot be read: of the other mode than the key, or answered unusably.
    pub skipped: u64,
}

/// Why a walk did not come to its end; what was published is published.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReconcileError {
    /// An account was not observed.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Reconcile {
    /// Walks all accounts of which nothing was heard since `before`, once.
    ///
    /// # Errors
    /// See [`ReconcileError`]; beginning anew goes on from there.
    pub async fn walk(
        &self,
        before: Time,
        tell: impl FnMut(&Walked) + Send,
    ) -> Result<Walked, ReconcileError> {
        self.walk_on(&mut None, before, tell).await
    }

    async fn walk_on(
        &self,
        after: &mut Option<Heard>,
        before: Time,
        mut tell: impl FnMut(&Walked) + Send,
    ) -> Result<Walked, ReconcileError> {
        let mut walked = Walked::default();
        let because: Arc<str> = self.observer.name_of_run("reconcile").into();
        loop {
            let page = self.store.longest_unheard(after.as_ref(), before, PAGE).await?;
            let Some(last) = page.last().cloned() else { return Ok(walked) };
            self.read_all(page, &because, &mut walked, &mut tell).await?;
            *after = Some(last);
        }
    }

    /// Walks again and again, so that nothing is heard of no account for longer than `age`, until
    /// told to stop.
    pub async fn keep_on(self, age: Duration, stop: CancellationToken) {
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let (mut after, mut began) = (None, Instant::now());
        loop {
            if began.elapsed() >= ANEW {
                (after, began) = (None, Instant::now());
            }
            let before = Time(self.observer.wall.now().0.saturating_sub(age_ms));
            let result = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                result = self.walk_on(&mut after, before, |_| {}) => result,
            };
            match result {
                Ok(Walked { accounts: 0, .. }) => {}
                Ok(walked) => tracing::info!(accounts = walked.accounts, "compared with Stripe"),
                Err(error) => tracing::warn!(%error, "comparing with Stripe goes on later"),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn read_all(
        &self,
        page: Vec<Heard>,
        because: &Arc<str>,
        walked: &mut Walked,
        tell: &mut (impl FnMut(&Walked) + Send),
    ) -> Result<(), ReconcileError> {
        let mode = self.observer.client.livemode();
        let mut authorizations: BTreeSet<(Scope, AuthorizationId)> = BTreeSet::new();
        let mut in_hand: JoinSet<Result<(), Trouble>> = JoinSet::new();
        for heard in page {
            let (scope, account) = (heard.account.scope, heard.account.account);
            if mode.is_some_and(|mode| mode != scope.livemode) {
                walked.skipped += 1;
                continue;
            }
            let home = heard.home.home.authorization().cloned();
            authorizations.extend(home.map(|home| (scope.clone(), home)));
            while in_hand.len() >= IN_HAND {
                note(in_hand.join_next().await, walked, tell)?;
            }
            let (observer, because) = (self.observer.clone(), Arc::clone(because));
            in_hand.spawn(async move {
                let read = || observer.account(&scope, &account, Some(&because));
                patiently(read, Trouble::may_pass, observer.waiting).await.map(|_| ())
            });
        }
        while let Some(done) = in_hand.join_next().await {
            note(Some(done), walked, tell)?;
        }
        // An authorization's own forecast moves without any event of an account.
        for (scope, id) in authorizations {
            let read = || self.observer.authorization(&scope, &id, Some(because));
            match patiently(read, Trouble::may_pass, self.observer.waiting).await {
                Ok(()) | Err(Trouble::Read(CallError::Malformed { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn note(
    done: Option<Result<Result<(), Trouble>, tokio::task::JoinError>>,
    walked: &mut Walked,
    tell: &mut (impl FnMut(&Walked) + Send),
) -> Result<(), ReconcileError> {
    match done {
        None => return Ok(()),
        Some(Ok(Ok(()))) => walked.accounts += 1,
        // One account that cannot be read must not hold up the others.
        Some(Ok(Err(
            Trouble::Encode
            | Trouble::Read(CallError::Malformed { .. } | CallError::Refused { .. }),
        ))) => walked.skipped += 1,
        Some(Ok(Err(error))) => return Err(error.into()),
        // It was not cancelled, so it panicked; that goes on where it was.
        Some(Err(error)) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => walked.skipped += 1,
        },
    }
    tell(walked);
    Ok(())
}

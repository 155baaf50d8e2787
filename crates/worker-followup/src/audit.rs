//! Audit: whether everything that Stripe lists for a time is in the ledger or parked.
//!
//! Ingress keeps no record of what it accepted, so Stripe is asked: what it lists and Relink does
//! not hold was not delivered, or is still in a queue, or was lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use relink_core::id::Scope;
use relink_core::time::Second;
use relink_engine::store::{InputKey, Store};
use relink_stripe::client::{Budget, CallError, Client, EventFilter};
use relink_stripe::envelope::Envelope;

use crate::catch_up::{CatchUpError, Missed, key, listed_types, scopes};
use crate::observe::{Waiting, patiently};

/// Compares Stripe's list with what Relink holds.
#[derive(Clone)]
pub struct Audit {
    /// Stripe.
    pub client: Client,
    /// How fast it may be asked.
    pub budget: Arc<Budget>,
    /// The ledger.
    pub store: Arc<dyn Store>,
    /// Told before something is tried again.
    pub waiting: Waiting,
}

/// What an audit found; `in_ledger` + `parked` + `missing` is what Stripe listed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Audited {
    /// Events that the ledger holds.
    pub in_ledger: u64,
    /// Events that are parked, and not in the ledger.
    pub parked: u64,
    /// The others, newest first.
    pub missing: Vec<Missed>,
    /// Bodies that are no events; Stripe sends none.
    pub refused: u64,
}

impl Audit {
    /// Compares the events made from `from` to `until`, both included; `parked` are the events
    /// that are parked, which were looked at before. It tells after each page how far it is.
    ///
    /// # Errors
    /// See [`CatchUpError`]; the bus is not asked.
    pub async fn run(
        &self,
        from: Second,
        until: Second,
        parked: &[InputKey],
        mut tell: impl FnMut(&Audited) + Send,
    ) -> Result<Audited, CatchUpError> {
        let parked: BTreeSet<(&Scope, &str)> =
            parked.iter().map(|key| (&key.scope, key.id.as_str())).collect();
        let types: Vec<&str> = listed_types().collect();
        let mut audited = Audited::default();
        for scope in scopes(&self.client, &*self.store).await? {
            let filter =
                EventFilter { types: &types, delivery_success: None, created_from: Some(from) };
            let mut after = None;
            loop {
                let call =
                    || self.budget.spend(self.client.events(&scope, &filter, after.as_ref()));
                let page = patiently(call, CallError::is_retryable, self.waiting).await?;
                let mut found = Vec::new();
                for event in page.events {
                    match Envelope::read(event.get().as_bytes()) {
                        Ok(envelope) if envelope.created > until.0 => {}
                        Ok(envelope) => found.push((key(&envelope), envelope.kind.to_string())),
                        Err(_) => audited.refused += 1,
                    }
                }
                let keys: Vec<InputKey> = found.iter().map(|(key, _)| key.clone()).collect();
                for ((key, kind), seen) in found.into_iter().zip(self.store.seen(&keys).await?) {
                    if seen {
                        audited.in_ledger += 1;
                    } else if parked.contains(&(&key.scope, key.id.as_str())) {
                        audited.parked += 1;
                    } else {
                        let id = key.id.as_str().to_owned();
                        let (created, scope) = (key.at, key.scope);
                        audited.missing.push(Missed { id, kind, created, scope });
                    }
                }
                tell(&audited);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(audited)
    }
}

//! Catch-up: events that Stripe has made and the ledger does not hold are published as if they
//! had come as webhooks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus::{IntCounterVec, Opts, Registry};
use relink_bus::message::{EventHead, Message};
use relink_bus::parked::ParkedMessages;
use relink_bus::port::{PublishError, Publisher};
use relink_bus::topology::{LIFECYCLE_KEYS, UPCOMING_KEYS};
use relink_core::bug::{Bug, is_planted};
use relink_core::id::{InputId, Scope};
use relink_core::time::Second;
use relink_engine::balance::ParkedEvents;
use relink_engine::clock::Clock;
use relink_engine::store::{InputKey, Store, StoreError};
use relink_stripe::client::{Budget, CallError, Client, EventFilter};
use relink_stripe::envelope::{Envelope, has_snapshot_form};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::observe::{Waiting, patiently};

/// As far back as Stripe lists events (Stripe docs: list all events), in seconds.
pub const LISTED_SECONDS: i64 = 30 * 86_400;

/// Events made so long before the newest known one are looked at once more: they may have been
/// accepted after it and not have been decided yet, or have been held up at Stripe.
const OVERLAP_SECONDS: i64 = 3600;

/// The longest wait after a catch-up that did not come to its end.
const AGAIN: Duration = Duration::from_secs(30);

/// How far back the newest known event is looked for, in days, step by step: a look reads the
/// ledger of those days.
const LOOK_BACK_DAYS: [i64; 3] = [1, 7, 30];

/// Fetches what webhooks have not brought.
#[derive(Clone)]
pub struct CatchUp {
    /// Stripe.
    pub client: Client,
    /// How fast it may be asked.
    pub budget: Arc<Budget>,
    /// Whose ledger is compared.
    pub store: Arc<dyn Store>,
    /// The parked messages: what is among them is not missing, and fetched again it would only be
    /// parked again. `None`: only the ledger counts.
    pub lot: Option<Arc<dyn ParkedMessages>>,
    /// Where events go; `None`: what is missing is only told.
    pub publisher: Option<Arc<dyn Publisher>>,
    /// The machine's clock.
    pub wall: Arc<dyn Clock>,
    /// Events by result: known, published, refused.
    pub events: IntCounterVec,
    /// Told before something is tried again.
    pub waiting: Waiting,
}

/// From when on events are compared, by their `created`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Since {
    /// Those that Stripe could not deliver.
    pub undelivered: Second,
    /// All others.
    pub all: Second,
}

/// An event that the ledger does not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missed {
    /// Its id.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// When Stripe made it.
    pub created: Second,
    /// Whose.
    pub scope: Scope,
}

/// What a catch-up found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// Events that the ledger holds.
    pub known: u64,
    /// Events that it did not hold.
    pub missed: u64,
    /// Bodies that are no events; Stripe sends none.
    pub refused: u64,
}

/// Why a catch-up did not come to its end; what it had published is published.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CatchUpError {
    /// Stripe did not list the events.
    #[error("Stripe does not list its events: {0}")]
    Stripe(#[from] CallError),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus did not take an event.
    #[error("the bus did not take an event: {0}")]
    Bus(#[from] PublishError),
}

/// Counts events of catch-ups; register once per process.
///
/// # Errors
/// When the registry already holds the name.
pub fn register(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "Events that Stripe listed, by whether the ledger held them";
    let events = IntCounterVec::new(Opts::new("relink_catch_up_events_total", help), &["result"])?;
    for result in ["known", "published", "refused"] {
        events.with_label_values(&[result]);
    }
    registry.register(Box::new(events.clone()))?;
    Ok(events)
}

impl CatchUp {
    /// Catches up: first what Stripe could not deliver, then what it did deliver as well. The
    /// order does not matter for the result, only for who waits.
    ///
    /// # Errors
    /// See [`CatchUpError`].
    pub async fn run(
        &self,
        since: Since,
        mut tell: impl FnMut(&Missed) + Send,
    ) -> Result<Found, CatchUpError> {
        let mut found = Found::default();
        // What is parked has been told, so to say.
        let mut told = self.parked().await;
        let types: Vec<&str> = listed_types().collect();
        for scope in scopes(&self.client, &*self.store).await? {
            for (delivery_success, from) in [(Some(false), since.undelivered), (None, since.all)] {
                let filter =
                    EventFilter { types: &types, delivery_success, created_from: Some(from) };
                self.list(&scope, &filter, &mut found, &mut |missed: &Missed| {
                    let is_new = told.insert(missed.id.clone());
                    if is_new {
                        tell(missed);
                    }
                    is_new
                })
                .await?;
            }
        }
        Ok(found)
    }

    /// The ids of the events that are parked. Where they cannot be had it goes on without: a copy
    /// more does no harm.
    async fn parked(&self) -> HashSet<String> {
        let Some(lot) = &self.lot else { return HashSet::new() };
        match ParkedEvents::all(&**lot).await {
            Ok(parked) => parked.keys.iter().map(|key| key.id.as_str().to_owned()).collect(),
            Err(error) => {
                tracing::warn!(%error, "catching up without a look at the parked messages");
                HashSet::new()
            }
        }
    }

    /// Catches up at once, and then whenever no event has come for so long, until told to stop.
    ///
    /// That an event came is seen in the ledger, not here: any ingress may have taken it. Its
    /// `created` counts, so what was fetched the last time does not pass for a webhook.
    pub async fn keep_up(self, silence: Duration, stop: CancellationToken) {
        let (mut wanted, mut failing) = (true, false);
        loop {
            let work = async {
                if wanted || self.is_silent(silence).await? {
                    self.run(self.since().await?, |_| {}).await
                } else {
                    Ok(Found::default())
                }
            };
            let result = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                result = work => result,
            };
            let first_failure = !failing && result.is_err();
            failing = result.is_err();
            wanted = failing;
            let pause = if wanted { silence.min(AGAIN) } else { silence };
            match result {
                Ok(found) if found.missed > 0 => {
                    tracing::warn!(
                        events = found.missed,
                        "caught up: webhooks had not brought them"
                    );
                }
                Ok(_) => {}
                Err(error) if first_failure => {
                    tracing::warn!(%error, "catching up is tried again and again");
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn is_silent(&self, silence: Duration) -> Result<bool, StoreError> {
        let seconds = i64::try_from(silence.as_secs()).unwrap_or(LISTED_SECONDS);
        Ok(self.store.latest_event(Second(self.now().0 - seconds)).await?.is_none())
    }

    /// All that Stripe lists of what it could not deliver. What it did deliver was accepted: that
    /// is compared from a little before the newest one that is known.
    async fn since(&self) -> Result<Since, StoreError> {
        let now = self.now().0;
        let undelivered = Second(now - LISTED_SECONDS);
        for days in LOOK_BACK_DAYS {
            if let Some(latest) = self.store.latest_event(Second(now - days * 86_400)).await? {
                return Ok(Since { undelivered, all: Second(latest.0 - OVERLAP_SECONDS) });
            }
        }
        Ok(Since { undelivered, all: undelivered })
    }

    async fn list(
        &self,
        scope: &Scope,
        filter: &EventFilter<'_>,
        found: &mut Found,
        tell: &mut (dyn FnMut(&Missed) -> bool + Send),
    ) -> Result<(), CatchUpError> {
        let mut after = None;
        loop {
            let call = || self.budget.spend(self.client.events(scope, filter, after.as_ref()));
            let page = patiently(call, CallError::is_retryable, self.waiting).await?;
            // What was not delivered is listed once more among all.
            let count_known = filter.delivery_success.is_none();
            self.compare(page.events, count_known, found, tell).await?;
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn compare(
        &self,
        events: Vec<Box<RawValue>>,
        count_known: bool,
        found: &mut Found,
        tell: &mut (dyn FnMut(&Missed) -> bool + Send),
    ) -> Result<(), CatchUpError> {
        let count = |result: &str| self.events.with_label_values(&[result]).inc();
        let mut messages = Vec::new();
        let mut keys = Vec::new();
        for event in events {
            let body = Bytes::from(String::from(Box::<str>::from(event)));
            let Ok(envelope) = Envelope::read(&body) else {
                found.refused += u64::from(count_known);
                count("refused");
                continue;
            };
            keys.push(key(&envelope));
            messages.push(self.message(&envelope, body.clone()));
        }
        let mut seen = self.store.seen(&keys).await?;
        if is_planted(Bug::CatchUpBlind) {
            seen.fill(true);
        }
        let mut missing = Vec::new();
        for ((message, key), seen) in messages.into_iter().zip(keys).zip(seen) {
            if seen {
                if count_known {
                    found.known += 1;
                    count("known");
                }
                continue;
            }
            let missed = Missed {
                id: message.id.as_ref().to_owned(),
                kind: message.kind.as_ref().to_owned(),
                created: key.at,
                scope: key.scope,
            };
            if tell(&missed) {
                found.missed += 1;
                missing.push(message);
            }
        }
        let Some(publisher) = &self.publisher else { return Ok(()) };
        for answer in publisher.publish_all(missing).await {
            answer?;
            count("published");
        }
        Ok(())
    }

    fn message(&self, envelope: &Envelope<'_>, body: Bytes) -> Message {
        Message::of_event(&EventHead::from(envelope), body, self.wall.now().0)
    }

    fn now(&self) -> Second {
        Second(self.wall.now().0.div_euclid(1000))
    }
}

/// The platform's own objects and those of every Connect account that is known, in the mode of
/// the key; of a key that names no mode in those that are known.
pub(crate) async fn scopes(client: &Client, store: &dyn Store) -> Result<Vec<Scope>, StoreError> {
    let mut scopes = store.scopes().await?;
    if let Some(livemode) = client.livemode() {
        scopes.retain(|scope| scope.livemode == livemode);
        let own = Scope::own(livemode);
        if !scopes.contains(&own) {
            scopes.insert(0, own);
        }
    }
    Ok(scopes)
}

/// Names the row that the ledger has of an event.
pub fn key(envelope: &Envelope<'_>) -> InputKey {
    let scope = Scope {
        livemode: envelope.livemode,
        stripe_account: envelope.stripe_account.as_deref().map(Arc::from),
    };
    InputKey { scope, id: InputId::new(&*envelope.id), at: Second(envelope.created) }
}

/// The types of the topology that can be listed: those with a snapshot form.
pub fn listed_types() -> impl Iterator<Item = &'static str> {
    LIFECYCLE_KEYS.into_iter().chain(UPCOMING_KEYS).filter(|key| has_snapshot_form(key))
}

#[cfg(test)]
mod tests {
    use relink_stripe::client::TYPES_MAX;

    use super::*;

    #[test]
    fn the_types_fit_one_listing() {
        let types: Vec<&str> = listed_types().collect();
        assert!(types.contains(&"financial_connections.account.deactivated"));
        assert!(types.contains(&"financial_connections.session.updated"));
        assert!(types.iter().all(|kind| kind.starts_with("financial_connections.")));
        assert!(types.len() <= TYPES_MAX, "{types:?}");
    }
}

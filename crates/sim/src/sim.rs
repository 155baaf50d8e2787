//! The handle that tests, the control API and the Stripe API share.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::config::{DeliveryChange, SimConfig};
use crate::error::SimError;
use crate::event::{Event, EventType};
use crate::outbox::Attempt;
use crate::state::State;
use crate::verb::{Change, Verb};
use crate::version::Shape;
use crate::{api, delivery, render};

/// A running stand-in for Stripe; clones share everything.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// A delivery was queued or ended.
    outbox: Notify,
    /// The same, for those who wait until nothing is pending.
    flushed: Notify,
}

/// How the simulated clock shall change; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockChange {
    /// The new time in Unix seconds.
    pub now: Option<i64>,
    /// Seconds to add after that.
    pub advance_seconds: Option<i64>,
    /// See [`SimConfig::time_scale`].
    pub time_scale: Option<f64>,
}

/// What a call of the Stripe API is answered with instead of the truth, whatever it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 429 with `Stripe-Rate-Limited-Reason`.
    RateLimit,
    /// 429 with code `lock_timeout` and no such header.
    LockTimeout,
    /// 500.
    ServerError,
    /// Nothing for a time, then 500.
    Timeout,
}

/// A fault that the next call meets.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// What the call is answered with.
    pub kind: FaultKind,
    /// How long the call is kept waiting first.
    pub after: Duration,
}

/// An event as a webhook carries it.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Counts the events, without gaps.
    pub sequence: usize,
    /// The id in the body.
    pub id: String,
    /// The event's type.
    pub kind: EventType,
    /// What is signed and sent.
    pub body: Bytes,
}

impl Sim {
    /// Makes a simulator. It answers through [`Sim::router`] at once; webhooks leave while
    /// [`Sim::serve`] or [`Sim::deliver`] runs.
    pub fn new(config: SimConfig) -> Sim {
        let state = Mutex::new(State::new(config));
        let shared = Shared { state, outbox: Notify::new(), flushed: Notify::new() };
        Sim { shared: Arc::new(shared) }
    }

    /// The Stripe API under `/v1`, the control API under `/control`, and a stand-in for Stripe.js
    /// at `/v3/`.
    pub fn router(&self) -> axum::Router {
        api::router(self.clone())
    }

    /// Serves [`Sim::router`] and delivers webhooks until `shutdown` ends.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let server = axum::serve(listener, self.router()).with_graceful_shutdown(shutdown);
        tokio::select! {
            served = server => served,
            failed = self.deliver() => failed.map_err(io::Error::other),
        }
    }

    /// Delivers webhooks until the future is dropped; for use without [`Sim::serve`].
    ///
    /// Errors if the HTTP client cannot be built.
    pub async fn deliver(&self) -> Result<(), SimError> {
        delivery::run(self.clone()).await
    }

    /// Makes something happen.
    pub fn apply(&self, verb: Verb) -> Result<Change, SimError> {
        let change = self.lock().apply(verb);
        self.notify();
        change
    }

    /// The simulated time in Unix seconds.
    pub fn now_unix_s(&self) -> i64 {
        self.lock().clock.unix_s()
    }

    /// Changes the simulated clock and returns its time.
    pub fn set_clock(&self, change: &ClockChange) -> Result<i64, SimError> {
        if change.time_scale.is_some_and(|scale| !scale.is_finite() || scale < 0.0) {
            return Err(SimError::Invalid("a time scale is 0 or more".into()));
        }
        let mut state = self.lock();
        let clock = &mut state.clock;
        if let Some(scale) = change.time_scale {
            clock.set_scale(scale);
        }
        if let Some(now) = change.now {
            clock.set(now.saturating_mul(1000));
        }
        if let Some(seconds) = change.advance_seconds {
            clock.advance(seconds);
        }
        Ok(clock.unix_s())
    }

    /// Changes how webhooks travel from now on; what is queued already keeps its time.
    pub fn set_delivery(&self, change: DeliveryChange) -> Result<(), SimError> {
        let changed = change.apply(&mut self.lock().config);
        self.notify();
        changed
    }

    /// Lets the next `count` calls of the Stripe API meet a fault.
    pub fn inject(&self, fault: Fault, count: usize) {
        self.lock().faults.extend(std::iter::repeat_n(fault, count));
    }

    /// Sends an event once more under the same id, without retries.
    pub fn redeliver(&self, event: &str) -> Result<(), SimError> {
        let queued = self.lock().redeliver(event);
        self.notify();
        queued
    }

    /// Waits until no delivery is due or under way, retries included; `false` if the time ran
    /// out first.
    pub async fn flush(&self, limit: Duration) -> bool {
        let wait = async {
            loop {
                let changed = self.shared.flushed.notified();
                if self.pending() == 0 {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, wait).await.is_ok()
    }

    /// Deliveries due or under way, retries that wait included.
    pub fn pending(&self) -> usize {
        self.lock().outbox.pending()
    }

    /// The attempts to deliver, oldest first; only the newest thousands are kept.
    pub fn deliveries(&self) -> Vec<Attempt> {
        self.lock().outbox.attempts().cloned().collect()
    }

    /// The ids of all events that were delivered with a 2xx.
    pub fn delivered(&self) -> HashSet<String> {
        let state = self.lock();
        state.events.iter().filter(|e| e.delivered).map(|e| e.id.clone()).collect()
    }

    /// All snapshot events that are kept, oldest first.
    pub fn events(&self) -> Vec<Value> {
        let bodies: Vec<_> = self.lock().events.iter().map(|event| event.body.clone()).collect();
        bodies.iter().filter_map(|body| serde_json::from_slice(body).ok()).collect()
    }

    /// The events from this number on, in the form that the destination gets; who carries them by
    /// himself asks for those behind the last one, and says [`Sim::mark_delivered`].
    pub fn mail(&self, from: usize) -> Vec<Mail> {
        let mut state = self.lock();
        let wanted = |event: &&Event| event.sequence >= from;
        let events: Vec<Event> = state.events.iter().filter(wanted).cloned().collect();
        events
            .iter()
            .map(|event| {
                let outgoing = state.outgoing(event, 0);
                Mail {
                    sequence: event.sequence,
                    id: outgoing.id,
                    kind: event.kind,
                    body: outgoing.body,
                }
            })
            .collect()
    }

    /// Remembers that an event was answered with 2xx.
    pub fn mark_delivered(&self, sequence: usize) {
        self.lock().mark_delivered(sequence);
    }

    /// An account in preview shape.
    pub fn account(&self, id: &str) -> Result<Value, SimError> {
        let state = self.lock();
        Ok(render::account(state.account(id)?, Shape::Preview, state.config.livemode))
    }

    /// An authorization in preview shape.
    pub fn authorization(&self, id: &str) -> Result<Value, SimError> {
        let state = self.lock();
        Ok(render::authorization(state.authorization(id)?, Shape::Preview, state.config.livemode))
    }

    /// All objects in preview shape, the simulated time, and how much is pending.
    pub fn state(&self) -> Value {
        self.lock().dump()
    }

    /// The state; a panic of another thread while it held the lock leaves it usable.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn notify(&self) {
        self.shared.outbox.notify_one();
        self.shared.flushed.notify_waiters();
    }

    pub(crate) async fn outbox_changed(&self) {
        self.shared.outbox.notified().await;
    }
}

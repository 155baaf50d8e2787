//! A slice of traffic, always the same: bodies of the stand-in for Stripe, from a seed and a time.

use std::sync::Arc;

use bytes::Bytes;
use relink_bus::message::{Delivery, Headers, Receipt};
use relink_bus::topology::UPCOMING_KEYS;
use relink_core::decide::decide;
use relink_core::input::Input;
use relink_core::policy::Policy;
use relink_core::time::Time;
use relink_core::world::World;
use relink_sim::{SimConfig, Traffic, TrafficConfig, TrafficEvent};

/// How many events are counted: what a full batch holds.
pub(crate) const EVENTS: usize = 256;

/// Authorizations, and accounts of each: small enough to be linked under valgrind.
const AUTHORIZATIONS: usize = 64;
const ACCOUNTS: usize = 3;

/// When the traffic begins, Unix seconds: some time on 2026-11-18.
const BEGIN_S: i64 = 1_795_000_000;

/// The time by our clock, a day later: nothing that is announced has come.
pub(crate) const NOW_S: i64 = BEGIN_S + 86_400;
pub(crate) const NOW: Time = Time(NOW_S * 1000);

/// What is counted with.
pub(crate) struct Slice {
    /// The bodies, as Stripe sends them.
    pub(crate) bodies: Vec<Bytes>,
    /// The same as a worker gets them.
    pub(crate) deliveries: Vec<Delivery>,
    /// The same as the rules get them.
    pub(crate) inputs: Arc<[Input]>,
    /// What is known when they come, nothing of it changed.
    pub(crate) known: World,
}

impl Slice {
    pub(crate) fn new() -> Self {
        let sim = SimConfig { start_unix_s: Some(BEGIN_S), livemode: true, ..SimConfig::default() };
        let (authorizations, accounts) = (AUTHORIZATIONS, ACCOUNTS);
        let mut traffic = Traffic::new(TrafficConfig { sim, authorizations, accounts });
        let mut known = World::default();
        for event in traffic.by_ref().take(AUTHORIZATIONS * ACCOUNTS) {
            let input = read(&delivery(&event));
            decide(&mut known, &input, &Policy::default(), NOW).unwrap();
        }
        known.changed_accounts.clear();
        known.changed_homes.clear();
        let events: Vec<_> = traffic.take(EVENTS).collect();
        let deliveries: Vec<_> = events.iter().map(delivery).collect();
        Self {
            inputs: deliveries.iter().map(read).collect(),
            bodies: events.into_iter().map(|event| event.body).collect(),
            deliveries,
            known,
        }
    }
}

fn delivery(event: &TrafficEvent) -> Delivery {
    let kind: Arc<str> = event.kind.name().into();
    Delivery {
        receipt: Receipt { generation: 1, tag: 1 },
        id: Some(event.id.as_str().into()),
        kind: Some(Arc::clone(&kind)),
        routing_key: kind,
        timestamp_unix_s: Some(event.created_unix_s),
        correlation: None,
        headers: Headers::default(),
        redelivered: false,
        body: event.body.clone(),
    }
}

/// As the worker of its queue reads it.
pub(crate) fn read(delivery: &Delivery) -> Input {
    let decode = match UPCOMING_KEYS.contains(&&*delivery.routing_key) {
        true => relink_worker_upcoming::decode,
        false => relink_worker_lifecycle::decode,
    };
    decode(delivery).unwrap()
}

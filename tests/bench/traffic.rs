//! What is sent: bodies of the stand-in for Stripe, in slices, with a truth at the end of each.

use bytes::Bytes;
use relink_bus::topology::UPCOMING_KEYS;
use relink_sim::{SimConfig, Traffic, TrafficConfig};
use relink_tests::send::now_unix_s;

/// How long ago it begins: no date that is announced may pass meanwhile.
const DAYS_BEFORE: i64 = 20;

/// Accounts of each authorization.
const ACCOUNTS: usize = 3;

/// One in so many events comes once more.
const TWICE: usize = 20;

/// How far behind the first the second one comes.
const LATER: usize = 40;

/// One event.
pub(crate) struct Event {
    /// `evt_…`
    pub(crate) id: String,
    /// What is signed.
    pub(crate) body: Bytes,
    /// Whether it goes to the queue of facts.
    pub(crate) is_lifecycle: bool,
}

/// An endless supply.
pub(crate) struct Supply(Traffic);

/// Some of it, in order.
pub(crate) struct Slice {
    /// Each once.
    pub(crate) events: Vec<Event>,
    /// Every account with its status once all of them have happened.
    pub(crate) statuses: Vec<(String, &'static str)>,
}

impl Supply {
    /// A world of so many authorizations, which are all linked first.
    pub(crate) fn new(authorizations: usize) -> Self {
        let start = now_unix_s() - DAYS_BEFORE * 86_400;
        let sim = SimConfig { start_unix_s: Some(start), livemode: true, ..SimConfig::default() };
        Self(Traffic::new(TrafficConfig { sim, authorizations, accounts: ACCOUNTS }))
    }

    /// The next events, at least so many; what one happening brings stays together.
    pub(crate) fn slice(&mut self, count: usize) -> Slice {
        let mut events = Vec::with_capacity(count);
        while events.len() < count || !self.0.rests() {
            let event = self.0.next().expect("the supply has no end");
            let is_lifecycle = !UPCOMING_KEYS.contains(&event.kind.name());
            events.push(Event { id: event.id, body: event.body, is_lifecycle });
        }
        Slice { events, statuses: self.0.statuses() }
    }

    /// What links everything there is.
    pub(crate) fn links(&mut self, authorizations: usize) -> Slice {
        self.slice(authorizations * ACCOUNTS)
    }
}

impl Slice {
    /// Bodies as they come: one in twenty a second time, a little later.
    pub(crate) fn bodies(&self) -> Vec<&Bytes> {
        let again = |place: usize| {
            let first = place.checked_sub(LATER)?;
            first.is_multiple_of(TWICE).then(|| &self.events[first].body)
        };
        self.events
            .iter()
            .enumerate()
            .flat_map(|(place, event)| std::iter::once(&event.body).chain(again(place)))
            .collect()
    }

    /// The same for the queue of facts alone.
    pub(crate) fn lifecycle(self) -> Self {
        let events = self.events.into_iter().filter(|event| event.is_lifecycle).collect();
        Self { events, ..self }
    }
}

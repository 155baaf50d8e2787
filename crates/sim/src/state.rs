//! Everything a simulator knows, and the one way an event comes to be.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::api::limit::ReadLimiter;
use crate::bank::TestBank;
use crate::clock::Clock;
use crate::config::SimConfig;
use crate::error::SimError;
use crate::event::{Envelope, Event, EventType, thin};
use crate::model::{Account, Authorization, Institution, Session};
use crate::outbox::{Outbox, Outgoing};
use crate::random::Random;
use crate::render;
use crate::sim::Fault;
use crate::verb::{Change, Verb};
use crate::version::Shape;

/// How many events are kept; the oldest go first, as at Stripe after 30 days.
const MAX_EVENTS: usize = 100_000;

/// What an event is about.
pub(crate) enum Subject<'a> {
    Account(&'a str),
    Authorization(&'a str),
    Session(&'a str),
}

/// The whole simulator behind its lock.
pub(crate) struct State {
    pub(crate) config: SimConfig,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) institutions: BTreeMap<String, Institution>,
    pub(crate) authorizations: BTreeMap<String, Authorization>,
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) sessions: BTreeMap<String, Session>,
    /// Oldest first.
    pub(crate) events: VecDeque<Event>,
    pub(crate) outbox: Outbox,
    pub(crate) faults: VecDeque<Fault>,
    pub(crate) limiter: ReadLimiter,
    /// First answers by idempotency key, with the request they answered.
    pub(crate) replays: HashMap<String, (String, Value)>,
    /// The API request in hand, which its events name.
    pub(crate) request_id: Option<String>,
    pub(crate) next_sequence: u64,
    next_event: usize,
}

impl State {
    pub(crate) fn new(config: SimConfig) -> State {
        State {
            clock: Clock::start(config.start_unix_s, config.time_scale),
            random: Random::new(config.seed),
            config,
            institutions: TestBank::ALL
                .map(|bank| (bank.institution().id, bank.institution()))
                .into(),
            authorizations: BTreeMap::new(),
            accounts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            events: VecDeque::new(),
            outbox: Outbox::default(),
            faults: VecDeque::new(),
            limiter: ReadLimiter::default(),
            replays: HashMap::new(),
            request_id: None,
            next_sequence: 0,
            next_event: 0,
        }
    }

    /// Makes a verb happen.
    pub(crate) fn apply(&mut self, verb: Verb) -> Result<Change, SimError> {
        match verb {
            Verb::Relink(relink) => self.relink(relink),
            Verb::Refresh { account, feature, status } => self.refresh(&account, feature, status),
            Verb::Numbers { account, status, expected_expiry_date } => {
                self.renumber(&account, status, expected_expiry_date)
            }
            verb => self.live(verb),
        }
    }

    pub(crate) fn account(&self, id: &str) -> Result<&Account, SimError> {
        self.accounts.get(id).ok_or_else(|| SimError::NoAccount(id.into()))
    }

    pub(crate) fn account_mut(&mut self, id: &str) -> Result<&mut Account, SimError> {
        self.accounts.get_mut(id).ok_or_else(|| SimError::NoAccount(id.into()))
    }

    pub(crate) fn authorization(&self, id: &str) -> Result<&Authorization, SimError> {
        self.authorizations.get(id).ok_or_else(|| SimError::NoAuthorization(id.into()))
    }

    pub(crate) fn authorization_mut(&mut self, id: &str) -> Result<&mut Authorization, SimError> {
        self.authorizations.get_mut(id).ok_or_else(|| SimError::NoAuthorization(id.into()))
    }

    /// The accounts of an authorization in the order they were linked.
    pub(crate) fn members(&self, authorization: &str) -> Vec<String> {
        self.authorizations.get(authorization).map(|of| of.accounts.clone()).unwrap_or_default()
    }

    /// Makes the events of one change and queues their deliveries; the ids go into `change`.
    pub(crate) fn emit(&mut self, kind: EventType, about: Subject<'_>, change: &mut Change) {
        let shape = Shape::of(&self.config.webhook_version).unwrap_or(Shape::Preview);
        if kind.is_preview_only() && shape != Shape::Preview {
            return;
        }
        let Some((object, object_id, stripe_account)) = self.subject(&about, shape) else {
            return;
        };
        let mut ids = vec![self.random.id("evt")];
        if self.random.happens(self.config.delivery.unmade) {
            return;
        }
        if self.random.happens(self.config.delivery.twin) {
            ids.push(self.random.travel_id("evt"));
        }
        for id in ids {
            let event = self.event(id, kind, object.clone(), &object_id, &stripe_account);
            change.events.push(event.id.clone());
            self.next_event += 1;
            self.dispatch(&event);
            self.events.push_back(event);
            if self.events.len() > MAX_EVENTS {
                self.events.pop_front();
            }
        }
    }

    fn subject(
        &self,
        about: &Subject<'_>,
        shape: Shape,
    ) -> Option<(Value, String, Option<String>)> {
        let livemode = self.config.livemode;
        match about {
            Subject::Account(id) => {
                let account = self.accounts.get(*id)?;
                let object = render::account(account, shape, livemode);
                Some((object, account.id.clone(), account.stripe_account.clone()))
            }
            Subject::Authorization(id) => {
                let of = self.authorizations.get(*id)?;
                let object = render::authorization(of, shape, livemode);
                Some((object, of.id.clone(), of.stripe_account.clone()))
            }
            Subject::Session(id) => {
                let session = self.sessions.get(*id)?;
                let object = self.render_session(session, shape);
                Some((object, session.id.clone(), session.stripe_account.clone()))
            }
        }
    }

    fn event(
        &self,
        id: String,
        kind: EventType,
        object: Value,
        object_id: &str,
        stripe_account: &Option<String>,
    ) -> Event {
        let created_unix_ms = self.clock.unix_ms();
        let envelope = Envelope {
            id: &id,
            kind,
            api_version: &self.config.webhook_version,
            created_unix_s: created_unix_ms.div_euclid(1000),
            livemode: self.config.livemode,
            stripe_account: stripe_account.as_deref(),
            request_id: self.request_id.as_deref(),
            pending_webhooks: u32::from(self.config.webhook_url.is_some()),
        };
        let body = Bytes::from(envelope.around(object).to_string());
        Event {
            created_unix_s: created_unix_ms.div_euclid(1000),
            id,
            sequence: self.next_event,
            kind,
            stripe_account: stripe_account.clone(),
            body,
            delivered: false,
            created_unix_ms,
            object_id: object_id.into(),
        }
    }

    /// Decides how an event travels and queues it.
    fn dispatch(&mut self, event: &Event) {
        if self.config.webhook_url.is_none() {
            return;
        }
        let delivery = self.config.delivery.clone();
        let now = Instant::now();
        let outgoing = self.outgoing(event, delivery.retries);
        if self.random.happens(delivery.lose) {
            self.outbox.record_lost(&outgoing);
            return;
        }
        if self.random.happens(delivery.duplicate) {
            let due = now + self.random.part_of(delivery.max_delay);
            self.outbox.push(outgoing.clone(), due);
        }
        let delay = match self.random.happens(delivery.reorder) {
            true => self.random.part_of(delivery.max_delay),
            false => std::time::Duration::ZERO,
        };
        self.outbox.push(outgoing, now + delay);
    }

    /// An event in the form the destination gets.
    pub(crate) fn outgoing(&mut self, event: &Event, retries: u32) -> Outgoing {
        let (id, body) = if self.config.delivery.thin && event.kind.has_thin_form() {
            let id = self.random.travel_id("evt");
            let body = thin(event, &id, self.config.livemode).to_string();
            (id, Bytes::from(body))
        } else {
            (event.id.clone(), event.body.clone())
        };
        Outgoing {
            id,
            event: event.id.clone(),
            sequence: event.sequence,
            kind: event.kind,
            body,
            attempt: 1,
            retries_left: retries,
        }
    }

    /// Sends a kept event once more, without retries, as a resend by hand does.
    pub(crate) fn redeliver(&mut self, id: &str) -> Result<(), SimError> {
        let event = self.events.iter().find(|event| event.id == id).cloned();
        let event = event.ok_or_else(|| SimError::NoEvent(id.into()))?;
        let outgoing = self.outgoing(&event, 0);
        self.outbox.push(outgoing, Instant::now());
        Ok(())
    }

    /// Remembers that an event arrived, for `delivery_success`. It may be too old to be kept.
    pub(crate) fn mark_delivered(&mut self, sequence: usize) {
        let oldest = self.events.front().map_or(0, |event| event.sequence);
        let place = sequence.checked_sub(oldest);
        if let Some(event) = place.and_then(|place| self.events.get_mut(place)) {
            event.delivered = true;
        }
    }

    /// All objects in preview shape.
    pub(crate) fn dump(&self) -> Value {
        let livemode = self.config.livemode;
        let account = |a| render::account(a, Shape::Preview, livemode);
        let authorization = |a| render::authorization(a, Shape::Preview, livemode);
        let institution = |i| render::institution(i, livemode);
        let session = |s| self.render_session(s, Shape::Preview);
        json!({
            "now": self.clock.unix_s(),
            "institutions": self.institutions.values().map(institution).collect::<Vec<_>>(),
            "authorizations": self.authorizations.values().map(authorization).collect::<Vec<_>>(),
            "accounts": self.accounts.values().map(account).collect::<Vec<_>>(),
            "sessions": self.sessions.values().map(session).collect::<Vec<_>>(),
            "events": self.events.len(),
            "pending_deliveries": self.outbox.pending(),
        })
    }
}

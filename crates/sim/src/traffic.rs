//! Realistic event bodies without HTTP, for load: a small world of links on which the verbs
//! happen at random, as fast as bodies are asked for.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::config::SimConfig;
use crate::event::EventType;
use crate::model::RefreshStatus;
use crate::signature::signature_header;
use crate::state::State;
use crate::verb::{Feature, Link, Relink, Target, Verb};

/// The mean time between two happenings, so that `created` moves on as it would.
const SECONDS_BETWEEN: i64 = 2;

/// What the traffic is made of.
#[derive(Clone)]
pub struct TrafficConfig {
    /// Seed, webhook secret, webhook version, mode and start of the clock; the rest is unused.
    pub sim: SimConfig,
    /// How many authorizations there are.
    pub authorizations: usize,
    /// How many accounts each of them has.
    pub accounts: usize,
}

/// One event, ready to be sent.
#[derive(Debug, Clone)]
pub struct TrafficEvent {
    /// The event's id.
    pub id: String,
    /// The event's type.
    pub kind: EventType,
    /// The event's `created`.
    pub created_unix_s: i64,
    /// The bytes that are signed.
    pub body: Bytes,
}

impl TrafficEvent {
    /// The `Stripe-Signature` header for sending it at a time by the receiver's clock.
    pub fn signature(&self, secret: &str, now_unix_s: i64) -> String {
        signature_header(&[secret], now_unix_s, &self.body)
    }
}

/// An endless stream of events: first every link, then outages, warnings, relinks and refreshes.
pub struct Traffic {
    state: State,
    links: VecDeque<Link>,
    authorizations: Vec<String>,
}

impl Traffic {
    /// Prepares a stream; the same configuration gives the same stream if the clock starts at a
    /// given time.
    pub fn new(config: TrafficConfig) -> Traffic {
        let mut sim = config.sim;
        // Nothing is delivered here, and the clock moves by happenings alone.
        sim.webhook_url = None;
        sim.time_scale = 0.0;
        let link = |n| Link::of(&format!("cus_Load{n:020}"), &bank(n), config.accounts);
        Traffic {
            state: State::new(sim),
            links: (0..config.authorizations.max(1)).map(link).collect(),
            authorizations: Vec::new(),
        }
    }

    /// Makes one thing happen. Refusals are fine: the next thing is another.
    fn happen(&mut self) {
        let now_ms = self.state.clock.unix_ms();
        self.state.clock.set(now_ms.saturating_add(SECONDS_BETWEEN * 1000));
        if let Some(link) = self.links.pop_front() {
            let linked = self.state.apply(Verb::Link(link)).unwrap_or_default();
            self.authorizations.extend(linked.authorization);
            return;
        }
        let chosen = self.state.random.below(self.authorizations.len());
        let authorization = self.authorizations[chosen].clone();
        let members = self.state.members(&authorization);
        let account = members[self.state.random.below(members.len())].clone();
        let expected_deactivation_date = now_ms / 1000 + 30 * 86_400;
        let relink = Relink { authorization: Some(authorization.clone()), ..Relink::default() };
        let verb = match self.state.random.below(10) {
            0 => Verb::Expire { authorization },
            1 => Verb::Deny(Target::Account(account)),
            2 => Verb::Warn { authorization, expected_deactivation_date, cause: None },
            3 => Verb::Reactivate(Target::Account(account)),
            4..=6 => Verb::Relink(relink),
            7 => Verb::Refresh {
                account,
                feature: Feature::Transactions,
                status: RefreshStatus::Failed,
            },
            _ => Verb::Refresh {
                account,
                feature: Feature::Balance,
                status: RefreshStatus::Succeeded,
            },
        };
        // A warning to an inactive authorization is refused, for one.
        let _ = self.state.apply(verb);
    }
}

impl Iterator for Traffic {
    type Item = TrafficEvent;

    fn next(&mut self) -> Option<TrafficEvent> {
        loop {
            if let Some(event) = self.state.events.pop_front() {
                return Some(TrafficEvent {
                    id: event.id,
                    kind: event.kind,
                    created_unix_s: event.created_unix_s,
                    body: event.body,
                });
            }
            self.happen();
        }
    }
}

/// A few banks, so that a wave at one of them is a wave.
fn bank(n: usize) -> String {
    format!("Bank {}", n % 20)
}

//! Realistic event bodies without HTTP, for load: a small world of links on which the verbs
//! happen at random, as fast as bodies are asked for.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::config::SimConfig;
use crate::event::EventType;
use crate::model::{Action, Cause, RefreshStatus, Status};
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

/// What an event is about, for the mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// Something has changed: linked, deactivated, reactivated, a session has ended.
    Fact,
    /// Data was fetched, or could not be.
    Refresh,
    /// A deactivation is expected, or its date has moved.
    Forecast,
}

/// Of a hundred events after the links: so many of each sort.
const MIX: [(Sort, usize); 3] = [(Sort::Fact, 63), (Sort::Refresh, 26), (Sort::Forecast, 11)];

impl EventType {
    fn sort(self) -> Sort {
        match self {
            Self::AccountRefreshedBalance
            | Self::AccountRefreshedOwnership
            | Self::AccountRefreshedTransactions => Sort::Refresh,
            Self::AccountUpcomingDeactivation
            | Self::AccountExpectedDeactivationDateUpdated
            | Self::AuthorizationUpcomingDeactivation
            | Self::AuthorizationExpectedDeactivationDateUpdated => Sort::Forecast,
            _ => Sort::Fact,
        }
    }
}

/// An endless stream of events: first every link, then facts, refreshes and forecasts in the
/// proportion of a product that is in use, siblings in bursts, a few authorizations much more
/// often than the many (Zipf's law).
pub struct Traffic {
    state: State,
    links: VecDeque<Link>,
    authorizations: Vec<String>,
    /// How many events of each sort of [`MIX`] there were after the links.
    made: [usize; MIX.len()],
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
            made: [0; MIX.len()],
        }
    }

    /// Whether all that has happened so far was handed out.
    pub fn rests(&self) -> bool {
        self.state.events.is_empty()
    }

    /// Every account with its status, as it is once all events so far have been made.
    pub fn statuses(&self) -> Vec<(String, &'static str)> {
        let word = |status| match status {
            Status::Active => "active",
            Status::Inactive => "inactive",
            Status::Disconnected => "disconnected",
        };
        let accounts = self.state.accounts.values();
        accounts.map(|account| (account.id.clone(), word(account.status))).collect()
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
        let verb = match self.due() {
            Sort::Fact => self.fact(),
            Sort::Refresh => self.refresh(),
            Sort::Forecast => self.forecast(now_ms / 1000),
        };
        // A warning to an inactive authorization is refused, for one.
        let _ = self.state.apply(verb);
        // All that were made before have been handed out, or nothing would have to happen.
        for event in &self.state.events {
            let sort = event.kind.sort();
            let place = MIX.iter().position(|(one, _)| *one == sort).unwrap_or(0);
            self.made[place] += 1;
        }
    }

    /// The sort that is furthest behind its share.
    fn due(&self) -> Sort {
        let behind = MIX
            .iter()
            .zip(self.made)
            .min_by(|((_, a), made_a), ((_, b), made_b)| (made_a * b).cmp(&(made_b * a)));
        behind.map_or(Sort::Fact, |((sort, _), _)| *sort)
    }

    /// An authorization: the one of rank `r` about `1 / r` times as often as the first.
    fn any(&mut self) -> String {
        let most = self.authorizations.len();
        let part = self.state.random.part();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank, roughly"
        )]
        let rank = (most as f64).powf(part) as usize;
        self.authorizations[rank.clamp(1, most) - 1].clone()
    }

    fn fact(&mut self) -> Verb {
        let authorization = self.any();
        let members = self.state.members(&authorization);
        let account = members[self.state.random.below(members.len())].clone();
        let broken = members.iter().any(|id| {
            self.state.accounts.get(id).is_some_and(|one| one.status == Status::Inactive)
        });
        if broken {
            match self.state.random.below(3) {
                0 => Verb::Reactivate(Target::Authorization(authorization)),
                _ => Verb::Relink(Relink {
                    authorization: Some(authorization),
                    send_session: true,
                    ..Relink::default()
                }),
            }
        } else {
            match self.state.random.below(4) {
                0 => Verb::Deny(Target::Account(account)),
                _ => Verb::Expire { authorization },
            }
        }
    }

    fn refresh(&mut self) -> Verb {
        let members = self.any();
        let members = self.state.members(&members);
        let account = members[self.state.random.below(members.len())].clone();
        let features = [Feature::Balance, Feature::Transactions];
        let feature = features[self.state.random.below(features.len())];
        let status = match self.state.random.below(10) {
            0 => RefreshStatus::Failed,
            _ => RefreshStatus::Succeeded,
        };
        Verb::Refresh { account, feature, status }
    }

    fn forecast(&mut self, now_unix_s: i64) -> Verb {
        let authorization = self.any();
        let date_unix_s = now_unix_s + 30 * 86_400;
        if self.state.random.below(2) == 0 {
            return Verb::Warn {
                authorization,
                expected_deactivation_date: date_unix_s,
                cause: None,
            };
        }
        Verb::MoveDate {
            authorization,
            expected_deactivation_date: Some(date_unix_s + 86_400),
            action: Some(Action::RelinkRequired),
            cause: Some(Cause::AccessExpired),
        }
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

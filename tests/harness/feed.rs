//! Thousands of events with a known truth: Stripe's stand-in lives through a made-up month, and
//! what it would have sent is kept in order.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};
use relink_sim::{
    Action, ClockChange, Feature, Link, RefreshStatus, Relink, Sim, SimConfig, Target, Verb,
};

use crate::send::now_unix_s;

/// How long ago the story begins: within Stripe's replay, and so that everything that is
/// expected lies ahead.
const DAYS_BEFORE: i64 = 20;

/// When what is announced will happen: no date may pass while a test runs.
const DAYS_AHEAD: i64 = 45;

/// The key that reads the feed's objects, of the same mode as they are.
pub const API_KEY: &str = "sk_live_end_to_end";

/// The seed of a run, which is printed first: the test's own, or `RELINK_TEST_SEED`.
///
/// # Panics
/// When that is no number.
pub fn seed(own: u64) -> u64 {
    let seed = std::env::var("RELINK_TEST_SEED").map_or(own, |seed| seed.parse().unwrap());
    eprintln!("RELINK_TEST_SEED={seed}");
    seed
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// `financial_connections.…`
    pub kind: String,
    /// The bytes that are signed.
    pub body: Bytes,
}

/// What happened, in order, and the stand-in that answers reads with how it ended.
pub struct Feed {
    /// In the order in which they were made.
    pub events: Vec<Event>,
    /// Its state is the truth.
    pub sim: Sim,
}

impl Feed {
    /// Makes so many authorizations, then lets things happen to them until there are enough
    /// events.
    ///
    /// # Panics
    /// When the stand-in refuses to link.
    pub fn new(seed: u64, authorizations: usize, events: usize) -> Self {
        let start = now_unix_s() - DAYS_BEFORE * 86_400;
        let sim = Sim::new(SimConfig {
            seed,
            start_unix_s: Some(start),
            time_scale: 0.0,
            livemode: true,
            api_key: API_KEY.into(),
            ..SimConfig::default()
        });
        let mut story = Story { random: StdRng::seed_from_u64(seed), sim, homes: vec![], made: 0 };
        for n in 0..authorizations {
            let accounts = story.random.random_range(1..=4);
            let link = Link::of(&format!("cus_{n:06}"), &format!("Bank {}", n % 20), accounts);
            story.happen(Verb::Link(link)).unwrap();
        }
        while story.made < events {
            let verb = story.next();
            // What is refused, such as a warning of what is inactive, simply does not happen.
            let _ = story.happen(verb);
        }
        let sim = story.sim;
        let now =
            ClockChange { now: Some(now_unix_s()), time_scale: Some(1.0), ..Default::default() };
        sim.set_clock(&now).unwrap();
        let event = |value: &serde_json::Value| Event {
            id: value["id"].as_str().unwrap().to_owned(),
            kind: value["type"].as_str().unwrap().to_owned(),
            body: serde_json::to_vec(value).unwrap().into(),
        };
        Self { events: sim.events().iter().map(event).collect(), sim }
    }

    /// The accounts that any event tells of.
    pub fn accounts(&self) -> Vec<String> {
        let value =
            |event: &Event| serde_json::from_slice::<serde_json::Value>(&event.body).unwrap();
        let object = |event| value(event)["data"]["object"]["id"].as_str().unwrap().to_owned();
        self.events.iter().map(object).filter(|id| id.starts_with("fca_")).collect()
    }

    /// The bodies in order.
    pub fn in_order(&self) -> Vec<Bytes> {
        self.events.iter().map(|event| event.body.clone()).collect()
    }

    /// The bodies with one in five sent twice, in random order.
    pub fn shuffled(&self, seed: u64) -> Vec<Bytes> {
        let mut random = StdRng::seed_from_u64(seed);
        let again = self.events.len() / 5;
        let mut bodies = self.in_order();
        bodies.extend(self.events.sample(&mut random, again).map(|event| event.body.clone()));
        bodies.shuffle(&mut random);
        bodies
    }

    /// The status of an account, as reads would tell it.
    ///
    /// # Panics
    /// When there is no such account.
    pub fn status(&self, account: &str) -> String {
        self.sim.account(account).unwrap()["status"].as_str().unwrap().to_owned()
    }
}

struct Story {
    random: StdRng,
    sim: Sim,
    homes: Vec<(String, Vec<String>)>,
    made: usize,
}

impl Story {
    fn happen(&mut self, verb: Verb) -> Result<(), relink_sim::SimError> {
        // Now and then two things happen within one second.
        let passes =
            if self.random.random_bool(0.03) { 0 } else { self.random.random_range(1..90) };
        let later = ClockChange { advance_seconds: Some(passes), ..ClockChange::default() };
        self.sim.set_clock(&later)?;
        let linked = matches!(&verb, Verb::Link(_) | Verb::Relink(_));
        let change = self.sim.apply(verb)?;
        self.made += change.events.len();
        if let Some(authorization) = change.authorization.filter(|_| linked)
            && !self.homes.iter().any(|(id, _)| *id == authorization)
        {
            self.homes.push((authorization, change.accounts));
        }
        Ok(())
    }

    /// Only what events or the reads they lead to can tell: Stripe changes the cause of what is
    /// inactive already, and expires an authorization without active accounts, without a word.
    fn next(&mut self) -> Verb {
        let (authorization, accounts) = self.homes.choose(&mut self.random).unwrap().clone();
        let account = accounts.choose(&mut self.random).cloned().unwrap_or_default();
        let is_active =
            |id: &String| self.sim.account(id).is_ok_and(|account| account["status"] == "active");
        let (active, any_active) = (is_active(&account), accounts.iter().any(is_active));
        let date = now_unix_s() + (DAYS_AHEAD + self.random.random_range(0..30)) * 86_400;
        let relink = Relink {
            authorization: Some(authorization.clone()),
            send_session: true,
            ..Relink::default()
        };
        match self.random.random_range(0..100) {
            0..22 if any_active => Verb::Expire { authorization },
            22..28 if any_active => Verb::Break { authorization },
            28..34 if active => Verb::Deny(Target::Account(account)),
            34..38 if active => Verb::Close { account },
            38..40 => Verb::Disconnect { account },
            40..50 => Verb::Reactivate(Target::Account(account)),
            50..56 => Verb::Reactivate(Target::Authorization(authorization)),
            56..64 => Verb::Warn { authorization, expected_deactivation_date: date, cause: None },
            64..68 => Verb::MoveDate {
                authorization,
                expected_deactivation_date: self.random.random_bool(0.6).then_some(date),
                action: Some(Action::RelinkRequired),
                cause: None,
            },
            68..78 => Verb::Relink(relink),
            78..82 => Verb::Relink(Relink { silent_siblings: true, ..relink }),
            82..85 => Verb::Relink(Relink { new_authorization: true, ..relink }),
            85..87 => {
                Verb::Relink(Relink { new_authorization: true, new_account_ids: true, ..relink })
            }
            87..95 => Verb::Refresh {
                account,
                feature: Feature::Balance,
                status: RefreshStatus::Succeeded,
            },
            _ => Verb::Refresh {
                account,
                feature: Feature::Transactions,
                status: RefreshStatus::Failed,
            },
        }
    }
}

//! A world in memory, a Stripe that knows the truth, and a person who answers verifies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use relink_core::command::{Body, Command, Reason};
use relink_core::decide::{Decision, decide};
use relink_core::id::*;
use relink_core::input::{Happened, Input};
use relink_core::invariant;
use relink_core::observation::*;
use relink_core::policy::Policy;
use relink_core::time::{Second, Span, Time};
use relink_core::world::World;

/// The second at which every story starts, by Stripe's clock and by ours.
pub const START: i64 = 1_790_000_000;

/// Everything known, everything sent.
pub struct Desk {
    pub world: World,
    pub policy: Policy,
    pub now: Time,
    pub commands: Vec<Command>,
    inbox: BTreeSet<InputId>,
    inputs: u64,
}

impl Desk {
    pub fn new(settle_s: i64) -> Self {
        let policy = Policy { settle: Span::seconds(settle_s), ..Policy::default() };
        Self {
            world: World::default(),
            policy,
            now: Time(START * 1000),
            commands: Vec::new(),
            inbox: BTreeSet::new(),
            inputs: 0,
        }
    }

    /// Decides about an input with an id of its own.
    pub fn see(&mut self, happened: Happened) -> Decision {
        self.inputs += 1;
        let id = InputId::new(format!("in_{}", self.inputs));
        self.deliver(&Input {
            id,
            scope: Scope::own(true),
            kind: "test".into(),
            at: Second(START),
            happened,
        })
        .expect("a new id")
    }

    /// Decides about an input, once per id.
    pub fn deliver(&mut self, input: &Input) -> Option<Decision> {
        if !self.inbox.insert(input.id.clone()) {
            return None;
        }
        let decision = decide(&mut self.world, input, &self.policy, self.now).expect("no refusal");
        self.commands.extend(decision.commands.iter().cloned());
        for aggregate in self.world.aggregates() {
            let held = invariant::check(aggregate, &self.policy, self.now);
            assert!(held.is_ok(), "{held:?} after {input:?}\n{aggregate:#?}");
        }
        Some(decision)
    }

    /// Lets time pass and fires what falls due on the way.
    pub fn pass(&mut self, span: Span) {
        let until = self.now.after(span);
        for _ in 0..1000 {
            let next = self
                .world
                .aggregates()
                .filter_map(|one| Some((one.state.summary.next_due?, one.key.clone())))
                .min_by_key(|(due, _)| *due)
                .filter(|(due, _)| *due <= until);
            let Some((due, home)) = next else { break };
            self.now = self.now.max(due);
            self.see(Happened::TimerDue(home));
        }
        self.now = until;
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.commands.iter().map(|command| command.body.name()).collect()
    }

    pub fn count(&self, name: &str) -> usize {
        self.names().into_iter().filter(|one| *one == name).count()
    }

    pub fn last(&self, name: &str) -> &Body {
        let found = self.commands.iter().rev().find(|command| command.body.name() == name);
        &found.unwrap_or_else(|| panic!("no {name} in {:?}", self.names())).body
    }

    pub fn account(&self, id: &str) -> &relink_core::account::Account {
        let id = AccountId::from(id);
        let mut found = self.world.aggregates().filter_map(|one| one.accounts.get(&id));
        let account = found.next().expect("the account is known");
        assert!(found.next().is_none(), "{id} lives twice");
        account
    }

    pub fn aggregate(&self, id: &str) -> &relink_core::aggregate::Aggregate {
        let mut all = self.world.aggregates();
        all.find(|one| one.key.home.as_str() == id).expect("the home is known")
    }

    /// Who took over whom. When a body did not carry it, the second of a read decides who was last.
    pub fn successors(&self) -> BTreeMap<String, String> {
        let taken = self.world.aggregates().filter_map(|one| Some((one, one.taken_over_by()?)));
        taken.map(|(one, by)| (one.key.home.as_str().to_owned(), by.to_string())).collect()
    }

    /// What every order must agree on.
    pub fn picture(&self) -> BTreeMap<String, String> {
        let mut picture = BTreeMap::new();
        for aggregate in self.world.aggregates() {
            let home = aggregate.key.home.as_str();
            for (id, account) in &aggregate.accounts {
                let text = format!(
                    "{home} {:?} {:?} {:?} paused={}",
                    account.status(),
                    account.inactive_details(),
                    account.forecast(),
                    account.paused
                );
                picture.insert(id.to_string(), text);
            }
            if aggregate.is_void() {
                continue;
            }
            let open = aggregate.state.case.as_ref().map(|case| case.reason);
            let text = format!(
                "{:?} open={open:?} forecast={:?} moved={}",
                aggregate.state.summary.health,
                aggregate.forecast(),
                aggregate.is_superseded()
            );
            picture.insert(home.to_owned(), text);
        }
        picture
    }
}

pub fn reason_of(body: &Body) -> Option<Reason> {
    match body {
        Body::PromptRelink(prompt) => Some(prompt.reason),
        Body::RemindRelink(remind) => Some(remind.prompt.reason),
        _ => None,
    }
}

/// An account as Stripe has it.
#[derive(Clone, Debug)]
pub struct Truth {
    pub id: AccountId,
    pub authorization: AuthorizationId,
    pub status: Status,
    pub details: Option<InactiveDetails>,
    pub forecast: Option<Forecast>,
    pub last4: Arc<str>,
    pub created: i64,
}

impl Truth {
    pub fn new(id: &str, authorization: &str) -> Self {
        Self {
            id: id.into(),
            authorization: authorization.into(),
            status: Status::Active,
            details: None,
            forecast: None,
            last4: id.get(id.len().saturating_sub(4)..).unwrap_or("0000").into(),
            created: START - 1000,
        }
    }

    pub fn active(mut self) -> Self {
        (self.status, self.details, self.forecast) = (Status::Active, None, None);
        self
    }

    pub fn inactive(mut self, cause: &str, action: &str) -> Self {
        self.status = Status::Inactive;
        self.forecast = None;
        let action = Action::from(Arc::<str>::from(action));
        self.details = Some(InactiveDetails { cause: Some(cause.into()), action });
        self
    }

    pub fn expected(mut self, date: i64, action: &str) -> Self {
        let action = Action::from(Arc::<str>::from(action));
        self.forecast =
            Some(Forecast { date: Second(date), action, cause: Some("access_expired".into()) });
        self
    }

    pub fn seen(&self, stamp: Stamp) -> AccountObservation {
        let mut seen = AccountObservation::of(self.id.clone(), stamp);
        seen.status = Some(self.status);
        seen.authorization = Some(self.authorization.clone());
        seen.details = match self.status {
            Status::Active => Details::Active(self.forecast.clone()),
            Status::Inactive => self.details.clone().map_or(Details::Absent, Details::Inactive),
            Status::Disconnected => Details::Absent,
        };
        seen.description = Description {
            holder: Some(Holder { kind: "customer".into(), id: "cus_1".into() }),
            institution: Some("fcinst_1".into()),
            institution_name: Some("Harbor Federal Bank".into()),
            last4: Some(self.last4.clone()),
            display_name: Some("Everyday".into()),
            subcategory: Some("checking".into()),
            permissions: Some(vec!["balances".into(), "transactions".into()]),
            created: Some(Second(self.created)),
        };
        seen
    }

    /// As an event's snapshot, `at` seconds after the start.
    pub fn event(&self, at: i64) -> Happened {
        Happened::AccountObserved(Box::new(self.seen(Stamp::event(START + at))))
    }

    /// As the answer to a read.
    pub fn read(&self, at: i64) -> Happened {
        Happened::AccountObserved(Box::new(self.seen(Stamp::read(START + at))))
    }
}

/// The authorization that stories are about.
pub const X: &str = "fcauth_x";
/// Another one.
pub const Y: &str = "fcauth_y";

/// An account of it whose permission has ended.
pub fn expired(id: &str) -> Truth {
    Truth::new(id, X).inactive("access_expired", "relink_required")
}

/// What a session that was read back has come to, so many seconds after the start.
pub fn session(id: &str, at: i64, outcome: Option<RelinkOutcome>) -> Happened {
    Happened::SessionObserved(Box::new(SessionObservation {
        session: id.into(),
        stamp: Stamp::read(START + at),
        authorization: X.into(),
        outcome,
        accounts: Vec::new(),
        complete: true,
    }))
}

/// Three accounts are linked and their permission ends in a burst.
pub fn three_expired(desk: &mut Desk) {
    for id in ["fca_a", "fca_b", "fca_c"] {
        desk.see(Truth::new(id, X).event(0));
    }
    for id in ["fca_a", "fca_b", "fca_c"] {
        desk.see(expired(id).event(1000));
    }
}

//! From an input to its conclusions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::aggregate::{Aggregate, Case, ClosedCase, State};
use crate::command::{Because, Body, CaseOutcome, Command};
use crate::id::{AccountId, AuthorizationId, CommandId, Home, HomeKey, Scope, SessionId};
use crate::input::{Happened, Ignored, Input, Verdict};
use crate::milestone::Milestone;
use crate::observation::{AuthorizationObservation, Details, Source};
use crate::policy::{ACCOUNTS_MAX, Policy};
use crate::register::contradiction;
use crate::time::{Second, Time};
use crate::world::World;

/// What was concluded.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// Why it did what it did.
    pub verdict: Verdict,
    /// What shall be done, in order.
    pub commands: Vec<Command>,
    /// What changed, in words, by home.
    pub notes: Vec<Note>,
    /// Cases that were opened, changed or closed.
    pub cases: Vec<CaseChange>,
    /// What figures are made of, in order.
    pub milestones: Vec<Milestone>,
}

/// A sentence for history.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Where.
    pub home: HomeKey,
    /// The account, where it is about one.
    pub account: Option<AccountId>,
    /// What changed.
    pub text: String,
    /// The commands that came of it.
    pub commands: Vec<CommandId>,
}

/// A case as it stands now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaseChange {
    /// Where.
    pub home: HomeKey,
    /// The case.
    pub case: Case,
    /// When and how it closed, if it did.
    pub closed: Option<(Time, CaseOutcome)>,
}

/// Why an input cannot be decided; nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// See [`ACCOUNTS_MAX`].
    #[error("authorization {0} already has {ACCOUNTS_MAX} accounts, the most that is supported")]
    TooManyAccounts(AuthorizationId),
}

/// Decides about one input: brings the world up to date and says what follows.
///
/// Pure and total; the world must hold what [`Wanted`](crate::world::Wanted) asks for, as far as
/// it exists.
///
/// # Errors
/// [`Refusal`]: the world is as it was.
pub fn decide(
    world: &mut World,
    input: &Input,
    policy: &Policy,
    now: Time,
) -> Result<Decision, Refusal> {
    let mut deciding = Deciding::new(world, input, policy, now);
    deciding.refuse_if_impossible()?;
    let verdict = match &input.happened {
        Happened::AccountObserved(seen) => deciding.account_observed(seen),
        Happened::AuthorizationObserved(seen) => deciding.authorization_observed(seen),
        Happened::SessionObserved(seen) => deciding.session_observed(seen),
        Happened::AccountMissing(account) => deciding.account_missing(account),
        Happened::AuthorizationMissing(id) => deciding.authorization_missing(id),
        Happened::TimerDue(home) => deciding.timer_due(home),
        Happened::Ignored(reason) => Verdict::Ignored(*reason),
    };
    Ok(deciding.finish(verdict))
}

/// One decision in the making.
pub(crate) struct Deciding<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) scope: &'a Scope,
    pub(crate) input: &'a Input,
    pub(crate) policy: &'a Policy,
    pub(crate) now: Time,
    pub(crate) asks: BTreeMap<(HomeKey, Because), Ask>,
    commands: Vec<Command>,
    notes: Vec<Note>,
    cases: Vec<CaseChange>,
    pub(crate) milestones: Vec<Milestone>,
}

/// Reads to ask for, collected so that one command names all accounts.
#[derive(Default)]
pub(crate) struct Ask {
    pub(crate) accounts: BTreeSet<AccountId>,
    pub(crate) authorization: bool,
    pub(crate) session: Option<SessionId>,
}

impl<'a> Deciding<'a> {
    fn new(world: &'a mut World, input: &'a Input, policy: &'a Policy, now: Time) -> Self {
        Self {
            world,
            scope: &input.scope,
            input,
            policy,
            now,
            asks: BTreeMap::new(),
            commands: Vec::new(),
            notes: Vec::new(),
            cases: Vec::new(),
            milestones: Vec::new(),
        }
    }

    fn refuse_if_impossible(&self) -> Result<(), Refusal> {
        let seen: Vec<_> = match &self.input.happened {
            Happened::AccountObserved(seen) => vec![&**seen],
            Happened::SessionObserved(seen) => seen.accounts.iter().collect(),
            _ => return Ok(()),
        };
        let mut newcomers: BTreeMap<&AuthorizationId, usize> = BTreeMap::new();
        for one in seen {
            let Some(authorization) = &one.authorization else {
                continue;
            };
            let held = self.world.get(&self.home(authorization));
            if held.is_some_and(|held| held.accounts.contains_key(&one.account)) {
                continue;
            }
            let more = newcomers.entry(authorization).or_default();
            *more += 1;
            if held.map_or(0, |held| held.accounts.len()) + *more > ACCOUNTS_MAX {
                return Err(Refusal::TooManyAccounts(authorization.clone()));
            }
        }
        Ok(())
    }

    pub(crate) fn home(&self, authorization: &AuthorizationId) -> HomeKey {
        let home = Home::Authorization(authorization.clone());
        HomeKey { scope: self.scope.clone(), home }
    }

    /// Works on one aggregate and concludes about it.
    pub(crate) fn edit<T>(
        &mut self,
        key: &HomeKey,
        work: impl FnOnce(&mut Self, &mut Aggregate) -> T,
    ) -> T {
        let mut aggregate = self.world.take(key);
        let before = aggregate.state.clone();
        let result = work(self, &mut aggregate);
        self.conclude(&mut aggregate);
        self.ask_now(&mut aggregate);
        self.summarize(&mut aggregate);
        self.keep_case_change(&before, &aggregate);
        if aggregate.state != before || before == State::default() {
            self.world.changed_homes.insert(key.clone());
        }
        self.world.put_back(aggregate);
        result
    }

    fn authorization_observed(&mut self, seen: &AuthorizationObservation) -> Verdict {
        let key = self.home(&seen.authorization);
        self.edit(&key, |this, aggregate| {
            let tied = matches!(&seen.details, Details::Active(forecast)
                if contradiction(&aggregate.state.forecast, seen.stamp, forecast) == Some(0));
            let (changed, stale) = aggregate.merge(seen);
            if seen.stamp.1 == Source::Read {
                this.answer_authorization(aggregate, seen.stamp.0);
            } else {
                this.doubt_own_forecast(aggregate);
            }
            if tied {
                this.ask_authorization(aggregate, Because::Doubt, seen.stamp.0);
            }
            if changed {
                let text = match aggregate.forecast() {
                    Some(forecast) => format!(
                        "authorization: deactivation expected at {}, action {}",
                        forecast.date.0,
                        forecast.action.as_str()
                    ),
                    None => "authorization: no deactivation expected".to_owned(),
                };
                this.note(&aggregate.key, None, text);
            }
            match (changed, stale) {
                (true, _) => Verdict::Applied,
                (false, true) => Verdict::Stale,
                (false, false) => Verdict::Unchanged,
            }
        })
    }

    fn account_missing(&mut self, account: &AccountId) -> Verdict {
        let key = self.account_key(account);
        if let Some(home) = self.world.home_of(&key).cloned() {
            self.edit(&home, |this, aggregate| {
                this.answer(aggregate, account, Second(i64::MAX));
                let text = "Stripe does not know this account".to_owned();
                this.note(&aggregate.key, Some(account), text);
            });
        }
        Verdict::Ignored(Ignored::ObjectMissing)
    }

    fn authorization_missing(&mut self, id: &AuthorizationId) -> Verdict {
        let key = self.home(id);
        if self.world.get(&key).is_some() {
            self.edit(&key, |this, aggregate| {
                this.answer_authorization(aggregate, Second(i64::MAX));
                let text = "Stripe does not show this authorization".to_owned();
                this.note(&aggregate.key, None, text);
            });
        }
        Verdict::Ignored(Ignored::ObjectMissing)
    }

    fn timer_due(&mut self, home: &HomeKey) -> Verdict {
        if self.world.get(home).is_none() {
            return Verdict::Unchanged;
        }
        let done = |this: &Self| this.commands.len() + this.notes.len();
        let before = done(self);
        self.edit(home, |_, _| ());
        if done(self) > before { Verdict::Applied } else { Verdict::Unchanged }
    }

    /// Adds a command; `what` makes its id unique within the subject.
    pub(crate) fn command(
        &mut self,
        aggregate: &Aggregate,
        subject_of_id: &str,
        what: &str,
        correlation: &Arc<str>,
        body: Body,
    ) -> CommandId {
        let mut id = String::with_capacity(64);
        // Writing to a String cannot fail.
        let _ = write!(id, "{}:{subject_of_id}:{what}", self.scope);
        let id = CommandId::new(id);
        self.commands.push(Command {
            id: id.clone(),
            subject: aggregate.key.home.as_str().into(),
            correlation: Arc::clone(correlation),
            body,
        });
        id
    }

    /// The input's id, which commands without a case are correlated with.
    pub(crate) fn input_correlation(&self) -> Arc<str> {
        self.input.id.as_str().into()
    }

    pub(crate) fn note(&mut self, home: &HomeKey, account: Option<&AccountId>, text: String) {
        let account = account.cloned();
        self.notes.push(Note { home: home.clone(), account, text, commands: Vec::new() });
    }

    pub(crate) fn closed(&mut self, home: &HomeKey, closed: &ClosedCase) {
        let at = Some((closed.at, closed.outcome));
        self.cases.push(CaseChange { home: home.clone(), case: closed.case.clone(), closed: at });
    }

    fn keep_case_change(&mut self, before: &State, aggregate: &Aggregate) {
        let Some(case) = &aggregate.state.case else {
            return;
        };
        if before.case.as_ref() != Some(case) {
            let home = aggregate.key.clone();
            self.cases.push(CaseChange { home, case: case.clone(), closed: None });
        }
    }

    fn finish(mut self, verdict: Verdict) -> Decision {
        for command in &self.commands {
            // What is done about an account belongs to what was noted of it.
            let account = command.body.account();
            let own = self
                .notes
                .iter()
                .rposition(|note| note.account.is_some() && note.account.as_ref() == account);
            let place = own.or(self.notes.len().checked_sub(1));
            if let Some(note) = place.and_then(|place| self.notes.get_mut(place)) {
                note.commands.push(command.id.clone());
            }
        }
        #[cfg(debug_assertions)]
        crate::invariant::assert_decision(
            self.world,
            self.input,
            &self.commands,
            self.policy,
            self.now,
        );
        Decision {
            verdict,
            commands: std::mem::take(&mut self.commands),
            notes: std::mem::take(&mut self.notes),
            cases: std::mem::take(&mut self.cases),
            milestones: std::mem::take(&mut self.milestones),
        }
    }
}

//! The life of a case: opened, prompted, reminded, escalated, withdrawn.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::Account;
use crate::aggregate::{Aggregate, Attempt, Case, ClosedCase, Health};
use crate::bug::{Bug, is_planted};
use crate::command::{
    Body, CaseOutcome, EscalateRelink, PromptRelink, PromptedAccount, Reason, RemindRelink,
    Urgency, WithdrawRelink,
};
use crate::decide::Deciding;
use crate::fact::action_of;
use crate::health::{concerned, expected_deactivation, health, need};
use crate::id::{AccountId, CaseId};
use crate::milestone::{Milestone, began_at};
use crate::observation::{RelinkOutcome, Status};
use crate::register::value;
use crate::reminder::{Step, next_step};
use crate::time::{Second, Time};

impl Deciding<'_> {
    /// Brings the case in line with what the accounts say, and does what is due.
    pub(crate) fn conclude(&mut self, aggregate: &mut Aggregate) {
        self.ask_what_is_due(aggregate);
        self.abandon_attempts(aggregate);
        self.reconcile_if_due(aggregate);
        let health = health(aggregate, self.policy, self.now);
        let need = need(aggregate, self.policy, self.now);
        match (aggregate.state.case.take(), need) {
            (None, None) => {}
            (None, Some(reason)) => aggregate.state.case = Some(self.open(aggregate, reason)),
            (Some(case), Some(reason)) => {
                aggregate.state.case = Some(self.keep_up(aggregate, case, reason));
            }
            // Something is still wrong; until a read says what, the case neither grows nor ends.
            (Some(case), None) if health == Health::Unverified => aggregate.state.case = Some(case),
            (Some(case), None) => {
                let outcome = outcome(aggregate, &case, health);
                self.withdraw(aggregate, case, outcome);
            }
        }
        if need.is_some() {
            self.step(aggregate);
        }
    }

    fn open(&mut self, aggregate: &mut Aggregate, reason: Reason) -> Case {
        aggregate.state.cases += 1;
        let number = aggregate.state.cases;
        let id =
            CaseId::new(format!("{}:{}:case-{number}", self.scope, aggregate.key.home.as_str()));
        self.note(&aggregate.key, None, format!("case {id} opened: {}", reason.as_str()));
        self.milestones.push(Milestone::Opened(reason));
        Case {
            id,
            reason,
            opened_at: self.now,
            began_at: began_at(aggregate, reason),
            prompt_due: Some(self.now.after(self.policy.settle)),
            prompted_at: None,
            reminded_at: None,
            escalated: false,
            prompts: 0,
            reminders: 0,
            deadline: deadline(aggregate, reason, self.now),
            named: BTreeSet::new(),
            attempts: Vec::new(),
        }
    }

    fn keep_up(&mut self, aggregate: &Aggregate, mut case: Case, reason: Reason) -> Case {
        if reason != case.reason {
            let upgrade = reason == Reason::Inactive && case.prompted_at.is_some();
            if upgrade && case.prompt_due.is_none() {
                case.prompt_due = Some(self.now.after(self.policy.settle));
            }
            let text = format!("case {}: {} → {}", case.id, case.reason.as_str(), reason.as_str());
            self.note(&aggregate.key, None, text);
            case.reason = reason;
            case.began_at = began_at(aggregate, reason);
        }
        if is_planted(Bug::ReminderClockReset) {
            case.opened_at = self.now;
            case.prompted_at = case.prompted_at.map(|_| self.now);
        }
        if is_planted(Bug::PromptRepeated) {
            case.prompt_due = Some(self.now);
        }
        case.deadline = deadline(aggregate, reason, self.now);
        case
    }

    /// Closes the case; a prompt that was sent is withdrawn.
    pub(crate) fn withdraw(&mut self, aggregate: &mut Aggregate, case: Case, outcome: CaseOutcome) {
        let text = format!("case {} closed: {}", case.id, outcome.as_str());
        self.note(&aggregate.key, None, text);
        if case.prompts > 0 && !is_planted(Bug::WithdrawalForgotten) {
            let body = Body::WithdrawRelink(WithdrawRelink {
                about: aggregate.about(),
                case: case.id.clone(),
                outcome,
                accounts: case.named.iter().cloned().collect(),
            });
            self.case_command(aggregate, &case, "withdraw", body);
        }
        self.milestones.push(Milestone::Closed(case.reason, outcome, case.age(self.now)));
        let closed = ClosedCase { case, at: self.now, outcome };
        self.closed(&aggregate.key, &closed);
        aggregate.state.last_case = Some(closed);
    }

    /// Sends the prompt, reminder or escalation that is due.
    fn step(&mut self, aggregate: &mut Aggregate) {
        let Some(mut case) = aggregate.state.case.take() else {
            return;
        };
        match next_step(&case, self.policy) {
            Some((due, step)) if due <= self.now => self.take_step(aggregate, &mut case, step),
            _ => {}
        }
        aggregate.state.case = Some(case);
    }

    fn take_step(&mut self, aggregate: &Aggregate, case: &mut Case, step: Step) {
        match step {
            Step::Prompt => {
                case.prompts += 1;
                self.milestones.push(Milestone::Prompted(case.reason, case.age(self.now)));
                case.prompt_due = None;
                case.prompted_at = Some(self.now);
                case.reminded_at = None;
                case.escalated = false;
                let prompt = self.prompt(aggregate, case);
                case.named.extend(prompt.accounts.iter().map(|account| account.id.clone()));
                let what = format!("prompt-{}", case.prompts);
                self.case_command(aggregate, case, &what, Body::PromptRelink(prompt));
            }
            Step::Remind => {
                // Having slept through several rungs, only the last one is sent.
                let (stage, stages) = crate::reminder::stage_at(case, self.policy, self.now);
                case.reminders += 1;
                // A date that moved has made the ladder longer: it ends with another escalation.
                case.escalated = false;
                case.reminded_at = Some(self.now);
                let prompt = self.prompt(aggregate, case);
                case.named.extend(prompt.accounts.iter().map(|account| account.id.clone()));
                let what = format!("remind-{}", case.reminders);
                let body = Body::RemindRelink(RemindRelink { prompt, stage, stages });
                self.case_command(aggregate, case, &what, body);
            }
            Step::Escalate => {
                case.escalated = true;
                let body = Body::EscalateRelink(EscalateRelink {
                    about: aggregate.about(),
                    case: case.id.clone(),
                    opened_at: Second(case.opened_at.0.div_euclid(1000)),
                    prompts: case.prompts + case.reminders,
                });
                let what = format!("escalate-{}-{}", case.prompts, case.reminders);
                self.case_command(aggregate, case, &what, body);
            }
        }
    }

    fn case_command(&mut self, aggregate: &Aggregate, case: &Case, what: &str, body: Body) {
        // The case's id already starts with the scope.
        let name = case.id.as_str();
        let subject = name.split_once(':').map_or(name, |(_, rest)| rest).to_owned();
        let correlation: Arc<str> = name.into();
        self.command(aggregate, &subject, what, &correlation, body);
    }

    fn prompt(&self, aggregate: &Aggregate, case: &Case) -> PromptRelink {
        let concerned = concerned(aggregate, case.reason, self.policy, self.now);
        let accounts: Vec<PromptedAccount> =
            concerned.map(|(id, account)| prompted(id, account)).collect();
        let broken = case.deadline.is_none_or(|date| date.as_time() <= self.now);
        PromptRelink {
            about: aggregate.about(),
            case: case.id.clone(),
            reason: case.reason,
            urgency: if case.reason == Reason::Inactive || broken {
                Urgency::Now
            } else {
                Urgency::BeforeDate
            },
            deadline: case.deadline,
            cause: accounts.iter().find_map(|account| account.cause.clone()),
            accounts,
            relink_url: None,
        }
    }

    /// Writes down what queries and the scheduler need.
    pub(crate) fn summarize(&self, aggregate: &mut Aggregate) {
        let prompting = need(aggregate, self.policy, self.now).is_some();
        let step = aggregate
            .state
            .case
            .as_ref()
            .filter(|_| prompting)
            .and_then(|case| next_step(case, self.policy))
            .map(|(due, _)| due);
        let numbers = aggregate
            .accounts
            .values()
            .filter(|_| self.policy.watch_numbers)
            .filter_map(|account| account.numbers_end(self.now))
            .map(|end| end.before(self.policy.numbers_ahead))
            .filter(|due| *due > self.now)
            .min();
        let reconcile = aggregate.state.reconcile.due;
        let case = aggregate.state.case.as_ref().and_then(Case::next_abandoned);
        let closed = aggregate.state.last_case.as_ref();
        let abandoned = [case, closed.and_then(|closed| closed.case.next_abandoned())];
        let next_due =
            [step, numbers, reconcile, self.next_ask(aggregate)].into_iter().chain(abandoned);
        aggregate.state.summary = crate::aggregate::Summary {
            health: health(aggregate, self.policy, self.now),
            holder: aggregate.holder().cloned(),
            institution_name: aggregate.institution_name().cloned(),
            expected_deactivation: expected_deactivation(aggregate),
            next_due: next_due.flatten().min(),
        };
    }
}

fn outcome(aggregate: &Aggregate, case: &Case, health: Health) -> CaseOutcome {
    let relinked = |attempt: &Attempt| attempt.outcome == Some(RelinkOutcome::Repaired);
    let taken = |id: &AccountId| aggregate.state.takeovers.contains_key(id.as_str());
    // An account that was lost before says nothing about those that the prompt was for.
    let lost = |id| aggregate.accounts.get(id).is_some_and(Account::is_beyond_repair);
    let any_lost = case.named.is_empty() || case.named.iter().any(lost);
    if aggregate.is_superseded() || case.named.iter().any(taken) {
        CaseOutcome::Moved
    } else if health == Health::Disconnected {
        CaseOutcome::Disconnected
    } else if case.attempts.iter().any(relinked) {
        CaseOutcome::Relinked
    } else if health == Health::Unrepairable && any_lost {
        CaseOutcome::Unrepairable
    } else {
        CaseOutcome::Recovered
    }
}

/// The first date at which something that the reason is about stops working.
fn deadline(aggregate: &Aggregate, reason: Reason, now: Time) -> Option<Second> {
    match reason {
        Reason::Inactive => None,
        Reason::Upcoming => {
            let expiring = aggregate.accounts.values().filter(|account| account.is_expiring());
            let own = aggregate.forecast().filter(|_| aggregate.is_expiring());
            expiring.filter_map(Account::forecast).chain(own).map(|one| one.date).min()
        }
        Reason::Numbers => {
            let ends = aggregate.accounts.values().filter_map(|account| account.numbers_end(now));
            ends.filter(|end| *end > now).map(|end| Second(end.0.div_euclid(1000))).min()
        }
    }
}

fn prompted(id: &AccountId, account: &Account) -> PromptedAccount {
    let cause = match account.inactive_details() {
        Some(details) => details.cause.clone(),
        None => account.forecast().and_then(|forecast| forecast.cause.clone()),
    };
    let action = action_of(account).or(account.forecast().map(|forecast| &forecast.action));
    PromptedAccount {
        id: id.clone(),
        last4: value(&account.last4).cloned(),
        display_name: value(&account.display_name).cloned(),
        subcategory: value(&account.subcategory).cloned(),
        status: account.status().unwrap_or(Status::Active),
        cause,
        action: action.map(|action| action.as_str().into()),
        expected_deactivation: account.forecast().map(|forecast| forecast.date),
    }
}

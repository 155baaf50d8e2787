//! What a relink session leads to.

use std::sync::Arc;

use crate::account::Account;
use crate::aggregate::{Aggregate, Attempt, Takeover};
use crate::command::{Because, CaseOutcome};
use crate::decide::Deciding;
use crate::id::AccountId;
use crate::input::Verdict;
use crate::milestone::Milestone;
use crate::observation::{RelinkOutcome, SessionObservation, Source, Stamp};
use crate::time::Second;

/// How far, in seconds of Stripe's clock, the end of a session may lie from the return of the
/// accounts that it is taken to have brought back: a relink reactivates within minutes, and a
/// session of another day was about another outage.
const RELINK_REACH_S: i64 = 3600;

/// What history says of an attempt that nobody finished.
const ABANDONED: &str = "relink abandoned";

impl Deciding<'_> {
    pub(crate) fn session_observed(&mut self, seen: &SessionObservation) -> Verdict {
        let home = self.home(&seen.authorization);
        // First, so that a case that its accounts close knows what closed it.
        let mut applied = self.edit(&home, |this, aggregate| this.record_attempt(aggregate, seen));
        for account in &seen.accounts {
            applied |= self.account_observed(account) == Verdict::Applied;
        }
        if let Some(RelinkOutcome::NewAuthorization(by)) = &seen.outcome {
            let takeover = Takeover { by: by.clone(), at: seen.stamp.0, replaced_by: None };
            self.take_over(&home, Arc::from(seen.session.as_str()), takeover);
            applied = true;
        }
        let got_in = |how: &RelinkOutcome| {
            matches!(how, RelinkOutcome::Repaired | RelinkOutcome::NewAuthorization(_))
        };
        if seen.outcome.as_ref().is_some_and(got_in) {
            self.edit(&home, |this, aggregate| this.read_back_after_relink(aggregate, seen));
        }
        if applied { Verdict::Applied } else { Verdict::Unchanged }
    }

    fn record_attempt(&mut self, aggregate: &mut Aggregate, seen: &SessionObservation) -> bool {
        let attempt = Attempt {
            session: seen.session.clone(),
            at: seen.stamp.0,
            outcome: seen.outcome.clone(),
        };
        let home = aggregate.key.clone();
        let closed = aggregate.state.last_case.as_ref();
        let is_past = closed.is_some_and(|closed| closed.case.knows(&seen.session));
        let is_news = match &mut aggregate.state.case {
            Some(case) if !is_past => case.note_attempt(attempt),
            _ => self.record_late(aggregate, attempt),
        };
        if is_news {
            let milestone = seen.outcome.clone().map_or(Milestone::Started, Milestone::Ended);
            self.milestones.push(milestone);
            let text = match &seen.outcome {
                None => "relink started".to_owned(),
                Some(RelinkOutcome::Repaired) => "relink succeeded".to_owned(),
                Some(RelinkOutcome::NewAuthorization(by)) => format!("relinked as {by}"),
                Some(RelinkOutcome::Failed(reason)) => format!("relink failed: {reason}"),
                Some(RelinkOutcome::Cancelled) => "relink cancelled".to_owned(),
                Some(RelinkOutcome::Abandoned) => ABANDONED.to_owned(),
            };
            self.note(&home, None, text);
        }
        is_news
    }

    /// Calls attempts abandoned that were started and not ended in time, in the open case and in
    /// the one before: its last attempt may be what nobody finished.
    pub(crate) fn abandon_attempts(&mut self, aggregate: &mut Aggregate) {
        let now = self.now;
        let mut abandoned = aggregate.state.case.as_mut().map_or(0, |case| case.abandon(now));
        if let Some(closed) = &mut aggregate.state.last_case {
            let late = closed.case.abandon(now);
            if late > 0 {
                let closed = closed.clone();
                self.closed(&aggregate.key, &closed);
            }
            abandoned += late;
        }
        for _ in 0..abandoned {
            self.note(&aggregate.key, None, ABANDONED.to_owned());
            self.milestones.push(Milestone::Ended(RelinkOutcome::Abandoned));
        }
    }

    /// The accounts' own events may overtake the session's end: the case that they closed then
    /// learns afterwards what ended it. What was withdrawn stays as it was told.
    fn record_late(&mut self, aggregate: &mut Aggregate, attempt: Attempt) -> bool {
        let came_back = aggregate.accounts.values().filter_map(Account::came_back_at).max();
        let Some(closed) = &mut aggregate.state.last_case else {
            return false;
        };
        let known = closed.case.knows(&attempt.session);
        let near = came_back.is_some_and(|Second(back)| {
            back.saturating_sub(attempt.at.0).saturating_abs() <= RELINK_REACH_S
        });
        let repaired = attempt.outcome == Some(RelinkOutcome::Repaired);
        if !(known || near) || !closed.case.note_attempt(attempt) {
            return false;
        }
        if repaired && closed.outcome == CaseOutcome::Recovered {
            closed.outcome = CaseOutcome::Relinked;
        }
        let closed = closed.clone();
        self.closed(&aggregate.key, &closed);
        true
    }

    /// An account that was only expiring gets no `reactivated` event, and the event of a session
    /// may name fewer accounts than it returned: what a relink may have changed is read back.
    fn read_back_after_relink(&mut self, aggregate: &mut Aggregate, seen: &SessionObservation) {
        let Stamp(second, source) = seen.stamp;
        if source == Source::Event && !seen.complete {
            let ask = self.asks.entry((aggregate.key.clone(), Because::Session)).or_default();
            ask.session = Some(seen.session.clone());
        }
        if seen.outcome != Some(RelinkOutcome::Repaired) {
            return;
        }
        aggregate.state.relinked_at = aggregate.state.relinked_at.max(Some(second));
        let told: Vec<&AccountId> = seen.accounts.iter().map(|one| &one.account).collect();
        let doubtful: Vec<AccountId> = aggregate
            .accounts
            .iter()
            .filter(|(_, one)| !one.is_read_since(seen.stamp))
            .filter(|(id, one)| one.needs_relink() || one.is_expiring() && !told.contains(id))
            .map(|(id, _)| id.clone())
            .collect();
        for account in doubtful {
            self.ask_account(aggregate, &account, Because::Session, second);
        }
        if aggregate.is_expiring() {
            self.ask_authorization(aggregate, Because::Session, second);
        }
    }
}

//! What an ended relink session leads to.

use std::sync::Arc;

use crate::aggregate::{ATTEMPTS_MAX, Aggregate, Attempt, Takeover};
use crate::command::Because;
use crate::decide::Deciding;
use crate::id::AccountId;
use crate::input::Verdict;
use crate::observation::{RelinkOutcome, SessionObservation};

impl Deciding<'_> {
    pub(crate) fn session_ended(&mut self, seen: &SessionObservation) -> Verdict {
        let home = self.home(&seen.authorization);
        let mut applied = false;
        for account in &seen.accounts {
            applied |= self.account_observed(account) == Verdict::Applied;
        }
        if let RelinkOutcome::NewAuthorization(by) = &seen.outcome {
            let takeover = Takeover { by: by.clone(), at: seen.stamp.0, replaced_by: None };
            self.take_over(&home, Arc::from(seen.session.as_str()), takeover);
            applied = true;
        }
        self.edit(&home, |this, aggregate| {
            applied |= this.record_attempt(aggregate, seen);
            if seen.outcome == RelinkOutcome::Repaired {
                aggregate.state.relinked_at = aggregate.state.relinked_at.max(Some(seen.stamp.0));
                this.read_back_after_relink(aggregate, seen);
            }
        });
        if applied { Verdict::Applied } else { Verdict::Unchanged }
    }

    fn record_attempt(&mut self, aggregate: &mut Aggregate, seen: &SessionObservation) -> bool {
        let Some(case) = &mut aggregate.state.case else {
            return false;
        };
        let attempt = Attempt {
            session: seen.session.clone(),
            at: seen.stamp.0,
            outcome: seen.outcome.clone(),
        };
        if case.attempts.iter().any(|known| known.session == attempt.session) {
            return false;
        }
        case.attempts.push(attempt);
        if case.attempts.len() > ATTEMPTS_MAX {
            case.attempts.remove(0);
        }
        let text = match &seen.outcome {
            RelinkOutcome::Repaired => "relink succeeded".to_owned(),
            RelinkOutcome::NewAuthorization(by) => format!("relinked as {by}"),
            RelinkOutcome::Failed(reason) => format!("relink failed: {reason}"),
            RelinkOutcome::Cancelled => "relink cancelled".to_owned(),
        };
        let home = aggregate.key.clone();
        self.note(&home, None, text);
        true
    }

    /// An account that was only expiring gets no `reactivated` event: what a successful relink
    /// may have changed is read back.
    fn read_back_after_relink(&mut self, aggregate: &mut Aggregate, seen: &SessionObservation) {
        let second = seen.stamp.0;
        let told: Vec<&AccountId> = seen.accounts.iter().map(|one| &one.account).collect();
        let doubtful: Vec<AccountId> = aggregate
            .accounts
            .iter()
            .filter(|(id, one)| one.needs_relink() || one.is_expiring() && !told.contains(id))
            .map(|(id, _)| id.clone())
            .collect();
        for account in doubtful {
            self.ask_account(aggregate, &account, Because::Siblings, second);
        }
        if aggregate.is_expiring() {
            self.ask_authorization(aggregate, Because::Forecast, second);
        }
    }
}

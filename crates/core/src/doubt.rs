//! Asking for reads, and taking their answers.

use crate::account::Account;
use crate::aggregate::{Aggregate, Verify};
use crate::command::{Because, Body, VerifyAccounts};
use crate::decide::Deciding;
use crate::id::AccountId;
use crate::policy::Policy;
use crate::time::{Second, Span, Time};

impl Verify {
    /// When it is asked for again if nobody has answered; `None` once it was asked often enough.
    pub fn due(&self, policy: &Policy) -> Option<Time> {
        let doublings = self.asked.saturating_sub(1).min(16);
        let patience = Span(policy.verify_patience.0.saturating_mul(1 << doublings));
        (self.asked < policy.verify_asks_max).then(|| self.asked_at.after(patience))
    }

    /// Whether it is still worth waiting for.
    fn is_patient(&self, policy: &Policy, now: Time) -> bool {
        self.asked_at.after(policy.verify_patience) > now
    }
}

impl Deciding<'_> {
    /// Asks for a read of the account that is stamped `wanted` or later.
    ///
    /// While one is under way nothing is sent: if its answer turns out older than what is wanted
    /// by then, it is asked for again.
    pub(crate) fn ask_account(
        &mut self,
        aggregate: &mut Aggregate,
        account: &AccountId,
        because: Because,
        wanted: Second,
    ) {
        if let Some(known) = aggregate.state.verifies.get_mut(account) {
            known.wanted = known.wanted.max(wanted);
            if known.is_patient(self.policy, self.now) {
                return;
            }
        }
        let fresh = Verify { wanted, because, asked_at: self.now, asked: 0 };
        let verify = aggregate.state.verifies.entry(account.clone()).or_insert(fresh);
        verify.asked_at = self.now;
        verify.asked = 1;
        let ask = self.asks.entry((aggregate.key.clone(), because)).or_default();
        ask.accounts.insert(account.clone());
    }

    /// Asks for a read of the authorization itself.
    pub(crate) fn ask_authorization(
        &mut self,
        aggregate: &mut Aggregate,
        because: Because,
        wanted: Second,
    ) {
        if aggregate.key.home.is_provisional() {
            return;
        }
        if let Some(known) = &mut aggregate.state.authorization_verify {
            known.wanted = known.wanted.max(wanted);
            if known.is_patient(self.policy, self.now) {
                return;
            }
        }
        aggregate.state.authorization_verify =
            Some(Verify { wanted, because, asked_at: self.now, asked: 1 });
        self.asks.entry((aggregate.key.clone(), because)).or_default().authorization = true;
    }

    /// A read of the account was answered.
    pub(crate) fn answer(&mut self, aggregate: &mut Aggregate, account: &AccountId, at: Second) {
        let Some(verify) = aggregate.state.verifies.get_mut(account) else {
            return;
        };
        if at >= verify.wanted {
            let (because, wanted) = (verify.because, verify.wanted);
            aggregate.state.verifies.remove(account);
            self.doubt_no_change(aggregate, account, because, at.0 - wanted.0);
            return;
        }
        // The read was under way when newer doubt arose.
        verify.asked_at = self.now;
        verify.asked = 1;
        let key = (aggregate.key.clone(), verify.because);
        self.asks.entry(key).or_default().accounts.insert(account.clone());
    }

    /// An account that a sibling's return put in doubt is as it was, by a read soon after: the
    /// answer may be older than the return. It is read once more when the window has passed.
    fn doubt_no_change(
        &self,
        aggregate: &mut Aggregate,
        account: &AccountId,
        because: Because,
        seconds_after: i64,
    ) {
        let is_as_it_was = match (because, aggregate.accounts.get(account)) {
            (Because::Siblings, Some(known)) => known.needs_relink(),
            (Because::Forecast, Some(known)) => known.is_expiring(),
            _ => false,
        };
        if is_as_it_was && seconds_after <= self.policy.doubt_window_s {
            let at = self.now.after(Span::seconds(self.policy.doubt_window_s));
            aggregate.state.rechecks.insert(account.clone(), at);
        }
    }

    /// A read of the authorization was answered.
    pub(crate) fn answer_authorization(&mut self, aggregate: &mut Aggregate, at: Second) {
        let Some(verify) = &mut aggregate.state.authorization_verify else {
            return;
        };
        if at >= verify.wanted {
            aggregate.state.authorization_verify = None;
            return;
        }
        verify.asked_at = self.now;
        verify.asked = 1;
        let key = (aggregate.key.clone(), verify.because);
        self.asks.entry(key).or_default().authorization = true;
    }

    /// Asks for what has fallen due: answers that never came, answers that contradicted fresh
    /// news, and dates that have passed.
    pub(crate) fn ask_what_is_due(&mut self, aggregate: &mut Aggregate) {
        let (now, policy) = (self.now, self.policy);
        let due = |verify: &Verify| verify.due(policy).is_some_and(|due| due <= now);
        let mut again = Vec::new();
        for (account, verify) in &mut aggregate.state.verifies {
            if due(verify) {
                verify.asked_at = now;
                verify.asked += 1;
                again.push((verify.because, account.clone()));
            }
        }
        for (because, account) in again {
            let ask = self.asks.entry((aggregate.key.clone(), because)).or_default();
            ask.accounts.insert(account);
        }
        if let Some(verify) = aggregate.state.authorization_verify.as_mut().filter(|one| due(one)) {
            verify.asked_at = now;
            verify.asked += 1;
            let key = (aggregate.key.clone(), verify.because);
            self.asks.entry(key).or_default().authorization = true;
        }
        let rechecks: Vec<_> =
            aggregate.state.rechecks.iter().map(|(id, at)| (id.clone(), *at)).collect();
        for (account, _) in rechecks.into_iter().filter(|(_, at)| *at <= now) {
            aggregate.state.rechecks.remove(&account);
            let wanted = latest_second(aggregate.accounts.get(&account));
            self.ask_account(aggregate, &account, Because::Doubt, wanted);
        }
        self.ask_about_passed_dates(aggregate);
    }

    fn ask_about_passed_dates(&mut self, aggregate: &mut Aggregate) {
        let (grace, now) = (self.policy.forecast_grace, self.now);
        let passed = |date: Second| date.as_time().after(grace) <= now;
        let accounts: Vec<(AccountId, Second)> = aggregate
            .accounts
            .iter()
            .filter_map(|(id, account)| Some((id.clone(), account.forecast()?.date)))
            .filter(|(id, date)| {
                passed(*date) && aggregate.state.checked_dates.get(id.as_str()) != Some(date)
            })
            .collect();
        for (account, date) in accounts {
            aggregate.state.checked_dates.insert(account.as_str().into(), date);
            self.ask_account(aggregate, &account, Because::Forecast, date);
        }
        let own = aggregate.forecast().map(|forecast| forecast.date).filter(|date| passed(*date));
        let name = aggregate.key.home.as_str().to_owned();
        if let Some(date) = own
            && aggregate.state.checked_dates.get(name.as_str()) != Some(&date)
        {
            aggregate.state.checked_dates.insert(name.into(), date);
            self.ask_authorization(aggregate, Because::Forecast, date);
        }
    }

    /// When the next of those falls due.
    pub(crate) fn next_ask(&self, aggregate: &Aggregate) -> Option<Time> {
        let state = &aggregate.state;
        let verifies = state.verifies.values().chain(&state.authorization_verify);
        let again = verifies.filter_map(|verify| verify.due(self.policy)).min();
        let recheck = state.rechecks.values().copied().min();
        let unchecked = |name: &str, date: Second| {
            (state.checked_dates.get(name) != Some(&date))
                .then(|| date.as_time().after(self.policy.forecast_grace))
        };
        let dates = aggregate
            .accounts
            .iter()
            .filter_map(|(id, account)| unchecked(id.as_str(), account.forecast()?.date))
            .min();
        let own = aggregate
            .forecast()
            .and_then(|forecast| unchecked(aggregate.key.home.as_str(), forecast.date));
        [again, recheck, dates, own].into_iter().flatten().min()
    }

    /// Sends what was asked for of this aggregate: one command for each reason.
    pub(crate) fn ask_now(&mut self, aggregate: &mut Aggregate) {
        let mine: Vec<_> =
            self.asks.keys().filter(|(home, _)| *home == aggregate.key).cloned().collect();
        for key in mine {
            let Some(ask) = self.asks.remove(&key) else {
                continue;
            };
            aggregate.state.verifies_sent += 1;
            let body = Body::VerifyAccounts(VerifyAccounts {
                about: aggregate.about(),
                accounts: ask.accounts.into_iter().collect(),
                because: key.1,
                read_authorization: ask.authorization,
                session: ask.session,
            });
            let home = aggregate.key.home.as_str().to_owned();
            let what = format!("verify-{}", aggregate.state.verifies_sent);
            let correlation = self.input_correlation();
            self.command(aggregate, &home, &what, &correlation, body);
        }
    }
}

/// The latest second at which anything told the account's status.
fn latest_second(account: Option<&Account>) -> Second {
    account
        .and_then(|one| [one.active, one.inactive, one.disconnected].into_iter().flatten().max())
        .map_or(Second::default(), |stamp| stamp.0)
}

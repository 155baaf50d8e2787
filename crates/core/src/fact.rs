//! What an observation of an account leads to.

use std::sync::Arc;

use crate::account::{Account, Merged};
use crate::aggregate::{Aggregate, Case, Takeover, Verify};
use crate::bug::{Bug, is_planted};
use crate::command::Because;
use crate::decide::Deciding;
use crate::id::{AccountId, AccountKey, Home, HomeKey};
use crate::input::{Deferred, Verdict};
use crate::observation::{AccountObservation, Action, Source, Stamp, Status};
use crate::time::{Second, Span, Time};

/// What an account was before it was observed.
pub(crate) struct Before {
    pub(crate) status: Option<Status>,
    pub(crate) expiring: bool,
    /// The stamp of the latest outage that was known.
    pub(crate) outage: Option<Stamp>,
    pub(crate) expects_nothing: Option<Second>,
    pub(crate) unexplained: bool,
    /// It was at another home.
    pub(crate) elsewhere: bool,
}

/// What moves along with an account.
#[derive(Default)]
struct Luggage {
    case: Option<Case>,
    verify: Option<Verify>,
    recheck: Option<Time>,
}

impl Deciding<'_> {
    pub(crate) fn account_key(&self, account: &AccountId) -> AccountKey {
        AccountKey { scope: self.scope.clone(), account: account.clone() }
    }

    pub(crate) fn account_observed(&mut self, seen: &AccountObservation) -> Verdict {
        let key = self.account_key(&seen.account);
        let old = self.world.home_of(&key).cloned();
        let mut account =
            old.as_ref().map(|home| self.take_account(home, seen)).unwrap_or_default();
        let mut before = Before {
            status: account.status(),
            expiring: account.is_expiring(),
            outage: account.inactive,
            expects_nothing: account.expects_nothing_since(),
            unexplained: account.is_unexplained(),
            elsewhere: false,
        };
        let merged = account.merge(seen);
        let home = HomeKey { scope: self.scope.clone(), home: account.home(&seen.account) };
        before.elsewhere = old.as_ref().is_some_and(|old| *old != home);
        self.world.changed_accounts.insert(key.clone());
        self.world.settle_at(key, home.clone());
        let luggage = match &old {
            Some(old) if *old != home => self.leave(old, &seen.account),
            _ => Luggage::default(),
        };
        let known_before = account.past_authorizations().next().is_some();
        let verdict = self.edit(&home, |this, aggregate| {
            // Having moved away does not count once it is back.
            let id = seen.account.as_str();
            if aggregate.state.takeovers.get(id).is_some_and(|one| one.replaced_by.is_none()) {
                aggregate.state.takeovers.remove(id);
            }
            aggregate.accounts.insert(seen.account.clone(), account);
            this.unpack(aggregate, &seen.account, luggage);
            this.follow_account(aggregate, seen, &before, merged)
        });
        if known_before {
            self.tell_past_homes(&home, seen);
        }
        self.match_relatives(&home, seen);
        verdict
    }

    fn take_account(&mut self, home: &HomeKey, seen: &AccountObservation) -> Account {
        let mut aggregate = self.world.take(home);
        let account = aggregate.accounts.remove(&seen.account).unwrap_or_default();
        self.world.put_back(aggregate);
        account
    }

    /// The account has gone from its home: what belongs to it goes along. A provisional home
    /// leaves its case, too: it is the same outage under its real name.
    fn leave(&mut self, old: &HomeKey, account: &AccountId) -> Luggage {
        self.edit(old, |_, aggregate| {
            let provisional = aggregate.key.home.is_provisional();
            aggregate.state.checked_dates.remove(account.as_str());
            Luggage {
                verify: aggregate.state.verifies.remove(account),
                recheck: aggregate.state.rechecks.remove(account),
                case: provisional.then(|| aggregate.state.case.take()).flatten(),
            }
        })
    }

    fn unpack(&mut self, aggregate: &mut Aggregate, account: &AccountId, luggage: Luggage) {
        if let Some(verify) = luggage.verify {
            aggregate.state.verifies.insert(account.clone(), verify);
        }
        if let Some(recheck) = luggage.recheck {
            aggregate.state.rechecks.insert(account.clone(), recheck);
        }
        let Some(case) = luggage.case else { return };
        match &aggregate.state.case {
            None => aggregate.state.case = Some(case),
            Some(_) => self.withdraw(aggregate, case, crate::command::CaseOutcome::Moved),
        }
    }

    /// Every authorization the account was on before learns, or is told again, where it went.
    fn tell_past_homes(&mut self, home: &HomeKey, seen: &AccountObservation) {
        let id = &seen.account;
        let named = seen.authorization.clone().map(Home::Authorization);
        let named = named.as_ref();
        let Some(by) = home.home.authorization().cloned() else {
            return;
        };
        let Some(account) = self.world.get(home).and_then(|home| home.accounts.get(id)) else {
            return;
        };
        let Some((first, _)) = account.authorizations.get(&by).copied() else {
            return;
        };
        let past: Vec<HomeKey> = account.past_authorizations().map(|id| self.home(id)).collect();
        for past in past {
            // One that was neither loaded nor named must not be made up.
            if self.world.get(&past).is_none() && named != Some(&past.home) {
                continue;
            }
            let takeover = Takeover { by: by.clone(), at: first.0, replaced_by: None };
            self.take_over(&past, Arc::from(id.as_str()), takeover);
        }
    }

    fn follow_account(
        &mut self,
        aggregate: &mut Aggregate,
        seen: &AccountObservation,
        before: &Before,
        merged: Merged,
    ) -> Verdict {
        let Some(mut account) = aggregate.accounts.get(&seen.account).cloned() else {
            return Verdict::Unchanged;
        };
        if seen.stamp.1 == Source::Read {
            self.answer(aggregate, &seen.account, seen.stamp.0);
        }
        self.tell_platform(aggregate, &seen.account, &mut account, before.status);
        self.note_account(aggregate, seen, &account, before, merged);
        let verdict = self.doubts(aggregate, seen, &account, before, merged);
        if before.status == Some(Status::Inactive) && account.status() == Some(Status::Active) {
            self.suspect_siblings(aggregate, &seen.account, seen.stamp);
        }
        // What came back before it was known where it belongs could make no sibling doubtful then.
        if let Some(second) = account.came_back_at().filter(|_| before.elsewhere) {
            self.suspect_siblings(aggregate, &seen.account, Stamp(second, Source::Event));
        }
        if before.expiring && !account.is_expiring() && aggregate.is_expiring() {
            self.ask_authorization(aggregate, Because::Forecast, seen.stamp.0);
        }
        if seen.stamp.1 == Source::Event {
            self.doubt_in_hindsight(aggregate, &seen.account, &account, before, merged);
        }
        aggregate.accounts.insert(seen.account.clone(), account);
        verdict
    }

    /// Whether the observation leaves doubt, and the verdict.
    fn doubts(
        &mut self,
        aggregate: &mut Aggregate,
        seen: &AccountObservation,
        account: &Account,
        before: &Before,
        merged: Merged,
    ) -> Verdict {
        let (id, second) = (&seen.account, seen.stamp.0);
        let is_event = seen.stamp.1 == Source::Event;
        let read_since = account.read_at() >= Some(second);
        let near = seen.status.is_some_and(|status| {
            account
                .nearest_contradiction(status, seen.stamp)
                .is_some_and(|distance| distance <= self.policy.doubt_window_s)
        });
        let settled = account.status() == Some(Status::Disconnected) || is_planted(Bug::NoDoubt);
        // A read of the event's own second outweighs it, and may still be the older of the two.
        let outweighed = account.read_at() == Some(second) && seen.status != account.status();
        if is_event && !settled && (merged.tied || near && (merged.fresh_status || outweighed)) {
            self.ask_account(aggregate, id, Because::Doubt, second);
        }
        let window = self.policy.doubt_window_s;
        let otherwise = merged.contradiction.is_some_and(|distance| distance <= window);
        if !settled && (otherwise || !is_event && (merged.tied || near)) {
            // Stripe's answer may have been older than its own event, or two answers of one second
            // differ: look again once the window has passed, and no sooner, or the same doubt
            // would go round in circles.
            let at = self.now.after(Span::seconds(self.policy.doubt_window_s));
            if !is_planted(Bug::NoSecondRead) {
                aggregate.state.rechecks.insert(id.clone(), at);
            }
        }
        if account.is_unexplained() && merged.stale && is_event && !before.unexplained {
            // Late news of a recovery: the details that are known belong to the outage before.
            let wanted = account.inactive.map_or(second, |stamp| stamp.0);
            self.ask_account(aggregate, id, Because::UnknownDetails, wanted);
        }
        if account.is_unexplained()
            && merged.stale
            && is_event
            && seen.status == Some(Status::Active)
        {
            // Siblings may have come back with it, and what is known of theirs be as old.
            self.suspect_siblings(aggregate, id, seen.stamp);
        }
        if account.is_unexplained() && !merged.stale {
            if is_event && !read_since {
                self.ask_account(aggregate, id, Because::UnknownDetails, second);
            }
            return Verdict::Deferred(Deferred::DetailsUnknown);
        }
        let unread = is_event && account.read_at().is_none();
        if seen.must_read && !read_since {
            self.ask_account(aggregate, id, Because::UnknownDetails, second);
            return Verdict::Deferred(Deferred::StateUnknown);
        }
        if aggregate.key.home.is_provisional() && unread && !settled {
            self.ask_account(aggregate, id, Because::UnknownAuthorization, second);
        }
        if merged.changed {
            Verdict::Applied
        } else if merged.stale || seen.must_read {
            Verdict::Stale
        } else {
            Verdict::Unchanged
        }
    }

    /// One account is back: its siblings might be, too, and dates may have moved. Never assumed.
    pub(crate) fn suspect_siblings(
        &mut self,
        aggregate: &mut Aggregate,
        back: &AccountId,
        stamp: Stamp,
    ) {
        if is_planted(Bug::NoSiblingVerify) {
            return;
        }
        let second = stamp.0;
        let of = |wanted: fn(&Account) -> bool, aggregate: &Aggregate| -> Vec<AccountId> {
            let others = aggregate.accounts.iter().filter(|(id, _)| *id != back);
            let unread = others.filter(|(_, one)| !one.is_read_since(stamp));
            unread.filter(|(_, one)| wanted(one)).map(|(id, _)| id.clone()).collect()
        };
        for sibling in of(Account::needs_relink, aggregate) {
            self.ask_account(aggregate, &sibling, Because::Siblings, second);
        }
        for sibling in of(Account::is_expiring, aggregate) {
            self.ask_account(aggregate, &sibling, Because::Forecast, second);
        }
        if aggregate.is_expiring() {
            self.ask_authorization(aggregate, Because::Forecast, second);
        }
    }

    fn note_account(
        &mut self,
        aggregate: &Aggregate,
        seen: &AccountObservation,
        account: &Account,
        before: &Before,
        merged: Merged,
    ) {
        let known = |status: Option<Status>| status.map_or("unknown", Status::as_str);
        let revived = seen.status.is_some_and(|status| status != Status::Disconnected)
            && before.status == Some(Status::Disconnected);
        if revived && seen.stamp.1 == Source::Read {
            let text = format!(
                "anomaly: a read says {} of a disconnected account; not applied",
                known(seen.status)
            );
            self.note(&aggregate.key, Some(&seen.account), text);
            return;
        }
        if !merged.changed {
            return;
        }
        let mut text = match (before.status, account.status()) {
            (from, to) if from == to => known(to).to_owned(),
            (from, to) => format!("{} → {}", known(from), known(to)),
        };
        if let Some(details) = account.inactive_details() {
            let cause = details.cause.as_deref().unwrap_or("no cause");
            text += &format!(" ({cause}, {})", details.action.as_str());
        } else if account.is_inactive() {
            text += " (details unknown)";
        }
        if let Some(forecast) = account.forecast() {
            let action = forecast.action.as_str();
            text += &format!(" (deactivation expected at {}, {action})", forecast.date.0);
        }
        self.note(&aggregate.key, Some(&seen.account), text);
    }
}

/// The action of an inactive account, where one is known.
pub(crate) fn action_of(account: &Account) -> Option<&Action> {
    account.inactive_details().map(|details| &details.action)
}

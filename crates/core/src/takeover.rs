//! A relink that made another authorization: who replaces whom, and what the platform is told.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::account::Account;
use crate::aggregate::{Aggregate, Takeover};
use crate::command::{Body, Doubtful, Pair, ReconcileAccounts};
use crate::decide::Deciding;
use crate::id::{AccountId, HomeKey};
use crate::input::Happened;
use crate::observation::AccountObservation;
use crate::register::value;
use crate::time::Second;

impl Deciding<'_> {
    /// Records the evidence with the authorization that was left; new evidence makes a
    /// reconciliation due after the settle time, so that a burst of moves makes one.
    pub(crate) fn take_over(&mut self, left: &HomeKey, evidence: Arc<str>, takeover: Takeover) {
        let due = self.now.after(self.policy.settle);
        let left_behind = self.world.get(left);
        let stays = left_behind.is_some_and(|here| {
            here.state.takeovers.get(&evidence).is_some_and(|known| {
                *known == takeover
                    || known.stands_before(&takeover) && !here.refutes(&evidence, known)
            })
        });
        if stays {
            return;
        }
        self.edit(left, |this, aggregate| {
            let known = aggregate.state.takeovers.insert(evidence, takeover.clone());
            if known.is_none_or(|known| known.by != takeover.by) {
                aggregate.state.reconcile.due.get_or_insert(due);
                this.note(&aggregate.key, None, format!("taken over by {}", takeover.by));
            }
        });
    }

    /// Looks for an old account that this one replaces, or a new one that replaces it: same
    /// holder, institution, last four digits and subcategory – never the institution alone.
    pub(crate) fn match_relatives(&mut self, home: &HomeKey, seen: &AccountObservation) {
        let Some(here) = self.world.get(home) else {
            return;
        };
        let Some(account) = here.accounts.get(&seen.account) else {
            return;
        };
        let Some(holder) = value(&account.holder) else {
            return;
        };
        let mut found: Vec<(HomeKey, Arc<str>, Takeover)> = Vec::new();
        for other in self.world.relatives(home, &holder.id) {
            for (id, old) in &other.accounts {
                found.extend(replacement((home, &seen.account, account), (&other.key, id, old)));
            }
            for (id, newer) in &other.accounts {
                found.extend(replacement((&other.key, id, newer), (home, &seen.account, account)));
            }
        }
        for (left, evidence, takeover) in found {
            self.take_over(&left, evidence, takeover);
        }
    }

    /// Sends the reconciliation that is due, where both sides are at hand.
    pub(crate) fn reconcile_if_due(&mut self, aggregate: &mut Aggregate) {
        if aggregate.state.reconcile.due.is_none_or(|due| due > self.now) {
            return;
        }
        let Some(by) = aggregate.taken_over_by() else {
            aggregate.state.reconcile.due = None;
            return;
        };
        let by = self.home(by);
        let nobody = Aggregate::new(by.clone());
        let taker = match self.world.get(&by) {
            Some(taker) => taker,
            // The timer has both loaded: what it does not find, nobody has seen yet.
            None if matches!(self.input.happened, Happened::TimerDue(_)) => &nobody,
            None => return,
        };
        let Some(body) = reconciliation(taker, aggregate) else { return };
        aggregate.state.reconcile.due = None;
        aggregate.state.reconcile.sent += 1;
        let what = format!("reconcile-{}", aggregate.state.reconcile.sent);
        let home = aggregate.key.home.as_str().to_owned();
        let correlation = self.input_correlation();
        self.command(aggregate, &home, &what, &correlation, Body::ReconcileAccounts(body));
    }
}

type Placed<'a> = (&'a HomeKey, &'a AccountId, &'a Account);

/// What the old account's authorization has to know, if the newer one stands for it.
fn replacement(newer: Placed<'_>, old: Placed<'_>) -> Option<(HomeKey, Arc<str>, Takeover)> {
    let at = replaces(newer.2, old.2)?;
    if old.0.home.is_provisional() {
        return None;
    }
    let by = newer.0.home.authorization()?.clone();
    let takeover = Takeover { by, at, replaced_by: Some(newer.1.clone()) };
    Some((old.0.clone(), old.1.as_str().into(), takeover))
}

/// When `newer` was linked, if it stands for the same account at the bank as `old`, which
/// had stopped working.
fn replaces(newer: &Account, old: &Account) -> Option<Second> {
    let created = *value(&newer.created)?;
    if value(&old.created) == Some(&created) {
        // Linked in one second: nothing tells which of the two is the newer one.
        return None;
    }
    let last_good = old.active.map(|stamp| stamp.0).or_else(|| value(&old.created).copied());
    let later = last_good.is_none_or(|last_good| created >= last_good);
    // That it was inactive once, and not that it is now: it may have been disconnected since.
    (later && old.inactive.is_some() && same_at_the_bank(newer, old)).then_some(created)
}

fn same_at_the_bank(one: &Account, other: &Account) -> bool {
    let institution = match (value(&one.institution), value(&other.institution)) {
        (Some(one), Some(other)) => one == other,
        _ => {
            let name = value(&one.institution_name);
            name.is_some() && name == value(&other.institution_name)
        }
    };
    let same = |a: Option<&Arc<str>>, b: Option<&Arc<str>>| a.is_some() && a == b;
    institution
        && same(value(&one.last4), value(&other.last4))
        && same(value(&one.subcategory), value(&other.subcategory))
}

fn reconciliation(taker: &Aggregate, left: &Aggregate) -> Option<ReconcileAccounts> {
    let old_name = left.key.home.authorization()?;
    let mut about = taker.about();
    about.holder = about.holder.or_else(|| left.holder().cloned());
    about.institution_name = about.institution_name.or_else(|| left.institution_name().cloned());
    let came_along = |account: &Account| account.authorizations.contains_key(old_name);
    let mut pairs: Vec<Pair> = taker
        .accounts
        .iter()
        .filter(|(_, account)| came_along(account))
        .map(|(id, _)| Pair { old: id.clone(), new: id.clone() })
        .collect();
    let olds: Vec<(&AccountId, &Account)> =
        left.accounts.iter().filter(|(_, account)| account.is_inactive()).collect();
    let news: Vec<(&AccountId, &Account)> =
        taker.accounts.iter().filter(|(_, account)| !came_along(account)).collect();
    let mut doubtful: Vec<Doubtful> = Vec::new();
    let mut matched: BTreeSet<&AccountId> = BTreeSet::new();
    for (id, old) in &olds {
        let fits = |a: &Account, b: &Account| same_at_the_bank(a, b);
        let new_ones: Vec<_> = news.iter().filter(|(_, new)| fits(new, old)).collect();
        let old_ones: Vec<_> = olds.iter().filter(|(_, other)| fits(other, old)).collect();
        match (&new_ones[..], &old_ones[..]) {
            ([], _) => {}
            ([(new, _)], [_]) => {
                matched.extend([*id, *new]);
                pairs.push(Pair { old: (*id).clone(), new: (*new).clone() });
            }
            _ => {
                let doubt = Doubtful {
                    old: old_ones.iter().map(|(id, _)| (*id).clone()).collect(),
                    new: new_ones.iter().map(|(id, _)| (*id).clone()).collect(),
                };
                matched.extend(old_ones.iter().chain(&new_ones).map(|(id, _)| *id));
                if !doubtful.contains(&doubt) {
                    doubtful.push(doubt);
                }
            }
        }
    }
    let rest = |side: &[(&AccountId, &Account)]| -> Vec<AccountId> {
        side.iter().filter(|(id, _)| !matched.contains(id)).map(|(id, _)| (*id).clone()).collect()
    };
    Some(ReconcileAccounts {
        about,
        from_authorization: old_name.as_str().into(),
        pairs,
        unmatched_old: rest(&olds),
        unmatched_new: rest(&news),
        doubtful,
    })
}

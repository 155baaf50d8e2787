//! What happens at Stripe and at the banks: the ground truth of a run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use relink_sim::{
    Action, Cause, Change, Feature, Link, NumberStatus, Outcome, RefreshStatus, Relink, Target,
    Verb,
};
use serde_json::Value;

use crate::host::Hosts;
use crate::plan::{Happening, Step};
use crate::stage::Stage;
use crate::webhook;

/// Stripe, as far as it acts by itself.
pub(crate) struct Truth {
    stage: Arc<Stage>,
    hosts: Arc<Hosts>,
    /// The next event to send.
    next: usize,
    /// Authorizations that another one took over from.
    pub(crate) superseded: BTreeSet<String>,
    /// Authorizations that took over from another one.
    pub(crate) successors: BTreeSet<String>,
    /// Accounts whose expected date went without an event: a relink removes it silently.
    pub(crate) silent: BTreeSet<String>,
    /// Banks at which accounts were linked once more under new ids.
    anew: BTreeSet<String>,
}

/// An account as it is at Stripe.
struct Known {
    id: String,
    authorization: String,
    bank: String,
    status: String,
}

impl Truth {
    pub(crate) fn new(stage: &Arc<Stage>, hosts: &Arc<Hosts>) -> Self {
        let (stage, hosts) = (Arc::clone(stage), Arc::clone(hosts));
        Self {
            stage,
            hosts,
            next: 0,
            superseded: BTreeSet::new(),
            successors: BTreeSet::new(),
            silent: BTreeSet::new(),
            anew: BTreeSet::new(),
        }
    }

    /// Lets everything happen that the plan names.
    pub(crate) async fn play(&mut self) {
        let steps: Vec<(usize, Step)> = self.stage.plan.taken_steps().collect();
        for (number, step) in steps {
            tokio::time::sleep(Duration::from_millis(step.after_ms)).await;
            self.take(number, step);
        }
    }

    fn take(&mut self, number: usize, step: Step) {
        self.stage.wind_stripes_clock();
        let accounts = self.accounts();
        let Some(verb) = self.verb(number, step, &accounts) else {
            self.stage.note("bank", format_args!("step {number}: there is nothing to meet"));
            return;
        };
        self.remember(&accounts);
        let told = format!("{:?}", step.happening);
        match self.stage.sim.apply(verb) {
            Ok(change) => {
                self.learn(step.happening, &change, &accounts);
                let what = change.accounts.join(" ");
                self.stage.note("bank", format_args!("step {number}: {told} {what}"));
            }
            Err(error) => {
                self.stage.note("bank", format_args!("step {number}: {told}: {error}"));
            }
        }
        self.send();
    }

    /// What the comparison in the end has to know of it.
    fn learn(&mut self, happening: Happening, change: &Change, before: &[Known]) {
        use Happening::{MoveDate, Relink, RelinkAnew, RelinkElsewhere, RelinkOne};
        use Happening::{RelinkSilently, RemoveDate, Warn};
        match happening {
            Relink | RelinkSilently | RelinkOne => {
                self.silent.extend(change.accounts.iter().cloned());
            }
            Warn | MoveDate | RemoveDate => {
                self.silent.retain(|account| !change.accounts.contains(account));
            }
            RelinkElsewhere | RelinkAnew => {
                self.silent.extend(change.accounts.iter().cloned());
                // Whoever has the same bank accounts under a newer authorization needs none of
                // the older ones.
                let (new, old) = (change.authorization.as_deref(), before.iter());
                let bank = |id: &str| {
                    let state = self.stage.sim.authorization(id).unwrap_or_default();
                    state["institution_name"].as_str().unwrap_or_default().to_owned()
                };
                let at = new.map(bank).unwrap_or_default();
                let same = old.filter(|one| one.bank == at && Some(&*one.authorization) != new);
                self.superseded.extend(same.map(|one| one.authorization.clone()));
                self.successors.extend(new.map(str::to_owned));
                // The same account at the bank under two ids, and then moved: which of the two
                // stands for the other hangs on when each was seen, as with those left.
                if self.anew.contains(&at) {
                    self.superseded.extend(new.map(str::to_owned));
                }
                if happening == RelinkAnew {
                    self.anew.insert(at);
                }
            }
            _ => {}
        }
    }

    /// Sends what Stripe has made by now; a call of its API makes events, too.
    pub(crate) fn send(&mut self) {
        let mail = self.stage.sim.mail(self.next);
        if let Some(last) = mail.last() {
            self.next = last.sequence + 1;
        }
        webhook::send(&self.stage, &self.hosts, mail);
    }

    fn accounts(&self) -> Vec<Known> {
        let state = self.stage.sim.state();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let known = |one: &Value| Known {
            id: text(&one["id"]),
            authorization: text(&one["authorization"]),
            bank: text(&one["institution_name"]),
            status: text(&one["status"]),
        };
        state["accounts"].as_array().into_iter().flatten().map(known).collect()
    }

    /// Reads may still tell the old state for a while.
    fn remember(&self, accounts: &[Known]) {
        for account in accounts {
            if let Ok(body) = self.stage.sim.account(&account.id) {
                let body = Bytes::from(body.to_string());
                self.hosts.replica.keep(&account.id, self.stage.now(), body);
            }
        }
    }

    fn verb(&mut self, number: usize, step: Step, accounts: &[Known]) -> Option<Verb> {
        if step.happening == Happening::Link {
            // A bank of its own each time: whoever links the same accounts once more replaces the
            // old link, which is another story.
            let bank = format!("Bank {number}");
            let holder = format!("cus_Simulated{}", step.pick % 3);
            let count = usize::try_from(1 + step.pick / 3 % 4).unwrap_or(1);
            return Some(Verb::Link(Link::of(&holder, &bank, count)));
        }
        // What is inactive already changes its details without any event: only a read tells.
        let breaks_one = matches!(step.happening, Happening::DenyOne | Happening::CloseOne);
        let linked = accounts.iter().filter(|one| match one.status.as_str() {
            "active" => true,
            "inactive" => !breaks_one,
            _ => false,
        });
        let linked: Vec<&Known> = linked.collect();
        let place = usize::try_from(step.pick).unwrap_or(0).checked_rem(linked.len())?;
        let Known { id, authorization, .. } = linked[place];
        let (account, authorization) = (id.clone(), authorization.clone());
        Some(self.about(step, account, authorization))
    }

    fn about(&mut self, step: Step, account: String, authorization: String) -> Verb {
        let soon = |minutes: u64| {
            let minutes = i64::try_from(minutes).unwrap_or(0);
            self.stage.now().0.div_euclid(1000) + minutes * 60
        };
        let relink = Relink {
            authorization: Some(authorization.clone()),
            send_session: !step.pick.is_multiple_of(4),
            ..Relink::default()
        };
        match step.happening {
            Happening::Link | Happening::Expire => Verb::Expire { authorization },
            Happening::DenyOne => Verb::Deny(Target::Account(account)),
            Happening::Revoke => Verb::Revoke { authorization },
            Happening::CloseOne => Verb::Close { account },
            Happening::ReactivateOne => Verb::Reactivate(Target::Account(account)),
            Happening::ReactivateAll => Verb::Reactivate(Target::Authorization(authorization)),
            Happening::Relink => Verb::Relink(relink),
            Happening::RelinkSilently => Verb::Relink(Relink { silent_siblings: true, ..relink }),
            Happening::RelinkOne => {
                Verb::Relink(Relink { accounts: Some(vec![account]), ..relink })
            }
            Happening::RelinkElsewhere => {
                Verb::Relink(Relink { new_authorization: true, ..relink })
            }
            Happening::RelinkAnew => {
                Verb::Relink(Relink { new_authorization: true, new_account_ids: true, ..relink })
            }
            Happening::RelinkInVain => {
                let outcomes = [Outcome::NoAccount, Outcome::NoAuthorization, Outcome::Cancelled];
                let outcome = outcomes[usize::try_from(step.pick / 4 % 3).unwrap_or(0)];
                Verb::Relink(Relink { outcome, send_session: true, ..relink })
            }
            Happening::Disconnect => Verb::Disconnect { account },
            Happening::Warn => {
                let expected_deactivation_date = soon(10 + step.pick % 90);
                Verb::Warn { authorization, expected_deactivation_date, cause: None }
            }
            Happening::MoveDate => Verb::MoveDate {
                authorization,
                expected_deactivation_date: Some(soon(20 + step.pick % 200)),
                action: step.pick.is_multiple_of(2).then_some(Action::RelinkRequired),
                cause: Some(Cause::AccessExpired),
            },
            Happening::RemoveDate => Verb::MoveDate {
                authorization,
                expected_deactivation_date: None,
                action: None,
                cause: None,
            },
            Happening::NumberExpires => {
                Verb::Numbers { account, status: NumberStatus::Expired, expected_expiry_date: None }
            }
            Happening::Refresh => Verb::Refresh {
                account,
                feature: Feature::Balance,
                status: RefreshStatus::Succeeded,
            },
        }
    }
}

//! What a change of one account's status means for the platform's data.

use std::sync::Arc;

use crate::account::Account;
use crate::aggregate::Aggregate;
use crate::bug::{Bug, is_planted};
use crate::command::{Body, PauseData, RefreshData, ReplaceAccount, ResumeData};
use crate::decide::Deciding;
use crate::id::AccountId;
use crate::observation::Status;
use crate::register::value;

impl Deciding<'_> {
    /// Pause, resume, refresh, replace.
    pub(crate) fn tell_platform(
        &mut self,
        aggregate: &Aggregate,
        id: &AccountId,
        account: &mut Account,
        before: Option<Status>,
    ) {
        let Some(status) = account.status() else { return };
        if before != Some(status) {
            account.version +=
                u64::from(!is_planted(Bug::VersionNotRaised) || account.version == 0);
        }
        match (status, account.paused) {
            (Status::Active, true) => self.resume(aggregate, id, account),
            (Status::Active, false) | (_, true) => {}
            (_, false) => self.pause(aggregate, id, account),
        }
        let lost = status == Status::Disconnected || account.is_beyond_repair();
        if lost && account.replaced_version != Some(account.version) {
            account.replaced_version = Some(account.version);
            let body = Body::ReplaceAccount(ReplaceAccount {
                about: aggregate.about(),
                account: id.clone(),
                cause: cause(account),
            });
            self.account_command(aggregate, id, "replace", account.version, body);
        }
    }

    fn pause(&mut self, aggregate: &Aggregate, id: &AccountId, account: &mut Account) {
        account.paused = true;
        let action = account.inactive_details().map(|details| details.action.as_str().into());
        let body = Body::PauseData(PauseData {
            about: aggregate.about(),
            account: id.clone(),
            cause: cause(account),
            action,
            account_version: account.version,
        });
        self.account_command(aggregate, id, "pause", account.version, body);
    }

    fn resume(&mut self, aggregate: &Aggregate, id: &AccountId, account: &mut Account) {
        account.paused = false;
        let about = aggregate.about();
        let body = Body::ResumeData(ResumeData {
            about: about.clone(),
            account: id.clone(),
            account_version: account.version,
        });
        self.account_command(aggregate, id, "resume", account.version, body);
        let features = refreshable(account);
        if !features.is_empty() {
            let body = Body::RefreshData(RefreshData { about, account: id.clone(), features });
            self.account_command(aggregate, id, "refresh", account.version, body);
        }
    }

    fn account_command(
        &mut self,
        aggregate: &Aggregate,
        id: &AccountId,
        verb: &str,
        version: u64,
        body: Body,
    ) {
        let correlation = self.input_correlation();
        self.command(aggregate, id.as_str(), &format!("{verb}-{version}"), &correlation, body);
    }
}

/// Why the account is not active.
fn cause(account: &Account) -> Option<Arc<str>> {
    match account.status() {
        Some(Status::Disconnected) => Some("disconnected".into()),
        _ => account.inactive_details().and_then(|details| details.cause.clone()),
    }
}

/// What can be fetched again, by the permissions the customer gave.
fn refreshable(account: &Account) -> Vec<Arc<str>> {
    let Some(permissions) = value(&account.permissions) else {
        return Vec::new();
    };
    permissions
        .iter()
        .filter_map(|permission| match &**permission {
            "balances" => Some("balance"),
            "ownership" => Some("ownership"),
            "transactions" => Some("transactions"),
            _ => None,
        })
        .map(Arc::from)
        .collect()
}

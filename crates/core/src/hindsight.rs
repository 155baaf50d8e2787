//! Doubt that shows in hindsight: what arrives late may have been out of date before it came.
//!
//! A relink that succeeded, and an account that came back, make older news of the authorization
//! doubtful. Where that older news comes first, it is read back when the relink is told; where
//! it comes last, nothing but its stamp says that a relink has been there since.

use crate::account::{Account, Merged};
use crate::aggregate::Aggregate;
use crate::command::Because;
use crate::decide::Deciding;
use crate::fact::Before;
use crate::id::AccountId;
use crate::observation::{Action, Source, Stamp};
use crate::register::Register;
use crate::time::Second;

impl Aggregate {
    /// The latest second at which something came back here, other than that account.
    fn relinked_since(&self, except: Option<&AccountId>) -> Option<Second> {
        let others = self.accounts.iter().filter(|(id, _)| Some(*id) != except);
        let came_back = others.filter_map(|(_, account)| account.came_back_at());
        came_back.chain(self.state.relinked_at).max()
    }
}

impl Deciding<'_> {
    /// An event of the account was merged; whatever it shows to be out of date is read back.
    pub(crate) fn doubt_in_hindsight(
        &mut self,
        aggregate: &mut Aggregate,
        id: &AccountId,
        account: &Account,
        before: &Before,
        merged: Merged,
    ) {
        let since = aggregate.relinked_since(Some(id));
        if let Some(since) = since
            && merged.changed
            && account.read_at() < Some(since)
            && is_outdated(account, since)
        {
            let needs_relink = account.needs_relink();
            let because = if needs_relink { Because::Siblings } else { Because::Forecast };
            self.ask_account(aggregate, id, because, since);
        }
        // An outage is told after its end: that it had come back from this one could not show
        // before, whichever earlier ones are known.
        if let Some(second) = account.came_back_at()
            && account.inactive > before.outage
        {
            self.suspect_siblings(aggregate, id, Stamp(second, Source::Event));
        }
        if account.expects_nothing_since() > before.expects_nothing {
            self.doubt_own_forecast(aggregate);
        }
    }

    /// Reads the authorization back where its forecast is older than what its accounts say.
    pub(crate) fn doubt_own_forecast(&mut self, aggregate: &mut Aggregate) {
        let Some(Register(Stamp(at, Source::Event), Some(forecast))) = &aggregate.state.forecast
        else {
            return;
        };
        let accounts = aggregate.accounts.values();
        let unexpecting = accounts.filter_map(Account::expects_nothing_since).max();
        let since = unexpecting.max(aggregate.relinked_since(None));
        if forecast.action == Action::RelinkRequired
            && let Some(since) = since.filter(|since| since > at)
        {
            self.ask_authorization(aggregate, Because::Forecast, since);
        }
    }
}

/// Whether what the account says of itself is an event's word from before that second, or from
/// it: nothing tells which of two things of one second came first.
fn is_outdated(account: &Account, since: Second) -> bool {
    let before = |stamp: Stamp| stamp.1 == Source::Event && stamp.0 <= since;
    let forecast = account.active_details.as_ref().map(|Register(stamp, _)| *stamp);
    account.needs_relink() && account.inactive.is_some_and(before)
        || account.is_expiring() && forecast.is_some_and(before)
}

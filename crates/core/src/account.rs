//! One account: registers that are merged so that order and repeats cannot matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bug::{Bug, is_planted};
use crate::id::{AccountId, AuthorizationId, Home};
use crate::observation::{
    AccountNumber, AccountObservation, Action, Description, Details, Forecast, Holder,
    InactiveDetails, Source, Stamp, Status,
};
use crate::register::{Joined, Register, contradiction, join, value};
use crate::time::{Second, Time};

/// What is known of an account.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// For each status, the latest stamp at which it was observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<Stamp>,
    /// See [`Account::active`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive: Option<Stamp>,
    /// See [`Account::active`]; once set, the account is disconnected for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disconnected: Option<Stamp>,
    /// The latest cause and action that came with "inactive".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive_details: Option<Register<InactiveDetails>>,
    /// The latest forecast, or its absence, that came with "active".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_details: Option<Register<Option<Forecast>>>,
    /// Every authorization that was named, with the first and the last stamp.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub authorizations: BTreeMap<AuthorizationId, (Stamp, Stamp)>,
    /// Account numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Register<Vec<AccountNumber>>>,
    /// The customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<Register<Holder>>,
    /// `fcinst_…`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub institution: Option<Register<Arc<str>>>,
    /// The bank's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub institution_name: Option<Register<Arc<str>>>,
    /// The last four digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last4: Option<Register<Arc<str>>>,
    /// The account's name at the bank.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<Register<Arc<str>>>,
    /// `checking`, `savings`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subcategory: Option<Register<Arc<str>>>,
    /// What the customer permitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Register<Vec<Arc<str>>>>,
    /// When it was linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Register<Second>>,
    /// Grows with every applied change of status.
    pub version: u64,
    /// Whether the last command about its data said "pause".
    pub paused: bool,
    /// The version in which a replacement was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_version: Option<u64>,
}

/// What merging an observation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Merged {
    /// Something that is known changed its value.
    pub changed: bool,
    /// Later news is known, and it changed nothing.
    pub stale: bool,
    /// Two observations of one second contradict each other, and nothing tells which was last.
    pub tied: bool,
    /// How many seconds before a read an event told something else, of what is not the status.
    pub contradiction: Option<i64>,
    /// It is the latest observation of its status, if not of all.
    pub fresh_status: bool,
}

impl Account {
    /// The current status: the one observed last; `None` while no body has told.
    pub fn status(&self) -> Option<Status> {
        if self.disconnected.is_some() {
            return Some(Status::Disconnected);
        }
        // `>` and not `>=`: at one stamp the graver status stands, see [`Status`].
        match (self.active, self.inactive) {
            (None, None) => None,
            (active, inactive) if active > inactive => Some(Status::Active),
            _ => Some(Status::Inactive),
        }
    }

    /// Whether it is inactive.
    pub fn is_inactive(&self) -> bool {
        self.status() == Some(Status::Inactive)
    }

    /// Cause and action, where they belong to the current outage.
    pub fn inactive_details(&self) -> Option<&InactiveDetails> {
        let Register(stamp, details) = self.inactive_details.as_ref()?;
        (self.is_inactive() && Some(*stamp) >= self.active).then_some(details)
    }

    /// The forecast, where it belongs to the current activity.
    pub fn forecast(&self) -> Option<&Forecast> {
        let Register(stamp, details) = self.active_details.as_ref()?;
        let current = self.status() == Some(Status::Active) && Some(*stamp) > self.inactive;
        current.then_some(details.as_ref()).flatten()
    }

    /// Inactive, and a relink repairs it.
    pub fn needs_relink(&self) -> bool {
        self.inactive_details().is_some_and(|details| details.action == Action::RelinkRequired)
    }

    /// Inactive, and nobody said what helps; a word we do not know counts as nothing said.
    pub fn is_unexplained(&self) -> bool {
        self.is_inactive()
            && self
                .inactive_details()
                .is_none_or(|details| matches!(details.action, Action::Other(_)))
    }

    /// Inactive, and nothing helps.
    pub fn is_beyond_repair(&self) -> bool {
        self.inactive_details().is_some_and(|details| details.action == Action::None)
    }

    /// Active, with a date that a relink would move out.
    pub fn is_expiring(&self) -> bool {
        self.forecast().is_some_and(|forecast| forecast.action == Action::RelinkRequired)
    }

    /// When its tokenized number stops being of use: `None` where it has none, or does not pay
    /// by it, or an entry still works without a date.
    ///
    /// An entry that is expired or deactivated counts as of now. While any entry lasts longer,
    /// the others do not matter: a renewal leaves the old entry behind.
    pub fn numbers_end(&self, now: Time) -> Option<Time> {
        let pays = value(&self.permissions)?.iter().any(|name| &**name == "payment_method");
        if !pays || self.status() != Some(Status::Active) {
            return None;
        }
        let ends = value(&self.numbers)?.iter().filter(|number| number.tokenized).map(|number| {
            match (&*number.status, number.expected_expiry) {
                ("expired" | "deactivated", _) => Some(now),
                (_, expiry) => expiry.map(Second::as_time),
            }
        });
        ends.map(|end| end.unwrap_or(Time(i64::MAX))).max().filter(|end| *end != Time(i64::MAX))
    }

    /// Its authorization: the one named last.
    pub fn authorization(&self) -> Option<&AuthorizationId> {
        self.authorizations.iter().map(|(id, stamp)| (stamp, id)).max().map(|(_, id)| id)
    }

    /// Authorizations it was on before; their aggregates have to know where it went.
    pub fn past_authorizations(&self) -> impl Iterator<Item = &AuthorizationId> {
        let current = self.authorization();
        self.authorizations.keys().filter(move |id| Some(*id) != current)
    }

    /// Where it lives.
    pub fn home(&self, id: &AccountId) -> Home {
        match self.authorization() {
            Some(authorization) => Home::Authorization(authorization.clone()),
            None => Home::Provisional(id.clone()),
        }
    }

    /// When it was last seen active after an outage; whichever of the two arrived first.
    pub fn came_back_at(&self) -> Option<Second> {
        let Stamp(second, _) = self.active?;
        let came_back = self.inactive.is_some() && self.status() == Some(Status::Active);
        came_back.then_some(second)
    }

    /// When it last was something that makes an older forecast of its authorization doubtful:
    /// broken, disconnected, or active with nothing expected.
    pub fn expects_nothing_since(&self) -> Option<Second> {
        let unexpecting = self.active_details.as_ref().filter(|register| register.1.is_none());
        let unexpecting = unexpecting.map(|Register(stamp, _)| *stamp);
        let stamps = [self.inactive, self.disconnected, unexpecting];
        stamps.into_iter().flatten().max().map(|Stamp(second, _)| second)
    }

    /// The second of the latest read that told its status.
    pub fn read_at(&self) -> Option<Second> {
        [self.active, self.inactive, self.disconnected]
            .into_iter()
            .flatten()
            .filter(|Stamp(_, source)| *source == Source::Read)
            .map(|Stamp(second, _)| second)
            .max()
    }

    /// Whether its status was read after that observation: in the second of an event nothing
    /// tells which of the two is newer, while reads of one second belong together.
    pub fn is_read_since(&self, stamp: Stamp) -> bool {
        match stamp.1 {
            Source::Event => self.read_at() > Some(stamp.0),
            Source::Read => self.read_at() >= Some(stamp.0),
        }
    }

    /// The smallest distance, in seconds, between this stamp and a stamp of another status.
    pub fn nearest_contradiction(&self, status: Status, stamp: Stamp) -> Option<i64> {
        let others = [
            (Status::Active, self.active),
            (Status::Inactive, self.inactive),
            (Status::Disconnected, self.disconnected),
        ];
        others
            .into_iter()
            .filter(|(other, _)| *other != status)
            .filter_map(|(_, other)| other)
            .map(|other| other.0.0.saturating_sub(stamp.0.0).saturating_abs())
            .min()
    }

    /// Merges an observation: each register keeps the later one.
    pub fn merge(&mut self, seen: &AccountObservation) -> Merged {
        let before = (self.status(), self.authorization().cloned());
        let mut tally = Tally::default();
        self.merge_status(seen, &mut tally);
        self.merge_details(seen, &mut tally);
        if let Some(authorization) = &seen.authorization {
            tally.tied |= self
                .authorizations
                .iter()
                .any(|(id, (_, last))| *last == seen.stamp && id != authorization);
            let newest = self.authorizations.values().map(|(_, last)| *last).max();
            let older = Some(seen.stamp) < newest;
            tally.count(if older { Joined::Older } else { Joined::Same });
            let (first, last) = self
                .authorizations
                .entry(authorization.clone())
                .or_insert((seen.stamp, seen.stamp));
            *first = seen.stamp.min(*first);
            *last = seen.stamp.max(*last);
        }
        if let Some(numbers) = &seen.numbers {
            tally.doubt(contradiction(&self.numbers, seen.stamp, numbers));
            tally.count(join(&mut self.numbers, seen.stamp, numbers.clone()));
        }
        self.merge_description(&seen.description, seen.stamp, &mut tally);
        let moved = before != (self.status(), self.authorization().cloned());
        let changed = moved || tally.changed;
        let older = match seen.status {
            Some(_) => tally.older_status,
            None => tally.parts > 0 && tally.older == tally.parts,
        };
        Merged {
            changed,
            stale: older && !changed,
            tied: tally.tied,
            contradiction: tally.contradiction,
            fresh_status: tally.fresh_status,
        }
    }

    fn merge_status(&mut self, seen: &AccountObservation, tally: &mut Tally) {
        let Some(status) = seen.status else { return };
        let newest = [self.active, self.inactive, self.disconnected].into_iter().max().flatten();
        let slot = match status {
            Status::Active => &mut self.active,
            Status::Inactive => &mut self.inactive,
            Status::Disconnected => &mut self.disconnected,
        };
        let known = *slot;
        *slot = match is_planted(Bug::LateNewsWins) {
            true => Some(seen.stamp),
            false => known.max(Some(seen.stamp)),
        };
        tally.older_status = Some(seen.stamp) < newest;
        // Between two events (or two reads) nothing but a further read can tell which was last.
        tally.fresh_status = known < Some(seen.stamp);
        tally.tied |= newest == Some(seen.stamp) && known != Some(seen.stamp);
    }

    fn merge_details(&mut self, seen: &AccountObservation, tally: &mut Tally) {
        let (effective_inactive, effective_forecast) =
            (self.inactive_details().cloned(), self.forecast().cloned());
        let joined = match (&seen.details, seen.status) {
            (Details::Inactive(details), Some(Status::Inactive)) => {
                tally.doubt(contradiction(&self.inactive_details, seen.stamp, details));
                join(&mut self.inactive_details, seen.stamp, details.clone())
            }
            (Details::Active(forecast), Some(Status::Active)) => {
                tally.doubt(contradiction(&self.active_details, seen.stamp, forecast));
                join(&mut self.active_details, seen.stamp, forecast.clone())
            }
            _ => return,
        };
        tally.parts += 1;
        tally.older += u32::from(joined == Joined::Older);
        tally.changed |= effective_inactive.as_ref() != self.inactive_details()
            || effective_forecast.as_ref() != self.forecast();
    }

    fn merge_description(&mut self, seen: &Description, stamp: Stamp, tally: &mut Tally) {
        fn one<T: Ord + Clone>(
            slot: &mut Option<Register<T>>,
            stamp: Stamp,
            seen: &Option<T>,
            tally: &mut Tally,
        ) {
            if let Some(seen) = seen {
                // Most bodies repeat what is known: compare before cloning.
                let joined = match slot {
                    Some(Register(at, known)) if known == seen => {
                        let joined = if stamp < *at { Joined::Older } else { Joined::Same };
                        *at = stamp.max(*at);
                        joined
                    }
                    _ => join(slot, stamp, seen.clone()),
                };
                // Ties among descriptions never lead to a read: nothing hangs on them.
                tally.count(joined);
            }
        }
        one(&mut self.holder, stamp, &seen.holder, tally);
        one(&mut self.institution, stamp, &seen.institution, tally);
        one(&mut self.institution_name, stamp, &seen.institution_name, tally);
        one(&mut self.last4, stamp, &seen.last4, tally);
        one(&mut self.display_name, stamp, &seen.display_name, tally);
        one(&mut self.subcategory, stamp, &seen.subcategory, tally);
        one(&mut self.permissions, stamp, &seen.permissions, tally);
        one(&mut self.created, stamp, &seen.created, tally);
    }
}

#[derive(Default)]
struct Tally {
    parts: u32,
    older: u32,
    changed: bool,
    tied: bool,
    contradiction: Option<i64>,
    fresh_status: bool,
    older_status: bool,
}

impl Tally {
    fn doubt(&mut self, distance: Option<i64>) {
        self.tied |= distance == Some(0);
        self.contradiction = [self.contradiction, distance].into_iter().flatten().min();
    }

    fn count(&mut self, joined: Joined) {
        self.parts += 1;
        self.older += u32::from(joined == Joined::Older);
        self.changed |= joined == Joined::Changed;
    }
}

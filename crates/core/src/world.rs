//! The aggregates that a decision may touch, as they were loaded under lock.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::aggregate::Aggregate;
use crate::id::{AccountId, AccountKey, AuthorizationId, Home, HomeKey, Scope};
use crate::input::{Happened, Input};
use crate::observation::{AccountObservation, RelinkOutcome, Status};

/// Everything that was loaded, and what has changed since.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Boxed: each input takes one out and puts it back, and the map moves its neighbours aside.
    aggregates: BTreeMap<HomeKey, Box<Aggregate>>,
    homes: HashMap<AccountKey, HomeKey>,
    /// By holder, those that are or were theirs: every account that is linked or lost looks for
    /// its relatives, and a batch has hundreds of homes.
    holders: HashMap<Arc<str>, BTreeSet<HomeKey>>,
    /// Accounts to write.
    pub changed_accounts: BTreeSet<AccountKey>,
    /// Aggregates whose state is to be written.
    pub changed_homes: BTreeSet<HomeKey>,
}

impl World {
    /// Puts in what was loaded.
    pub fn insert(&mut self, aggregate: Aggregate) {
        for account in aggregate.accounts.keys() {
            let key = AccountKey { scope: aggregate.key.scope.clone(), account: account.clone() };
            self.homes.insert(key, aggregate.key.clone());
        }
        self.put_back(Box::new(aggregate));
    }

    /// One aggregate.
    pub fn get(&self, key: &HomeKey) -> Option<&Aggregate> {
        self.aggregates.get(key).map(|found| &**found)
    }

    /// All of them, in the order of their keys.
    pub fn aggregates(&self) -> impl Iterator<Item = &Aggregate> {
        self.aggregates.values().map(|one| &**one)
    }

    /// Where an account lives.
    pub fn home_of(&self, key: &AccountKey) -> Option<&HomeKey> {
        self.homes.get(key)
    }

    /// Takes an aggregate out to work on it, empty where it is new.
    pub(crate) fn take(&mut self, key: &HomeKey) -> Box<Aggregate> {
        let there = self.aggregates.remove(key);
        there.unwrap_or_else(|| Box::new(Aggregate::new(key.clone())))
    }

    /// Puts it back, without touching where accounts live.
    pub(crate) fn put_back(&mut self, aggregate: Box<Aggregate>) {
        if let Some(holder) = aggregate.holder() {
            match self.holders.get_mut(&holder.id) {
                Some(theirs) if theirs.contains(&aggregate.key) => {}
                Some(theirs) => _ = theirs.insert(aggregate.key.clone()),
                None => {
                    let theirs = BTreeSet::from([aggregate.key.clone()]);
                    self.holders.insert(Arc::clone(&holder.id), theirs);
                }
            }
        }
        self.aggregates.insert(aggregate.key.clone(), aggregate);
    }

    /// An account has a new home.
    pub(crate) fn settle_at(&mut self, account: AccountKey, home: HomeKey) {
        self.homes.insert(account, home);
    }

    /// Other authorizations of the same holder.
    pub(crate) fn relatives<'a>(
        &'a self,
        of: &'a HomeKey,
        holder: &'a str,
    ) -> impl Iterator<Item = &'a Aggregate> {
        let theirs = self.holders.get(holder).into_iter().flatten();
        theirs.filter_map(|key| self.get(key)).filter(move |other| {
            other.key.scope == of.scope
                && other.key != *of
                && !other.key.home.is_provisional()
                && other.holder().is_some_and(|known| &*known.id == holder)
        })
    }
}

/// What has to be loaded before inputs can be decided.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Accounts that are named: their rows are locked, with their homes.
    pub accounts: BTreeSet<AccountKey>,
    /// Homes that are named.
    pub homes: BTreeSet<HomeKey>,
    /// Other authorizations of the same holder, which this account may replace or be replaced by.
    pub relatives: BTreeSet<Relatives>,
    /// Homes to look at without locking: the takers-over of those whose timers are due.
    pub follow_superseded: bool,
}

/// A holder whose authorizations have to be looked at together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Relatives {
    /// Whose.
    pub scope: Scope,
    /// The holder's id.
    pub holder: Arc<str>,
    /// The account that asks.
    pub account: AccountId,
    /// Whether they are wanted even where the account is known already.
    pub always: bool,
}

impl Wanted {
    /// Adds what one input needs.
    pub fn add(&mut self, input: &Input) {
        match &input.happened {
            Happened::AccountObserved(seen) => self.add_account(&input.scope, seen),
            Happened::AuthorizationObserved(seen) => {
                self.add_authorization(&input.scope, &seen.authorization);
            }
            Happened::SessionObserved(seen) => {
                self.add_authorization(&input.scope, &seen.authorization);
                if let Some(RelinkOutcome::NewAuthorization(id)) = &seen.outcome {
                    self.add_authorization(&input.scope, id);
                }
                for account in &seen.accounts {
                    self.add_account(&input.scope, account);
                }
            }
            Happened::AccountMissing(account) => {
                let key = AccountKey { scope: input.scope.clone(), account: account.clone() };
                self.accounts.insert(key);
            }
            Happened::AuthorizationMissing(id) => self.add_authorization(&input.scope, id),
            Happened::TimerDue(home) => {
                self.homes.insert(home.clone());
                self.follow_superseded = true;
            }
            Happened::Ignored(_) => {}
        }
    }

    fn add_account(&mut self, scope: &Scope, seen: &AccountObservation) {
        let key = AccountKey { scope: scope.clone(), account: seen.account.clone() };
        self.accounts.insert(key);
        if let Some(id) = &seen.authorization {
            self.add_authorization(scope, id);
        }
        if let Some(holder) = &seen.description.holder {
            self.relatives.insert(Relatives {
                scope: scope.clone(),
                holder: holder.id.clone(),
                account: seen.account.clone(),
                // Only an inactive account can have been replaced; only an account that is new
                // to us can replace one.
                always: seen.status == Some(Status::Inactive),
            });
        }
    }

    fn add_authorization(&mut self, scope: &Scope, id: &AuthorizationId) {
        let home = Home::Authorization(id.clone());
        self.homes.insert(HomeKey { scope: scope.clone(), home });
    }
}

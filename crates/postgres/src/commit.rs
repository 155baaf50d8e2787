//! Writes what was decided, and commits, in one flight.

use std::collections::BTreeSet;

use bytes::BytesMut;
use relink_core::id::{AccountKey, Home, HomeKey};
use relink_core::world::World;
use relink_engine::store::{StoreError, Writes};

use crate::columns::{Accounts, Homes, Keys, Param};
use crate::error::Fault;
use crate::gather::Held;
use crate::outbox::{Bundles, note_bundles};
use crate::record_columns::{Cases, History, Inbox};
use crate::session::{self, Session};
use crate::sql::{self, Sql};

/// Commits, and notes which row each command has got.
pub(crate) async fn commit(
    session: &Session,
    writes: &mut Writes,
    held: &Held,
) -> Result<(), Fault> {
    let (places, seqs) = {
        let plan = Plan::of(writes, held)?;
        let flight = plan.flight();
        let sends = flight.iter().map(|(sql, params)| session.query(sql, params)).collect();
        let answers = session::commit(session, sends).await?;
        let places = plan.outbox.places();
        let of_outbox = answers.iter().rev().take(places.len()).rev().flatten();
        let seqs: Vec<i64> = of_outbox.map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        (places, seqs)
    };
    note_bundles(&mut writes.outbox, places, &seqs);
    Ok(())
}

/// How many bytes the values of a commit's statements take on the way to the server.
///
/// It does what [`Store::transact`](relink_engine::store::Store::transact) does between deciding
/// and sending, so that what this costs can be counted without a server.
///
/// # Errors
/// What was decided cannot be written; see [`StoreError::Refused`].
pub fn encoded_bytes(writes: &Writes) -> Result<usize, StoreError> {
    let world = &writes.world;
    // As if all of it had been there, and is locked.
    let settled = world.changed_accounts.iter().filter_map(|key| world.home_of(key));
    let homes: BTreeSet<HomeKey> = world.changed_homes.iter().chain(settled).cloned().collect();
    let accounts = world.changed_accounts.clone();
    let held = Held { accounts, homes: homes.clone(), known_homes: homes, ..Held::default() };
    let plan = Plan::of(writes, &held)?;
    let mut bytes = BytesMut::new();
    for (sql, params) in plan.flight() {
        for (param, kind) in params.into_iter().zip(sql.types) {
            param
                .to_sql_checked(kind, &mut bytes)
                .map_err(|error| StoreError::Refused(error.to_string()))?;
        }
    }
    Ok(bytes.len())
}

/// What is to be written, as columns.
struct Plan<'a> {
    void_accounts: Keys<'a>,
    void_homes: Keys<'a>,
    accounts: Accounts<'a>,
    homes: Homes<'a>,
    inbox: Inbox<'a>,
    history: History<'a>,
    cases: Cases<'a>,
    outbox: Bundles<'a>,
}

impl<'a> Plan<'a> {
    fn of(writes: &'a Writes, held: &'a Held) -> Result<Self, Fault> {
        let world = &writes.world;
        let (homes, void_homes) = plan_homes(world, held)?;
        let void_accounts = held.new_accounts.difference(&world.changed_accounts);
        Ok(Self {
            void_accounts: Keys::of_accounts(void_accounts),
            void_homes: Keys::of_homes(void_homes),
            accounts: plan_accounts(world, held)?,
            homes,
            inbox: Inbox::of(&writes.inbox),
            history: History::of(&writes.history),
            cases: Cases::of(&writes.cases)?,
            outbox: Bundles::of(&writes.outbox),
        })
    }

    /// The statements that have rows, in order, with their values; those of the outbox are the
    /// last.
    fn flight(&self) -> Vec<(&'static Sql, Vec<Param<'_>>)> {
        let all: [(usize, &'static Sql, Vec<Param<'_>>); 7] = [
            (
                self.void_accounts.ids.len(),
                &sql::DELETE_ACCOUNTS,
                self.void_accounts.params().into(),
            ),
            (self.void_homes.ids.len(), &sql::DELETE_HOMES, self.void_homes.params().into()),
            (self.accounts.states.len(), &sql::WRITE_ACCOUNTS, self.accounts.params().into()),
            (self.homes.states.len(), &sql::WRITE_HOMES, self.homes.params().into()),
            (self.inbox.ats.len(), &sql::WRITE_INBOX, self.inbox.params().into()),
            (self.history.ats.len(), &sql::WRITE_HISTORY, self.history.params().into()),
            (self.cases.states.len(), &sql::WRITE_CASES, self.cases.params().into()),
        ];
        let filled = all.into_iter().filter(|(rows, ..)| *rows > 0);
        let bundles = self.outbox.params().map(|params| (0, &sql::WRITE_OUTBOX, params));
        filled.chain(bundles).map(|(_, sql, params)| (sql, params)).collect()
    }
}

fn plan_accounts<'a>(world: &'a World, held: &Held) -> Result<Accounts<'a>, Fault> {
    let mut rows = Accounts::default();
    for key in &world.changed_accounts {
        let (home, account) = world
            .home_of(key)
            .and_then(|home| world.get(home))
            .and_then(|home| Some((home, home.accounts.get(&key.account)?)))
            .filter(|_| held.accounts.contains(key))
            .ok_or_else(|| {
                StoreError::Refused("the decision changes an account it does not name".into())
            })?;
        rows.push(key, &home.key, account)?;
    }
    Ok(rows)
}

/// The homes to write, and those whose row has to go: only locked, or empty for good.
fn plan_homes<'a>(
    world: &'a World,
    held: &'a Held,
) -> Result<(Homes<'a>, BTreeSet<&'a HomeKey>), Fault> {
    // A new account's home gets a row, whether or not its state differs from an empty one.
    let settled = world.changed_accounts.iter().filter_map(|key| world.home_of(key));
    let first = settled.filter(|home| !held.known_homes.contains(*home));
    let changed: BTreeSet<&HomeKey> = world.changed_homes.iter().chain(first).collect();
    let unlocked: BTreeSet<HomeKey> =
        changed.iter().filter(|home| !is_guarded(home, held)).map(|home| (*home).clone()).collect();
    if !unlocked.is_empty() {
        return Err(Fault::Unlocked(unlocked));
    }
    let mut rows = Homes::default();
    let mut void: BTreeSet<&HomeKey> =
        held.new_homes.iter().filter(|home| !changed.contains(home)).collect();
    for key in changed {
        match world.get(key).filter(|home| !home.is_void()) {
            Some(home) => rows.push(home)?,
            None => _ = void.insert(key),
        }
    }
    Ok((rows, void))
}

/// Whether this transaction may write the home: see the crate's invariant 3.
fn is_guarded(home: &HomeKey, held: &Held) -> bool {
    let by_account = || match &home.home {
        Home::Provisional(account) => held
            .accounts
            .contains(&AccountKey { scope: home.scope.clone(), account: account.clone() }),
        Home::Authorization(_) => false,
    };
    held.homes.contains(home) || by_account()
}

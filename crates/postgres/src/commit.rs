//! Writes what was decided, and commits, in one flight.

use std::collections::BTreeSet;

use relink_core::id::{AccountKey, Home, HomeKey};
use relink_core::world::World;
use relink_engine::store::{StoreError, Writes};

use crate::columns::{Accounts, Homes, Keys};
use crate::error::Fault;
use crate::gather::Held;
use crate::record_columns::{Cases, History, Inbox, Outbox};
use crate::session::{self, Session};
use crate::sql;

pub(crate) async fn commit(session: &Session, writes: &Writes, held: &Held) -> Result<(), Fault> {
    let world = &writes.world;
    let (homes, void_homes) = plan_homes(world, held)?;
    let void_accounts = Keys::of_accounts(held.new_accounts.difference(&world.changed_accounts));
    let void_homes = Keys::of_homes(void_homes);
    let accounts = plan_accounts(world, held)?;
    let inbox = Inbox::of(&writes.inbox);
    let history = History::of(&writes.history);
    let outbox = Outbox::of(&writes.outbox);
    let cases = Cases::of(&writes.cases)?;
    let flight = [
        (void_accounts.ids.len(), &sql::DELETE_ACCOUNTS, &void_accounts.params()[..]),
        (void_homes.ids.len(), &sql::DELETE_HOMES, &void_homes.params()),
        (accounts.states.len(), &sql::WRITE_ACCOUNTS, &accounts.params()),
        (homes.states.len(), &sql::WRITE_HOMES, &homes.params()),
        (inbox.ats.len(), &sql::WRITE_INBOX, &inbox.params()),
        (history.ats.len(), &sql::WRITE_HISTORY, &history.params()),
        (outbox.bodies.len(), &sql::WRITE_OUTBOX, &outbox.params()),
        (cases.states.len(), &sql::WRITE_CASES, &cases.params()),
    ];
    let sends = flight
        .iter()
        .filter(|(rows, ..)| *rows > 0)
        .map(|(_, sql, params)| session.query(sql, params))
        .collect();
    Ok(session::commit(session, sends).await?)
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

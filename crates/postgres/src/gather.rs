//! Locks and loads what a batch touches, and looks into the ledger.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::future::{try_join, try_join_all, try_join3, try_join4};
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, AccountKey, Home, HomeKey};
use relink_core::input::Input;
use relink_core::world::{Wanted, World};
use relink_engine::row::{account, home_key, scope, state};
use relink_engine::store::{Gathered, StoreError};
use tokio_postgres::Row;

use crate::columns::Keys;
use crate::day::Day;
use crate::error::Fault;
use crate::session::Session;
use crate::sql;

/// What a transaction holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// The named accounts: all are locked.
    pub(crate) accounts: BTreeSet<AccountKey>,
    /// The homes that are locked.
    pub(crate) homes: BTreeSet<HomeKey>,
    /// Homes that have a row with a state.
    pub(crate) known_homes: BTreeSet<HomeKey>,
    /// Accounts whose row was made to be locked.
    pub(crate) new_accounts: BTreeSet<AccountKey>,
    /// Homes whose row was made to be locked.
    pub(crate) new_homes: BTreeSet<HomeKey>,
}

/// Begins the transaction and brings in what the inputs want.
pub(crate) async fn gather(
    session: &Session,
    inputs: &[Input],
    wanted: &Wanted,
) -> Result<(Gathered, Held), Fault> {
    let mut held = Held { accounts: wanted.accounts.clone(), ..Held::default() };
    let (settled, past) = lock_accounts(session, wanted, &mut held).await?;
    let mut homes: BTreeSet<HomeKey> =
        wanted.homes.iter().chain(settled.values()).chain(&past).cloned().collect();
    homes.extend(lock_holders(session, wanted, &settled).await?);
    let (mut world, seen) = lock_homes(session, inputs, &homes, &mut held).await?;
    if wanted.follow_superseded {
        look_at_takers(session, &mut world).await?;
    }
    Ok((Gathered { world, seen }, held))
}

/// Begins, locks the named accounts and says where those that are known live, and on which
/// authorizations they have been: those have to know where an account went, see
/// `relink_core::account::Account::past_authorizations`.
async fn lock_accounts(
    session: &Session,
    wanted: &Wanted,
    held: &mut Held,
) -> Result<(BTreeMap<AccountKey, HomeKey>, BTreeSet<HomeKey>), Fault> {
    let keys = Keys::of_accounts(&wanted.accounts);
    let any = !wanted.accounts.is_empty();
    let (_, new, rows) = try_join3(
        session.batch(sql::BEGIN),
        session.query_if(any, &sql::STUB_ACCOUNTS, &[&keys.scopes, &keys.ids]),
        session.query_if(any, &sql::LOCK_ACCOUNTS, &[&keys.scopes, &keys.ids]),
    )
    .await?;
    for row in &new {
        held.new_accounts.insert(account_key(row.try_get(0)?, row.try_get(1)?)?);
    }
    let (mut settled, mut past) = (BTreeMap::new(), BTreeSet::new());
    for row in &rows {
        let (Some(home), Some(provisional)) = (row.try_get(2)?, row.try_get(3)?) else {
            continue;
        };
        let scope = row.try_get(0)?;
        settled.insert(account_key(scope, row.try_get(1)?)?, home_key(scope, home, provisional)?);
        for named in row.try_get::<_, Option<Vec<&str>>>(4)?.unwrap_or_default() {
            past.insert(home_key(scope, named, false)?);
        }
    }
    Ok((settled, past))
}

pub(crate) fn account_key(scope_text: &str, id: &str) -> Result<AccountKey, StoreError> {
    Ok(AccountKey { scope: scope(scope_text)?, account: AccountId::from(id) })
}

/// Locks the holders of accounts that may have replaced, or may have been replaced, and finds
/// their authorizations.
async fn lock_holders(
    session: &Session,
    wanted: &Wanted,
    settled: &BTreeMap<AccountKey, HomeKey>,
) -> Result<Vec<HomeKey>, Fault> {
    let mut holders = BTreeSet::new();
    for one in &wanted.relatives {
        let key = AccountKey { scope: one.scope.clone(), account: one.account.clone() };
        if one.always || !settled.contains_key(&key) {
            holders.insert((&one.scope, &*one.holder));
        }
    }
    if holders.is_empty() {
        return Ok(Vec::new());
    }
    let mut keys = Keys::default();
    for (scope, holder) in holders {
        keys.push(scope, holder);
    }
    let (_, _, rows) = try_join3(
        session.query(&sql::STUB_HOLDERS, &[&keys.scopes, &keys.ids]),
        session.query(&sql::LOCK_HOLDERS, &[&keys.scopes, &keys.ids]),
        session.query(&sql::RELATIVES, &[&keys.scopes, &keys.ids]),
    )
    .await?;
    let home = |row: &Row| Ok(home_key(row.try_get(0)?, row.try_get(1)?, false)?);
    rows.iter().map(home).collect()
}

/// Locks and loads the homes with all their accounts, then looks into the ledger: whoever decided
/// the same event before held the same locks and has committed.
async fn lock_homes(
    session: &Session,
    inputs: &[Input],
    homes: &BTreeSet<HomeKey>,
    held: &mut Held,
) -> Result<(World, Vec<bool>), Fault> {
    let keys = Keys::of_homes(homes);
    let any = !homes.is_empty();
    let (new, rows, accounts, seen) = try_join4(
        session.query_if(any, &sql::STUB_HOMES, &[&keys.scopes, &keys.ids, &keys.provisional]),
        session.query_if(any, &sql::LOCK_HOMES, &[&keys.scopes, &keys.ids]),
        session.query_if(any, &sql::LOAD_ACCOUNTS, &[&keys.scopes, &keys.ids]),
        look_into_ledger(session, inputs),
    )
    .await?;
    for row in &new {
        held.new_homes.insert(home_key(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?);
    }
    for row in &rows {
        let key = home_key(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?;
        if row.try_get::<_, Option<&str>>(3)?.is_some() {
            held.known_homes.insert(key.clone());
        }
        held.homes.insert(key);
    }
    Ok((assemble(&rows, &accounts)?, seen))
}

async fn look_into_ledger(
    session: &Session,
    inputs: &[Input],
) -> Result<Vec<bool>, tokio_postgres::Error> {
    let mut days: BTreeMap<Day, Vec<&str>> = BTreeMap::new();
    for input in inputs {
        days.entry(Day::of(input.at)).or_default().push(input.id.as_str());
    }
    let looks = days.iter().map(|(day, ids)| look_into_day(session, *day, ids));
    let found: HashSet<_> = try_join_all(looks).await?.into_iter().flatten().collect();
    let is_seen = |input: &Input| {
        !found.is_empty()
            && found.contains(&(
                Day::of(input.at),
                input.scope.to_string(),
                input.id.as_str().into(),
            ))
    };
    Ok(inputs.iter().map(is_seen).collect())
}

async fn look_into_day(
    session: &Session,
    day: Day,
    ids: &[&str],
) -> Result<Vec<(Day, String, String)>, tokio_postgres::Error> {
    let rows = session.query(&sql::SEEN, &[&day, &ids]).await?;
    rows.iter().map(|row| Ok((day, row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Loads the authorizations that took over, without locking them.
async fn look_at_takers(session: &Session, world: &mut World) -> Result<(), Fault> {
    let takers: BTreeSet<HomeKey> = world
        .aggregates()
        .filter_map(|left| {
            let home = Home::Authorization(left.taken_over_by()?.clone());
            Some(HomeKey { scope: left.key.scope.clone(), home })
        })
        .filter(|taker| world.get(taker).is_none())
        .collect();
    if takers.is_empty() {
        return Ok(());
    }
    let keys = Keys::of_homes(&takers);
    let (rows, accounts) = try_join(
        session.query(&sql::LOOK_AT_HOMES, &[&keys.scopes, &keys.ids]),
        session.query(&sql::LOAD_ACCOUNTS, &[&keys.scopes, &keys.ids]),
    )
    .await?;
    for aggregate in assemble_all(&rows, &accounts)?.into_values() {
        world.insert(aggregate);
    }
    Ok(())
}

fn assemble(homes: &[Row], accounts: &[Row]) -> Result<World, Fault> {
    let mut world = World::default();
    for aggregate in assemble_all(homes, accounts)?.into_values() {
        world.insert(aggregate);
    }
    Ok(world)
}

/// Aggregates from rows of (scope, id, provisional, state) and of (scope, id, home, provisional,
/// state); one that is only a lock is left out.
pub(crate) fn assemble_all(
    homes: &[Row],
    accounts: &[Row],
) -> Result<BTreeMap<HomeKey, Aggregate>, Fault> {
    let mut all = BTreeMap::new();
    for row in homes {
        let Some(stored) = row.try_get::<_, Option<&str>>(3)? else {
            continue;
        };
        let key = home_key(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?;
        let mut aggregate = Aggregate::new(key.clone());
        aggregate.state = state(stored)?;
        all.insert(key, aggregate);
    }
    for row in accounts {
        let key = home_key(row.try_get(0)?, row.try_get(2)?, row.try_get(3)?)?;
        let id = AccountId::from(row.try_get::<_, &str>(1)?);
        let loaded = account(row.try_get(4)?)?;
        let aggregate = all.entry(key).or_insert_with_key(|key| Aggregate::new(key.clone()));
        aggregate.accounts.insert(id, loaded);
    }
    Ok(all)
}

//! Gather, decide, commit: one batch behind one savepoint.

use std::collections::BTreeSet;

use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, AccountKey, AuthorizationId, Home, HomeKey, Scope};
use relink_core::input::Input;
use relink_core::world::{Wanted, World};
use relink_engine::row::{account, home_key, state};
use relink_engine::store::{Decide, Gathered, StoreError, Writes};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use crate::day::day;
use crate::error::classify;
use crate::sql;
use crate::write::write;

pub(crate) fn transact(
    connection: &Connection,
    inputs: &[Input],
    decide: &Decide,
) -> Result<Writes, StoreError> {
    let gathered = gather(connection, inputs)?;
    let mut writes = decide(gathered).map_err(StoreError::Undecided)?;
    write(connection, &mut writes)?;
    Ok(writes)
}

fn gather(connection: &Connection, inputs: &[Input]) -> Result<Gathered, StoreError> {
    let mut wanted = Wanted::default();
    for input in inputs {
        wanted.add(input);
    }
    let mut homes = wanted.homes;
    let mut known = BTreeSet::new();
    for key in wanted.accounts {
        if let Some(home) = home_of(connection, &key)? {
            homes.insert(home);
            known.insert(key);
        }
    }
    let mut holders = BTreeSet::new();
    for one in wanted.relatives {
        let key = AccountKey { scope: one.scope.clone(), account: one.account };
        if one.always || !known.contains(&key) {
            holders.insert((one.scope, one.holder));
        }
    }
    for (scope, holder) in &holders {
        homes.extend(relatives(connection, scope, holder)?);
    }
    let mut world = World::default();
    load(connection, homes, &mut world)?;
    let past = past_homes(&world, &known);
    load(connection, past, &mut world)?;
    if wanted.follow_superseded {
        let takers = takers(&world);
        load(connection, takers, &mut world)?;
    }
    let seen = inputs.iter().map(|input| is_seen(connection, input)).collect::<Result<_, _>>()?;
    Ok(Gathered { world, seen })
}

/// The authorizations that these accounts have been on: they have to know where an account went.
fn past_homes(world: &World, accounts: &BTreeSet<AccountKey>) -> BTreeSet<HomeKey> {
    let past =
        accounts.iter().filter_map(|key| {
            let account = world.get(world.home_of(key)?)?.accounts.get(&key.account)?;
            Some(account.past_authorizations().map(|id| HomeKey {
                scope: key.scope.clone(),
                home: Home::Authorization(id.clone()),
            }))
        });
    past.flatten().filter(|home| world.get(home).is_none()).collect()
}

fn takers(world: &World) -> BTreeSet<HomeKey> {
    let taker = |left: &Aggregate| {
        let home = Home::Authorization(left.taken_over_by()?.clone());
        Some(HomeKey { scope: left.key.scope.clone(), home })
    };
    world.aggregates().filter_map(taker).filter(|taker| world.get(taker).is_none()).collect()
}

fn load(
    connection: &Connection,
    homes: BTreeSet<HomeKey>,
    world: &mut World,
) -> Result<(), StoreError> {
    for key in homes {
        if let Some(aggregate) = aggregate(connection, key)? {
            world.insert(aggregate);
        }
    }
    Ok(())
}

/// A home with its accounts; `None` where there is neither.
pub(crate) fn aggregate(
    connection: &Connection,
    key: HomeKey,
) -> Result<Option<Aggregate>, StoreError> {
    let scope = key.scope.to_string();
    let (id, provisional) = (key.home.as_str().to_owned(), key.home.is_provisional());
    let params: [&dyn ToSql; 3] = [&id, &scope, &provisional];
    let stored: Option<String> = one(connection, sql::HOME, &params, |row| row.get(0))?;
    let accounts = many(connection, sql::ACCOUNTS, &params, |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    })?;
    if stored.is_none() && accounts.is_empty() {
        return Ok(None);
    }
    let mut aggregate = Aggregate::new(key);
    if let Some(stored) = stored {
        aggregate.state = state(&stored)?;
    }
    for (id, stored) in accounts {
        aggregate.accounts.insert(AccountId::new(id), account(&stored)?);
    }
    Ok(Some(aggregate))
}

fn home_of(connection: &Connection, key: &AccountKey) -> Result<Option<HomeKey>, StoreError> {
    let scope = key.scope.to_string();
    let params: [&dyn ToSql; 2] = [&key.account.as_str(), &scope];
    let found: Option<(String, bool)> =
        one(connection, sql::HOME_OF, &params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.map(|(home, provisional)| home_key(&scope, &home, provisional)).transpose()
}

fn relatives(
    connection: &Connection,
    scope: &Scope,
    holder: &str,
) -> Result<Vec<HomeKey>, StoreError> {
    let params: [&dyn ToSql; 2] = [&holder, &scope.to_string()];
    many(connection, sql::RELATIVES, &params, |row| {
        let home = Home::Authorization(AuthorizationId::new(row.get::<_, String>(0)?));
        Ok(HomeKey { scope: scope.clone(), home })
    })
}

fn is_seen(connection: &Connection, input: &Input) -> Result<bool, StoreError> {
    let params: [&dyn ToSql; 3] = [&input.id.as_str(), &input.scope.to_string(), &day(input.at)];
    Ok(one(connection, sql::SEEN, &params, |_| Ok(()))?.is_some())
}

/// The first row.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    statement.query_row(params, read).optional().map_err(classify)
}

/// All rows.
pub(crate) fn many<T>(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    let rows = statement.query_map(params, read).map_err(classify)?;
    rows.collect::<Result<_, _>>().map_err(classify)
}

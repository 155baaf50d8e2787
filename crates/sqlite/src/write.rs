//! Writes what was decided.

use std::collections::BTreeSet;

use relink_core::account::Account;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountKey, HomeKey};
use relink_core::register::value;
use relink_core::world::World;
use relink_engine::row::{cause_and_action, json, signed, superseded_by};
use relink_engine::store::{Bundle, CaseRow, HistoryRow, InboxRow, OutboxRow, StoreError, Writes};
use rusqlite::{Connection, ToSql};

use crate::day::day;
use crate::error::classify;
use crate::sql;
use crate::transact::one;

/// Writes all of it, and notes which row each command has got.
pub(crate) fn write(connection: &Connection, writes: &mut Writes) -> Result<(), StoreError> {
    let world = &writes.world;
    let mut changed: BTreeSet<&HomeKey> = world.changed_homes.iter().collect();
    for key in &world.changed_accounts {
        let home = write_account(connection, world, key)?;
        // A home gets a row with its first account, whether or not its state says anything yet.
        if !changed.contains(home) && !has_row(connection, home)? {
            changed.insert(home);
        }
    }
    for key in changed {
        match world.get(key).filter(|home| !home.is_void()) {
            Some(home) => write_home(connection, home)?,
            None => delete_home(connection, key)?,
        }
    }
    writes.inbox.iter().try_for_each(|row| write_inbox(connection, row))?;
    writes.history.iter().try_for_each(|row| write_history(connection, row))?;
    writes.outbox.iter_mut().try_for_each(|row| write_outbox(connection, row))?;
    writes.cases.iter().try_for_each(|row| write_case(connection, row))
}

pub(crate) fn run(
    connection: &Connection,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<usize, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(classify)?;
    statement.execute(params).map_err(classify)
}

/// Updates the row, or writes it where the update does not find it as it expects.
fn write_or(
    connection: &Connection,
    update: &str,
    write: &str,
    params: &[&dyn ToSql],
) -> Result<(), StoreError> {
    if run(connection, update, params)? == 0 {
        run(connection, write, params)?;
    }
    Ok(())
}

/// Writes an account and says where it lives.
fn write_account<'a>(
    connection: &Connection,
    world: &'a World,
    key: &AccountKey,
) -> Result<&'a HomeKey, StoreError> {
    let home = world.home_of(key).and_then(|home| world.get(home));
    let (home, account) = home
        .and_then(|home| Some((home, home.accounts.get(&key.account)?)))
        .ok_or_else(|| StoreError::Refused("the decision changes an account it lacks".into()))?;
    store_account(connection, key, &home.key, account)?;
    Ok(&home.key)
}

fn has_row(connection: &Connection, home: &HomeKey) -> Result<bool, StoreError> {
    let params: [&dyn ToSql; 3] =
        [&home.home.as_str(), &home.scope.to_string(), &home.home.is_provisional()];
    Ok(one(connection, sql::HOME, &params, |_| Ok(()))?.is_some())
}

fn store_account(
    connection: &Connection,
    key: &AccountKey,
    home: &HomeKey,
    account: &Account,
) -> Result<(), StoreError> {
    let (cause, action) = cause_and_action(account);
    let params: [&dyn ToSql; 12] = [
        &key.scope.to_string(),
        &key.account.as_str(),
        &home.home.as_str(),
        &home.home.is_provisional(),
        &account.status().map(|status| status.as_str()),
        &cause,
        &action.map(|action| action.as_str()),
        &account.forecast().map(|it| it.date.0),
        &value(&account.holder).map(|holder| &*holder.id),
        &value(&account.last4).map(|last4| &**last4),
        &signed(account.version),
        &json(account)?,
    ];
    write_or(connection, sql::UPDATE_ACCOUNT, sql::WRITE_ACCOUNT, &params)
}

fn write_home(connection: &Connection, home: &Aggregate) -> Result<(), StoreError> {
    let summary = &home.state.summary;
    let params: [&dyn ToSql; 11] = [
        &home.key.scope.to_string(),
        &home.key.home.as_str(),
        &home.key.home.is_provisional(),
        &summary.health.as_str(),
        &home.holder().map(|holder| &*holder.id),
        &home.institution_name().map(|name| &**name),
        &summary.expected_deactivation.map(|at| at.0),
        &summary.next_due.map(|at| at.0),
        &superseded_by(home),
        &home.state.case.is_some(),
        &json(&home.state)?,
    ];
    write_or(connection, sql::UPDATE_HOME, sql::WRITE_HOME, &params)
}

fn delete_home(connection: &Connection, key: &HomeKey) -> Result<(), StoreError> {
    let params: [&dyn ToSql; 3] =
        [&key.home.as_str(), &key.scope.to_string(), &key.home.is_provisional()];
    run(connection, sql::DELETE_HOME, &params).map(drop)
}

fn write_inbox(connection: &Connection, row: &InboxRow) -> Result<(), StoreError> {
    let params: [&dyn ToSql; 6] = [
        &day(row.at),
        &row.id.as_str(),
        &row.scope.to_string(),
        &&*row.kind,
        &row.at.0,
        &row.verdict.as_str(),
    ];
    run(connection, sql::WRITE_INBOX, &params).map(drop)
}

fn write_history(connection: &Connection, row: &HistoryRow) -> Result<(), StoreError> {
    let params: [&dyn ToSql; 12] = [
        &day(row.at),
        &row.home.scope.to_string(),
        &row.home.home.as_str(),
        &row.home.home.is_provisional(),
        &row.account.as_ref().map(|id| id.as_str()),
        &row.input.as_str(),
        &&*row.kind,
        &row.at.0,
        &row.decided_at.0,
        &&*row.verdict,
        &row.note,
        &json(&row.commands)?,
    ];
    run(connection, sql::WRITE_HISTORY, &params).map(drop)
}

fn write_outbox(connection: &Connection, row: &mut OutboxRow) -> Result<(), StoreError> {
    let params: [&dyn ToSql; 8] = [
        &row.id.as_str(),
        &&*row.kind,
        &row.scope.to_string(),
        &&*row.correlation,
        &row.decided_at.0,
        &row.traceparent.as_deref(),
        &&*row.body,
        &row.claimed_until.0,
    ];
    run(connection, sql::WRITE_OUTBOX, &params)?;
    row.bundle = Some(Bundle { seq: connection.last_insert_rowid(), size: 1 });
    Ok(())
}

fn write_case(connection: &Connection, row: &CaseRow) -> Result<(), StoreError> {
    let params: [&dyn ToSql; 10] = [
        &row.home.scope.to_string(),
        &row.home.home.as_str(),
        &row.case.id.as_str(),
        &row.case.reason.as_str(),
        &row.case.opened_at.0,
        &row.closed.map(|(at, _)| at.0),
        &row.closed.map(|(_, outcome)| outcome.as_str()),
        &row.case.prompts,
        &row.case.reminders,
        &json(&row.case)?,
    ];
    run(connection, sql::WRITE_CASE, &params).map(drop)
}

//! What a decision writes, turned into columns: one array per column.

use std::collections::BTreeMap;

use relink_core::account::Account;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountKey, CaseId, HomeKey, Scope};
use relink_core::register::value;
use relink_engine::store::{CaseRow, HistoryRow, InboxRow, OutboxRow, StoreError};
use tokio_postgres::types::ToSql;

use crate::row::{Day, json, signed};

/// A value of a statement.
type Param<'a> = &'a (dyn ToSql + Sync);

/// Keys of accounts, holders or homes.
#[derive(Default)]
pub(crate) struct Keys<'a> {
    pub(crate) scopes: Vec<String>,
    pub(crate) ids: Vec<&'a str>,
    pub(crate) provisional: Vec<bool>,
}

impl<'a> Keys<'a> {
    pub(crate) fn params(&self) -> [Param<'_>; 2] {
        [&self.scopes, &self.ids]
    }

    pub(crate) fn push(&mut self, scope: &Scope, id: &'a str) {
        self.scopes.push(scope.to_string());
        self.ids.push(id);
    }

    pub(crate) fn of_accounts(keys: impl IntoIterator<Item = &'a AccountKey>) -> Self {
        let mut all = Self::default();
        for key in keys {
            all.push(&key.scope, key.account.as_str());
        }
        all
    }

    pub(crate) fn of_homes(keys: impl IntoIterator<Item = &'a HomeKey>) -> Self {
        let mut all = Self::default();
        for key in keys {
            all.push(&key.scope, key.home.as_str());
            all.provisional.push(key.home.is_provisional());
        }
        all
    }
}

/// Rows of `accounts`.
#[derive(Default)]
pub(crate) struct Accounts<'a> {
    pub(crate) keys: Keys<'a>,
    pub(crate) homes: Vec<&'a str>,
    pub(crate) provisional: Vec<bool>,
    pub(crate) statuses: Vec<Option<&'static str>>,
    pub(crate) causes: Vec<Option<&'a str>>,
    pub(crate) actions: Vec<Option<&'a str>>,
    pub(crate) expected: Vec<Option<i64>>,
    pub(crate) holders: Vec<Option<&'a str>>,
    pub(crate) last4: Vec<Option<&'a str>>,
    pub(crate) versions: Vec<i64>,
    pub(crate) past: Vec<Option<String>>,
    pub(crate) states: Vec<String>,
}

impl<'a> Accounts<'a> {
    pub(crate) fn params(&self) -> [Param<'_>; 13] {
        [
            &self.keys.scopes,
            &self.keys.ids,
            &self.homes,
            &self.provisional,
            &self.statuses,
            &self.causes,
            &self.actions,
            &self.expected,
            &self.holders,
            &self.last4,
            &self.versions,
            &self.past,
            &self.states,
        ]
    }

    pub(crate) fn push(
        &mut self,
        key: &'a AccountKey,
        home: &'a HomeKey,
        account: &'a Account,
    ) -> Result<(), StoreError> {
        let details = account.inactive_details();
        let forecast = account.forecast();
        let cause = details
            .map_or_else(|| forecast.and_then(|it| it.cause.as_deref()), |it| it.cause.as_deref());
        let action = details.map(|it| &it.action).or(forecast.map(|it| &it.action));
        self.keys.push(&key.scope, key.account.as_str());
        self.homes.push(home.home.as_str());
        self.provisional.push(home.home.is_provisional());
        self.statuses.push(account.status().map(|status| status.as_str()));
        self.causes.push(cause);
        self.actions.push(action.map(|action| action.as_str()));
        self.expected.push(forecast.map(|it| it.date.0));
        self.holders.push(value(&account.holder).map(|holder| &*holder.id));
        self.last4.push(value(&account.last4).map(|last4| &**last4));
        self.versions.push(signed(account.version));
        let past: Vec<&str> = account.past_authorizations().map(|id| id.as_str()).collect();
        self.past.push((!past.is_empty()).then(|| past.join("\u{1f}")));
        self.states.push(json(account)?);
        Ok(())
    }
}

/// Rows of `authorizations`.
#[derive(Default)]
pub(crate) struct Homes<'a> {
    pub(crate) keys: Keys<'a>,
    pub(crate) provisional: Vec<bool>,
    pub(crate) healths: Vec<&'static str>,
    pub(crate) holders: Vec<Option<&'a str>>,
    pub(crate) institutions: Vec<Option<&'a str>>,
    pub(crate) expected: Vec<Option<i64>>,
    pub(crate) dues: Vec<Option<i64>>,
    pub(crate) superseded_by: Vec<Option<&'a str>>,
    pub(crate) case_open: Vec<bool>,
    pub(crate) states: Vec<String>,
}

impl<'a> Homes<'a> {
    pub(crate) fn params(&self) -> [Param<'_>; 11] {
        [
            &self.keys.scopes,
            &self.keys.ids,
            &self.provisional,
            &self.healths,
            &self.holders,
            &self.institutions,
            &self.expected,
            &self.dues,
            &self.superseded_by,
            &self.case_open,
            &self.states,
        ]
    }

    pub(crate) fn push(&mut self, home: &'a Aggregate) -> Result<(), StoreError> {
        let summary = &home.state.summary;
        self.keys.push(&home.key.scope, home.key.home.as_str());
        self.provisional.push(home.key.home.is_provisional());
        self.healths.push(summary.health.as_str());
        self.holders.push(home.holder().map(|holder| &*holder.id));
        self.institutions.push(home.institution_name().map(|name| &**name));
        self.expected.push(summary.expected_deactivation.map(|at| at.0));
        self.dues.push(summary.next_due.map(|at| at.0));
        let taker = home.taken_over_by().filter(|_| home.is_superseded());
        self.superseded_by.push(taker.map(|by| by.as_str()));
        self.case_open.push(home.state.case.is_some());
        self.states.push(json(&home.state)?);
        Ok(())
    }
}

/// Rows of `inbox`.
#[derive(Default)]
pub(crate) struct Inbox<'a> {
    pub(crate) days: Vec<Day>,
    pub(crate) keys: Keys<'a>,
    pub(crate) kinds: Vec<&'a str>,
    pub(crate) ats: Vec<i64>,
    pub(crate) verdicts: Vec<&'static str>,
}

impl<'a> Inbox<'a> {
    pub(crate) fn params(&self) -> [Param<'_>; 6] {
        [&self.days, &self.keys.ids, &self.keys.scopes, &self.kinds, &self.ats, &self.verdicts]
    }

    pub(crate) fn of(rows: &'a [InboxRow]) -> Self {
        let mut all = Self::default();
        for row in rows {
            all.days.push(Day::of(row.at));
            all.keys.push(&row.scope, row.id.as_str());
            all.kinds.push(&row.kind);
            all.ats.push(row.at.0);
            all.verdicts.push(row.verdict.as_str());
        }
        all
    }
}

/// Rows of `history`.
#[derive(Default)]
pub(crate) struct History<'a> {
    pub(crate) days: Vec<Day>,
    pub(crate) homes: Keys<'a>,
    pub(crate) accounts: Vec<Option<&'a str>>,
    pub(crate) inputs: Vec<&'a str>,
    pub(crate) kinds: Vec<&'a str>,
    pub(crate) ats: Vec<i64>,
    pub(crate) decided: Vec<i64>,
    pub(crate) verdicts: Vec<&'a str>,
    pub(crate) notes: Vec<&'a str>,
    pub(crate) commands: Vec<String>,
}

impl<'a> History<'a> {
    pub(crate) fn params(&self) -> [Param<'_>; 11] {
        [
            &self.days,
            &self.homes.scopes,
            &self.homes.ids,
            &self.accounts,
            &self.inputs,
            &self.kinds,
            &self.ats,
            &self.decided,
            &self.verdicts,
            &self.notes,
            &self.commands,
        ]
    }

    pub(crate) fn of(rows: &'a [HistoryRow]) -> Self {
        let mut all = Self::default();
        for row in rows {
            let commands: Vec<&str> = row.commands.iter().map(|id| id.as_str()).collect();
            all.days.push(Day::of(row.at));
            all.homes.push(&row.home.scope, row.home.home.as_str());
            all.accounts.push(row.account.as_ref().map(|id| id.as_str()));
            all.inputs.push(row.input.as_str());
            all.kinds.push(&row.kind);
            all.ats.push(row.at.0);
            all.decided.push(row.decided_at.0);
            all.verdicts.push(&row.verdict);
            all.notes.push(&row.note);
            all.commands.push(commands.join("\u{1f}"));
        }
        all
    }
}

/// Rows of `outbox`.
#[derive(Default)]
pub(crate) struct Outbox<'a> {
    pub(crate) keys: Keys<'a>,
    pub(crate) kinds: Vec<&'a str>,
    pub(crate) correlations: Vec<&'a str>,
    pub(crate) decided: Vec<i64>,
    pub(crate) traceparents: Vec<Option<&'a str>>,
    pub(crate) bodies: Vec<&'a [u8]>,
    pub(crate) claimed: Vec<i64>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn params(&self) -> [Param<'_>; 8] {
        [
            &self.keys.ids,
            &self.kinds,
            &self.keys.scopes,
            &self.correlations,
            &self.decided,
            &self.traceparents,
            &self.bodies,
            &self.claimed,
        ]
    }

    pub(crate) fn of(rows: &'a [OutboxRow]) -> Self {
        let mut all = Self::default();
        for row in rows {
            all.keys.push(&row.scope, row.id.as_str());
            all.kinds.push(&row.kind);
            all.correlations.push(&row.correlation);
            all.decided.push(row.decided_at.0);
            all.traceparents.push(row.traceparent.as_deref());
            all.bodies.push(&row.body);
            all.claimed.push(row.claimed_until.0);
        }
        all
    }
}

/// Rows of `cases`.
#[derive(Default)]
pub(crate) struct Cases<'a> {
    pub(crate) keys: Keys<'a>,
    pub(crate) homes: Vec<&'a str>,
    pub(crate) reasons: Vec<&'static str>,
    pub(crate) opened: Vec<i64>,
    pub(crate) closed: Vec<Option<i64>>,
    pub(crate) outcomes: Vec<Option<&'static str>>,
    pub(crate) prompts: Vec<i64>,
    pub(crate) reminders: Vec<i64>,
    pub(crate) states: Vec<String>,
}

impl<'a> Cases<'a> {
    pub(crate) fn params(&self) -> [Param<'_>; 10] {
        [
            &self.keys.scopes,
            &self.homes,
            &self.keys.ids,
            &self.reasons,
            &self.opened,
            &self.closed,
            &self.outcomes,
            &self.prompts,
            &self.reminders,
            &self.states,
        ]
    }

    pub(crate) fn of(rows: &'a [CaseRow]) -> Result<Self, StoreError> {
        // Of several states of one case only the last counts, and one statement cannot write a
        // row twice.
        let last: BTreeMap<(&Scope, &CaseId), &CaseRow> =
            rows.iter().map(|row| ((&row.home.scope, &row.case.id), row)).collect();
        let mut all = Self::default();
        for row in last.into_values() {
            all.keys.push(&row.home.scope, row.case.id.as_str());
            all.homes.push(row.home.home.as_str());
            all.reasons.push(row.case.reason.as_str());
            all.opened.push(row.case.opened_at.0);
            all.closed.push(row.closed.map(|(at, _)| at.0));
            all.outcomes.push(row.closed.map(|(_, outcome)| outcome.as_str()));
            all.prompts.push(row.case.prompts.into());
            all.reminders.push(row.case.reminders.into());
            all.states.push(json(&row.case)?);
        }
        Ok(all)
    }
}

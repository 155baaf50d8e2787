//! The rows beside the state – ledger, history, cases – turned into columns.

use std::collections::BTreeMap;

use relink_core::id::{CaseId, Scope};
use relink_engine::row::json;
use relink_engine::store::{CaseRow, HistoryRow, InboxRow, StoreError};

use crate::columns::{Keys, Param};
use crate::day::Day;

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
    pub(crate) fn params(&self) -> [Param<'_>; 12] {
        [
            &self.days,
            &self.homes.scopes,
            &self.homes.ids,
            &self.homes.provisional,
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
            all.homes.push_home(&row.home);
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

//! Homes and accounts as decided, turned into columns: one array per column.

use relink_core::account::Account;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountKey, HomeKey, Scope};
use relink_core::register::value;
use relink_engine::row::{cause_and_action, json, signed, superseded_by};
use relink_engine::store::StoreError;
use tokio_postgres::types::ToSql;

/// A value of a statement.
pub(crate) type Param<'a> = &'a (dyn ToSql + Sync);

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
            all.push_home(key);
        }
        all
    }

    pub(crate) fn push_home(&mut self, key: &'a HomeKey) {
        self.push(&key.scope, key.home.as_str());
        self.provisional.push(key.home.is_provisional());
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
        let (cause, action) = cause_and_action(account);
        self.keys.push(&key.scope, key.account.as_str());
        self.homes.push(home.home.as_str());
        self.provisional.push(home.home.is_provisional());
        self.statuses.push(account.status().map(|status| status.as_str()));
        self.causes.push(cause);
        self.actions.push(action.map(|action| action.as_str()));
        self.expected.push(account.forecast().map(|it| it.date.0));
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
        self.superseded_by.push(superseded_by(home));
        self.case_open.push(home.state.case.is_some());
        self.states.push(json(&home.state)?);
        Ok(())
    }
}

//! How links come to be: institutions, authorizations, accounts.

use std::collections::BTreeSet;

use crate::bank::TestBank;
use crate::error::SimError;
use crate::event::EventType;
use crate::model::{
    Account, AccountNumber, Action, Authorization, Cause, Holder, Inactive, Institution,
    NumberStatus, Refreshes, Status,
};
use crate::state::{State, Subject};
use crate::verb::{Change, Link, LinkAccount};

/// The bank of a link that names none.
pub(crate) const DEFAULT_INSTITUTION: &str = "Harbor Federal Bank";

/// The permissions of a link that names none: what most products ask for.
const DEFAULT_PERMISSIONS: [&str; 3] = ["balances", "payment_method", "transactions"];

impl State {
    pub(crate) fn add_institution(&mut self, name: &str) -> Institution {
        let institution = Institution { id: self.random.id("fcinst"), name: name.into() };
        self.institutions.insert(institution.id.clone(), institution.clone());
        institution
    }

    /// By id, by name, or a new one of that name.
    fn institution(&mut self, id_or_name: &str) -> Result<Institution, SimError> {
        if let Some(bank) = TestBank::find(id_or_name) {
            return Ok(bank.institution());
        }
        let known = |i: &&Institution| i.id == id_or_name || i.name == id_or_name;
        match self.institutions.values().find(known).cloned() {
            Some(institution) => Ok(institution),
            None if id_or_name.starts_with("fcinst_") => {
                Err(SimError::NoInstitution(id_or_name.into()))
            }
            None => Ok(self.add_institution(id_or_name)),
        }
    }

    pub(crate) fn link(&mut self, link: Link) -> Result<Change, SimError> {
        let name = link.institution.as_deref().unwrap_or(DEFAULT_INSTITUTION);
        let institution = self.institution(name)?;
        let bank = TestBank::of(&institution);
        let holder = Holder::of(&link.holder.unwrap_or_else(|| self.random.id("cus")));
        let stripe_account = link.stripe_account.or_else(|| self.config.stripe_account.clone());
        let authorization = self.add_authorization(Authorization {
            id: String::new(),
            stripe_account,
            holder,
            institution,
            accounts: Vec::new(),
            status: Status::Active,
            inactive: None,
            forecast: None,
        });
        let permissions = match link.permissions.is_empty() {
            true => DEFAULT_PERMISSIONS.map(String::from).to_vec(),
            false => link.permissions,
        };
        let accounts = match link.accounts.is_empty() {
            true => vec![LinkAccount::new("4821", "checking", "Everyday Checking")],
            false => link.accounts,
        };
        let mut change = Change { authorization: Some(authorization.clone()), ..Change::default() };
        for account in accounts {
            let id = self.add_account(&authorization, account, permissions.clone())?;
            change.accounts.push(id);
        }
        if bank == Some(TestBank::InactiveAccounts) {
            self.begin_inactive(&authorization, &change.accounts)?;
        }
        for id in change.accounts.clone() {
            self.emit(EventType::AccountCreated, Subject::Account(&id), &mut change);
        }
        Ok(change)
    }

    /// Accounts that are inactive from the first: `account.created` says so, and as they never
    /// were active no `account.deactivated` follows.
    fn begin_inactive(&mut self, authorization: &str, ids: &[String]) -> Result<(), SimError> {
        for id in ids {
            let account = self.account_mut(id)?;
            account.status = Status::Inactive;
            account.inactive =
                Some(Inactive { cause: Cause::AccessExpired, action: Action::RelinkRequired });
        }
        let of = self.authorization_mut(authorization)?;
        of.status = Status::Inactive;
        of.inactive = Some(Action::RelinkRequired);
        Ok(())
    }

    /// Keeps an authorization under a new id.
    pub(crate) fn add_authorization(&mut self, mut authorization: Authorization) -> String {
        authorization.id = self.random.id("fcauth");
        let id = authorization.id.clone();
        self.authorizations.insert(id.clone(), authorization);
        id
    }

    /// When an account number expires that a bank gives now; most never do.
    pub(crate) fn number_expiry(&self, institution: &Institution) -> Option<i64> {
        TestBank::of(institution)?.number_expiry(self.clock.unix_s())
    }

    /// Keeps a new active account under an authorization, without an event.
    pub(crate) fn add_account(
        &mut self,
        authorization: &str,
        account: LinkAccount,
        permissions: Vec<String>,
    ) -> Result<String, SimError> {
        let id = self.random.id("fca");
        let of = self.authorization_mut(authorization)?;
        of.accounts.push(id.clone());
        let of = of.clone();
        self.next_sequence += 1;
        let expires_unix_s = self.number_expiry(&of.institution);
        let display_name =
            account.display_name.unwrap_or_else(|| account.subcategory.replace('_', " "));
        let account = Account {
            id: id.clone(),
            sequence: self.next_sequence,
            created_unix_s: self.clock.unix_s(),
            stripe_account: of.stripe_account,
            holder: of.holder,
            authorization: of.id,
            institution: of.institution,
            last4: account.last4,
            display_name,
            subcategory: account.subcategory,
            permissions,
            subscriptions: BTreeSet::new(),
            status: Status::Active,
            inactive: None,
            forecast: None,
            number: AccountNumber {
                tokenized: expires_unix_s.is_some(),
                status: NumberStatus::Transactable,
                expires_unix_s,
            },
            balance: None,
            ownership: None,
            refreshes: Refreshes::default(),
        };
        self.accounts.insert(id.clone(), account);
        Ok(id)
    }
}

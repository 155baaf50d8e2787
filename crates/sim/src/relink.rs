//! What a relink does: repair all or some of an authorization, or replace it.

use crate::error::SimError;
use crate::event::EventType;
use crate::model::{Action, Authorization, NumberStatus, Status};
use crate::state::{State, Subject};
use crate::verb::{Change, LinkAccount, Outcome, Relink};

impl State {
    pub(crate) fn relink(&mut self, mut relink: Relink) -> Result<Change, SimError> {
        let old = self.relinked_authorization(&relink)?;
        if let Some(id) = &relink.session
            && relink.accounts.is_none()
        {
            // A session that names an account repairs that account only.
            let session = self.sessions.get(id);
            relink.accounts = session.and_then(|s| s.relink_account.clone()).map(|id| vec![id]);
        }
        let selected = match relink.accounts {
            Some(named) => self.named(&old, named)?,
            None => self.repairable(&old),
        };
        let mut change = Change { authorization: Some(old.clone()), ..Change::default() };
        if relink.outcome == Outcome::Succeeded {
            let now = match relink.new_authorization {
                true => self.succeed_authorization(&old)?,
                false => old.clone(),
            };
            change.authorization = Some(now.clone());
            if relink.new_account_ids {
                self.replace_accounts(&now, &selected, &mut change)?;
            } else {
                self.repair_accounts(&now, &selected, relink.silent_siblings, &mut change)?;
            }
            let of = self.authorization_mut(&now)?;
            of.forecast = None;
            if of.status == Status::Inactive {
                of.status = Status::Active;
                of.inactive = None;
            }
        }
        let session = match relink.session {
            None if relink.send_session => Some(self.session_of(&old)?),
            named => named,
        };
        if let Some(id) = session {
            self.end_session(&id, relink.outcome, &mut change)?;
        }
        Ok(change)
    }

    fn relinked_authorization(&self, relink: &Relink) -> Result<String, SimError> {
        let of_session = match &relink.session {
            None => None,
            Some(id) => {
                let session = self.sessions.get(id);
                let session = session.ok_or_else(|| SimError::NoSession(id.clone()))?;
                if session.status != "pending" {
                    return Err(SimError::Invalid(format!("session {id} is not pending")));
                }
                session.relink_authorization.clone()
            }
        };
        let id = relink.authorization.clone().or(of_session);
        let id = id.ok_or_else(|| SimError::Invalid("which authorization?".into()))?;
        let of = self.authorization(&id)?;
        if of.status == Status::Disconnected {
            return Err(SimError::Disconnected(id));
        }
        Ok(id)
    }

    /// The accounts that take part unless some are named: those that are active or that a relink
    /// can repair.
    pub(crate) fn repairable(&self, authorization: &str) -> Vec<String> {
        let takes_part = |id: &String| {
            self.accounts.get(id).is_some_and(|account| match account.status {
                Status::Active => true,
                Status::Inactive => {
                    account.inactive.as_ref().is_none_or(|inactive| inactive.action != Action::None)
                }
                Status::Disconnected => false,
            })
        };
        self.members(authorization).into_iter().filter(takes_part).collect()
    }

    /// The accounts that take part because they are named.
    fn named(&self, authorization: &str, named: Vec<String>) -> Result<Vec<String>, SimError> {
        for id in &named {
            let account = self.account(id)?;
            if account.authorization != authorization {
                return Err(SimError::Invalid(format!("{id} is not of {authorization}")));
            }
            if account.status == Status::Disconnected {
                return Err(SimError::Disconnected(id.clone()));
            }
        }
        Ok(named)
    }

    /// Makes the authorization that comes after another; the old one stays as it is.
    fn succeed_authorization(&mut self, old: &str) -> Result<String, SimError> {
        let old = self.authorization(old)?.clone();
        Ok(self.add_authorization(Authorization {
            accounts: Vec::new(),
            status: Status::Active,
            inactive: None,
            forecast: None,
            ..old
        }))
    }

    /// New accounts for the same bank accounts; the old ones stay as they are.
    fn replace_accounts(
        &mut self,
        authorization: &str,
        selected: &[String],
        change: &mut Change,
    ) -> Result<(), SimError> {
        for id in selected {
            let old = self.account(id)?;
            let same = LinkAccount {
                last4: old.last4.clone(),
                subcategory: old.subcategory.clone(),
                display_name: Some(old.display_name.clone()),
            };
            let permissions = old.permissions.clone();
            change.accounts.push(self.add_account(authorization, same, permissions)?);
        }
        for id in change.accounts.clone() {
            self.emit(EventType::AccountCreated, Subject::Account(&id), change);
        }
        Ok(())
    }

    fn move_account(&mut self, id: &str, authorization: &str) -> Result<(), SimError> {
        let account = self.account_mut(id)?;
        let from = std::mem::replace(&mut account.authorization, authorization.into());
        if from != authorization {
            self.authorization_mut(&from)?.accounts.retain(|member| member != id);
            self.authorization_mut(authorization)?.accounts.push(id.into());
        }
        Ok(())
    }

    /// The same accounts, active again. An account that was active only loses its forecast, and
    /// no event says so.
    fn repair_accounts(
        &mut self,
        authorization: &str,
        selected: &[String],
        silent_siblings: bool,
        change: &mut Change,
    ) -> Result<(), SimError> {
        let mut healed = Vec::new();
        for id in selected {
            self.move_account(id, authorization)?;
            self.account_mut(id)?.forecast = None;
            if self.heal(id)? {
                healed.push(id.clone());
            }
            change.accounts.push(id.clone());
        }
        // All are active before the first event goes out, so that a read that follows the first
        // event finds the siblings active as well.
        let announced = if silent_siblings { 1 } else { healed.len() };
        for id in healed.iter().take(announced) {
            self.emit(EventType::AccountReactivated, Subject::Account(id), change);
        }
        for id in selected {
            let account = self.account(id)?;
            let number = &account.number;
            let renewable =
                number.status != NumberStatus::Transactable || number.expires_unix_s.is_some();
            if number.tokenized && renewable {
                let expires = self.number_expiry(&account.institution);
                self.set_number(id, NumberStatus::Transactable, expires, change)?;
            }
        }
        Ok(())
    }
}

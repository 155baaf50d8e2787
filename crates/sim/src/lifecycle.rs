//! What happens to links: made, broken, warned of, healed, ended.

use crate::error::SimError;
use crate::event::EventType;
use crate::model::{Action, Cause, Forecast, Inactive, NumberStatus, Status};
use crate::state::{State, Subject};
use crate::verb::{Change, Target, Verb};

impl State {
    /// The verbs about the life of a link; the others are in `relink.rs` and `data.rs`.
    pub(crate) fn live(&mut self, verb: Verb) -> Result<Change, SimError> {
        use Action::{None as Nothing, RelinkRequired};
        match verb {
            Verb::Institution { name } => {
                let institution = Some(self.add_institution(&name).id);
                Ok(Change { institution, ..Change::default() })
            }
            Verb::Link(link) => self.link(link),
            Verb::Expire { authorization: id } => {
                self.deactivate(Target::Authorization(id), Cause::AccessExpired, RelinkRequired)
            }
            Verb::Break { authorization: id } => {
                let cause = Cause::InstitutionRequirement;
                self.deactivate(Target::Authorization(id), cause, RelinkRequired)
            }
            Verb::Deny(target) => self.deactivate(target, Cause::AccessDenied, RelinkRequired),
            Verb::Revoke { authorization } => self.revoke(authorization),
            Verb::Close { account } => self.close(account),
            Verb::Unavailable { account } => {
                self.deactivate(Target::Account(account), Cause::AccountUnavailable, Nothing)
            }
            Verb::Deactivate { target, cause, action } => self.deactivate(target, cause, action),
            Verb::Disconnect { account } => self.disconnect(&account),
            Verb::Reactivate(target) => self.reactivate(target),
            Verb::Warn { authorization, expected_deactivation_date: date_unix_s, cause } => {
                let cause = cause.unwrap_or(Cause::AccessExpired);
                let forecast = Forecast { date_unix_s, cause, action: RelinkRequired };
                self.forecast(
                    &authorization,
                    Some(forecast),
                    EventType::AccountUpcomingDeactivation,
                    EventType::AuthorizationUpcomingDeactivation,
                )
            }
            Verb::MoveDate { authorization, expected_deactivation_date, action, cause } => {
                let forecast = expected_deactivation_date.map(|date_unix_s| Forecast {
                    date_unix_s,
                    cause: cause.unwrap_or(Cause::AccessExpired),
                    action: action.unwrap_or(Nothing),
                });
                self.forecast(
                    &authorization,
                    forecast,
                    EventType::AccountExpectedDeactivationDateUpdated,
                    EventType::AuthorizationExpectedDeactivationDateUpdated,
                )
            }
            verb => Err(SimError::Invalid(format!("{verb:?} is not about the life of a link"))),
        }
    }

    /// The accounts a target means, and the authorization if it means one as a whole.
    fn resolve(&self, target: Target) -> Result<(Vec<String>, Option<String>), SimError> {
        match target {
            Target::Account(id) => {
                self.account(&id).map(|account| (vec![account.id.clone()], None))
            }
            Target::Authorization(id) => {
                self.authorization(&id).map(|of| (self.members(&of.id), Some(of.id.clone())))
            }
        }
    }

    fn deactivate(
        &mut self,
        target: Target,
        cause: Cause,
        action: Action,
    ) -> Result<Change, SimError> {
        if let Target::Account(id) = &target
            && self.account(id)?.status == Status::Disconnected
        {
            return Err(SimError::Disconnected(id.clone()));
        }
        let (accounts, authorization) = self.resolve(target)?;
        if let Some(id) = &authorization {
            let of = self.authorization_mut(id)?;
            of.status = Status::Inactive;
            of.inactive = Some(action.clone());
            of.forecast = None;
        }
        let whole = authorization.is_some();
        let mut change = Change { authorization, ..Change::default() };
        for id in accounts {
            let account = self.account_mut(&id)?;
            let was = account.status;
            // An account that is closed stays closed when the rest of its authorization expires.
            if was == Status::Disconnected || (was == Status::Inactive && whole) {
                continue;
            }
            account.status = Status::Inactive;
            account.forecast = None;
            account.inactive = Some(Inactive { cause: cause.clone(), action: action.clone() });
            change.accounts.push(id.clone());
            // The event tells of a status that changed; other details of an account that is
            // inactive already change silently.
            if was == Status::Active {
                self.emit(EventType::AccountDeactivated, Subject::Account(&id), &mut change);
            }
        }
        Ok(change)
    }

    pub(crate) fn close(&mut self, account: String) -> Result<Change, SimError> {
        self.deactivate(Target::Account(account), Cause::AccountClosed, Action::None)
    }

    fn revoke(&mut self, authorization: String) -> Result<Change, SimError> {
        let target = Target::Authorization(authorization);
        let mut change = self.deactivate(target, Cause::AccessDenied, Action::RelinkRequired)?;
        for id in change.accounts.clone() {
            if self.account(&id)?.number.tokenized {
                self.set_number(&id, NumberStatus::Deactivated, None, &mut change)?;
            }
        }
        Ok(change)
    }

    pub(crate) fn disconnect(&mut self, id: &str) -> Result<Change, SimError> {
        let account = self.account_mut(id)?;
        let authorization = account.authorization.clone();
        let mut change = Change {
            authorization: Some(authorization.clone()),
            accounts: vec![id.into()],
            ..Change::default()
        };
        if account.status == Status::Disconnected {
            return Ok(change);
        }
        account.status = Status::Disconnected;
        account.inactive = None;
        account.forecast = None;
        account.subscriptions.clear();
        self.emit(EventType::AccountDisconnected, Subject::Account(id), &mut change);
        let gone =
            |a: &String| self.accounts.get(a).is_none_or(|a| a.status == Status::Disconnected);
        if self.members(&authorization).iter().all(gone) {
            let of = self.authorization_mut(&authorization)?;
            of.status = Status::Disconnected;
            of.inactive = None;
            of.forecast = None;
        }
        Ok(change)
    }

    fn reactivate(&mut self, target: Target) -> Result<Change, SimError> {
        if let Target::Account(id) = &target
            && self.account(id)?.status == Status::Disconnected
        {
            return Err(SimError::Disconnected(id.clone()));
        }
        let (accounts, _) = self.resolve(target)?;
        let mut change = Change::default();
        for id in accounts {
            if self.heal(&id)? {
                self.emit(EventType::AccountReactivated, Subject::Account(&id), &mut change);
                change.authorization = Some(self.account(&id)?.authorization.clone());
                change.accounts.push(id);
            }
        }
        Ok(change)
    }

    /// Makes an inactive account active, and its authorization with it; whether it was inactive.
    /// There is no event for the authorization, because Stripe has none.
    pub(crate) fn heal(&mut self, id: &str) -> Result<bool, SimError> {
        let account = self.account_mut(id)?;
        if account.status != Status::Inactive {
            return Ok(false);
        }
        account.status = Status::Active;
        account.inactive = None;
        let authorization = account.authorization.clone();
        let of = self.authorization_mut(&authorization)?;
        if of.status == Status::Inactive {
            of.status = Status::Active;
            of.inactive = None;
        }
        Ok(true)
    }

    fn forecast(
        &mut self,
        authorization: &str,
        forecast: Option<Forecast>,
        of_account: EventType,
        of_authorization: EventType,
    ) -> Result<Change, SimError> {
        let of = self.authorization_mut(authorization)?;
        if of.status != Status::Active {
            return Err(SimError::Invalid(format!("{authorization} is not active")));
        }
        of.forecast = forecast.clone();
        let mut change = Change { authorization: Some(authorization.into()), ..Change::default() };
        for id in self.members(authorization) {
            let account = self.account_mut(&id)?;
            if account.status == Status::Active {
                account.forecast = forecast.clone();
                self.emit(of_account, Subject::Account(&id), &mut change);
                change.accounts.push(id);
            }
        }
        self.emit(of_authorization, Subject::Authorization(authorization), &mut change);
        Ok(change)
    }
}

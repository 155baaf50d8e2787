//! What must hold in the end: Relink knows Stripe's truth, and the last word of its commands is
//! what somebody would have said who saw everything at once.
//!
//! C1 every webhook was taken, no message waits, the outbox is empty, every command came out;
//! C2 no read is outstanding;
//! C3 every account is known as it is: status, cause and action, authorization, expected date;
//! C4 the last pause or resume of every account agrees with its status;
//! C5 every authorization's health is the one that follows from its accounts;
//! C6 a case is open where, and only where, the customer has to be asked, and was asked for;
//! C7 every case that is closed and was asked for is withdrawn.
//!
//! Of an authorization that another one took over from, C5 and C6 are left to the stories in
//! `core`: what is moot there hangs on when it was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use relink_core::account::Account;
use relink_core::aggregate::{Aggregate, Health};
use relink_core::id::Home;
use relink_core::observation::Status;
use relink_engine::store::{Selection, Store as _};
use serde_json::Value;

use crate::plan::Bodies;
use crate::stage::Stage;
use crate::truth::Truth;

/// Authorizations looked at: more than any run has.
const AUTHORIZATIONS_MAX: usize = 1000;

/// What Relink holds in the end, to be compared.
pub(crate) struct Comparison<'a> {
    stage: &'a Arc<Stage>,
    story: &'a Truth,
    truth: Value,
    held: Vec<Aggregate>,
}

impl<'a> Comparison<'a> {
    pub(crate) async fn of(stage: &'a Arc<Stage>, story: &'a Truth) -> Result<Self, String> {
        let truth = stage.sim.state();
        let wanted =
            Selection { holder: None, health: None, after: None, limit: AUTHORIZATIONS_MAX };
        let mut held = stage.store.list(&wanted).await.map_err(|error| error.to_string())?;
        for account in objects(&truth, "accounts") {
            let id = text(&account["id"]);
            let found = stage.store.find(id).await.map_err(|error| error.to_string())?;
            held.extend(found.into_iter().filter(|one| one.key.home.is_provisional()));
        }
        Ok(Self { stage, story, truth, held })
    }

    /// Whether nothing is left to be done; else what is.
    pub(crate) async fn unrest(&self) -> Option<String> {
        let census = self.stage.store.census().await.ok()?;
        let webhooks = self.stage.webhooks.load(std::sync::atomic::Ordering::Relaxed);
        if webhooks > 0 {
            return Some(format!("C1: {webhooks} webhooks are not taken"));
        }
        let depth = self.stage.broker.depth();
        if depth > 0 {
            return Some(format!("C1: {depth} messages wait"));
        }
        if census.outbox_depth > 0 {
            return Some(format!("C1: {} commands are in the outbox", census.outbox_depth));
        }
        for aggregate in &self.held {
            let state = &aggregate.state;
            if !state.verifies.is_empty() || state.authorization_verify.is_some() {
                return Some(format!("C2: a read of {} is outstanding", name(aggregate)));
            }
            if !state.rechecks.is_empty() {
                return Some(format!("C2: a second read of {} is due", name(aggregate)));
            }
            if state.case.as_ref().is_some_and(|case| case.prompt_due.is_some())
                && state.summary.health != Health::Unverified
            {
                return Some(format!("C6: a prompt for {} is due", name(aggregate)));
            }
        }
        None
    }

    /// Compares; what no event tells is left to the second time, after everything was read back.
    pub(crate) fn check(&self, after_reading: bool) -> Result<(), String> {
        if let Some(id) = self.stage.watch.never_came_out().first() {
            return Err(format!("C1: {id} was committed and never came out"));
        }
        for account in objects(&self.truth, "accounts") {
            self.account(account, after_reading)?;
        }
        self.last_words()?;
        for authorization in objects(&self.truth, "authorizations") {
            let id = text(&authorization["id"]);
            let is_old = self.story.superseded.contains(id);
            let is_new = self.story.successors.contains(id);
            let is_empty = !objects(&self.truth, "accounts").any(|one| one["authorization"] == id);
            let is_told = after_reading || !is_new && !self.was_lost_unseen(id);
            if !is_old && !is_empty && is_told {
                self.authorization(id, authorization, after_reading)?;
            }
        }
        self.cases()
    }

    /// Whether an account of the authorization was disconnected before anything told where it
    /// belongs: nobody reads what is gone.
    fn was_lost_unseen(&self, authorization: &str) -> bool {
        let mut theirs = objects(&self.truth, "accounts");
        theirs.any(|one| {
            let held = self.held_account(text(&one["id"]));
            one["authorization"] == authorization
                && held.is_some_and(|(home, account)| {
                    home.key.home.is_provisional() && account.status() == Some(Status::Disconnected)
                })
        })
    }

    fn held_account(&self, id: &str) -> Option<(&Aggregate, &Account)> {
        self.held.iter().find_map(|aggregate| {
            let account = aggregate.accounts.iter().find(|(known, _)| known.as_str() == id)?.1;
            Some((aggregate, account))
        })
    }

    /// C3.
    fn account(&self, truth: &Value, after_reading: bool) -> Result<(), String> {
        let id = text(&truth["id"]);
        let Some((_, account)) = self.held_account(id) else {
            return Err(format!("C3: {id} is not known"));
        };
        let differs = |what: &str, held: &str, is: &str| {
            let text = format!("C3: {id} has {what} {held} and is {is}");
            if held == is { Ok(()) } else { Err(text) }
        };
        let status = account.status().map_or("unknown", Status::as_str);
        differs("status", status, text(&truth["status"]))?;
        if status == "inactive" {
            let inactive = &truth["status_details"]["inactive"];
            let details = account.inactive_details();
            let cause = details.and_then(|one| one.cause.as_deref()).unwrap_or("unknown");
            let action = details.map_or("unknown", |one| one.action.as_str());
            differs("cause", cause, text(&inactive["cause"]))?;
            differs("action", action, text(&inactive["action"]))?;
        }
        let moved = self.story.successors.contains(text(&truth["authorization"]));
        if status != "disconnected" && (!moved || after_reading) {
            let home = account.authorization().map_or("none", |one| one.as_str());
            differs("authorization", home, text(&truth["authorization"]))?;
        }
        let is_told = self.stage.plan.bodies == Bodies::Preview && !self.story.silent.contains(id);
        if status == "active" && (is_told || after_reading) {
            let date = |date: Option<i64>| date.map_or("none".to_owned(), |date| date.to_string());
            let held = date(account.forecast().map(|forecast| forecast.date.0));
            let active = &truth["status_details"]["active"];
            let is = date(active["expected_deactivation_date"].as_i64());
            differs("expected date", &held, &is)?;
        }
        Ok(())
    }

    /// C4.
    fn last_words(&self) -> Result<(), String> {
        let mut last: BTreeMap<String, (u64, String)> = BTreeMap::new();
        for (name, data) in self.stage.watch.commands() {
            if name == "pause_data" || name == "resume_data" {
                let version = data["account_version"].as_u64().unwrap_or_default();
                let known = last.entry(text(&data["account"]).to_owned()).or_default();
                *known = known.clone().max((version, name));
            }
        }
        for truth in objects(&self.truth, "accounts") {
            let id = text(&truth["id"]);
            let is_active = text(&truth["status"]) == "active";
            let said = last.get(id).map_or("nothing", |(_, name)| name.as_str());
            let is_right = if is_active { said != "pause_data" } else { said == "pause_data" };
            if !is_right {
                let status = text(&truth["status"]);
                return Err(format!("C4: {id} is {status}, and the last word is {said}"));
            }
        }
        Ok(())
    }

    /// C5 and C6.
    fn authorization(&self, id: &str, truth: &Value, after_reading: bool) -> Result<(), String> {
        let is_this = |one: &&Aggregate| matches!(&one.key.home, Home::Authorization(known) if known.as_str() == id);
        let is = self.health(id, truth);
        let Some(held) = self.held.iter().find(is_this) else {
            // Of what is gone the authorization need not have been known.
            let text = format!("C5: {id} is not known and is {is}");
            return if is == "disconnected" { Ok(()) } else { Err(text) };
        };
        let health = held.state.summary.health;
        if !after_reading && (is == "expiring" || health == Health::Expiring) {
            // What only a read can tell: see the crate's documentation.
            return Ok(());
        }
        if health.as_str() != is {
            return Err(format!("C5: {id} is held as {} and is {is}", health.as_str()));
        }
        let wants_case = matches!(is, "relink_required" | "expiring" | "numbers_due");
        let case = held.state.case.as_ref();
        match case {
            None if wants_case => Err(format!("C6: {id} is {is} and has no case")),
            Some(case) if !wants_case && is != "unverified" => {
                Err(format!("C6: {id} is {is} and has the open case {}", case.id))
            }
            Some(case) if wants_case => {
                let reason = case.reason.as_str();
                let asked = self.stage.watch.commands().iter().any(|(name, data)| {
                    name == "prompt_relink"
                        && text(&data["case"]) == case.id.as_str()
                        && (reason != "inactive" || text(&data["reason"]) == reason)
                });
                let text = format!("C6: the case {} ({reason}) was not asked for", case.id);
                if asked { Ok(()) } else { Err(text) }
            }
            _ => Ok(()),
        }
    }

    /// What follows from the accounts, said once more and independently of `core`.
    fn health(&self, id: &str, authorization: &Value) -> &'static str {
        let of = |one: &&Value| text(&one["authorization"]) == id;
        let all: Vec<&Value> = objects(&self.truth, "accounts").filter(of).collect();
        let linked: Vec<&&Value> =
            all.iter().filter(|one| text(&one["status"]) != "disconnected").collect();
        let inactive = |one: &Value| text(&one["status"]) == "inactive";
        let action = |one: &Value| one["status_details"]["inactive"]["action"].clone();
        let expiring =
            |one: &Value| text(&one["status_details"]["active"]["action"]) == "relink_required";
        let number = |one: &Value| {
            let numbers = one["account_numbers"].as_array();
            let is_bad = |one: &Value| {
                one["identifier_type"] == "tokenized_account_number"
                    && one["status"] != "transactable"
            };
            text(&one["status"]) == "active"
                && one["permissions"]
                    .as_array()
                    .is_some_and(|all| all.contains(&"payment_method".into()))
                && numbers.is_some_and(|all| !all.is_empty() && all.iter().all(is_bad))
        };
        if linked.is_empty() {
            "disconnected"
        } else if linked.iter().any(|one| inactive(one) && action(one) == "relink_required") {
            "relink_required"
        } else if expiring(authorization) || linked.iter().any(|one| expiring(one)) {
            "expiring"
        } else if linked.iter().any(|one| number(one)) {
            "numbers_due"
        } else if linked.iter().any(|one| inactive(one)) {
            "unrepairable"
        } else {
            "active"
        }
    }

    /// C7.
    fn cases(&self) -> Result<(), String> {
        let open: BTreeSet<&str> =
            self.held.iter().filter_map(|one| Some(one.state.case.as_ref()?.id.as_str())).collect();
        let commands = self.stage.watch.commands();
        let of = |wanted: &str| -> BTreeSet<&str> {
            let wanted = commands.iter().filter(|(name, _)| name == wanted);
            wanted.map(|(_, data)| text(&data["case"])).collect()
        };
        let (asked, withdrawn) = (of("prompt_relink"), of("withdraw_relink"));
        for case in &asked {
            if !open.contains(case) && !withdrawn.contains(case) {
                return Err(format!("C7: case {case} is closed, was asked for, and not withdrawn"));
            }
        }
        match withdrawn.iter().find(|case| open.contains(*case)) {
            Some(case) => Err(format!("C7: case {case} is open and withdrawn")),
            None => Ok(()),
        }
    }
}

fn objects<'a>(state: &'a Value, what: &str) -> impl Iterator<Item = &'a Value> {
    state[what].as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn name(aggregate: &Aggregate) -> &str {
    aggregate.key.home.as_str()
}

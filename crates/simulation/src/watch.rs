//! What must hold at every step, whatever goes wrong.
//!
//! Each rule is numbered, and named where it is found broken:
//! S1 the invariants of `core` hold for whatever was committed;
//! S2 no input is in the ledger twice, and no command is committed twice;
//! S3 nothing is acknowledged that is not in the ledger;
//! S4 no command leaves the outbox before the bus has taken it;
//! S5 a webhook is answered 2xx only when the bus has it (alone: when the ledger has it);
//! S6 the versions of an account only grow, and each has one pause or resume;
//! S7 an outage has one case, whose beginning never moves;
//! S8 a case asks for the same thing once, and is withdrawn once at the most;
//! S9 nothing is parked: no run has poison;
//! S10 only what needs Stripe is charged with attempts: trouble here is nobody's fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use relink_bus::message::Message;
use relink_core::command::Reason;
use relink_core::id::Scope;
use relink_core::invariant;
use relink_core::policy::Policy;
use relink_core::time::Time;
use relink_engine::store::{OutboxRow, Writes};
use serde_json::Value;

/// What was committed and what came out.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    ledger: BTreeSet<(String, String)>,
    committed: BTreeSet<String>,
    versions: BTreeMap<String, u64>,
    opened: BTreeMap<String, Time>,
    /// What each case was about, one after the other: an upgrade asks anew.
    reasons: BTreeMap<String, Vec<Reason>>,
    asked: BTreeSet<String>,
    withdrawn: BTreeSet<String>,
    /// Commands that came out, by id, in the order of coming.
    came_out: Vec<Arc<str>>,
    bodies: BTreeMap<Arc<str>, Value>,
}

impl Watch {
    /// A transaction was committed.
    pub(crate) fn committed(
        &self,
        writes: &Writes,
        policy: &Policy,
        now: Time,
    ) -> Result<(), String> {
        for home in &writes.world.changed_homes {
            let Some(aggregate) = writes.world.get(home) else { continue };
            invariant::check(aggregate, policy, now).map_err(|broken| format!("S1: {broken}"))?;
        }
        let mut seen = self.lock();
        for row in &writes.inbox {
            let key = (row.scope.to_string(), row.id.as_str().to_owned());
            if !seen.ledger.insert(key) {
                return Err(format!("S2: {} took effect twice", row.id));
            }
        }
        for row in &writes.cases {
            let reasons = seen.reasons.entry(row.case.id.to_string()).or_default();
            if reasons.last() != Some(&row.case.reason) {
                reasons.push(row.case.reason);
            }
            let opened = *seen.opened.entry(row.case.id.to_string()).or_insert(row.case.opened_at);
            if opened != row.case.opened_at {
                return Err(format!("S7: the beginning of case {} moved", row.case.id));
            }
        }
        writes.outbox.iter().try_for_each(|row| seen.command(row))
    }

    /// Whether the ledger has the input.
    pub(crate) fn knows(&self, scope: &Scope, id: &str) -> bool {
        self.lock().ledger.contains(&(scope.to_string(), id.to_owned()))
    }

    /// A command came out of the bus.
    pub(crate) fn came_out(&self, message: &Message) {
        let body = serde_json::from_slice(&message.body).unwrap_or_default();
        let mut seen = self.lock();
        if seen.bodies.insert(Arc::clone(&message.id), body).is_none() {
            seen.came_out.push(Arc::clone(&message.id));
        }
    }

    pub(crate) fn has_come_out(&self, id: &str) -> bool {
        self.lock().bodies.contains_key(id)
    }

    /// Commands that were committed and never came out.
    pub(crate) fn never_came_out(&self) -> Vec<String> {
        let seen = self.lock();
        seen.committed.iter().filter(|id| !seen.bodies.contains_key(id.as_str())).cloned().collect()
    }

    /// Every command that came out, once, with its name and data.
    pub(crate) fn commands(&self) -> Vec<(String, Value)> {
        let seen = self.lock();
        let told = |id: &Arc<str>| {
            let body = seen.bodies.get(id)?;
            Some((name(body["type"].as_str()?).to_owned(), body["data"].clone()))
        };
        seen.came_out.iter().filter_map(told).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `relink.<name>.v1`
pub(crate) fn name(kind: &str) -> &str {
    kind.split('.').nth(1).unwrap_or_default()
}

impl Seen {
    fn command(&mut self, row: &OutboxRow) -> Result<(), String> {
        if !self.committed.insert(row.id.as_str().to_owned()) {
            return Err(format!("S2: command {} was committed twice", row.id));
        }
        let body: Value = serde_json::from_slice(&row.body).unwrap_or_default();
        let data = &body["data"];
        let case = data["case"].as_str().unwrap_or_default();
        match name(&row.kind) {
            "pause_data" | "resume_data" => {
                let account = data["account"].as_str().unwrap_or_default().to_owned();
                let version = data["account_version"].as_u64().unwrap_or_default();
                let known = self.versions.entry(account).or_default();
                if version <= *known {
                    return Err(format!("S6: {} has version {version} after {known}", row.id));
                }
                *known = version;
            }
            "prompt_relink" => {
                let ids = data["accounts"].as_array().into_iter().flatten();
                let ids: Vec<_> = ids.filter_map(|one| one["id"].as_str()).collect();
                let turns = self.reasons.get(case).map_or(0, Vec::len);
                let asked = format!("{case} {} {} {ids:?}", data["reason"], data["deadline"]);
                if self.withdrawn.contains(case) {
                    return Err(format!("S8: {} asks for what was withdrawn", row.id));
                }
                if !self.asked.insert(format!("{asked} {turns}")) {
                    return Err(format!("S8: {} asks again for {asked}", row.id));
                }
            }
            "withdraw_relink" if !self.withdrawn.insert(case.to_owned()) => {
                return Err(format!("S8: case {case} is withdrawn twice"));
            }
            _ => {}
        }
        Ok(())
    }
}

//! Many inputs, one transaction: calls `decide` for each and collects what is to be written.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use relink_bus::envelope::{command_type, encode_command};
use relink_core::bug::{Bug, is_planted};
use relink_core::command::Command;
use relink_core::decide::{CaseChange, Decision, Refusal, decide};
use relink_core::id::{AccountKey, Home, HomeKey};
use relink_core::input::{Happened, Input, Verdict};
use relink_core::milestone::Milestone;
use relink_core::policy::Policy;
use relink_core::time::{Span, Time};
use relink_core::world::World;

use crate::clock::Clock;
use crate::store::{CaseRow, Decide, Gathered, HistoryRow, InboxRow, OutboxRow, Writes};

/// How long the process that committed a command has it to itself before the relay may take it:
/// well above a publish with confirms, well below what a customer would notice.
pub const OUTBOX_GRACE: Span = Span::seconds(5);

/// What became of each input of a batch.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each input; `None`: it was refused.
    pub verdicts: Vec<Option<Verdict>>,
    /// Inputs that cannot be decided, and why.
    pub refused: Vec<(usize, Refusal)>,
    /// What figures are made of.
    pub milestones: Vec<Milestone>,
    /// How long deciding took.
    pub took: Duration,
}

/// A batch to decide.
#[derive(Clone)]
pub struct Batch {
    /// What happened, in order.
    pub inputs: Arc<[Input]>,
    /// W3C trace context of each.
    pub traceparents: Arc<[Option<Arc<str>>]>,
    /// The operator's choices.
    pub policy: Arc<Policy>,
    /// The time, for all of them.
    pub now: Time,
    /// The machine's clock, for claims on the outbox.
    pub wall: Arc<dyn Clock>,
}

impl Batch {
    /// The decision for [`Store::transact`](crate::store::Store::transact), and where its report
    /// will be.
    pub fn decider(self) -> (Decide, Arc<Mutex<Report>>) {
        let report = Arc::new(Mutex::new(Report::default()));
        let slot = Arc::clone(&report);
        let decide: Decide = Arc::new(move |gathered| {
            let started = Instant::now();
            let (writes, mut report) = self.decide(gathered)?;
            report.took = started.elapsed();
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = report;
            Ok(writes)
        });
        (decide, report)
    }

    fn decide(&self, gathered: Gathered) -> Result<(Writes, Report), usize> {
        let mut writes = Writes { world: gathered.world, ..Writes::default() };
        let mut report = Report::default();
        let mut in_this_batch = HashSet::new();
        // From when the locks are held: what a batch waits for them, where the database is slow or
        // many batches meet, must not be taken from the time it has to publish. One time for all of
        // it, which a store may keep together.
        let claimed_until = self.wall.now().after(OUTBOX_GRACE);
        for (index, input) in self.inputs.iter().enumerate() {
            let looks = !is_planted(Bug::LedgerNotLookedInto);
            let known = looks && gathered.seen.get(index).copied().unwrap_or(false);
            if known || !in_this_batch.insert((&input.scope, &input.id)) {
                report.verdicts.push(Some(Verdict::Duplicate));
                continue;
            }
            let world = &mut writes.world;
            let decided =
                catch_unwind(AssertUnwindSafe(|| decide(world, input, &self.policy, self.now)));
            match decided {
                // The world may be half changed: the batch starts again without this input.
                Err(_panic) => return Err(index),
                Ok(Err(refusal)) => {
                    report.refused.push((index, refusal));
                    report.verdicts.push(None);
                }
                Ok(Ok(mut decision)) => {
                    report.verdicts.push(Some(decision.verdict));
                    report.milestones.append(&mut decision.milestones);
                    let traceparent = self.traceparents.get(index).cloned().flatten();
                    self.keep(&mut writes, input, traceparent, claimed_until, decision);
                }
            }
        }
        Ok((writes, report))
    }

    fn keep(
        &self,
        writes: &mut Writes,
        input: &Input,
        traceparent: Option<Arc<str>>,
        claimed_until: Time,
        decision: Decision,
    ) {
        if !matches!(input.happened, Happened::TimerDue(_)) {
            writes.inbox.push(InboxRow {
                scope: input.scope.clone(),
                id: input.id.clone(),
                kind: Arc::clone(&input.kind),
                at: input.at,
                verdict: decision.verdict,
            });
        }
        self.keep_history(writes, input, &decision);
        for change in decision.cases {
            let CaseChange { home, case, closed } = change;
            writes.cases.push(CaseRow { home, case, closed });
        }
        for command in &decision.commands {
            let traceparent = traceparent.clone();
            writes.outbox.extend(self.outbox_row(input, command, traceparent, claimed_until));
        }
    }

    fn outbox_row(
        &self,
        input: &Input,
        command: &Command,
        traceparent: Option<Arc<str>>,
        claimed_until: Time,
    ) -> Option<OutboxRow> {
        let body = encode_command(command, &input.scope, self.now)
            .inspect_err(|error| tracing::error!(%error, "a command cannot be encoded"))
            .ok()?;
        Some(OutboxRow {
            id: command.id.clone(),
            kind: command_type(command.body.name()).into(),
            scope: input.scope.clone(),
            correlation: Arc::clone(&command.correlation),
            decided_at: self.now,
            traceparent,
            body,
            claimed_until,
            bundle: None,
        })
    }

    fn keep_history(&self, writes: &mut Writes, input: &Input, decision: &Decision) {
        let row = |home: &HomeKey| HistoryRow {
            home: home.clone(),
            account: None,
            input: input.id.clone(),
            kind: Arc::clone(&input.kind),
            at: input.at,
            decided_at: self.now,
            verdict: decision.verdict.as_str().into(),
            note: String::new(),
            commands: Vec::new(),
        };
        if decision.notes.is_empty() {
            let silent = matches!(
                decision.verdict,
                Verdict::Unchanged | Verdict::Duplicate | Verdict::Ignored(_)
            );
            if silent && decision.commands.is_empty() {
                return;
            }
            if let Some((home, account)) = subject(&writes.world, input) {
                let mut row = row(&home);
                row.account = account;
                row.commands = decision.commands.iter().map(|one| one.id.clone()).collect();
                writes.history.push(row);
            }
            return;
        }
        for note in &decision.notes {
            let mut row = row(&note.home);
            row.account.clone_from(&note.account);
            row.note.clone_from(&note.text);
            row.commands.clone_from(&note.commands);
            writes.history.push(row);
        }
    }
}

/// Where an input belongs.
pub(crate) fn subject(
    world: &World,
    input: &Input,
) -> Option<(HomeKey, Option<relink_core::id::AccountId>)> {
    let home = |home: Home| HomeKey { scope: input.scope.clone(), home };
    match &input.happened {
        Happened::AccountObserved(seen) => {
            let key = AccountKey { scope: input.scope.clone(), account: seen.account.clone() };
            Some((world.home_of(&key)?.clone(), Some(seen.account.clone())))
        }
        Happened::AccountMissing(account) => {
            let key = AccountKey { scope: input.scope.clone(), account: account.clone() };
            Some((world.home_of(&key)?.clone(), Some(account.clone())))
        }
        Happened::AuthorizationObserved(seen) => {
            Some((home(Home::Authorization(seen.authorization.clone())), None))
        }
        Happened::SessionObserved(seen) => {
            Some((home(Home::Authorization(seen.authorization.clone())), None))
        }
        Happened::AuthorizationMissing(id) => Some((home(Home::Authorization(id.clone())), None)),
        Happened::TimerDue(key) => Some((key.clone(), None)),
        Happened::Ignored(_) => None,
    }
}

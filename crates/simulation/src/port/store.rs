//! The way to the database.

use std::sync::Arc;

use async_trait::async_trait;
use relink_bus::port::Parked;
use relink_bus::topology::WorkQueue;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, HomeKey, Scope};
use relink_core::input::Input;
use relink_core::time::{Second, Time};
use relink_engine::clock::Clock as _;
use relink_engine::outlook::Outlook;
use relink_engine::store::{
    CaseRow, Census, Committed, Decide, DueHome, Heard, HistoryRow, InboxRow, InputKey, OutboxRow,
    ParkedCount, ParkedRow, Selection, Store, StoreError, Tally, WhyParked, Writes,
};
use std::sync::atomic::Ordering;

use crate::fault::Fault;
use crate::process::Process;

/// The database of a process: the shared one, with faults in between.
pub(crate) struct GatedStore(pub(crate) Process);

fn trouble(what: &str) -> StoreError {
    StoreError::Transient(what.to_owned())
}

impl GatedStore {
    fn inner(&self) -> &dyn Store {
        &self.0.stage().store
    }

    /// Calls; the call may fail before it does anything, or after it has done everything.
    async fn call<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.0.point(what).await;
        let away = self.0.stage().database_away.load(Ordering::Relaxed);
        if away || self.0.strikes(Fault::DatabaseError) {
            self.0.note(format_args!("{what}: the database is away"));
            return Err(trouble("away"));
        }
        let result = call.await;
        self.0.point(what).await;
        if result.is_ok() && self.0.strikes(Fault::DatabaseAnswerLost) {
            self.0.note(format_args!("{what}: done, and the answer is lost"));
            return Err(trouble("the answer is lost"));
        }
        result
    }

    async fn commit(&self, inputs: Arc<[Input]>, decide: Decide) -> Result<Writes, StoreError> {
        let stage = self.0.stage();
        let writes = self.inner().transact(inputs, decide).await?;
        for row in &writes.inbox {
            self.0.note(format_args!("commits {} {}: {}", row.kind, row.id, row.verdict));
        }
        for row in &writes.history {
            if !row.note.is_empty() {
                self.0.note(format_args!("  {}: {}", row.home.home.as_str(), row.note));
            }
        }
        for row in &writes.outbox {
            self.0.note(format_args!("  {}", row.id));
        }
        if let Err(broken) = stage.watch.committed(&writes, &stage.policy, self.0.now()) {
            stage.broken(broken);
        }
        Ok(writes)
    }

    /// S4.
    async fn forget(&self, taken: &[Committed]) -> Result<(), StoreError> {
        let stage = self.0.stage();
        for one in taken.iter().filter(|one| !stage.watch.has_come_out(one.id.as_str())) {
            stage.broken(format!("S4: {} leaves the outbox and has not come out", one.id));
        }
        self.inner().delete_outbox(taken).await
    }

    /// S9.
    async fn keep_parked(&self, parked: Parked) -> Result<(), StoreError> {
        let id = parked.delivery.id.clone().unwrap_or_default();
        self.0.stage().parked(&id, parked.parking.reason, &parked.parking.error);
        self.inner().park(parked).await
    }
}

#[async_trait]
impl Store for GatedStore {
    async fn transact(&self, inputs: Arc<[Input]>, decide: Decide) -> Result<Writes, StoreError> {
        self.call("commit", self.commit(inputs, decide)).await
    }
    async fn due_homes(&self, now: Time, limit: usize) -> Result<Vec<DueHome>, StoreError> {
        self.call("look for timers", self.inner().due_homes(now, limit)).await
    }
    async fn claim_outbox(
        &self,
        now: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.call("claim the outbox", self.inner().claim_outbox(now, until, limit)).await
    }
    async fn delete_outbox(&self, taken: &[Committed]) -> Result<(), StoreError> {
        self.call("delete from the outbox", self.forget(taken)).await
    }
    async fn park(&self, parked: Parked) -> Result<(), StoreError> {
        self.call("park", self.keep_parked(parked)).await
    }
    async fn parked(
        &self,
        queue: WorkQueue,
        is_marked: bool,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ParkedRow>, StoreError> {
        self.call("parked", self.inner().parked(queue, is_marked, after, limit)).await
    }
    async fn parked_counts(&self) -> Result<Vec<ParkedCount>, StoreError> {
        self.call("parked", self.inner().parked_counts()).await
    }
    async fn mark_parked(&self, seq: i64, at: Time) -> Result<bool, StoreError> {
        self.call("parked", self.inner().mark_parked(seq, at)).await
    }
    async fn unpark(&self, seq: i64) -> Result<bool, StoreError> {
        self.call("parked", self.inner().unpark(seq)).await
    }
    async fn tally(&self, from: Second, until: Second) -> Result<Vec<Tally>, StoreError> {
        self.call("tally", self.inner().tally(from, until)).await
    }
    async fn why_parked(&self, id: &str) -> Result<Option<WhyParked>, StoreError> {
        self.call("parked", self.inner().why_parked(id)).await
    }
    async fn claim_work(
        &self,
        work: &str,
        claimant: &str,
        now: Time,
        until: Time,
    ) -> Result<bool, StoreError> {
        self.call("claim work", self.inner().claim_work(work, claimant, now, until)).await
    }
    async fn find(&self, id: &str) -> Result<Vec<Aggregate>, StoreError> {
        self.call("find", self.inner().find(id)).await
    }
    async fn list(&self, wanted: &Selection) -> Result<Vec<Aggregate>, StoreError> {
        self.call("list", self.inner().list(wanted)).await
    }
    async fn history(
        &self,
        home: &HomeKey,
        account: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.call("history", self.inner().history(home, account, limit)).await
    }
    async fn input_history(
        &self,
        input: &InboxRow,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.call("history", self.inner().input_history(input, limit)).await
    }
    async fn inbox_row(&self, id: &str) -> Result<Option<InboxRow>, StoreError> {
        self.call("ledger", self.inner().inbox_row(id)).await
    }
    async fn seen(&self, inputs: &[InputKey]) -> Result<Vec<bool>, StoreError> {
        self.call("ledger", self.inner().seen(inputs)).await
    }
    async fn latest_event(&self, since: Second) -> Result<Option<Second>, StoreError> {
        self.call("ledger", self.inner().latest_event(since)).await
    }
    async fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        self.call("scopes", self.inner().scopes()).await
    }
    async fn longest_unheard(
        &self,
        after: Option<&Heard>,
        before: Time,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        self.call("unheard", self.inner().longest_unheard(after, before, limit)).await
    }
    async fn count_unheard(&self, before: Time) -> Result<i64, StoreError> {
        self.call("unheard", self.inner().count_unheard(before)).await
    }
    async fn cases(&self, home: &HomeKey, limit: usize) -> Result<Vec<CaseRow>, StoreError> {
        self.call("cases", self.inner().cases(home, limit)).await
    }
    async fn census(&self) -> Result<Census, StoreError> {
        self.inner().census().await
    }
    async fn outlook(&self, now: Time) -> Result<Outlook, StoreError> {
        self.inner().outlook(now).await
    }
    async fn maintain(&self, now: Time, retention_days: u32) -> Result<(), StoreError> {
        self.call("maintain", self.inner().maintain(now, retention_days)).await
    }
    async fn probe(&self) -> Result<(), StoreError> {
        self.call("probe", self.inner().probe()).await
    }
}

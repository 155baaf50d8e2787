//! A store and a way out that fail on demand, around real ones.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use relink_bus::in_process::InProcessBus;
use relink_bus::message::Message;
use relink_bus::port::{Parked, PublishError, Publisher};
use relink_bus::topology::WorkQueue;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, HomeKey, Scope};
use relink_core::input::Input;
use relink_core::time::{Second, Time};
use relink_engine::outlook::Outlook;
use relink_engine::store::{
    CaseRow, Census, Committed, Decide, DueHome, Heard, HistoryRow, InboxRow, InputKey, OutboxRow,
    ParkedCount, ParkedRow, Selection, Store, StoreError, Tally, WhyParked, Writes,
};
use relink_sqlite::SqliteStore;
use relink_tests::contract::contract;
use serde_json::Value;

/// What becomes of an input.
#[derive(Clone, Copy)]
pub(crate) enum Poison {
    Refused,
    Undecided,
}

/// SQLite in memory, with faults.
pub(crate) struct FaultyStore {
    inner: SqliteStore,
    /// How many of the next calls find the database away.
    pub(crate) transacts_to_fail: AtomicUsize,
    pub(crate) probes_to_fail: AtomicUsize,
    pub(crate) deletes_to_fail: AtomicUsize,
    pub(crate) transacts: AtomicUsize,
    /// How long each transaction takes.
    pub(crate) takes: Mutex<Duration>,
    /// Inputs whose id starts so are poison.
    pub(crate) poisons: Mutex<HashMap<String, Poison>>,
}

impl FaultyStore {
    pub(crate) fn new() -> Self {
        Self {
            inner: SqliteStore::in_memory().unwrap(),
            transacts_to_fail: AtomicUsize::new(0),
            probes_to_fail: AtomicUsize::new(0),
            deletes_to_fail: AtomicUsize::new(0),
            transacts: AtomicUsize::new(0),
            takes: Mutex::default(),
            poisons: Mutex::default(),
        }
    }

    pub(crate) fn poison(&self, id: &str, poison: Poison) {
        self.poisons.lock().unwrap().insert(id.to_owned(), poison);
    }

    fn find_poison(&self, inputs: &[Input]) -> Option<StoreError> {
        let poisons = self.poisons.lock().unwrap();
        let refused = StoreError::Refused("a constraint".into());
        let found = inputs.iter().enumerate().find_map(|(index, input)| {
            let poison = poisons.iter().find(|(id, _)| input.id.as_str().starts_with(*id));
            poison.map(|(_, poison)| (index, *poison))
        });
        found.map(|(index, poison)| match poison {
            Poison::Refused => refused,
            Poison::Undecided => StoreError::Undecided(index),
        })
    }
}

fn away(left: &AtomicUsize) -> Result<(), StoreError> {
    let fewer = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    fewer.map_or(Ok(()), |_| Err(StoreError::Transient("away".into())))
}

#[async_trait]
impl Store for FaultyStore {
    async fn transact(&self, inputs: Arc<[Input]>, decide: Decide) -> Result<Writes, StoreError> {
        self.transacts.fetch_add(1, Ordering::SeqCst);
        away(&self.transacts_to_fail)?;
        let takes = *self.takes.lock().unwrap();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        match self.find_poison(&inputs) {
            Some(error) => Err(error),
            None => self.inner.transact(inputs, decide).await,
        }
    }
    async fn due_homes(&self, now: Time, limit: usize) -> Result<Vec<DueHome>, StoreError> {
        self.inner.due_homes(now, limit).await
    }
    async fn claim_outbox(
        &self,
        now: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.inner.claim_outbox(now, until, limit).await
    }
    async fn delete_outbox(&self, taken: &[Committed]) -> Result<(), StoreError> {
        away(&self.deletes_to_fail)?;
        self.inner.delete_outbox(taken).await
    }
    async fn park(&self, parked: Parked) -> Result<(), StoreError> {
        self.inner.park(parked).await
    }
    async fn why_parked(&self, id: &str) -> Result<Option<WhyParked>, StoreError> {
        self.inner.why_parked(id).await
    }
    async fn claim_work(
        &self,
        work: &str,
        claimant: &str,
        now: Time,
        until: Time,
    ) -> Result<bool, StoreError> {
        self.inner.claim_work(work, claimant, now, until).await
    }
    async fn parked(
        &self,
        queue: WorkQueue,
        is_marked: bool,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ParkedRow>, StoreError> {
        self.inner.parked(queue, is_marked, after, limit).await
    }
    async fn parked_counts(&self) -> Result<Vec<ParkedCount>, StoreError> {
        self.inner.parked_counts().await
    }
    async fn mark_parked(&self, seq: i64, at: Time) -> Result<bool, StoreError> {
        self.inner.mark_parked(seq, at).await
    }
    async fn unpark(&self, seq: i64) -> Result<bool, StoreError> {
        self.inner.unpark(seq).await
    }
    async fn tally(&self, from: Second, until: Second) -> Result<Vec<Tally>, StoreError> {
        self.inner.tally(from, until).await
    }
    async fn find(&self, id: &str) -> Result<Vec<Aggregate>, StoreError> {
        self.inner.find(id).await
    }
    async fn list(&self, wanted: &Selection) -> Result<Vec<Aggregate>, StoreError> {
        self.inner.list(wanted).await
    }
    async fn history(
        &self,
        home: &HomeKey,
        account: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.inner.history(home, account, limit).await
    }
    async fn input_history(
        &self,
        input: &InboxRow,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.inner.input_history(input, limit).await
    }
    async fn inbox_row(&self, id: &str) -> Result<Option<InboxRow>, StoreError> {
        self.inner.inbox_row(id).await
    }
    async fn cases(&self, home: &HomeKey, limit: usize) -> Result<Vec<CaseRow>, StoreError> {
        self.inner.cases(home, limit).await
    }
    async fn outlook(&self, now: Time) -> Result<Outlook, StoreError> {
        self.inner.outlook(now).await
    }
    async fn census(&self) -> Result<Census, StoreError> {
        self.inner.census().await
    }
    async fn seen(&self, inputs: &[InputKey]) -> Result<Vec<bool>, StoreError> {
        self.inner.seen(inputs).await
    }
    async fn latest_event(&self, since: Second) -> Result<Option<Second>, StoreError> {
        self.inner.latest_event(since).await
    }
    async fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        self.inner.scopes().await
    }
    async fn longest_unheard(
        &self,
        after: Option<&Heard>,
        before: Time,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        self.inner.longest_unheard(after, before, limit).await
    }
    async fn count_unheard(&self, before: Time) -> Result<i64, StoreError> {
        self.inner.count_unheard(before).await
    }
    async fn maintain(&self, now: Time, retention_days: u32) -> Result<(), StoreError> {
        self.inner.maintain(now, retention_days).await
    }
    async fn probe(&self) -> Result<(), StoreError> {
        away(&self.probes_to_fail)?;
        self.inner.probe().await
    }
}

/// How the way out is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Takes nothing.
    Away,
    /// Takes the message and loses the answer.
    Forgetful,
    /// Takes the message and never answers.
    Hanging,
    /// Takes the message and answers after a second.
    Slow,
}

/// The in-process bus, with faults; remembers what came out.
pub(crate) struct Wire {
    bus: InProcessBus,
    pub(crate) mood: Mutex<Mood>,
    pub(crate) came_out: Mutex<Vec<Message>>,
}

impl Wire {
    pub(crate) fn new(bus: InProcessBus) -> Self {
        Self { bus, mood: Mutex::new(Mood::Well), came_out: Mutex::default() }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Ids of what came out, in order.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.came_out.lock().unwrap().iter().map(|message| message.id.to_string()).collect()
    }

    /// Bodies of what came out, in order.
    pub(crate) fn bodies(&self) -> Vec<Value> {
        let came_out = self.came_out.lock().unwrap();
        came_out.iter().map(|message| serde_json::from_slice(&message.body).unwrap()).collect()
    }

    /// Names of the commands that came out, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |message: &Message| message.kind.split('.').nth(1).unwrap().to_owned();
        self.came_out.lock().unwrap().iter().map(name).collect()
    }
}

#[async_trait]
impl Publisher for Wire {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Away {
            return Err(PublishError::Away);
        }
        contract().hold_body(&message.kind, &message.body);
        self.came_out.lock().unwrap().push(message.clone());
        if mood == Mood::Slow {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        match mood {
            Mood::Forgetful => Err(PublishError::TimedOut),
            Mood::Hanging => std::future::pending().await,
            _ => self.bus.publish(message).await,
        }
    }

    async fn publish_all(&self, messages: Vec<Message>) -> Vec<Result<(), PublishError>> {
        let all = messages.into_iter().map(|message| self.publish(message));
        futures_util::future::join_all(all).await
    }

    fn is_ready(&self) -> bool {
        true
    }
}

//! The port to the database: gather, decide, commit as one transaction, and what the relay, the
//! scheduler and an operator ask for.

use std::sync::Arc;

use async_trait::async_trait;
use relink_bus::parked::ParkedMessage;
use relink_bus::port::Parked;
use relink_bus::topology::WorkQueue;
use relink_core::aggregate::{Aggregate, Case, Health};
use relink_core::command::CaseOutcome;
use relink_core::id::{AccountId, AccountKey, AuthorizationId, CommandId, HomeKey, InputId, Scope};
use relink_core::input::{Input, Verdict};
use relink_core::time::{Second, Time};
use relink_core::world::World;

use crate::outlook::Outlook;

mod command;

pub use command::{Bundle, Committed, OutboxRow};

/// What a transaction loaded, under lock.
#[derive(Debug)]
pub struct Gathered {
    /// The aggregates that the inputs name, with all their accounts.
    pub world: World,
    /// For each input, whether the inbox holds its id already.
    pub seen: Vec<bool>,
}

/// What a transaction shall write. The store writes those aggregates and accounts of `world`
/// that are listed as changed.
#[derive(Debug, Default)]
pub struct Writes {
    /// The world as decided.
    pub world: World,
    /// One row for each input that is new.
    pub inbox: Vec<InboxRow>,
    /// What happened and why, newest last.
    pub history: Vec<HistoryRow>,
    /// Commands to send.
    pub outbox: Vec<OutboxRow>,
    /// Cases that were opened, changed or closed.
    pub cases: Vec<CaseRow>,
}

/// Decides about what was gathered; pure, and called again when the transaction has to be
/// repeated. `Err` names the input that cannot be decided: the transaction is rolled back.
pub type Decide = Arc<dyn Fn(Gathered) -> Result<Writes, usize> + Send + Sync>;

/// One accepted input in the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InboxRow {
    /// Whose.
    pub scope: Scope,
    /// Its id; with the day of `at` the key of deduplication.
    pub id: InputId,
    /// The event's type.
    pub kind: Arc<str>,
    /// The event's `created`.
    pub at: Second,
    /// What became of it.
    pub verdict: Verdict,
}

/// Why something is as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryRow {
    /// Where.
    pub home: HomeKey,
    /// The account, where it is about one.
    pub account: Option<AccountId>,
    /// The input that led to it.
    pub input: InputId,
    /// The input's type.
    pub kind: Arc<str>,
    /// The input's time, by Stripe's clock.
    pub at: Second,
    /// When it was decided, by ours.
    pub decided_at: Time,
    /// The verdict's text.
    pub verdict: Arc<str>,
    /// What changed, in words; empty where nothing did.
    pub note: String,
    /// The commands it led to.
    pub commands: Vec<CommandId>,
}

/// A case for queries: the open one as it stands, or one that was closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaseRow {
    /// Where.
    pub home: HomeKey,
    /// The case.
    pub case: Case,
    /// When and how it closed.
    pub closed: Option<(Time, CaseOutcome)>,
}

/// Names a row of the ledger.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InputKey {
    /// Whose.
    pub scope: Scope,
    /// Its id.
    pub id: InputId,
    /// The event's `created`: a row is looked for under its day.
    pub at: Second,
}

/// An account and when it was last heard of, by our clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// When it was last observed.
    pub at: Time,
    /// Which.
    pub account: AccountKey,
    /// Where it lives.
    pub home: HomeKey,
}

/// A home with something due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DueHome {
    /// Which.
    pub home: HomeKey,
    /// Since when.
    pub due: Time,
}

/// Why a message is parked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WhyParked {
    /// The queue whose worker gave up on it.
    pub queue: String,
    /// The reason's name.
    pub reason: String,
    /// The error's text, without bodies or secrets.
    pub error: String,
    /// When it was parked.
    pub at: Time,
}

/// A parked message as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParkedRow {
    /// Its place in the order of parking.
    pub seq: i64,
    /// The message.
    pub message: ParkedMessage,
}

/// How many messages of a queue are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParkedCount {
    /// Which queue.
    pub queue: WorkQueue,
    /// Whether it is about those that somebody has asked to put back.
    pub is_marked: bool,
    /// How many.
    pub count: i64,
    /// The place of the newest.
    pub newest: i64,
}

/// Rows of the ledger that are alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tally {
    /// The day of `created`, in days since 1970.
    pub day: i64,
    /// Whether they are Stripe's events; else observations of our own.
    pub is_event: bool,
    /// What became of them.
    pub verdict: Arc<str>,
    /// How many.
    pub count: i64,
}

/// Which authorizations to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selection {
    /// Of this holder only.
    pub holder: Option<Arc<str>>,
    /// Of this health only.
    pub health: Option<Health>,
    /// Those behind this one; `None`: from the beginning.
    pub after: Option<(AuthorizationId, Scope)>,
    /// How many at the most.
    pub limit: usize,
}

/// Numbers for `status`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Census {
    /// Authorizations by health.
    pub authorizations: Vec<(String, i64)>,
    /// Open cases by reason.
    pub open_cases: Vec<(String, i64)>,
    /// Rows in the outbox.
    pub outbox_depth: i64,
    /// When the oldest of them was decided.
    pub outbox_oldest: Option<Time>,
    /// Parked messages that the store keeps (embedded mode; a broker keeps its own) and nobody has
    /// asked to put back.
    pub parked: i64,
}

/// A database that keeps Relink's state.
///
/// Every call is bounded by the store's own timeouts.
#[async_trait]
pub trait Store: Send + Sync {
    /// Loads and locks what the inputs want (`relink_core::world::Wanted`), calls `decide`, and
    /// commits its writes together; returns them once they are durable.
    ///
    /// Locks are taken in one order – accounts, holders, homes, each sorted – so that any number
    /// of these can run at once. The inbox is looked up after the locks are held, so that of two
    /// transactions with the same event one sees the other's row.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was written, except after [`StoreError::Transient`], when a
    /// commit may have gone through unseen: the same inputs are then found in the inbox.
    async fn transact(&self, inputs: Arc<[Input]>, decide: Decide) -> Result<Writes, StoreError>;

    /// Homes whose `next_due` has come, the earliest first, skipping those being worked on.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn due_homes(&self, now: Time, limit: usize) -> Result<Vec<DueHome>, StoreError>;

    /// Claims commands whose claim has run out, the longest run out first, until `until`; those
    /// of one call come in the order of their decisions. What a store keeps together is claimed
    /// together, so these may be more than `limit`, and fewer although more wait; none only where
    /// none is left.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn claim_outbox(
        &self,
        now: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError>;

    /// Deletes commands that the bus has taken, and no others, whatever they are kept with.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn delete_outbox(&self, taken: &[Committed]) -> Result<(), StoreError>;

    /// Keeps a message that the in-process bus set aside.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn park(&self, parked: Parked) -> Result<(), StoreError>;

    /// Why the message with this id is parked, the last time it was; `None` where the store keeps
    /// no such message. A broker keeps its own.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn why_parked(&self, id: &str) -> Result<Option<WhyParked>, StoreError>;

    /// Claims work that one process at a time shall do, or goes on claiming it, until `until`;
    /// `false` while somebody else has it.
    ///
    /// A claim that is not renewed runs out, so whoever dies is followed. A claim until `now` gives
    /// the work up.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn claim_work(
        &self,
        work: &str,
        claimant: &str,
        now: Time,
        until: Time,
    ) -> Result<bool, StoreError>;

    /// Parked messages of a queue, those that somebody has asked to put back or the others, behind
    /// a place in the order of parking.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn parked(
        &self,
        queue: WorkQueue,
        is_marked: bool,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ParkedRow>, StoreError>;

    /// How many there are; a queue without any is left out.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn parked_counts(&self) -> Result<Vec<ParkedCount>, StoreError>;

    /// Asks to put a parked message back, and says whether it was there and not asked for yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn mark_parked(&self, seq: i64, at: Time) -> Result<bool, StoreError>;

    /// Forgets a parked message, and says whether it was there.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn unpark(&self, seq: i64) -> Result<bool, StoreError>;

    /// Counts the ledger's rows of the days of `from` to `until` by day and verdict, in that
    /// order. Reads those days whole.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn tally(&self, from: Second, until: Second) -> Result<Vec<Tally>, StoreError>;

    /// Every aggregate that has this id, or an account with it, in any scope; at most 20.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn find(&self, id: &str) -> Result<Vec<Aggregate>, StoreError>;

    /// Authorizations in the order of their ids and scopes (as texts), a page at a time;
    /// provisional homes are not among them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn list(&self, wanted: &Selection) -> Result<Vec<Aggregate>, StoreError>;

    /// Ends of parts of `every` authorizations in the order of [`Store::list`], so that several
    /// readers can list one part each; the last part has no end. None where one reader is as fast.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn part_ends(&self, every: usize) -> Result<Vec<(AuthorizationId, Scope)>, StoreError> {
        let _ = every;
        Ok(Vec::new())
    }

    /// The latest history of a home (of one account of it, where given), newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn history(
        &self,
        home: &HomeKey,
        account: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError>;

    /// What one input of the ledger did, in the order of writing. Looked for under the input's
    /// day only: slower than a look-up by home, and bounded by one day.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn input_history(
        &self,
        input: &InboxRow,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError>;

    /// The ledger's row of an input, in any scope.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn inbox_row(&self, id: &str) -> Result<Option<InboxRow>, StoreError>;

    /// Which of these inputs the ledger holds, in the same order.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn seen(&self, inputs: &[InputKey]) -> Result<Vec<bool>, StoreError>;

    /// When the newest of Stripe's events made at `since` or later was made, by its `created`;
    /// observations and timers are none.
    ///
    /// Reads the ledger of the days since then: for a look every few minutes.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn latest_event(&self, since: Second) -> Result<Option<Second>, StoreError>;

    /// Every scope that anything is known of.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn scopes(&self) -> Result<Vec<Scope>, StoreError>;

    /// Accounts that are not disconnected, those first of which nothing was heard for longest, to
    /// the day: the ones after `after`, as far as they were last heard of before `before`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn longest_unheard(
        &self,
        after: Option<&Heard>,
        before: Time,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError>;

    /// How many accounts [`Store::longest_unheard`] would name in all.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn count_unheard(&self, before: Time) -> Result<i64, StoreError>;

    /// The cases of a home, the latest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn cases(&self, home: &HomeKey, limit: usize) -> Result<Vec<CaseRow>, StoreError>;

    /// Counts for people; may be a few seconds old. Reads whole tables.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn census(&self) -> Result<Census, StoreError>;

    /// Counts for metrics, every few seconds; see [`Outlook`].
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn outlook(&self, now: Time) -> Result<Outlook, StoreError>;

    /// Prepares the days ahead and drops inbox and history older than `retention_days`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn maintain(&self, now: Time, retention_days: u32) -> Result<(), StoreError>;

    /// Whether the database answers and accepts writes; what a worker probes after an outage.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn probe(&self) -> Result<(), StoreError>;
}

/// What went wrong in the database, by what can be done about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, overloaded, read-only or full: try the same again later.
    #[error("the database is not available: {0}")]
    Transient(String),
    /// The database refuses these rows for what they are: trying again cannot help.
    #[error("the database refuses the data: {0}")]
    Refused(String),
    /// The database is not what this version needs; says what to do.
    #[error("{0}")]
    Misconfigured(String),
    /// `decide` gave up on the input with this index.
    #[error("input {0} of the batch cannot be decided")]
    Undecided(usize),
}

//! The port, as seen from outside: every call goes to one of two threads.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use relink_bus::port::Parked;
use relink_bus::topology::WorkQueue;
use relink_core::aggregate::Aggregate;
use relink_core::id::{AccountId, HomeKey, Scope};
use relink_core::input::Input;
use relink_core::time::{Second, Time};
use relink_engine::outlook::Outlook;
use relink_engine::row::signed_rows;
use relink_engine::store::{
    CaseRow, Census, Committed, Decide, DueHome, Heard, HistoryRow, InboxRow, InputKey, OutboxRow,
    ParkedCount, ParkedRow, Selection, Store, StoreError, Tally, WhyParked, Writes,
};
use rusqlite::Connection;

use crate::day::day;
use crate::inline::Inline;
use crate::worker::{Haste, Worker};
use crate::{migrate, open, operator, outbox, outlook, parked, survey, transact};

/// A SQLite database that keeps Relink's state.
///
/// Dropping it answers the calls that wait and releases the file.
#[derive(Debug)]
pub struct SqliteStore {
    place: Place,
}

/// Where calls run.
#[derive(Debug)]
enum Place {
    /// A file of ours. The writer is the last to close it, and leaves one file without a log.
    File { reader: Worker, writer: Worker },
    /// A file of another process, perhaps.
    Foreign { reader: Worker, writer: Option<Worker> },
    /// Memory.
    Here(Inline),
}

impl SqliteStore {
    /// Opens or creates the file, readable for its user only, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] where another process has the file, it cannot be written, or
    /// a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (connection, owner) = open::writer(path)?;
        migrate::migrate(&connection)?;
        let log = open::log(path)?;
        let reader = open::reader(path)?;
        let writer = Worker::writer(connection, Some(log), Some(owner))?;
        Ok(Self { place: Place::File { reader: Worker::reader(reader)?, writer } })
    }

    /// A database that ends with this value: for tests and simulations. Calls run where they are
    /// made, so that the order of events depends on nothing but the caller.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn in_memory() -> Result<Self, StoreError> {
        let connection = open::memory()?;
        migrate::migrate(&connection)?;
        Ok(Self { place: Place::Here(Inline::new(connection)) })
    }

    /// Opens the file beside the process that has it, for what only reads.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] where there is no such file, or another version wrote it.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let connection = open::reader(path)?;
        migrate::check(&connection)?;
        let reader = Worker::reader(connection)?;
        Ok(Self { place: Place::Foreign { reader, writer: None } })
    }

    /// Opens the file beside the process that has it, for a person's small changes: what is
    /// dropped and what is to be put back. Each waits its turn for some milliseconds; whoever has
    /// the file does not notice.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`] where there is no such file, another version wrote it, or it
    /// cannot be written.
    pub fn open_beside(path: &Path) -> Result<Self, StoreError> {
        let connection = open::reader(path)?;
        migrate::check(&connection)?;
        let reader = Worker::reader(connection)?;
        let writer = Some(Worker::writer(open::beside_writer(path)?, None, None)?);
        Ok(Self { place: Place::Foreign { reader, writer } })
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.place {
            Place::File { reader, .. } | Place::Foreign { reader, .. } => {
                reader.call(Haste::Now, work).await
            }
            Place::Here(connection) => connection.call(work),
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(Haste::Now, work).await
    }

    async fn write_with<T: Send + 'static>(
        &self,
        haste: Haste,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.place {
            Place::File { writer, .. } | Place::Foreign { writer: Some(writer), .. } => {
                writer.call(haste, work).await
            }
            Place::Here(connection) => connection.call(work),
            Place::Foreign { writer: None, .. } => Err(StoreError::Misconfigured(
                "the file of RELINK_DATABASE_URL is opened for reading only".into(),
            )),
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn transact(&self, inputs: Arc<[Input]>, decide: Decide) -> Result<Writes, StoreError> {
        self.write(move |connection| transact::transact(connection, &inputs, &decide)).await
    }

    async fn due_homes(&self, now: Time, limit: usize) -> Result<Vec<DueHome>, StoreError> {
        self.read(move |connection| outbox::due_homes(connection, now, signed_rows(limit))).await
    }

    async fn claim_outbox(
        &self,
        now: Time,
        until: Time,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let limit = signed_rows(limit);
        self.write(move |connection| outbox::claim(connection, now, until, limit)).await
    }

    async fn delete_outbox(&self, taken: &[Committed]) -> Result<(), StoreError> {
        let taken = taken.to_vec();
        // What was taken may be taken once more, so it need not be gone at once.
        self.write_with(Haste::WithOthers, move |connection| outbox::delete(connection, &taken))
            .await
    }

    async fn park(&self, parked: Parked) -> Result<(), StoreError> {
        self.write(move |connection| parked::park(connection, &parked)).await
    }

    async fn parked(
        &self,
        queue: WorkQueue,
        is_marked: bool,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ParkedRow>, StoreError> {
        let limit = signed_rows(limit);
        self.read(move |connection| parked::parked(connection, queue, is_marked, after, limit))
            .await
    }

    async fn parked_counts(&self) -> Result<Vec<ParkedCount>, StoreError> {
        self.read(parked::counts).await
    }

    async fn mark_parked(&self, seq: i64, at: Time) -> Result<bool, StoreError> {
        self.write(move |connection| parked::mark(connection, seq, at)).await
    }

    async fn unpark(&self, seq: i64) -> Result<bool, StoreError> {
        self.write(move |connection| parked::unpark(connection, seq)).await
    }

    async fn tally(&self, from: Second, until: Second) -> Result<Vec<Tally>, StoreError> {
        self.read(move |connection| survey::tally(connection, from, until)).await
    }

    async fn why_parked(&self, id: &str) -> Result<Option<WhyParked>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| operator::why_parked(connection, &id)).await
    }

    async fn claim_work(
        &self,
        work: &str,
        claimant: &str,
        now: Time,
        until: Time,
    ) -> Result<bool, StoreError> {
        let (work, claimant) = (work.to_owned(), claimant.to_owned());
        self.write(move |connection| outbox::claim_work(connection, &work, &claimant, now, until))
            .await
    }

    async fn find(&self, id: &str) -> Result<Vec<Aggregate>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| operator::find(connection, &id)).await
    }

    async fn list(&self, wanted: &Selection) -> Result<Vec<Aggregate>, StoreError> {
        let wanted = wanted.clone();
        self.read(move |connection| operator::list(connection, &wanted)).await
    }

    async fn history(
        &self,
        home: &HomeKey,
        account: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let (home, account, limit) = (home.clone(), account.cloned(), signed_rows(limit));
        self.read(move |connection| operator::history(connection, &home, account.as_ref(), limit))
            .await
    }

    async fn input_history(
        &self,
        input: &InboxRow,
        limit: usize,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let (input, limit) = (input.clone(), signed_rows(limit));
        self.read(move |connection| operator::input_history(connection, &input, limit)).await
    }

    async fn inbox_row(&self, id: &str) -> Result<Option<InboxRow>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| operator::inbox_row(connection, &id)).await
    }

    async fn seen(&self, inputs: &[InputKey]) -> Result<Vec<bool>, StoreError> {
        let inputs = inputs.to_vec();
        self.read(move |connection| survey::seen(connection, &inputs)).await
    }

    async fn latest_event(&self, since: Second) -> Result<Option<Second>, StoreError> {
        self.read(move |connection| survey::latest_event(connection, since)).await
    }

    async fn scopes(&self) -> Result<Vec<Scope>, StoreError> {
        self.read(survey::scopes).await
    }

    async fn longest_unheard(
        &self,
        after: Option<&Heard>,
        before: Time,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        let (after, limit) = (after.cloned(), signed_rows(limit));
        self.read(move |connection| {
            survey::longest_unheard(connection, after.as_ref(), before, limit)
        })
        .await
    }

    async fn count_unheard(&self, before: Time) -> Result<i64, StoreError> {
        self.read(move |connection| survey::count_unheard(connection, before)).await
    }

    async fn cases(&self, home: &HomeKey, limit: usize) -> Result<Vec<CaseRow>, StoreError> {
        let (home, limit) = (home.clone(), signed_rows(limit));
        self.read(move |connection| operator::cases(connection, &home, limit)).await
    }

    async fn census(&self) -> Result<Census, StoreError> {
        self.read(operator::census).await
    }

    async fn outlook(&self, now: Time) -> Result<Outlook, StoreError> {
        self.read(move |connection| outlook::outlook(connection, now)).await
    }

    async fn maintain(&self, now: Time, retention_days: u32) -> Result<(), StoreError> {
        let today = day(Second(now.0.div_euclid(1000)));
        let first_kept = today.saturating_sub(retention_days.into());
        // In steps, so that batches get their turn in between.
        while self.write(move |connection| operator::expire(connection, first_kept)).await? {}
        Ok(())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.write(operator::probe).await
    }
}

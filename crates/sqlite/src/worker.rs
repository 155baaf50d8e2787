//! A thread that owns a connection, and the grouping of commits.
//!
//! Calls that wait are committed together. With a [`Log`] the next ones are taken while the disk
//! takes the ones before.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use relink_engine::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::error::{classify, closed};
use crate::log::Log;
use crate::thread::Thread;

/// Calls that may wait: more than there are workers with a batch in hand. Beyond it callers wait
/// for their turn to wait.
const WAITING_MAX: usize = 64;

/// How long a call without haste waits for others to be committed with.
const PATIENCE: Duration = Duration::from_millis(10);

/// Whether somebody waits for a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Haste {
    /// Yes.
    Now,
    /// No: rather than to cost a commit of its own, it waits for one that is made anyway.
    WithOthers,
}

/// What to tell the caller, once it is known whether the group is on the disk.
pub(crate) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A call, given the connection or why there is no transaction: whether to keep what it wrote,
/// and its answer.
type Work = Box<dyn FnOnce(Result<&Connection, StoreError>) -> (bool, Answer) + Send>;

/// A call that waits, with its place among [`WAITING_MAX`].
struct Job {
    work: Work,
    haste: Haste,
    _place: OwnedSemaphorePermit,
}

/// A thread with a connection; it ends when the value is dropped and all calls are answered.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Thread<Sender<Job>>,
    places: Arc<Semaphore>,
}

impl Worker {
    /// A thread that commits the calls that wait for it together. Without a log the connection
    /// itself waits for the disk. `owner` is held as long.
    pub(crate) fn writer(
        connection: Connection,
        log: Option<Log>,
        owner: Option<Connection>,
    ) -> Result<Self, StoreError> {
        Self::start("relink-sqlite-writer", move |jobs| {
            write_all(&connection, log.as_ref(), jobs);
            drop(log);
            drop(connection);
            drop(owner);
        })
    }

    /// A thread that only reads.
    pub(crate) fn reader(connection: Connection) -> Result<Self, StoreError> {
        Self::start("relink-sqlite-reader", move |jobs| {
            while let Ok(job) = jobs.recv() {
                let (_, answer) = (job.work)(Ok(&connection));
                answer(Ok(()));
            }
        })
    }

    fn start(
        name: &str,
        work: impl FnOnce(&Receiver<Job>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, waiting) = channel();
        let jobs = Thread::start(name, jobs, move || work(&waiting))?;
        Ok(Self { jobs, places: Arc::new(Semaphore::new(WAITING_MAX)) })
    }

    /// Runs a call on the thread. An error undoes what it wrote; so does a panic, which goes on
    /// in the caller, as it would if the call had been made there.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        haste: Haste,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| closed())?;
        let (tell, told) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let result = catch_unwind(AssertUnwindSafe(|| connection.and_then(work)));
            let keep = matches!(result, Ok(Ok(_)));
            let answer: Answer = Box::new(move |committed| {
                // A caller that has gone away does not want to know.
                _ = tell.send(outcome(result, committed));
            });
            (keep, answer)
        });
        let jobs = self.jobs.sender().ok_or_else(closed)?;
        jobs.send(Job { work, haste, _place: place }).map_err(|_| closed())?;
        told.await.map_err(|_| closed())?.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

type Caught<T> = Result<T, Box<dyn Any + Send>>;

/// The caller's answer, its own error first: it wrote nothing, whatever became of the others.
fn outcome<T>(
    result: Caught<Result<T, StoreError>>,
    committed: Result<(), StoreError>,
) -> Caught<Result<T, StoreError>> {
    Ok(result?.and_then(|value| committed.map(|()| value)))
}

/// The calls that wait; at least one, unless there are to be no more.
fn next_group(jobs: &Receiver<Job>) -> Vec<Job> {
    let mut group: Vec<Job> = jobs.recv().into_iter().collect();
    group.extend(jobs.try_iter());
    let until = Instant::now() + PATIENCE;
    while group.iter().all(|job| job.haste == Haste::WithOthers) {
        match jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(job) => group.push(job),
            // It is late enough, or there will be no others.
            Err(_) => break,
        }
    }
    // The first is the one that needs no savepoint, see `write_group`.
    group.sort_by_key(|job| job.haste);
    group
}

fn write_all(connection: &Connection, log: Option<&Log>, jobs: &Receiver<Job>) {
    loop {
        let group = next_group(jobs);
        if group.is_empty() {
            break;
        }
        let mut waiting = group.into_iter();
        let mut answers = Vec::with_capacity(waiting.len());
        let before = connection.total_changes();
        let committed = log
            .map_or(Ok(()), |log| log.mend(connection))
            .and_then(|()| write_group(connection, &mut waiting, &mut answers).map_err(classify));
        match (&committed, log) {
            (Ok(()), Some(log)) => {
                log.answer(answers, connection.total_changes() != before);
                continue;
            }
            (Ok(()), None) => {}
            (Err(error), _) => {
                // Fails where SQLite has rolled back already, or nothing was begun.
                _ = connection.execute_batch("ROLLBACK");
                answers.extend(waiting.map(|job| (job.work)(Err(error.clone())).1));
            }
        }
        for answer in answers {
            answer(committed.clone());
        }
    }
}

fn write_group(
    connection: &Connection,
    group: &mut impl Iterator<Item = Job>,
    answers: &mut Vec<Answer>,
) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    // The first needs no savepoint, which would copy every page before it is changed.
    if let Some(job) = group.next() {
        let (keep, answer) = (job.work)(Ok(connection));
        answers.push(answer);
        if !keep {
            connection.execute_batch("ROLLBACK; BEGIN IMMEDIATE")?;
        }
    }
    for job in group {
        let begun = connection.execute_batch("SAVEPOINT one");
        let (keep, answer) = (job.work)(begun.map(|()| connection).map_err(classify));
        answers.push(answer);
        if !keep {
            connection.execute_batch("ROLLBACK TO one")?;
        }
        connection.execute_batch("RELEASE one")?;
    }
    connection.execute_batch("COMMIT")
}

#[cfg(test)]
mod tests;

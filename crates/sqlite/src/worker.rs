//! A thread that owns a connection, and the grouping of commits.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::JoinHandle;

use relink_engine::store::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::error::{classify, closed};

/// Calls that may wait: more than there are workers with a batch in hand. Beyond it callers wait
/// for their turn to wait.
const WAITING_MAX: usize = 64;

/// What to tell the caller, once it is known whether the group is on the disk.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// A call, given the connection or why there is no transaction: whether to keep what it wrote,
/// and its answer.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) -> (bool, Answer) + Send>;

/// A thread with a connection; it ends when the value is dropped and all calls are answered.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// A thread that commits the calls that wait for it together.
    /// `owner` is held as long.
    pub(crate) fn writer(
        connection: Connection,
        owner: Option<Connection>,
    ) -> Result<Self, StoreError> {
        Self::start("relink-sqlite-writer", move |jobs| {
            write_all(&connection, jobs);
            drop(connection);
            drop(owner);
        })
    }

    /// A thread that only reads.
    pub(crate) fn reader(connection: Connection) -> Result<Self, StoreError> {
        Self::start("relink-sqlite-reader", move |jobs| {
            while let Some(job) = jobs.blocking_recv() {
                let (_, answer) = job(Ok(&connection));
                answer(Ok(()));
            }
        })
    }

    fn start(
        name: &str,
        work: impl FnOnce(&mut mpsc::Receiver<Job>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (jobs, mut waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || work(&mut waiting))
            .map_err(|error| StoreError::Transient(format!("no thread to be had: {error}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Runs a call on the thread. An error undoes what it wrote; so does a panic, which goes on
    /// in the caller, as it would if the call had been made there.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = catch_unwind(AssertUnwindSafe(|| connection.and_then(work)));
            let keep = matches!(result, Ok(Ok(_)));
            let answer: Answer = Box::new(move |committed| {
                // A caller that has gone away does not want to know.
                _ = tell.send(outcome(result, committed));
            });
            (keep, answer)
        });
        let jobs = self.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(job).await.map_err(|_| closed())?;
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

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It answers what is waiting, milliseconds, and then releases the file.
            _ = thread.join();
        }
    }
}

fn write_all(connection: &Connection, jobs: &mut mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(WAITING_MAX);
    while jobs.blocking_recv_many(&mut group, WAITING_MAX) > 0 {
        let mut waiting = group.drain(..);
        let mut answers = Vec::with_capacity(waiting.len());
        let committed = write_group(connection, &mut waiting, &mut answers).map_err(classify);
        if let Err(error) = &committed {
            // Fails where SQLite has rolled back already.
            _ = connection.execute_batch("ROLLBACK");
            answers.extend(waiting.map(|job| job(Err(error.clone())).1));
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
    for job in group {
        let begun = connection.execute_batch("SAVEPOINT one");
        let (keep, answer) = job(begun.map(|()| connection).map_err(classify));
        answers.push(answer);
        if !keep {
            connection.execute_batch("ROLLBACK TO one")?;
        }
        connection.execute_batch("RELEASE one")?;
    }
    connection.execute_batch("COMMIT")
}

//! The write-ahead log on its way to the disk, while the next transactions are made.
//!
//! With `synchronous = NORMAL` SQLite appends a commit to the log and has the disk take it only
//! before it is carried over into the file (SQLite docs: PRAGMA synchronous). Here a thread of its
//! own does that after each commit, for all that were made meanwhile together, and only then are
//! they answered. The order of the log is kept, so an answer is never on the disk before what it
//! was concluded from.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use relink_engine::store::StoreError;
use rusqlite::Connection;

use crate::error::classify;
use crate::thread::Thread;
use crate::worker::Answer;

/// Groups of calls that may wait for the disk; beyond it no more are committed.
const WAITING_MAX: usize = 8;

/// Has the disk take all that was appended to the log.
pub(crate) type Synchronize = Box<dyn Fn() -> io::Result<()> + Send>;

/// Calls that were committed together.
struct Group {
    answers: Vec<Answer>,
    has_written: bool,
}

/// The log's thread; it ends when the value is dropped and all calls are answered.
#[derive(Debug)]
pub(crate) struct Log {
    groups: Thread<SyncSender<Group>>,
    /// Whether the disk may lack what the log is said to hold.
    is_doubtful: Arc<AtomicBool>,
}

impl Log {
    /// Doubts what is there: a process that ended before it had the disk take the log, or because
    /// the disk did not, leaves what looks whole and is not on the disk.
    pub(crate) fn start(synchronize: Synchronize) -> Result<Self, StoreError> {
        let (groups, waiting) = sync_channel(WAITING_MAX);
        let is_doubtful = Arc::new(AtomicBool::new(true));
        let doubt = Arc::clone(&is_doubtful);
        let work = move || synchronize_all(&waiting, &synchronize, &doubt);
        Ok(Self { groups: Thread::start("relink-sqlite-log", groups, work)?, is_doubtful })
    }

    /// Answers calls that were committed, once they and all before them are on the disk.
    pub(crate) fn answer(&self, answers: Vec<Answer>, has_written: bool) {
        let group = Group { answers, has_written };
        // The thread lives as long as this value; were it gone, callers would learn it by the
        // answer that never comes.
        _ = self.groups.sender().map(|groups| groups.send(group));
    }

    /// Where the log is in doubt, carries all of it over into the file before anything more is
    /// written. What a disk has once refused counts as written from then on and is never tried
    /// again (fsync(2)), so the log may lack a piece in its middle for ever, behind which nothing
    /// would be found after a loss of power.
    ///
    /// What is carried over is read from the system's memory of the log, which still holds what
    /// the disk has refused, unless memory was short in the moments since; SQLite verifies nothing
    /// there.
    pub(crate) fn mend(&self, connection: &Connection) -> Result<(), StoreError> {
        if !self.is_doubtful.load(Ordering::Acquire) {
            return Ok(());
        }
        let carried = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
        if carried.map_err(classify)? {
            return Err(StoreError::Transient(
                "the log of RELINK_DATABASE_URL has to be carried over into its file first, and \
                 somebody has been reading that file for seconds"
                    .into(),
            ));
        }
        self.is_doubtful.store(false, Ordering::Release);
        Ok(())
    }
}

fn synchronize_all(waiting: &Receiver<Group>, synchronize: &Synchronize, is_doubtful: &AtomicBool) {
    while let Ok(first) = waiting.recv() {
        let mut groups = vec![first];
        groups.extend(waiting.try_iter());
        let taken = if is_doubtful.load(Ordering::Acquire) {
            Err(StoreError::Transient("the disk has failed and is tried again".into()))
        } else if groups.iter().any(|group| group.has_written) {
            synchronize().map_err(|error| {
                is_doubtful.store(true, Ordering::Release);
                StoreError::Transient(format!("the disk does not take what was written: {error}"))
            })
        } else {
            Ok(())
        };
        for answer in groups.into_iter().flat_map(|group| group.answers) {
            answer(taken.clone());
        }
    }
}

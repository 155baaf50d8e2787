//! Opening files: whose they are, who may read them, and how durable they are.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use relink_engine::store::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::classify;
use crate::log::Log;

/// How long a statement waits for a lock: only the moment in which a reader's and the writer's
/// log meet, or an operator's tool copies the file. After the disk has failed, and after a crash,
/// the log is carried over while nobody reads, so there a long look at the file is in the way.
const BUSY_MS: u32 = 5_000;

/// Statements kept ready on a connection; there are about 40 in all.
const STATEMENTS: usize = 64;

/// What a writer needs, on top of what a reader does: readers go on meanwhile, what is carried over
/// from the log was on the disk before (that every commit is, before it is answered, is [`Log`]'s
/// work), and 32 MiB of pages stay in memory. The log is carried over into the file every 32 MiB;
/// with the default of 4 MiB nearly every large batch would be written twice at once.
const WRITER: &str = "\
    PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768; \
    PRAGMA wal_autocheckpoint = 8000; PRAGMA temp_store = MEMORY";

/// A connection that writes, in memory.
pub(crate) fn memory() -> Result<Connection, StoreError> {
    ready(Connection::open_in_memory().map_err(classify)?)
}

/// A connection that writes, and the proof that nobody else does.
pub(crate) fn writer(path: &Path) -> Result<(Connection, Connection), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(StoreError::Misconfigured(format!(
            "RELINK_DATABASE_URL: there is no folder {}; make it first",
            folder.display()
        )));
    }
    let owner = own(path)?;
    create_private(path)?;
    let connection = ready(Connection::open(path).map_err(classify)?)?;
    connection.execute_batch(WRITER).map_err(classify)?;
    Ok((connection, owner))
}

/// A connection that writes beside whoever has the file; each of its transactions holds the
/// file's lock by itself.
pub(crate) fn beside_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = ready(Connection::open_with_flags(path, flags).map_err(classify)?)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(classify)?;
    Ok(connection)
}

/// A connection that reads.
pub(crate) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags);
    let connection = opened.map_err(|_| {
        StoreError::Misconfigured(format!(
            "no database at {}: check RELINK_DATABASE_URL",
            path.display()
        ))
    })?;
    ready(connection)
}

/// The log of the file that a connection writes; it is there from the first look at the file until
/// the last connection is closed.
///
/// Closing a file loses every lock that the process has on it (POSIX, fcntl), and SQLite has none
/// on its log.
pub(crate) fn log(path: &Path) -> Result<Log, StoreError> {
    let path = beside(path, "-wal");
    // For writing, without which some systems have nothing taken.
    let file = OpenOptions::new().write(true).open(&path).map_err(|error| {
        StoreError::Misconfigured(format!("{} cannot be written: {error}", path.display()))
    })?;
    Log::start(Box::new(move || file.sync_data()))
}

fn ready(connection: Connection) -> Result<Connection, StoreError> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "busy_timeout", BUSY_MS).map_err(classify)?;
    Ok(connection)
}

/// Holds an exclusive lock on a small file beside the database, until it is dropped or the
/// process ends, however it ends. Not on the database itself: that would keep readers out, and a
/// lock taken only while writing would let two writers take turns.
fn own(path: &Path) -> Result<Connection, StoreError> {
    let beside = beside(path, "-owner");
    create_private(&beside)?;
    let owner = Connection::open(&beside).map_err(classify)?;
    let locked = owner
        .pragma_update(None, "busy_timeout", 0)
        .and_then(|()| owner.execute_batch("BEGIN EXCLUSIVE"));
    match locked {
        Ok(()) => Ok(owner),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Err(StoreError::Misconfigured(format!(
                "{} is in use by another Relink process: stop it, or give this one a file of its \
                 own in RELINK_DATABASE_URL",
                path.display()
            )))
        }
        Err(error) => Err(classify(error)),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Creates the file for its user only: it says who has trouble with which bank.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|error| {
        StoreError::Misconfigured(format!(
            "{} cannot be written ({error}): check RELINK_DATABASE_URL",
            path.display()
        ))
    })
}

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use super::*;
use crate::open;

const INSERT: &str = "INSERT INTO rows (n) VALUES (?1)";

/// A disk that does as it is told.
#[derive(Default)]
struct Disk {
    fails: AtomicBool,
    taken: AtomicUsize,
    /// Held while it takes nothing.
    stuck: Mutex<()>,
}

/// A file with one table, and the disk that its log goes to.
struct Stand {
    folder: tempfile::TempDir,
    disk: Arc<Disk>,
    worker: Worker,
}

impl Stand {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (connection, owner) = open::writer(&folder.path().join("db")).unwrap();
        connection.execute_batch("CREATE TABLE rows (n INTEGER PRIMARY KEY)").unwrap();
        let disk = Arc::new(Disk::default());
        let taking = Arc::clone(&disk);
        let log = Log::start(Box::new(move || {
            drop(taking.stuck.lock().unwrap());
            taking.taken.fetch_add(1, Ordering::SeqCst);
            match taking.fails.load(Ordering::SeqCst) {
                true => Err(io::Error::other("no more")),
                false => Ok(()),
            }
        }));
        let worker = Worker::writer(connection, Some(log.unwrap()), Some(owner)).unwrap();
        Self { folder, disk, worker }
    }

    async fn insert(&self, number: i64) -> Result<(), StoreError> {
        self.insert_with(Haste::Now, number).await
    }

    async fn insert_with(&self, haste: Haste, number: i64) -> Result<(), StoreError> {
        let insert = move |db: &Connection| db.execute(INSERT, [number]).map_err(classify);
        self.worker.call(haste, insert).await.map(drop)
    }

    /// Makes calls while the thread is busy, which then takes them together.
    async fn together<T>(&self, calls: impl Future<Output = T>) -> T {
        let (begun, is_begun) = oneshot::channel();
        let (go, goes) = channel::<()>();
        let busy = self.worker.call(Haste::Now, move |_| {
            _ = begun.send(());
            _ = goes.recv();
            Ok(())
        });
        let calls = async {
            is_begun.await.unwrap();
            tokio::join!(calls, async { _ = go.send(()) }).0
        };
        let (busy, calls) = tokio::join!(busy, calls);
        busy.unwrap();
        calls
    }

    /// What somebody sees who looks at the file.
    fn rows(&self) -> Vec<i64> {
        rows(&self.folder.path().join("db"))
    }

    fn log_bytes(&self) -> u64 {
        self.folder.path().join("db-wal").metadata().unwrap().len()
    }
}

fn rows(path: &Path) -> Vec<i64> {
    let connection = open::reader(path).unwrap();
    let mut select = connection.prepare("SELECT n FROM rows ORDER BY n").unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn refuse(db: &Connection) -> Result<(), StoreError> {
    db.execute(INSERT, [99]).map_err(classify)?;
    Err(StoreError::Refused("not this one".into()))
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "what waits for it is another thread")]
async fn what_is_committed_is_answered_once_the_disk_has_it() {
    let stand = Stand::new();
    let stuck = stand.disk.stuck.lock().unwrap();
    let one = stand.insert(1);
    let other = stand.insert(2);
    tokio::pin!(one, other);
    // The second is committed while the disk is busy with the first, and neither is answered.
    loop {
        tokio::select! {
            biased;
            _ = &mut one => panic!("answered before the disk had it"),
            _ = &mut other => panic!("answered before the disk had it"),
            () = tokio::task::yield_now() => {}
        }
        if stand.rows() == [1, 2] {
            break;
        }
    }
    assert_eq!(stand.disk.taken.load(Ordering::SeqCst), 0);
    drop(stuck);
    assert_eq!((one.await, other.await), (Ok(()), Ok(())));
}

#[tokio::test]
async fn a_call_that_writes_nothing_costs_the_disk_nothing() {
    let stand = Stand::new();
    stand.worker.call(Haste::Now, |_| Ok(())).await.unwrap();
    assert_eq!(stand.disk.taken.load(Ordering::SeqCst), 0);
    stand.insert(1).await.unwrap();
    assert_eq!(stand.disk.taken.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn after_the_disk_has_failed_nothing_relies_on_what_it_may_lack() {
    let stand = Stand::new();
    for number in 1..=50 {
        stand.insert(number).await.unwrap();
    }
    let long = stand.log_bytes();
    stand.disk.fails.store(true, Ordering::SeqCst);
    for number in [51, 52] {
        let failed = stand.insert(number).await.unwrap_err();
        assert!(matches!(&failed, StoreError::Transient(text) if text.contains("no more")));
    }
    stand.disk.fails.store(false, Ordering::SeqCst);
    stand.insert(53).await.unwrap();
    // The log has begun anew: what the disk may have lost of it is in the file.
    assert!(stand.log_bytes() < long, "{long}");
    assert_eq!(stand.rows(), (1..=53).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_an_earlier_process_left_is_carried_over_before_more_is_written() {
    let stand = Stand::new();
    // It was never asked to take what made the table.
    let left = stand.log_bytes();
    assert!(left > 0);
    stand.worker.call(Haste::Now, |_| Ok(())).await.unwrap();
    assert_eq!(stand.log_bytes(), 0);
    // It cannot be while somebody reads.
    let hurry = |db: &Connection| db.execute_batch("PRAGMA busy_timeout = 1").map_err(classify);
    stand.worker.call(Haste::Now, hurry).await.unwrap();
    let path = stand.folder.path().join("db");
    stand.insert(1).await.unwrap();
    let reader = open::reader(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM rows").unwrap();
    stand.disk.fails.store(true, Ordering::SeqCst);
    stand.insert(2).await.unwrap_err();
    stand.disk.fails.store(false, Ordering::SeqCst);
    let busy = stand.insert(3).await.unwrap_err();
    assert!(matches!(&busy, StoreError::Transient(text) if text.contains("reading")), "{busy:?}");
    drop(reader);
    stand.insert(4).await.unwrap();
    assert_eq!(stand.rows(), [1, 2, 4]);
}

#[tokio::test]
async fn of_calls_that_are_committed_together_each_fails_alone() {
    let stand = Stand::new();
    let refuse = || stand.worker.call(Haste::Now, refuse);
    let ((refused, kept), (kept_first, refused_last)) = (
        stand.together(async { tokio::join!(refuse(), stand.insert(1)) }).await,
        stand.together(async { tokio::join!(stand.insert(0), refuse()) }).await,
    );
    assert_eq!((kept, kept_first), (Ok(()), Ok(())));
    for refused in [refused, refused_last] {
        assert_eq!(refused, Err(StoreError::Refused("not this one".into())));
    }
    assert_eq!(stand.rows(), [0, 1]);
}

#[tokio::test]
async fn a_call_without_haste_comes_with_the_next_one_or_by_itself() {
    let stand = Stand::new();
    let patient = stand.insert_with(Haste::WithOthers, 1);
    let both = stand.together(async { tokio::join!(patient, stand.insert(2)) }).await;
    assert_eq!(both, (Ok(()), Ok(())));
    assert_eq!(stand.disk.taken.load(Ordering::SeqCst), 1, "both in one commit");
    stand.insert_with(Haste::WithOthers, 3).await.unwrap();
    assert_eq!(stand.rows(), [1, 2, 3]);
}

#[tokio::test]
async fn what_waits_is_written_before_the_file_is_released() {
    let stand = Stand::new();
    let mut insert = Box::pin(stand.insert_with(Haste::WithOthers, 1));
    std::future::poll_fn(|context| {
        _ = insert.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    drop(insert);
    let Stand { folder, worker, .. } = stand;
    drop(worker);
    let path = folder.path().join("db");
    let (_again, _owner) = open::writer(&path).unwrap();
    assert_eq!(rows(&path), [1]);
}

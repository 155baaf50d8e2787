//! What only SQLite has: a file, whose it is and who may look into it.

use relink_bus::topology::WorkQueue;
use relink_engine::store::{Store, StoreError};
use relink_sqlite::SqliteStore;

use super::parked::parked;
use super::world::*;

fn misconfigured<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Misconfigured(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_keeps_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relink.db");
    let stored = aggregate(home("fcauth_1"), &[("fca_1", account(1))]);
    let store = SqliteStore::open(&path).unwrap();
    put(&store, std::slice::from_ref(&stored)).await.unwrap();
    drop(store);
    assert!(!folder.path().join("relink.db-wal").exists(), "all of it is in the file");
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(load(&store, &stored.key).await.unwrap(), stored);
}

#[tokio::test]
async fn a_file_belongs_to_one_and_others_may_look() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relink.db");
    assert!(misconfigured(SqliteStore::open_read_only(&path)).contains("RELINK_DATABASE_URL"));
    let store = SqliteStore::open(&path).unwrap();
    assert!(misconfigured(SqliteStore::open(&path)).contains("in use"));
    let looking = SqliteStore::open_read_only(&path).unwrap();
    let stored = aggregate(home("fcauth_1"), &[("fca_1", account(1))]);
    put(&store, std::slice::from_ref(&stored)).await.unwrap();
    assert_eq!(looking.find("fca_1").await.unwrap(), [stored]);
    misconfigured(looking.probe().await);
}

#[tokio::test]
async fn a_person_may_say_beside_the_owner_what_becomes_of_a_parked_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relink.db");
    assert!(misconfigured(SqliteStore::open_beside(&path)).contains("RELINK_DATABASE_URL"));
    let owner = SqliteStore::open(&path).unwrap();
    for id in ["evt_1", "evt_2"] {
        owner.park(parked(Some(id.into()))).await.unwrap();
    }
    let beside = SqliteStore::open_beside(&path).unwrap();
    let rows = beside.parked(WorkQueue::Lifecycle, false, 0, 9).await.unwrap();
    // Both write at once; each waits for the other.
    let stored = aggregate(home("fcauth_1"), &[("fca_1", account(1))]);
    let all = [stored];
    let (marked, unparked, written) = tokio::join!(
        beside.mark_parked(rows[0].seq, NOW),
        beside.unpark(rows[1].seq),
        put(&owner, &all),
    );
    assert_eq!((marked, unparked), (Ok(true), Ok(true)));
    written.unwrap();
    let marked = owner.parked(WorkQueue::Lifecycle, true, 0, 9).await.unwrap();
    assert_eq!(marked.len(), 1);
    assert_eq!(owner.census().await.unwrap().parked, 0);
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_its_users_own() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("relink.db")).unwrap();
    store.probe().await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert!(files >= 3, "the database, its log and its owner's lock");
}

#[tokio::test]
async fn a_newer_or_foreign_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relink.db");
    std::fs::write(&path, "not a database, but long enough to be taken for one ".repeat(99))
        .unwrap();
    assert!(misconfigured(SqliteStore::open(&path)).contains("RELINK_DATABASE_URL"));
    assert!(misconfigured(SqliteStore::open(folder.path())).contains("RELINK_DATABASE_URL"));
}

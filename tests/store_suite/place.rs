//! Where a test's store lives: memory, a file, a database of its own.

use relink_engine::store::Store;
use relink_postgres::{PostgresConfig, PostgresStore};
use relink_sqlite::SqliteStore;
use relink_tests::database::{Test, block_on, with_database};

/// A kind of store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    SqliteInMemory,
    SqliteFile,
    Postgres { prepare: bool },
}

/// Runs a test with an empty store.
pub(crate) fn with_store(kind: Kind, test: impl FnOnce(&dyn Store) -> Test<'_> + Send + 'static) {
    match kind {
        Kind::SqliteInMemory => block_on(async {
            let store = SqliteStore::in_memory().unwrap();
            test(&store).await;
        }),
        Kind::SqliteFile => block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::open(&folder.path().join("relink.db")).unwrap();
            test(&store).await;
        }),
        Kind::Postgres { prepare } => with_database(move |url| {
            Box::pin(async move {
                let mut config = PostgresConfig::new(url);
                config.prepare = prepare;
                relink_postgres::migrate(&config, false).await.unwrap();
                let store = PostgresStore::connect(config).await.unwrap();
                test(&store).await;
            })
        }),
    }
}

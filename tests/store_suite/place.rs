//! Where a test's store lives: memory, a file, a database of its own.

use std::env;
use std::pin::Pin;

use relink_engine::store::Store;
use relink_postgres::{PostgresConfig, PostgresStore};
use relink_sqlite::SqliteStore;
use tokio_postgres::NoTls;

/// A kind of store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    SqliteInMemory,
    SqliteFile,
    Postgres { prepare: bool },
}

type Test<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

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

/// Runs a test with an empty database, which is dropped whatever becomes of the test.
pub(crate) fn with_database(test: impl FnOnce(String) -> Test<'static> + Send + 'static) {
    let Ok(server) = env::var("RELINK_TEST_DATABASE_URL") else {
        eprintln!("LEFT OUT: PostgreSQL is not tested, RELINK_TEST_DATABASE_URL is not set");
        return;
    };
    let name = format!("relink_test_{:016x}", rand::random::<u64>());
    block_on(execute(&server, &format!("CREATE DATABASE {name}")));
    let mut url: Vec<&str> = server.splitn(2, '?').collect();
    let base = url.remove(0);
    // Of the path behind the host only the database is replaced.
    let host = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let options = url.first().map(|options| format!("?{options}")).unwrap_or_default();
    let own = format!("{host}/{name}{options}");
    let result = std::thread::spawn(move || block_on(test(own))).join();
    block_on(execute(&server, &format!("DROP DATABASE {name} WITH (FORCE)")));
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Runs one statement on the server, outside any store.
pub(crate) async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.unwrap();
}

/// A connection of the test's own.
pub(crate) async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Several threads: a test that holds a batch in `decide` blocks one of them.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(future)
}

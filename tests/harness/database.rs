//! An empty database that one test has to itself.

use std::env;
use std::pin::Pin;

use tokio_postgres::{Client, NoTls};

/// A test under way.
pub type Test<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs a test with the URL of an empty database, which is dropped whatever becomes of the test.
/// Without `RELINK_TEST_DATABASE_URL` the test is left out, and says so.
///
/// # Panics
/// When the test does, or the server refuses to make databases.
pub fn with_database(test: impl FnOnce(String) -> Test<'static> + Send + 'static) {
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

/// Runs statements on the server, outside any store.
///
/// # Panics
/// When it refuses them.
pub async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.unwrap();
}

/// A connection of the test's own.
///
/// # Panics
/// When there is none to be had.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Several threads: a test that holds a batch in `decide` blocks one of them.
///
/// # Panics
/// When the machine has no thread left.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(future)
}

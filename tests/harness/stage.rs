//! The one door to a test: finds the servers, gives the test what it stands on, clears up.

use std::cell::RefCell;
use std::env;
use std::path::{Path, PathBuf};

use crate::place::{Place, clear};

/// The servers a test needs, as the environment names them.
#[derive(Clone, Debug)]
pub struct Servers {
    /// The broker's default virtual host.
    pub amqp_url: String,
    /// A database whose role may create others.
    pub database_url: String,
    /// The broker's control program.
    pub rabbitmqctl: String,
}

impl Servers {
    fn of_environment() -> Result<Self, &'static str> {
        let get = |name| env::var(name).ok().filter(|value| !value.is_empty()).ok_or(name);
        Ok(Self {
            amqp_url: get("RELINK_TEST_AMQP_URL")?,
            database_url: get("RELINK_TEST_DATABASE_URL")?,
            rabbitmqctl: get("RELINK_TEST_RABBITMQCTL")?,
        })
    }
}

/// Where one test plays: a folder for logs, and the servers it makes its places on.
pub struct Stage {
    folder: tempfile::TempDir,
    servers: Option<Servers>,
    places: RefCell<Vec<String>>,
}

impl Stage {
    /// A folder that is gone after the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The servers that all tests share.
    ///
    /// # Panics
    /// In a test without servers.
    pub fn servers(&self) -> Servers {
        self.servers.clone().unwrap()
    }

    /// A database and a virtual host of their own, both empty.
    ///
    /// # Panics
    /// In a test without servers.
    pub async fn place(&self, name: &'static str) -> Place {
        let own = unique();
        self.places.borrow_mut().push(own.clone());
        Place::create(self.servers(), own, name, self.folder()).await
    }

    /// The same on other servers, which take it with them when they go.
    pub async fn place_on(&self, servers: &Servers, name: &'static str) -> Place {
        Place::create(servers.clone(), unique(), name, self.folder()).await
    }

    async fn clear(&self) {
        if let Some(servers) = &self.servers {
            clear(servers, &self.places.take()).await;
        }
    }
}

fn unique() -> String {
    format!("relink_test_{:016x}", rand::random::<u64>())
}

/// Runs a test that needs the servers; without them it says so and passes.
pub fn on_stage(test: impl AsyncFnOnce(&Stage) + Send + 'static) {
    match Servers::of_environment() {
        Ok(servers) => play(Some(servers), test),
        Err(name) => eprintln!("LEFT OUT: {name} is not set, so this end-to-end test ran nothing"),
    }
}

/// Runs a test that needs the binary alone.
pub fn without_servers(test: impl AsyncFnOnce(&Stage) + Send + 'static) {
    play(None, test);
}

/// The test has a thread of its own, so that its panic ends its processes first, then shows
/// their logs, and then removes what it made.
fn play(servers: Option<Servers>, test: impl AsyncFnOnce(&Stage) + Send + 'static) {
    let stage = Stage { folder: tempfile::tempdir().unwrap(), servers, places: RefCell::default() };
    let logs = stage.folder().to_owned();
    // Under the test's name, so that whatever fails there can say where.
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let (stage, result) = std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            let run = std::panic::AssertUnwindSafe(|| block_on(test(&stage)));
            let result = std::panic::catch_unwind(run);
            (stage, result)
        })
        .unwrap()
        .join()
        .unwrap();
    if let Err(panic) = &result {
        show_logs(&logs);
        // Once more: of a long output often only the end is kept.
        eprintln!("--- the test ended with: {}", message(&**panic));
    }
    block_on(stage.clear());
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// The end of each log: the beginning is what every run says.
const LOG_LINES_SHOWN: usize = 40;

fn show_logs(folder: &Path) {
    let mut logs: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.sort();
    for path in logs {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        eprintln!("--- end of {}", path.display());
        for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
            eprintln!("{line}");
        }
    }
}

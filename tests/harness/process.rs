//! The binary as a process.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::contract::contract;
use crate::wait::DEADLINE;

/// The binary beside the test's own executable.
///
/// # Panics
/// When it was not built.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // …/target/<profile>/deps/<test>-<hash>
    let path = test.parent().and_then(Path::parent).unwrap().join("relink");
    let place = path.display();
    assert!(path.exists(), "{place} is not there: run `cargo build -p relink` first");
    path
}

/// The settings of one process, by the names of their variables.
pub type Settings = Vec<(&'static str, String)>;

fn command(arguments: &[&str], settings: &Settings) -> Command {
    let mut command = Command::new(binary());
    // Nothing of the developer's shell may reach it.
    command.args(arguments).env_clear().kill_on_drop(true).stdin(Stdio::null());
    command.envs(settings.iter().map(|(name, value)| (*name, value)));
    command
}

/// Runs the binary to its end.
///
/// # Panics
/// When it does not end.
pub async fn run(arguments: &[&str], settings: &Settings) -> Output {
    let ended = tokio::time::timeout(DEADLINE, command(arguments, settings).output()).await;
    ended.unwrap_or_else(|_| panic!("relink {arguments:?} does not end")).unwrap()
}

/// Runs the binary to its end with another place for what it writes.
///
/// # Panics
/// When it does not end.
pub async fn run_into(arguments: &[&str], settings: &Settings, out: std::fs::File) -> Output {
    let mut command = command(arguments, settings);
    let child = command.stdout(out).stderr(Stdio::piped()).spawn().unwrap();
    let ended = tokio::time::timeout(DEADLINE, child.wait_with_output()).await;
    ended.unwrap_or_else(|_| panic!("relink {arguments:?} does not end")).unwrap()
}

/// A running role; killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    out: PathBuf,
    /// Whether its standard output are commands.
    prints_commands: bool,
}

impl Process {
    /// Starts the binary; what it says goes to files in the folder.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(folder: &Path, name: &str, arguments: &[&str], settings: &Settings) -> Self {
        // Several lives of one role write one after the other.
        let open =
            |path: &Path| std::fs::File::options().create(true).append(true).open(path).unwrap();
        let (log, out) = (folder.join(format!("{name}.log")), folder.join(format!("{name}.out")));
        let child =
            command(arguments, settings).stdout(open(&out)).stderr(open(&log)).spawn().unwrap();
        let prints_commands = arguments.first() == Some(&"standalone");
        Self { child, log, out, prints_commands }
    }

    /// What it wrote to standard error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap()).into_owned()
    }

    /// The file for what it writes to standard error.
    pub fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    /// What it wrote to standard output.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.out).unwrap()).into_owned()
    }

    /// Its number.
    ///
    /// # Panics
    /// When it has ended.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// How many bytes of memory it holds, as Linux counts them.
    pub fn resident_bytes(&self) -> u64 {
        let id = self.id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
        self.hold_commands();
    }

    /// What it printed is what was promised; its last line may be cut off where it was killed.
    fn hold_commands(&self) {
        let out = if self.prints_commands { self.out() } else { String::new() };
        for line in out.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let kind = serde_json::from_str::<Value>(line).unwrap_or_default();
            let kind = kind["type"].as_str().unwrap_or_default();
            contract().hold_body(kind, line.as_bytes());
        }
    }

    /// Asks it to drain.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends it a signal, by its name without `SIG`.
    ///
    /// # Panics
    /// When it has ended.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().expect("it still runs").to_string();
        let arguments = ["-c", "kill -\"$1\" \"$2\"", "sh", name, &id];
        let asked = Command::new("sh").args(arguments).status().await;
        assert!(asked.unwrap().success());
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn wait(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(DEADLINE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("{} does not end", self.log.display())).unwrap()
    }

    /// Drains it; anything but 0 is a failure.
    pub async fn stop(mut self) {
        self.terminate().await;
        let status = self.wait().await;
        assert!(status.success(), "{}: {status} after SIGTERM", self.log.display());
        self.hold_commands();
    }
}

/// A free port on loopback. Below 32768, because ports above are handed out to outgoing
/// connections, and a role that is started again could find its own taken.
///
/// # Panics
/// When there is none.
pub fn free_address() -> SocketAddr {
    for _ in 0..200 {
        let address = SocketAddr::from(([127, 0, 0, 1], rand::random_range(12_000..32_000)));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port between 12000 and 31999");
}

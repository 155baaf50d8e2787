//! A broker and a database that one test has to itself, to stop and start as it likes.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::stage::{Servers, Stage};
use crate::wait::DEADLINE;

/// The servers, as long as this lives.
pub struct Pair {
    /// Where they are. What is not private is the one that all tests share.
    pub servers: Servers,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    // Not killed: it ends by itself when its input does, and clears up.
    _child: Child,
}

impl Pair {
    /// Starts `broker`, `database` or both; the other one is the stage's.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start(stage: &Stage, private: &[&str]) -> Self {
        Self::launch(stage, private).await
    }

    /// The same with TLS and nothing else. The folder holds what they show and whom they trust:
    /// `authority.pem`, `server.pem` and `server-key.pem`.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start_with_tls(stage: &Stage, private: &[&str], folder: &Path) -> Self {
        let folder = folder.to_str().unwrap();
        Self::launch(stage, &[&["--tls", folder], private].concat()).await
    }

    async fn launch(stage: &Stage, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/pair");
        let log = std::fs::File::create(stage.folder().join("pair.log")).unwrap();
        let mut command = Command::new(script);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut pair = Self { servers: stage.servers(), stdin, lines, _child: child };
        loop {
            let line = pair.line().await;
            match line.split_once(' ') {
                Some(("amqp_url", url)) => url.clone_into(&mut pair.servers.amqp_url),
                Some(("rabbitmqctl", path)) => path.clone_into(&mut pair.servers.rabbitmqctl),
                Some(("database_url", url)) => url.clone_into(&mut pair.servers.database_url),
                _ if line == "ready" => return pair,
                _ => panic!("the servers said `{line}`"),
            }
        }
    }

    /// Does something to a server and waits until it has happened: see `tests/servers/pair`.
    ///
    /// # Panics
    /// When it does not happen.
    pub async fn order(&mut self, order: &str) {
        self.stdin.write_all(format!("{order}\n").as_bytes()).await.unwrap();
        assert_eq!(self.line().await, "done");
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(DEADLINE, self.lines.next_line()).await;
        line.expect("the servers take too long").unwrap().expect("the servers ended")
    }
}

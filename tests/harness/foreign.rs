//! Clients that are not ours: Python and pika, as a platform may have them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::captured::Captured;
use crate::contract::contract;
use crate::feed::Event;
use crate::place::Place;
use crate::wait::DEADLINE;

fn python(script: &str, arguments: &[&str]) -> Child {
    let program = std::env::var("RELINK_TEST_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".into());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("end_to_end");
    let mut command = Command::new(program);
    command.arg("-B").arg(scripts.join(script)).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

async fn next_line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(DEADLINE, lines.next_line()).await;
    line.expect("Python does not answer").unwrap().expect("Python ended")
}

/// What a client sees is what was promised: no suite looks at a message that is not.
fn seen(line: &Value) -> Captured {
    let message = Captured::of(line);
    contract().hold(&message);
    message
}

/// A platform's consumer: an own queue, bound before the start, and all that it got.
pub struct Consumer {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    file: PathBuf,
}

impl Consumer {
    /// Binds a queue of its own to an exchange.
    pub async fn bind(place: &Place, exchange: &str, routing_key: &str) -> Self {
        let file = place.folder.join(format!("{}.{exchange}.jsonl", place.name));
        let path = file.to_str().unwrap();
        let queue = format!("platform.{exchange}");
        let arguments = [&*place.amqp_url, exchange, routing_key, &queue, path];
        let mut child = python("consumer.py", &arguments);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(next_line(&mut lines).await, "ready");
        Self { child, lines, file }
    }

    /// Takes what is left and hands over everything, in the order of arrival.
    pub async fn finish(mut self) -> Vec<Captured> {
        drop(self.child.stdin.take());
        assert_eq!(next_line(&mut self.lines).await, "done");
        assert!(self.child.wait().await.unwrap().success());
        let text = std::fs::read_to_string(&self.file).unwrap();
        text.lines().map(|line| seen(&serde_json::from_str(line).unwrap())).collect()
    }
}

/// A client that does to the broker what a test tells it.
pub struct Foreign {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Foreign {
    /// Connects.
    pub fn connect(place: &Place) -> Self {
        let mut child = python("foreign.py", &[&place.amqp_url]);
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, stdin, lines }
    }

    async fn ask(&mut self, request: &Value) -> Value {
        self.attempt(request).await.unwrap_or_else(|error| panic!("{request}: {error}"))
    }

    /// Asks for what may be refused; the requests are in `end_to_end/foreign.py`.
    ///
    /// # Errors
    /// What the broker said.
    pub async fn attempt(&mut self, request: &Value) -> Result<Value, String> {
        let line = format!("{request}\n");
        self.stdin.write_all(line.as_bytes()).await.unwrap();
        let mut answer: Value = serde_json::from_str(&next_line(&mut self.lines).await).unwrap();
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    /// How many messages wait in each queue; what a consumer holds is not among them.
    pub async fn counts(&mut self, queues: &[&str]) -> BTreeMap<String, u64> {
        let answer = self.ask(&json!({ "op": "counts", "queues": queues })).await;
        serde_json::from_value(answer).unwrap()
    }

    /// Declares a durable queue.
    pub async fn declare(&mut self, queue: &str, arguments: &Value) {
        self.ask(&json!({ "op": "declare", "queue": queue, "arguments": arguments })).await;
    }

    /// Deletes a queue with all that is in it.
    pub async fn delete(&mut self, queue: &str) {
        self.ask(&json!({ "op": "delete", "queue": queue })).await;
    }

    /// Takes a binding to `relink.events` away.
    pub async fn unbind(&mut self, routing_key: &str, queue: &str) {
        let request = json!({
            "op": "unbind", "exchange": "relink.events", "routing_key": routing_key,
            "queue": queue,
        });
        self.ask(&request).await;
    }

    /// Publishes to `relink.events`; the properties are as pika calls them, null: none at all.
    pub async fn publish_event(&mut self, routing_key: &str, body: &[u8], properties: &Value) {
        let request = json!({
            "op": "publish", "exchange": "relink.events", "routing_key": routing_key,
            "body": STANDARD.encode(body), "properties": properties,
        });
        self.ask(&request).await;
    }

    /// Publishes events in their order, as fast as the broker takes them.
    pub async fn publish_in_order(&mut self, place: &Place, events: &[Event]) {
        let path = place.folder.join(format!("{}.in-order.jsonl", place.name));
        let lines = events.iter().map(|event| {
            let body = STANDARD.encode(&event.body);
            json!({ "routing_key": event.kind, "message_id": event.id, "body": body }).to_string()
        });
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let published = self.ask(&json!({ "op": "publish_file", "path": path })).await;
        assert_eq!(published, events.len());
    }

    /// Takes everything out of a queue.
    pub async fn take(&mut self, queue: &str) -> Vec<Captured> {
        let answer = self.ask(&json!({ "op": "take", "queue": queue })).await;
        answer.as_array().unwrap().iter().map(seen).collect()
    }
}

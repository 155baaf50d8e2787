//! Sends webhooks as Stripe does: signed, over many connections, again until they are taken.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_sim::signature_header;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::http::{Answer, Connection};
use crate::role::WEBHOOK_SECRET;

/// Where webhooks go.
const REQUEST_LINE: &str = "POST /webhooks/stripe";

/// Stripe waits longer; the order of what is sent again does not matter here.
const AGAIN: Duration = Duration::from_millis(50);

/// The trace that every webhook belongs to.
pub const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What became of sending.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Answers by status.
    pub answers: BTreeMap<u16, usize>,
    /// Connections that were refused or ended before an answer.
    pub broken: usize,
}

/// Now, in the seconds that signatures carry.
pub fn now_unix_s() -> i64 {
    SystemClock.now().0.div_euclid(1000)
}

/// Posts one body with a valid signature.
///
/// # Errors
/// When the connection ends before the answer is whole.
pub async fn post(connection: &mut Connection, body: &[u8]) -> io::Result<Answer> {
    let signature = signature_header(&[WEBHOOK_SECRET], now_unix_s(), body);
    let headers = [
        ("content-type", "application/json"),
        ("stripe-signature", &*signature),
        ("traceparent", TRACEPARENT),
    ];
    connection.request(REQUEST_LINE, &headers, body).await
}

/// How sending goes, seen and steered from outside.
#[derive(Debug)]
pub struct Pace {
    turns: Semaphore,
    given: AtomicUsize,
    taken: AtomicUsize,
    accepted: Mutex<BTreeSet<String>>,
}

impl Pace {
    /// As fast as they are taken.
    pub fn free() -> Arc<Self> {
        Self::with_turns(Semaphore::MAX_PERMITS)
    }

    /// Nothing before [`Pace::give`] says so.
    pub fn held() -> Arc<Self> {
        Self::with_turns(0)
    }

    fn with_turns(turns: usize) -> Arc<Self> {
        Arc::new(Self {
            turns: Semaphore::new(turns),
            given: AtomicUsize::new(turns),
            taken: AtomicUsize::new(0),
            accepted: Mutex::default(),
        })
    }

    /// Lets so many more be sent.
    pub fn give(&self, turns: usize) {
        self.given.fetch_add(turns, Ordering::Relaxed);
        self.turns.add_permits(turns);
    }

    /// Takes back what was given and not used.
    pub fn hold(&self) {
        let unused = self.turns.forget_permits(Semaphore::MAX_PERMITS);
        self.given.fetch_sub(unused, Ordering::Relaxed);
    }

    /// Whether every turn that was given has led to an answer of 200.
    pub fn rests(&self) -> bool {
        self.taken() == self.given.load(Ordering::Relaxed)
    }

    /// How many were answered 200.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// The ids of the events that were answered 200.
    pub fn accepted(&self) -> BTreeSet<String> {
        self.accepted.lock().unwrap().clone()
    }

    fn note(&self, body: &[u8]) {
        // What is no event has no id.
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(id) = value["id"].as_str() {
            self.accepted.lock().unwrap().insert(id.to_owned());
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends all bodies in their order over so many connections, each until it is answered 200.
///
/// # Panics
/// When an answer is neither 200 nor 503.
pub async fn send_all(address: SocketAddr, bodies: Vec<Bytes>, connections: usize) -> Sent {
    send_at_pace(address, bodies, connections, Pace::free()).await
}

/// The same, seen and steered from outside.
///
/// # Panics
/// When an answer is neither 200 nor 503.
pub async fn send_at_pace(
    address: SocketAddr,
    bodies: Vec<Bytes>,
    connections: usize,
    pace: Arc<Pace>,
) -> Sent {
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (bodies, next, pace) = (Arc::clone(&bodies), Arc::clone(&next), Arc::clone(&pace));
        senders.spawn(async move {
            let mut sender = Sender { address, connection: None, sent: Sent::default() };
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                pace.turns.acquire().await.unwrap().forget();
                sender.send(body).await;
                pace.note(body);
            }
            sender.sent
        });
    }
    let mut all = Sent::default();
    while let Some(sent) = senders.join_next().await {
        let sent = sent.unwrap();
        all.broken += sent.broken;
        for (status, count) in sent.answers {
            *all.answers.entry(status).or_default() += count;
        }
    }
    all
}

struct Sender {
    address: SocketAddr,
    connection: Option<Connection>,
    sent: Sent,
}

impl Sender {
    async fn send(&mut self, body: &Bytes) {
        loop {
            match self.attempt(body).await {
                Ok(Answer { status, body }) => {
                    *self.sent.answers.entry(status).or_default() += 1;
                    match status {
                        200 => return,
                        503 => {}
                        _ => panic!("answered {status}: {body}"),
                    }
                }
                Err(_) => {
                    self.sent.broken += 1;
                    self.connection = None;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn attempt(&mut self, body: &Bytes) -> io::Result<Answer> {
        if self.connection.is_none() {
            self.connection = Some(Connection::open(self.address).await?);
        }
        match &mut self.connection {
            Some(connection) => post(connection, body).await,
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

//! Sends webhooks as Stripe does: signed, over many connections, again until they are taken.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_sim::signature_header;

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

/// Sends all bodies in their order over so many connections, each until it is answered 200.
///
/// # Panics
/// When an answer is neither 200 nor 503.
pub async fn send_all(address: SocketAddr, bodies: Vec<Bytes>, connections: usize) -> Sent {
    send_and_watch(address, bodies, connections, Arc::default()).await
}

/// The same; how many were taken can be seen from outside.
///
/// # Panics
/// When an answer is neither 200 nor 503.
pub async fn send_and_watch(
    address: SocketAddr,
    bodies: Vec<Bytes>,
    connections: usize,
    taken: Arc<AtomicUsize>,
) -> Sent {
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (bodies, next, taken) = (Arc::clone(&bodies), Arc::clone(&next), Arc::clone(&taken));
        senders.spawn(async move {
            let mut sender = Sender { address, connection: None, sent: Sent::default() };
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                sender.send(body).await;
                taken.fetch_add(1, Ordering::Relaxed);
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

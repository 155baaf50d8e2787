//! Drives an HTTP server: requests made beforehand, many connections, every answer timed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use relink_sim::signature_header;
use relink_tests::role::WEBHOOK_SECRET;
use relink_tests::send::now_unix_s;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::plot::Course;

/// The longest head of an answer.
const ANSWER_BYTES: usize = 4096;

/// Whole requests, signed now: signatures are good for five minutes.
pub(crate) fn requests<'a>(bodies: impl Iterator<Item = &'a Bytes>) -> Arc<Vec<Bytes>> {
    let now = now_unix_s();
    let request = |body: &Bytes| {
        let signature = signature_header(&[WEBHOOK_SECRET], now, body);
        let head = format!(
            "POST /webhooks/stripe HTTP/1.1\r\nhost: relink\r\ncontent-type: application/json\r\n\
             stripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat().into()
    };
    Arc::new(bodies.map(request).collect())
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Driven {
    /// Requests by number that were answered 200, with the time that took.
    pub(crate) answered: Vec<(usize, Duration)>,
    /// When each request was sent, by number; `None`: it was not.
    pub(crate) sent: Vec<Option<Instant>>,
    /// Answers that were not 200.
    pub(crate) refused: usize,
    /// From the first request to the last answer.
    pub(crate) took: Duration,
}

impl Driven {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answered.len() as f64 / self.took.as_secs_f64()
    }

    /// How it went.
    pub(crate) fn course(&self) -> Course {
        let Some(began) = self.sent.iter().flatten().min() else { return Course::default() };
        let ends = self
            .answered
            .iter()
            .filter_map(|(number, took)| self.sent[*number].map(|sent| (sent + *took, *took)));
        Course::of(*began, ends)
    }

    /// How long answers took.
    pub(crate) fn times(&self) -> Vec<Duration> {
        self.answered.iter().map(|(_, took)| *took).collect()
    }
}

/// How requests follow each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Each connection sends when its answer is there.
    Closed,
    /// So many a second, whether answered or not, as far as there are free connections.
    Rate(f64),
}

/// Sends for so long, or until all are sent.
pub(crate) async fn drive(
    address: SocketAddr,
    requests: &Arc<Vec<Bytes>>,
    connections: usize,
    pace: Pace,
    limit: Duration,
) -> Driven {
    let next = Arc::new(AtomicUsize::new(0));
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        streams.push(stream);
    }
    let began = Instant::now();
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            let lane = Lane { requests: Arc::clone(requests), next: Arc::clone(&next), pace };
            tokio::spawn(lane.run(stream, began, limit))
        })
        .collect();
    let mut driven = Driven { sent: vec![None; requests.len()], ..Driven::default() };
    for task in tasks {
        let (lines, refused) = task.await.unwrap();
        driven.refused += refused;
        for (number, sent, took) in lines {
            driven.sent[number] = Some(sent);
            driven.answered.push((number, took));
            driven.took = driven.took.max((sent + took).duration_since(began));
        }
    }
    driven
}

/// One connection.
struct Lane {
    requests: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
    pace: Pace,
}

impl Lane {
    async fn run(
        self,
        mut stream: TcpStream,
        began: Instant,
        limit: Duration,
    ) -> (Vec<(usize, Instant, Duration)>, usize) {
        let (mut lines, mut refused, mut buffer) = (Vec::new(), 0, vec![0; ANSWER_BYTES]);
        while began.elapsed() < limit {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = self.requests.get(number) else { break };
            if let Pace::Rate(rate) = self.pace {
                let due = began + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
            }
            let sent = Instant::now();
            stream.write_all(request).await.unwrap();
            match answer(&mut stream, &mut buffer).await {
                200 => lines.push((number, sent, sent.elapsed())),
                _ => refused += 1,
            }
        }
        (lines, refused)
    }
}

/// Reads one answer to its end; returns its status.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> u16 {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        filled += read;
        let text = &buffer[..filled];
        let Some(end) = text.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&text[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
        if filled >= end + 4 + length {
            return head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        }
    }
}

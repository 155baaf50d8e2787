//! A link to PostgreSQL that counts: how often its client waits, and for how many statements.
//!
//! Answers are held back until the client waits for them, and then handed over all at once. So
//! whatever it can send without an answer is one flight, however fast the server is. That it waits
//! is told by its runtime, which has nothing left to do, so a machine that lets the client rest in
//! the middle of a flight makes no difference.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long a client has to have nothing to do: what it has sent last is here by then.
const QUIET: Duration = Duration::from_millis(10);

/// The most that is read at once.
const PIECE_BYTES: usize = 65_536;

/// What has gone over a link.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Counts {
    /// Times the client has waited for answers.
    pub flights: u64,
    /// Statements that the server has completed.
    pub statements: u64,
}

/// A port in front of a server, for one client on a runtime of its own.
pub struct Counter {
    address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    turns: Arc<Turns>,
    listening: JoinHandle<()>,
}

impl Counter {
    /// Listens in front of the server; what opens connections is not counted. TLS cannot be looked
    /// into.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (counts, turns) = (Arc::new(Mutex::default()), Arc::new(Turns::default()));
        let listening =
            tokio::spawn(listen(listener, server, Arc::clone(&counts), Arc::clone(&turns)));
        Self { address, counts, turns, listening }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the client runs on, and nobody else: it is seen to wait when this has nothing to do.
    ///
    /// # Panics
    /// When the machine has nothing left to make it of.
    pub fn runtime_of_client(&self) -> Runtime {
        let (rests, goes_on) = (Arc::clone(&self.turns), Arc::clone(&self.turns));
        let mut runtime = Builder::new_current_thread();
        runtime.on_thread_park(move || rests.turn()).on_thread_unpark(move || goes_on.turn());
        runtime.enable_all().build().unwrap()
    }

    /// What has been counted since this was asked last.
    ///
    /// # Panics
    /// Never: nothing panics while it counts.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }
}

/// How often the client's thread has begun to rest or to go on: odd while it rests.
#[derive(Default)]
struct Turns(AtomicU64);

impl Turns {
    fn turn(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Whether it has rested ever since.
    fn rests_since(&self, then: u64) -> bool {
        then % 2 == 1 && self.now() == then
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(
    listener: TcpListener,
    server: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    turns: Arc<Turns>,
) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(server).await else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        connections
            .spawn(Connection::new(client, server, Arc::clone(&turns)).carry(Arc::clone(&counts)));
    }
}

/// One connection, seen from the middle.
struct Connection {
    from_client: OwnedReadHalf,
    to_client: OwnedWriteHalf,
    to_server: OwnedWriteHalf,
    /// What the server has said and the client has not been told.
    answers: UnboundedReceiver<Vec<u8>>,
    asked: Frames,
    answered: Frames,
    turns: Arc<Turns>,
}

impl Connection {
    fn new(client: TcpStream, server: TcpStream, turns: Arc<Turns>) -> Self {
        let (from_client, to_client) = client.into_split();
        let (mut from_server, to_server) = server.into_split();
        let (say, answers) = unbounded_channel();
        // Always read, so that the server never waits for us while we wait for it.
        tokio::spawn(async move {
            while let Some(piece) = read(&mut from_server).await {
                if say.send(piece).is_err() {
                    return;
                }
            }
        });
        let (asked, answered) = (Frames::default(), Frames::default());
        Self { from_client, to_client, to_server, answers, asked, answered, turns }
    }

    /// Until one of the two ends it.
    async fn carry(mut self, counts: Arc<Mutex<Counts>>) -> Option<()> {
        self.open().await?;
        loop {
            let expected = self.flight().await?;
            let mut held = Vec::new();
            let (mut ready, mut statements) = (0, 0);
            while ready < expected {
                let piece = self.answers.recv().await?;
                for kind in self.answered.push(&piece) {
                    ready += u64::from(kind == b'Z');
                    statements += u64::from(matches!(kind, b'C' | b'I'));
                }
                held.extend(piece);
            }
            if expected > 0 {
                let mut counts = counts.lock().unwrap();
                counts.flights += 1;
                counts.statements += statements;
            }
            self.to_client.write_all(&held).await.ok()?;
        }
    }

    /// Passes everything on until the server is ready for the first time (PostgreSQL docs, 55.2.1).
    async fn open(&mut self) -> Option<()> {
        loop {
            tokio::select! {
                piece = read(&mut self.from_client) => {
                    self.to_server.write_all(&piece?).await.ok()?;
                }
                piece = self.answers.recv() => {
                    let piece = piece?;
                    self.to_client.write_all(&piece).await.ok()?;
                    if self.answered.push(&piece).contains(&b'Z') {
                        return Some(());
                    }
                }
            }
        }
    }

    /// Passes on what the client sends until it waits, and tells how often the server will say that
    /// it is ready: once for each `Sync` and each simple query (PostgreSQL docs, 55.2.3 and 55.2.2).
    async fn flight(&mut self) -> Option<u64> {
        let mut expected = 0;
        let mut piece = read(&mut self.from_client).await?;
        loop {
            let kinds = self.asked.push(&piece);
            expected += kinds.iter().filter(|kind| matches!(kind, b'S' | b'Q')).count() as u64;
            self.to_server.write_all(&piece).await.ok()?;
            piece = loop {
                let then = self.turns.now();
                match timeout(QUIET, read(&mut self.from_client)).await {
                    Ok(more) => break more?,
                    Err(_) if self.turns.rests_since(then) => return Some(expected),
                    Err(_) => {}
                }
            };
        }
    }
}

async fn read(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let mut piece = vec![0; PIECE_BYTES];
    let length = from.read(&mut piece).await.ok().filter(|length| *length > 0)?;
    piece.truncate(length);
    Some(piece)
}

/// Finds the messages in what is carried: a letter, then a length that counts itself (PostgreSQL
/// docs, 55.1.1).
#[derive(Default)]
struct Frames {
    /// The beginning of the message in hand.
    head: Vec<u8>,
    /// What is still to come of the rest of it.
    rest: usize,
}

impl Frames {
    const HEAD_BYTES: usize = 5;

    /// The letters of the messages that end in this piece.
    fn push(&mut self, mut piece: &[u8]) -> Vec<u8> {
        let mut kinds = Vec::new();
        while !piece.is_empty() {
            let lacks = Self::HEAD_BYTES - self.head.len();
            if lacks > 0 {
                let (head, more) = piece.split_at(lacks.min(piece.len()));
                self.head.extend_from_slice(head);
                piece = more;
                let Ok(length) = <[u8; 4]>::try_from(&self.head[1..]) else { continue };
                self.rest = (u32::from_be_bytes(length) as usize).saturating_sub(4);
            }
            let body = self.rest.min(piece.len());
            self.rest -= body;
            piece = &piece[body..];
            if self.rest == 0 {
                kinds.push(self.head[0]);
                self.head.clear();
            }
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let bytes = b"Q\0\0\0\x09BEGINC\0\0\0\x0aCOMMITZ\0\0\0\x05I";
        for size in 1..=bytes.len() {
            let mut frames = Frames::default();
            let found: Vec<u8> = bytes.chunks(size).flat_map(|piece| frames.push(piece)).collect();
            assert_eq!(found, b"QCZ", "in pieces of {size}");
        }
    }
}

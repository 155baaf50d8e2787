//! What is counted: the way of an event through Relink, in pieces.

use std::hint::black_box;
use std::sync::Arc;

use relink_bus::message::{EventHead, Message};
use relink_core::decide::decide;
use relink_core::policy::Policy;
use relink_core::time::Time;
use relink_engine::batch::Batch;
use relink_engine::clock::Clock;
use relink_engine::store::{Gathered, Writes};
use relink_postgres::encoded_bytes;
use relink_sim::signature_header;
use relink_stripe::envelope::Envelope;
use relink_stripe::signature::Verifier;

use crate::slice::{EVENTS, NOW, NOW_S, Slice, read};

/// How often each piece runs: once to make what is made only once, and once to be counted.
const RUNS: usize = 2;

const SECRET: &str = "whsec_guard";

/// How far from now a signature may be made.
const TOLERANCE_S: u32 = 300;

/// A piece, ready to run.
pub(crate) struct Piece {
    /// Its name among the figures.
    pub(crate) name: &'static str,
    /// Does it for each of [`EVENTS`] events; [`RUNS`] times and no more.
    work: Box<dyn FnMut()>,
}

impl Piece {
    fn new(name: &'static str, work: impl FnMut() + 'static) -> Self {
        Self { name, work: Box::new(work) }
    }

    /// Runs it once, and then once more through `count`.
    pub(crate) fn count<T>(mut self, count: impl FnOnce(&mut dyn FnMut()) -> T) -> T {
        (self.work)();
        count(&mut *self.work)
    }
}

/// What makes each of them, in the order of an event's way.
pub(crate) const MAKE: [fn(&Slice) -> Piece; 6] =
    [signature, envelope, mapping, decision, rows, encoding];

/// The signature of a webhook.
fn signature(slice: &Slice) -> Piece {
    let verifier = Verifier::new(vec![SECRET.into()], TOLERANCE_S);
    let sign = |body| signature_header(&[SECRET], NOW_S, body);
    let headers: Vec<String> = slice.bodies.iter().map(|body| sign(body)).collect();
    let bodies = slice.bodies.clone();
    Piece::new("signature", move || {
        for (header, body) in headers.iter().zip(&bodies) {
            black_box(verifier.verify(Some(header), body, NOW_S)).unwrap();
        }
    })
}

/// Its envelope, and the message that ingress publishes.
fn envelope(slice: &Slice) -> Piece {
    let bodies = slice.bodies.clone();
    Piece::new("envelope", move || {
        for body in &bodies {
            let envelope = Envelope::read(body).unwrap();
            black_box(Message::of_event(&EventHead::from(&envelope), body.clone(), NOW.0));
        }
    })
}

/// From what a worker gets to what the rules get.
fn mapping(slice: &Slice) -> Piece {
    let deliveries = slice.deliveries.clone();
    Piece::new("mapping", move || {
        for delivery in &deliveries {
            black_box(read(delivery));
        }
    })
}

/// The rules alone.
fn decision(slice: &Slice) -> Piece {
    let (inputs, policy) = (Arc::clone(&slice.inputs), Policy::default());
    // Worlds are made before and dropped after: a worker does neither for each event.
    let mut worlds = vec![slice.known.clone(); RUNS];
    let mut decided = Vec::with_capacity(RUNS);
    Piece::new("decision", move || {
        let mut world = worlds.pop().unwrap();
        for input in &*inputs {
            black_box(decide(&mut world, input, &policy, NOW)).unwrap();
        }
        decided.push(world);
    })
}

/// The rules with all the rows that come of them, commands among them as they travel.
fn rows(slice: &Slice) -> Piece {
    let mut batches: Vec<_> = (0..RUNS).map(|_| batch(slice)).collect();
    let mut written = Vec::with_capacity(RUNS);
    Piece::new("rows", move || {
        let decide = batches.pop().unwrap();
        written.push(decide());
    })
}

/// The rows as values of the statements that write them.
fn encoding(slice: &Slice) -> Piece {
    let writes = batch(slice)();
    Piece::new("encoding", move || {
        assert!(black_box(encoded_bytes(&writes)).unwrap() > EVENTS);
    })
}

/// The decision about all inputs in one batch, as the engine makes it.
fn batch(slice: &Slice) -> impl FnOnce() -> Writes + 'static {
    let batch = Batch {
        inputs: Arc::clone(&slice.inputs),
        traceparents: vec![None; EVENTS].into(),
        policy: Arc::default(),
        now: NOW,
        wall: Arc::new(Stopped),
    };
    let (decide, _report) = batch.decider();
    let gathered = Gathered { world: slice.known.clone(), seen: vec![false; EVENTS] };
    move || decide(gathered).unwrap()
}

/// A clock that stands.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Time {
        NOW
    }
}

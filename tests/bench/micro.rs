//! How long the pieces of an event's way take by themselves, by criterion:
//!
//!     cargo bench -p relink-tests --bench micro
//!     cargo bench -p relink-tests --bench micro -- decision --save-baseline before
//!
//! They are the pieces that `tests/guard` counts instructions of, here in a release build and by
//! the clock: to compare before and after a change on one machine, and for nothing else.

#![expect(clippy::unwrap_used, reason = "a measurement ends where something is not as it should")]

#[path = "../guard/pieces.rs"]
mod pieces;
#[path = "../guard/slice.rs"]
mod slice;

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};

use pieces::{MAKE, Piece};
use slice::{EVENTS, Slice};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("event");
    group.throughput(Throughput::Elements(EVENTS as u64));
    let slice = Slice::new();
    for make in MAKE {
        group.bench_function(make(&slice).name, |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| take(make(&slice))).sum());
        });
    }
    group.finish();
    criterion.final_summary();
}

/// How long it takes for all events, once what is made only once is made.
fn take(piece: Piece) -> Duration {
    piece.count(|work| {
        let began = Instant::now();
        work();
        began.elapsed()
    })
}

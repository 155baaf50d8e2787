//! Chances, all from one seed, in streams: what one part draws moves no other part's draws.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A stream of chances.
#[derive(Debug)]
pub(crate) struct Chance(Mutex<StdRng>);

impl Chance {
    /// The stream of that name.
    pub(crate) fn of(seed: u64, stream: &str) -> Self {
        // FNV-1a: any spreading will do, as long as it is the same everywhere.
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = stream.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, mix);
        Self(Mutex::new(StdRng::seed_from_u64(seed ^ hash)))
    }

    pub(crate) fn happens(&self, probability: f64) -> bool {
        // Drawn in any case, so that a fault that is switched off moves no other draw.
        self.lock().random::<f64>() < probability
    }

    /// From 0 up to, but not including, `end`; 0 where there is nothing to choose.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.between(0, end.max(1))
    }

    /// From `start` up to, but not including, `end`.
    pub(crate) fn between(&self, start: u64, end: u64) -> u64 {
        self.lock().random_range(start..end.max(start + 1))
    }

    /// From 0 up to 1.
    pub(crate) fn part(&self) -> f64 {
        self.lock().random()
    }

    fn lock(&self) -> MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Every id and every chance, from one seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What an id is drawn from, as at Stripe.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Three streams of one seed, so that neither the delivery settings nor the number of reads
/// changes the ids of objects and events.
#[derive(Debug)]
pub(crate) struct Random {
    ids: StdRng,
    travel: StdRng,
    requests: StdRng,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        let mut root = StdRng::seed_from_u64(seed);
        let mut stream = || StdRng::seed_from_u64(root.random());
        Random { ids: stream(), travel: stream(), requests: stream() }
    }

    /// A new id of an object or event, as long as Stripe's.
    pub(crate) fn id(&mut self, prefix: &str) -> String {
        format!("{prefix}_1{}", text(&mut self.ids, 23))
    }

    /// A new id of something that exists only because of how deliveries are set: a twin event or
    /// a thin notification.
    pub(crate) fn travel_id(&mut self, prefix: &str) -> String {
        format!("{prefix}_1{}", text(&mut self.travel, 23))
    }

    /// A new `Request-Id`.
    pub(crate) fn request_id(&mut self) -> String {
        format!("req_{}", text(&mut self.requests, 14))
    }

    /// Whether something with this chance happens to a delivery.
    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        self.travel.random::<f64>() < chance
    }

    /// A part of a delay, between nothing and all of it.
    pub(crate) fn part_of(&mut self, whole: std::time::Duration) -> std::time::Duration {
        whole.mul_f64(self.travel.random::<f64>())
    }

    /// A number between 0 and 1, from the stream that ids come from.
    pub(crate) fn part(&mut self) -> f64 {
        self.ids.random()
    }

    /// A whole number below `limit`, from the stream that ids come from; 0 for a limit of 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { self.ids.random_range(0..limit) }
    }
}

fn text(random: &mut StdRng, length: usize) -> String {
    (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

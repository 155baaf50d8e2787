//! How often somebody may do something: a bucket for each name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most names that are remembered. A name is a case or a token that was checked before, so
/// a flood of strangers cannot fill this; forgetting one only gives it a full bucket again.
const NAMES_MAX: usize = 10_000;

/// Buckets that all hold as much and fill as fast.
#[derive(Debug)]
pub(crate) struct Limiter {
    capacity: f64,
    per_second: f64,
    buckets: Mutex<HashMap<Arc<str>, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limiter {
    /// `capacity` at once, then one each `every`.
    pub(crate) fn new(capacity: u32, every: Duration) -> Self {
        let per_second = 1.0 / every.as_secs_f64();
        Self { capacity: f64::from(capacity), per_second, buckets: Mutex::default() }
    }

    /// Takes one; `Err` says how long until there is one again.
    pub(crate) fn take(&self, name: &str, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= NAMES_MAX && !buckets.contains_key(name) {
            buckets.retain(|_, bucket| self.level(*bucket, now) < self.capacity);
            if buckets.len() >= NAMES_MAX {
                buckets.clear();
            }
        }
        let full = Bucket { left: self.capacity, at: now };
        let bucket = buckets.entry(name.into()).or_insert(full);
        let left = self.level(*bucket, now);
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / self.per_second));
        }
        *bucket = Bucket { left: left - 1.0, at: now };
        Ok(())
    }

    fn level(&self, bucket: Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * self.per_second).min(self.capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again_and_is_nobody_elses() {
        let limiter = Limiter::new(2, Duration::from_secs(30));
        let start = Instant::now();
        assert_eq!(limiter.take("a", start), Ok(()));
        assert_eq!(limiter.take("a", start), Ok(()));
        assert_eq!(limiter.take("a", start), Err(Duration::from_secs(30)));
        assert_eq!(limiter.take("b", start), Ok(()));
        assert!(limiter.take("a", start + Duration::from_secs(29)).is_err());
        assert_eq!(limiter.take("a", start + Duration::from_secs(30)), Ok(()));
    }

    #[test]
    fn the_names_are_bounded() {
        let limiter = Limiter::new(1, Duration::from_secs(30));
        let now = Instant::now();
        for name in 0..=NAMES_MAX {
            assert_eq!(limiter.take(&name.to_string(), now), Ok(()));
        }
        assert!(limiter.buckets.lock().unwrap().len() <= NAMES_MAX);
    }
}

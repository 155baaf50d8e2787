//! The read limit: so many calls a second for each endpoint.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Counts calls in windows of a second of real time, one per endpoint.
#[derive(Debug, Default)]
pub(crate) struct ReadLimiter {
    windows: HashMap<&'static str, (Instant, u32)>,
}

impl ReadLimiter {
    /// Counts one call; whether it is within the limit.
    pub(crate) fn admit(&mut self, endpoint: &'static str, limit: u32, now: Instant) -> bool {
        let window = self.windows.entry(endpoint).or_insert((now, 0));
        if now.duration_since(window.0) >= Duration::from_secs(1) {
            *window = (now, 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1 <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_its_own_second() {
        let mut limiter = ReadLimiter::default();
        let start = Instant::now();
        assert!(limiter.admit("accounts", 1, start));
        assert!(!limiter.admit("accounts", 1, start));
        assert!(limiter.admit("events", 1, start));
        assert!(limiter.admit("accounts", 1, start + Duration::from_secs(1)));
    }
}

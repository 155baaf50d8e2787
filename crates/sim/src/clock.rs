//! The simulated clock, and the only place that reads the wall clock.

use std::time::Instant;

/// The wall clock in milliseconds since 1970, as receivers of webhooks see it.
pub(crate) fn wall_unix_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Stripe's time: it starts anywhere, runs at any pace, and moves when told.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    anchor: Instant,
    anchor_ms: i64,
    scale: f64,
}

impl Clock {
    /// Starts at a time, or at the wall clock; `scale` 0 stands still.
    pub(crate) fn start(start_unix_s: Option<i64>, scale: f64) -> Clock {
        let anchor_ms = start_unix_s.map_or_else(wall_unix_ms, |s| s.saturating_mul(1000));
        Clock { anchor: Instant::now(), anchor_ms, scale }
    }

    /// The simulated time in milliseconds since 1970.
    pub(crate) fn unix_ms(&self) -> i64 {
        let passed_ms = self.anchor.elapsed().as_secs_f64() * 1000.0 * self.scale;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "float to integer casts saturate, and a saturated time is still a time"
        )]
        self.anchor_ms.saturating_add(passed_ms as i64)
    }

    /// The simulated time in whole seconds, the unit of Stripe's `created`.
    pub(crate) fn unix_s(&self) -> i64 {
        self.unix_ms().div_euclid(1000)
    }

    /// Moves the clock; it may go back.
    pub(crate) fn set(&mut self, unix_ms: i64) {
        *self = Clock { anchor: Instant::now(), anchor_ms: unix_ms, scale: self.scale };
    }

    /// Moves the clock ahead, or back.
    pub(crate) fn advance(&mut self, seconds: i64) {
        self.set(self.unix_ms().saturating_add(seconds.saturating_mul(1000)));
    }

    /// Changes the pace from now on.
    pub(crate) fn set_scale(&mut self, scale: f64) {
        self.set(self.unix_ms());
        self.scale = scale;
    }
}

/// A time as HTTP writes it in `Date`.
pub(crate) fn http_date(unix_s: i64) -> String {
    timestamp(unix_s.saturating_mul(1000)).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time as thin events write it: ISO 8601 in UTC with milliseconds.
pub(crate) fn iso_ms(unix_ms: i64) -> String {
    format!("{:.3}", timestamp(unix_ms))
}

fn timestamp(unix_ms: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_http_and_iso_write_them() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(iso_ms(1_793_581_200_417), "2026-11-02T01:00:00.417Z");
    }

    #[test]
    fn a_clock_that_stands_still_moves_only_when_told() {
        let mut clock = Clock::start(Some(100), 0.0);
        assert_eq!(clock.unix_s(), 100);
        clock.set(160_000);
        assert_eq!(clock.unix_s(), 160);
    }
}

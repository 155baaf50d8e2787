//! How far back the relay and the scheduler look.
//!
//! What they look for is found by time, and lives for moments: behind the present an index has
//! only entries of rows that are gone. The server removes those, unless a transaction that is open
//! anywhere might still want to see them: an analyst's query or a backup that runs for hours. Then
//! every look from the beginning of time walks over all that has gone since, once a second. So most
//! looks go back a short while, in which everything that becomes due is seen while it is new, and
//! only some go all the way, for what was left behind by an outage.

use std::sync::{Mutex, PoisonError};

use relink_core::time::{Span, Time};

/// How far a usual look goes back: well above the second between two looks, so that a scheduler
/// that stumbles misses nothing.
const SHORT: Span = Span::seconds(120);

/// How often one goes all the way: as often as a claim of a relay that died runs out.
const ALL_THE_WAY_EVERY: Span = Span::seconds(30);

/// Remembers when one went all the way and found the end.
#[derive(Debug, Default)]
pub(crate) struct Look(Mutex<Option<Time>>);

impl Look {
    /// From when on to look this time.
    pub(crate) fn since(&self, now: Time) -> i64 {
        let last = *self.last();
        // A clock that was put back says nothing of when the last one was.
        let fresh = last.is_some_and(|last| last <= now && now < last.after(ALL_THE_WAY_EVERY));
        if fresh { now.before(SHORT).0 } else { i64::MIN }
    }

    /// Notes what a look found: one that found as many as it might has not seen the end.
    pub(crate) fn found(&self, since: i64, now: Time, count: usize, most: usize) {
        if since == i64::MIN && count < most {
            *self.last() = Some(now);
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Time>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_goes_all_the_way_until_it_has_seen_the_end_and_then_now_and_then() {
        let (look, now) = (Look::default(), Time(1_000_000));
        assert_eq!(look.since(now), i64::MIN);
        look.found(i64::MIN, now, 256, 256);
        assert_eq!(look.since(now), i64::MIN, "there may be more");
        look.found(i64::MIN, now, 3, 256);
        assert_eq!(look.since(now), now.before(SHORT).0);
        let later = now.after(ALL_THE_WAY_EVERY);
        assert_eq!(look.since(later), i64::MIN);
        assert_eq!(look.since(now.before(Span::seconds(1))), i64::MIN, "the clock was put back");
    }
}

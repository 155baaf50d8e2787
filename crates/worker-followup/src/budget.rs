//! How many reads a second Stripe is asked for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The floor: even after many refusals something is read, or nothing would tell that it is over.
const RATE_MIN: f64 = 1.0;
/// Without a refusal the rate grows by this share of its full value each second.
const RECOVERY_PER_SECOND: f64 = 0.05;

/// A rate that halves when Stripe says 429 and recovers while it does not.
#[derive(Debug)]
pub struct Budget {
    full: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: f64,
    next_at: Instant,
    changed_at: Instant,
}

impl Budget {
    /// A budget of that many reads a second.
    pub fn new(reads_per_second: f64) -> Self {
        let now = Instant::now();
        let full = reads_per_second.max(RATE_MIN);
        Self { full, state: Mutex::new(State { rate: full, next_at: now, changed_at: now }) }
    }

    /// Waits for the next read's turn.
    pub async fn take(&self) {
        let turn = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let since = now.duration_since(state.changed_at).as_secs_f64();
            state.rate = (state.rate + since * self.full * RECOVERY_PER_SECOND).min(self.full);
            state.changed_at = now;
            let turn = state.next_at.max(now);
            state.next_at = turn + Duration::from_secs_f64(1.0 / state.rate);
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    /// Stripe has refused a read for its rate.
    pub fn refused(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.rate = (state.rate / 2.0).max(RATE_MIN);
        state.changed_at = Instant::now();
        let pause = state.changed_at + Duration::from_secs_f64(1.0 / state.rate);
        // Turns that were given out already are still taken: the next one comes after them.
        state.next_at = state.next_at.max(pause);
    }

    /// The rate as it is now.
    pub fn rate(&self) -> f64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_halves_the_rate_and_time_brings_it_back() {
        let budget = Budget::new(20.0);
        let start = Instant::now();
        for _ in 0..41 {
            budget.take().await;
        }
        assert_eq!(start.elapsed().as_secs(), 2);
        budget.refused();
        budget.refused();
        assert!((budget.rate() - 5.0).abs() < 0.1);
        tokio::time::advance(Duration::from_secs(30)).await;
        budget.take().await;
        assert!((budget.rate() - 20.0).abs() < 0.1);
        for _ in 0..100 {
            budget.refused();
        }
        assert!(budget.rate() >= RATE_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_does_not_give_out_turns_that_others_wait_for() {
        let budget = std::sync::Arc::new(Budget::new(10.0));
        let start = Instant::now();
        let waiting: Vec<_> = (0..16)
            .map(|_| {
                let budget = std::sync::Arc::clone(&budget);
                tokio::spawn(async move { budget.take().await })
            })
            .collect();
        tokio::task::yield_now().await;
        budget.refused();
        budget.take().await;
        assert!(start.elapsed() >= Duration::from_millis(1500), "after the sixteen");
        for one in waiting {
            assert!(one.is_finished());
        }
    }
}

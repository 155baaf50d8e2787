//! How many reads a second Stripe is asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::error::CallError;

/// The floor: even after many refusals something is read, or nothing would tell that it is over.
const RATE_MIN: f64 = 1.0;
/// Without a refusal the rate grows by this share of its full value each second.
const RECOVERY_PER_SECOND: f64 = 0.05;

/// A rate that halves when Stripe says 429 and recovers while it does not.
///
/// Stripe counts a whole endpoint (docs.stripe.com/rate-limits), so whatever reads within one
/// process shares one budget.
#[derive(Debug)]
pub struct Budget {
    full: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rate: f64,
    halvings: u64,
    next_at: Instant,
    changed_at: Instant,
}

/// A read's turn: under which rate it was given out.
#[derive(Clone, Copy, Debug)]
#[must_use = "what came of the read is told to the budget with it"]
pub struct Turn {
    halvings: u64,
}

impl Budget {
    /// A budget of that many reads a second.
    pub fn new(reads_per_second: f64) -> Self {
        let now = Instant::now();
        let full = reads_per_second.max(RATE_MIN);
        let state = State { rate: full, halvings: 0, next_at: now, changed_at: now };
        Self { full, state: Mutex::new(state) }
    }

    /// Waits for the next read's turn.
    pub async fn take(&self) -> Turn {
        let (at, turn) = {
            let mut state = self.lock();
            let now = Instant::now();
            let since = now.duration_since(state.changed_at).as_secs_f64();
            state.rate = (state.rate + since * self.full * RECOVERY_PER_SECOND).min(self.full);
            state.changed_at = now;
            let at = state.next_at.max(now);
            state.next_at = at + Duration::from_secs_f64(1.0 / state.rate);
            (at, Turn { halvings: state.halvings })
        };
        tokio::time::sleep_until(at).await;
        turn
    }

    /// Waits for a turn, calls, and learns from what came of it.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn spend<T>(
        &self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let turn = self.take().await;
        let answer = call.await;
        self.heed(turn, &answer);
        answer
    }

    /// Learns from what came of the read that had this turn.
    pub fn heed<T>(&self, turn: Turn, answer: &Result<T, CallError>) {
        if answer.as_ref().is_err_and(CallError::is_over_rate) {
            self.refused(turn);
        }
    }

    /// Stripe has refused a read for its rate.
    ///
    /// A turn given out before the last halving says nothing of the rate as it is now: reads
    /// that were under way together are refused together, and count as one refusal.
    pub fn refused(&self, turn: Turn) {
        let mut state = self.lock();
        if turn.halvings != state.halvings {
            return;
        }
        state.halvings += 1;
        state.rate = (state.rate / 2.0).max(RATE_MIN);
        state.changed_at = Instant::now();
        let pause = state.changed_at + Duration::from_secs_f64(1.0 / state.rate);
        // Turns that were given out already are still taken: the next one comes after them.
        state.next_at = state.next_at.max(pause);
    }

    /// The rate as it is now.
    pub fn rate(&self) -> f64 {
        self.lock().rate
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Trace;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_halves_the_rate_and_time_brings_it_back() {
        let budget = Budget::new(20.0);
        let start = Instant::now();
        for _ in 0..40 {
            let _ = budget.take().await;
        }
        let turn = budget.take().await;
        assert_eq!(start.elapsed().as_secs(), 2);
        budget.refused(turn);
        assert!((budget.rate() - 10.0).abs() < 0.1);
        tokio::time::advance(Duration::from_secs(30)).await;
        let _ = budget.take().await;
        assert!((budget.rate() - 20.0).abs() < 0.1);
        for _ in 0..100 {
            let turn = budget.take().await;
            budget.refused(turn);
        }
        assert!(budget.rate() >= RATE_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn reads_that_were_under_way_together_halve_it_once() {
        let budget = Budget::new(20.0);
        let together = [budget.take().await, budget.take().await, budget.take().await];
        for turn in together {
            budget.refused(turn);
        }
        assert!((budget.rate() - 10.0).abs() < 0.1);
        let later = budget.take().await;
        budget.refused(later);
        assert!(budget.rate() < 6.0, "a read of the new rate is news");
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_is_held_by_another_request_is_no_matter_of_rate() {
        let budget = Budget::new(20.0);
        let turn = budget.take().await;
        let trace = Trace { code: Some("lock_timeout".to_owned()), request_id: None };
        budget.heed(turn, &Err::<(), _>(CallError::RateLimited { reason: None, trace }));
        budget.heed(turn, &Err::<(), _>(CallError::Timeout));
        budget.heed(turn, &Ok(()));
        assert!((budget.rate() - 20.0).abs() < 0.1);
        let trace = Trace { code: Some("rate_limit".to_owned()), request_id: None };
        budget.heed(turn, &Err::<(), _>(CallError::RateLimited { reason: None, trace }));
        assert!((budget.rate() - 10.0).abs() < 0.1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_does_not_give_out_turns_that_others_wait_for() {
        let budget = std::sync::Arc::new(Budget::new(10.0));
        let start = Instant::now();
        let first = budget.take().await;
        let waiting: Vec<_> = (0..15)
            .map(|_| {
                let budget = std::sync::Arc::clone(&budget);
                tokio::spawn(async move { budget.take().await })
            })
            .collect();
        tokio::task::yield_now().await;
        budget.refused(first);
        let _ = budget.take().await;
        assert!(start.elapsed() >= Duration::from_millis(1500), "after the fifteen");
        for one in waiting {
            assert!(one.is_finished());
        }
    }
}

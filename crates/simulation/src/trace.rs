//! What happened, line by line.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Lines kept: enough for any run that is worth reading, bounded against one that spins.
const LINES_MAX: usize = 200_000;

/// The trace of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    began: Instant,
    lines: Mutex<Vec<String>>,
}

impl Trace {
    /// Begins now.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), lines: Mutex::default() }
    }

    /// Notes what somebody did or met.
    pub(crate) fn note(&self, who: &str, what: fmt::Arguments<'_>) {
        let at = self.began.elapsed().as_secs_f64();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES_MAX {
            lines.push(format!("{at:>9.3} {who:<12} {what}"));
        }
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

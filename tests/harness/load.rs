//! Webhooks that keep coming while things go wrong.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::send::{Pace, Sent, send_at_pace};
use crate::wait::until;

/// How often turns are given; each time a share of what a second has.
const BEAT: Duration = Duration::from_millis(20);

/// How many connections Stripe would have open.
const CONNECTIONS: usize = 16;

/// A steady stream of webhooks, each sent until it is taken.
pub struct Load {
    pace: Arc<Pace>,
    per_second: watch::Sender<usize>,
    sending: JoinHandle<Sent>,
    pacing: JoinHandle<()>,
    all: usize,
}

impl Load {
    /// Begins to send.
    pub fn begin(address: SocketAddr, bodies: Vec<Bytes>, per_second: usize) -> Self {
        let (all, pace) = (bodies.len(), Pace::held());
        let sending = tokio::spawn(send_at_pace(address, bodies, CONNECTIONS, Arc::clone(&pace)));
        let per_second = watch::Sender::new(per_second);
        let pacing = tokio::spawn(beat(Arc::clone(&pace), per_second.subscribe()));
        Self { pace, per_second, sending, pacing, all }
    }

    /// The ids of the events that were answered 200.
    pub fn accepted(&self) -> BTreeSet<String> {
        self.pace.accepted()
    }

    /// Sends no more for now, and waits until what is under way has been taken.
    pub async fn hold(&self) {
        self.per_second.send_replace(0);
        self.pace.hold();
        until(async || {
            // A beat that had begun may still have given some.
            self.pace.hold();
            if self.pace.rests() { Ok(()) } else { Err("webhooks are under way".to_owned()) }
        })
        .await;
    }

    /// Sends at another rate.
    pub fn at(&self, per_second: usize) {
        self.per_second.send_replace(per_second);
    }

    /// Sends what is left as fast as it is taken; says what was accepted.
    ///
    /// # Panics
    /// When something was answered neither 200 nor 503.
    pub async fn finish(self) -> (Sent, BTreeSet<String>) {
        self.pacing.abort();
        self.pace.give(self.all);
        until(async || match self.pace.taken() {
            taken if taken == self.all || self.sending.is_finished() => Ok(()),
            taken => Err(format!("{taken} of {} were taken", self.all)),
        })
        .await;
        let accepted = self.accepted();
        (self.sending.await.unwrap(), accepted)
    }
}

async fn beat(pace: Arc<Pace>, per_second: watch::Receiver<usize>) {
    let mut beats = tokio::time::interval(BEAT);
    let mut owed = 0.0;
    loop {
        beats.tick().await;
        let share = u32::try_from(*per_second.borrow()).unwrap();
        owed += f64::from(share) * BEAT.as_secs_f64();
        while owed >= 1.0 {
            owed -= 1.0;
            pace.give(1);
        }
    }
}

//! A closed loop: webhooks as fast as a chain takes them, the same for every chain.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::super::Watch;
use super::FOREVER;
use crate::drive::{Pace, drive, requests};
use crate::plot::Course;
use crate::report::Sample;
use crate::traffic::Slice;

/// What the report calls it.
pub(super) const CONDITIONS: &str = "closed loop";

/// Connections, each of which sends its next webhook when the last one is answered.
const CONNECTIONS: usize = 256;

/// One slice on its way through a chain, with all of its webhooks answered.
pub(super) struct Lap {
    watch: Watch,
    events: usize,
    began: Instant,
    answered: Instant,
}

impl Lap {
    /// Sends the whole slice, each event once.
    pub(super) async fn drive(listen: SocketAddr, slice: &Slice, programs: Vec<u32>) -> Self {
        let events = slice.events.len();
        let requests = requests(slice.events.iter().map(|event| &event.body));
        let watch = Watch::begin(programs);
        let driven = drive(listen, &requests, CONNECTIONS, Pace::Closed, FOREVER).await;
        assert_eq!((driven.answered.len(), driven.refused), (events, 0), "not all were taken");
        let began = *driven.sent.iter().flatten().min().unwrap();
        Self { watch, events, began, answered: began + driven.took }
    }

    /// How long after the last answer something happened.
    pub(super) fn behind(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.answered)
    }

    /// Events a second, from the first webhook to the last of the commands that came. Times are
    /// left out: in a closed loop they tell how long the queue is, which is up to the ingress.
    pub(super) fn came(self, commands: &[Instant]) -> Sample {
        let course = Course::of(self.began, commands.iter().map(|at| (*at, Duration::ZERO)));
        let last = *commands.iter().max().unwrap();
        Sample { course, ..self.ended(last) }
    }

    /// The same where there are no commands.
    pub(super) fn ended(self, at: Instant) -> Sample {
        let took = at.duration_since(self.began);
        self.watch.end(self.events as f64 / took.as_secs_f64(), vec![])
    }
}

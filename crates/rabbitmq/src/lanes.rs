//! The connections of one publisher, and which of them takes the next message.
//!
//! Messages go to the lanes by turns: in runs where each comes alone, in chunks where they come as
//! a list. A lane that is lost, or has as many in flight as it may, is passed over as long as
//! another one has room.
//!
//! A lane that is *blocked* speaks for all of them. An alarm is the broker's and not a
//! connection's, and a connection only hears of it once it publishes: whatever the others are
//! given meanwhile is neither confirmed nor refused, and each would time out in its turn.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use relink_bus::port::PublishError;
use tokio::time::timeout;

use crate::config::RabbitConfig;
use crate::outlet::{Outlet, Pending, Place};
use crate::properties::Parcel;
use crate::state::BrokerState;

/// How many connections a publisher has. The broker works a channel off in one process, on one
/// core, and that is what limits a publisher: a second one brought a fifth more webhooks per
/// second, with shorter tails. A second channel on the same connection would share its reader.
const LANES: usize = 2;

/// What the broker, the log and the metrics call them.
const NAMES: [&str; LANES] = ["publish-1", "publish-2"];

/// How many messages that come alone go to one lane before the next one has its turn: frames that
/// are written together cost less.
const RUN: usize = 16;

/// How many messages of a list go to one lane before the next one has its turn: as many as are
/// taken over at a time, so that both lanes are at work from the second chunk on.
pub(crate) const CHUNK: usize = 64;

/// The lanes, and whose turn it is.
pub(crate) struct Lanes {
    outlets: [Outlet; LANES],
    singles: AtomicUsize,
    chunks: AtomicUsize,
    confirm_timeout: Duration,
}

impl Lanes {
    /// Starts connecting all of them; they end when the value is dropped.
    pub(crate) fn start(config: &RabbitConfig) -> Self {
        let mut lane = 0;
        let outlets = NAMES.map(|name| {
            let mut config = config.clone().publishing();
            config.in_flight_max = share(config.in_flight_max, lane);
            lane += 1;
            Outlet::start(config, name)
        });
        Self::over(outlets, config.confirm_timeout)
    }

    pub(crate) fn over(outlets: [Outlet; LANES], confirm_timeout: Duration) -> Self {
        let (singles, chunks) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { outlets, singles, chunks, confirm_timeout }
    }

    /// How each connection is, by its name.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&'static str, &BrokerState)> {
        NAMES.into_iter().zip(self.outlets.iter().map(Outlet::state))
    }

    /// Whether a message has a chance right now.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_blocked() && self.outlets.iter().any(|outlet| outlet.state().is_connected())
    }

    /// Hands a parcel that comes alone over, or says at once why not.
    pub(crate) fn submit(&self, parcel: Parcel) -> Result<Pending, PublishError> {
        let turn = self.singles.fetch_add(1, Ordering::Relaxed) / RUN;
        self.place(turn)?.hand_over(parcel)
    }

    /// Whose turn it is to take the next [`CHUNK`] of a list.
    pub(crate) fn turn(&self) -> usize {
        self.chunks.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands a parcel of a list over as soon as a lane has fewer than its limit in flight.
    pub(crate) async fn submit_in_turn(
        &self,
        turn: usize,
        parcel: Parcel,
    ) -> Result<Pending, PublishError> {
        match timeout(self.confirm_timeout, self.next_place(turn)).await {
            Ok(place) => place?.hand_over(parcel),
            Err(_) => Err(PublishError::TimedOut),
        }
    }

    /// A place on the lane whose turn it is, or on the next one that has any.
    ///
    /// The error is the one that tells most: blocked, which holds for all of them; busy, where the
    /// broker is there and lanes are full; and away only where all are lost.
    fn place(&self, turn: usize) -> Result<Place<'_>, PublishError> {
        if self.is_blocked() {
            return Err(PublishError::Blocked);
        }
        let mut refusal = PublishError::Away;
        for outlet in self.from(turn) {
            match outlet.place() {
                Ok(place) => return Ok(place),
                Err(PublishError::Away) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// Waits for a place on any lane, so that one that hangs holds nobody up while another one
    /// goes on.
    async fn next_place(&self, turn: usize) -> Result<Place<'_>, PublishError> {
        loop {
            match self.place(turn) {
                Err(PublishError::Busy) => {}
                placed => return placed,
            }
            let open = self.from(turn).filter(|outlet| outlet.state().is_connected());
            let mut places: FuturesUnordered<_> = open.map(Outlet::next_place).collect();
            if let Some(Ok(place)) = places.next().await {
                return Ok(place);
            }
            // That lane was lost meanwhile; the others may still have a place.
        }
    }

    fn is_blocked(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.state().is_blocked())
    }

    /// All of them, the one whose turn it is first.
    fn from(&self, turn: usize) -> impl Iterator<Item = &Outlet> {
        let (before, from) = self.outlets.split_at(turn % LANES);
        from.iter().chain(before)
    }
}

/// How many messages a lane may have in flight: together as many as the publisher, and no lane
/// without any.
fn share(in_flight_max: usize, lane: usize) -> usize {
    (in_flight_max / LANES + usize::from(lane < in_flight_max % LANES)).max(1)
}

#[cfg(test)]
pub(crate) mod tests;

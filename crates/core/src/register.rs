//! A value with the stamp it was observed at; joining keeps the later one, in any order.

use serde::{Deserialize, Serialize};

use crate::bug::{Bug, is_planted};
use crate::observation::{Source, Stamp};

/// A value and when it was observed. Written as a pair to keep rows narrow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Register<T>(
    /// When.
    pub Stamp,
    /// What.
    pub T,
);

/// What joining did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Joined {
    /// An older observation: nothing changed.
    Older,
    /// The very same observation.
    Same,
    /// Newer, and it says the same.
    Confirmed,
    /// Another value at the same stamp; the greater one stands, whichever came first.
    Tied,
    /// The value changed.
    Changed,
}

/// Joins an observation into a register that may be empty.
///
/// Commutative, associative and idempotent: the result is the greatest (stamp, value) seen.
pub fn join<T: Ord>(slot: &mut Option<Register<T>>, stamp: Stamp, value: T) -> Joined {
    let Some(Register(known_stamp, known)) = slot else {
        *slot = Some(Register(stamp, value));
        return Joined::Changed;
    };
    let stays = stamp == *known_stamp && is_planted(Bug::FirstOfASecondStays);
    if stamp < *known_stamp || stays {
        return Joined::Older;
    }
    if value == *known {
        let newer = stamp > *known_stamp;
        *known_stamp = stamp;
        return if newer { Joined::Confirmed } else { Joined::Same };
    }
    if stamp == *known_stamp {
        if value > *known {
            *known = value;
        }
        return Joined::Tied;
    }
    *slot = Some(Register(stamp, value));
    Joined::Changed
}

/// How many seconds lie between the known value and this one, where they differ and nothing tells
/// which came last: two of one second, or a read that followed an event – Stripe may have answered
/// it with what was true before the event. An event that follows a read is later.
pub fn contradiction<T: PartialEq>(
    slot: &Option<Register<T>>,
    stamp: Stamp,
    value: &T,
) -> Option<i64> {
    let Register(at, _) = slot.as_ref().filter(|Register(_, known)| known != value)?;
    let blind = is_planted(Bug::NoSecondRead) && *at != stamp;
    if blind || is_planted(Bug::FirstOfASecondStays) {
        return None;
    }
    let (first, last) = (stamp.min(*at), stamp.max(*at));
    let followed = (first.1, last.1) == (Source::Event, Source::Read);
    let distance = last.0.0.saturating_sub(first.0.0);
    (followed || distance == 0).then_some(distance)
}

/// The value of a register that may be empty.
pub fn value<T>(slot: &Option<Register<T>>) -> Option<&T> {
    slot.as_ref().map(|Register(_, value)| value)
}

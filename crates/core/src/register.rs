//! A value with the stamp it was observed at; joining keeps the later one, in any order.

use serde::{Deserialize, Serialize};

use crate::bug::{Bug, is_planted};
use crate::observation::Stamp;

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

/// Whether that second is known with another value: nothing tells which of the two came last, not
/// even between an event and a read.
pub fn contradicts<T: PartialEq>(slot: &Option<Register<T>>, stamp: Stamp, value: &T) -> bool {
    slot.as_ref().is_some_and(|Register(at, known)| at.0 == stamp.0 && known != value)
}

/// The value of a register that may be empty.
pub fn value<T>(slot: &Option<Register<T>>) -> Option<&T> {
    slot.as_ref().map(|Register(_, value)| value)
}

//! Dropping: first the record, then the removal.

use std::iter;
use std::sync::Arc;

use async_trait::async_trait;
use relink_bus::envelope::CloudEvent;
use relink_bus::parked::{Fate, ParkedError, ParkedMessage, Visitor};
use relink_bus::topology::Exchange;
use relink_core::id::{AccountId, Home, HomeKey, ID_BYTES_MAX, InputId, Scope};
use relink_core::input::{Happened, Ignored, Input, Verdict};
use relink_core::time::{Second, Time};
use serde::de::IgnoredAny;

use super::{ParkedFilter, Reach};
use crate::batch::subject;
use crate::consume::Decode;
use crate::store::{Decide, Gathered, HistoryRow, InboxRow, Store, StoreError, Writes};

/// The longest reason: a sentence or two, which stay readable in history.
pub const DROP_REASON_CHARS_MAX: usize = 300;

/// Why a person dropped a message: what history will say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DropReason(String);

impl DropReason {
    /// Takes a text of one line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("a reason must say something");
        }
        if text.chars().count() > DROP_REASON_CHARS_MAX {
            return Err("a reason has at most 300 characters");
        }
        if text.chars().any(char::is_control) {
            return Err("a reason is one line of text");
        }
        Ok(Self(text.to_owned()))
    }
}

/// Records and removes.
pub(super) struct Dropper<'a> {
    pub(super) filter: &'a ParkedFilter,
    pub(super) reach: Reach,
    pub(super) recorder: Recorder<'a>,
    pub(super) looked_at: usize,
    pub(super) dropped: usize,
    /// Why a drop could not be recorded.
    pub(super) trouble: Option<ParkedError>,
    pub(super) tell: &'a mut (dyn FnMut(&ParkedMessage) + Send),
}

/// Writes down what is dropped.
pub(super) struct Recorder<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) decode: Option<Decode>,
    pub(super) now: Time,
    pub(super) reason: &'a DropReason,
}

#[async_trait]
impl Visitor for Dropper<'_> {
    async fn visit(&mut self, message: ParkedMessage) -> Fate {
        if self.dropped >= self.reach.at_most || self.looked_at >= self.reach.looked_at {
            return Fate::Stop;
        }
        self.looked_at += 1;
        if !self.filter.takes(&message) {
            return Fate::Leave;
        }
        if let Err(error) = self.recorder.record(&message).await {
            self.trouble = Some(error.into());
            return Fate::Stop;
        }
        self.dropped += 1;
        (self.tell)(&message);
        Fate::Remove
    }
}

impl Recorder<'_> {
    /// Writes the ledger and history. An event that the ledger holds already, because another
    /// copy of it was applied, keeps its verdict.
    async fn record(&self, message: &ParkedMessage) -> Result<(), StoreError> {
        let read = self.decode.and_then(|decode| decode(&message.delivery).ok());
        let plain = plain(message, self.now);
        let Some(input) = read else { return self.write(message, plain).await };
        match self.write(message, input).await {
            // The database may refuse what it was parked for; it does not refuse its name.
            Err(StoreError::Refused(_)) => self.write(message, plain).await,
            written => written,
        }
    }

    async fn write(&self, message: &ParkedMessage, input: Input) -> Result<(), StoreError> {
        let is_event = message.queue.exchange() == Exchange::Events;
        let home = (!is_event).then(|| home_of_command(message, &input.scope)).flatten();
        let verdict = Verdict::Ignored(Ignored::Dropped);
        let note = format!(
            "dropped by a person, parked as {} in {}: {}",
            message.reason,
            message.queue.parked(),
            self.reason.0
        );
        let now = self.now;
        let known = input.clone();
        let decide: Decide = Arc::new(move |gathered: Gathered| {
            let own = home.as_ref().map(|_| nowhere(&known));
            let (home, account) = match (home.clone(), subject(&gathered.world, &known)) {
                (Some(home), _) => (home, None),
                (None, Some(found)) => found,
                (None, None) => (nowhere(&known), None),
            };
            let history = HistoryRow {
                home,
                account,
                input: known.id.clone(),
                kind: Arc::clone(&known.kind),
                at: known.at,
                decided_at: now,
                verdict: verdict.as_str().into(),
                note: note.clone(),
                commands: Vec::new(),
            };
            let is_new = is_event && gathered.seen.first() != Some(&true);
            let row = is_new.then(|| InboxRow {
                scope: known.scope.clone(),
                id: known.id.clone(),
                kind: Arc::clone(&known.kind),
                at: known.at,
                verdict,
            });
            // No ledger leads from a command to its home, so its own name tells it as well.
            let own = own.map(|home| HistoryRow { home, ..history.clone() });
            Ok(Writes {
                world: gathered.world,
                inbox: row.into_iter().collect(),
                history: iter::once(history).chain(own).collect(),
                ..Writes::default()
            })
        });
        self.store.transact([input].into(), decide).await.map(drop)
    }
}

/// What can be said of a message whose body says nothing: by its properties, else by its name
/// among the parked ones.
fn plain(message: &ParkedMessage, now: Time) -> Input {
    let delivery = &message.delivery;
    let id = delivery.id.as_deref().map(clean).filter(|id| !id.is_empty());
    let kind = delivery.kind.as_deref().map(clean).filter(|kind| !kind.is_empty());
    let at = delivery
        .timestamp_unix_s
        .filter(|at| *at > 0)
        .or(message.parked_at_unix_ms.map(|at| at.div_euclid(1000)));
    Input {
        id: InputId::new(id.unwrap_or_else(|| format!("parked:{}", message.id))),
        scope: Scope {
            livemode: delivery.headers.livemode.unwrap_or(false),
            stripe_account: delivery.headers.stripe_account.as_deref().map(clean).map(Arc::from),
        },
        kind: kind.unwrap_or_else(|| "unknown".into()).into(),
        at: Second(at.unwrap_or_else(|| now.0.div_euclid(1000))),
        happened: Happened::Ignored(Ignored::Dropped),
    }
}

/// Where history is filed that belongs to no authorization: under the message itself.
fn nowhere(input: &Input) -> HomeKey {
    HomeKey { scope: input.scope.clone(), home: own_home(input.id.as_str()) }
}

/// Where the drop of a message is told that no ledger knows, such as a command.
pub fn own_home(id: &str) -> Home {
    Home::Provisional(AccountId::new(id))
}

/// The subject of a command is its authorization, or the account while that is unknown.
fn home_of_command(message: &ParkedMessage, scope: &Scope) -> Option<HomeKey> {
    let command: CloudEvent<IgnoredAny> = serde_json::from_slice(&message.delivery.body).ok()?;
    let subject = clean(&command.subject);
    let home = match subject.starts_with("fcauth_") {
        true => Home::Authorization(subject.as_str().into()),
        false => Home::Provisional(subject.as_str().into()),
    };
    Some(HomeKey { scope: scope.clone(), home })
}

/// What a column takes from whoever wrote the message: no control characters, and not too long.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(ID_BYTES_MAX * 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_that_says_something() {
        assert_eq!(DropReason::new("  test data ").map(|one| one.0), Ok("test data".into()));
        for wrong in ["", "  ", "two\nlines", &"x".repeat(DROP_REASON_CHARS_MAX + 1)] {
            assert!(DropReason::new(wrong).is_err(), "{wrong}");
        }
    }
}

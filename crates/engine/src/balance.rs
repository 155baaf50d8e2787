//! The books: accepted = applied + ignored + parked, by the day of `created`.
//!
//! Ingress has no database, so nothing writes down what was accepted; it follows from where every
//! accepted event has to end. Whether something accepted is in none of the three is what an audit
//! asks Stripe.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prometheus::{IntGaugeVec, Opts, Registry};
use relink_bus::parked::{Depth, Fate, ParkedError, ParkedMessage, ParkedMessages, Visitor};
use relink_bus::topology::WorkQueue;
use relink_core::id::{InputId, Scope};
use relink_core::input::Verdict;
use relink_core::time::Second;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::{InputKey, Store, StoreError, Tally};

/// How often it is looked what waits in the queues.
const DEPTHS: Duration = Duration::from_secs(15);
/// How often the ledger of the last days is counted, which reads those days whole.
const COUNTS: Duration = Duration::from_secs(300);
/// How many days are counted for metrics: today and those that may still get late events.
const DAYS: i64 = 3;
/// Seconds of a day.
const DAY_SECONDS: i64 = 86_400;

/// The events of one day.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DayBooks {
    /// How many there are by verdict.
    pub verdicts: BTreeMap<Arc<str>, i64>,
    /// How many are parked, and not in the ledger by another copy.
    pub parked: i64,
}

impl DayBooks {
    /// Those that were decided: applied, unchanged, stale or deferred.
    pub fn applied(&self) -> i64 {
        self.sum(false)
    }

    /// Those that were ignored by name.
    pub fn ignored(&self) -> i64 {
        self.sum(true)
    }

    /// All of them.
    pub fn accepted(&self) -> i64 {
        self.applied() + self.ignored() + self.parked
    }

    fn sum(&self, ignored: bool) -> i64 {
        let of = |(verdict, _): &(&Arc<str>, &i64)| verdict.starts_with("ignored(") == ignored;
        self.verdicts.iter().filter(of).map(|(_, count)| count).sum()
    }
}

/// What became of events.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Books {
    /// By day, counted from 1970-01-01.
    pub days: BTreeMap<i64, DayBooks>,
    /// Observations of our own among the ledger's rows.
    pub observations: i64,
    /// Parked messages whose day nobody has written on them, or that have no id.
    pub parked_unfiled: i64,
    /// Commands that are parked: no part of the sum.
    pub parked_commands: i64,
}

/// Why the books cannot be closed.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The parked messages.
    #[error(transparent)]
    Parked(#[from] ParkedError),
}

impl Books {
    /// Counts the events made in the days of `from` to `until`.
    ///
    /// # Errors
    /// See [`BooksError`].
    pub async fn of(
        store: &dyn Store,
        lot: &dyn ParkedMessages,
        from: Second,
        until: Second,
    ) -> Result<Self, BooksError> {
        let mut books = Self::default();
        let parked = ParkedEvents::all(lot).await?;
        // The ledger after the parked ones: what is put back meanwhile is counted, if anything,
        // as applied.
        for Tally { day, is_event, verdict, count } in store.tally(from, until).await? {
            if is_event {
                books.days.entry(day).or_default().verdicts.insert(verdict, count);
            } else {
                books.observations += count;
            }
        }
        books.parked_unfiled = parked.unfiled;
        books.parked_commands = parked.commands;
        let within = |key: &InputKey| (day(from)..=day(until)).contains(&day(key.at));
        let keys: Vec<InputKey> = parked.keys.into_iter().filter(within).collect();
        for (key, seen) in keys.iter().zip(store.seen(&keys).await?) {
            if !seen {
                books.days.entry(day(key.at)).or_default().parked += 1;
            }
        }
        Ok(books)
    }
}

fn day(at: Second) -> i64 {
    at.0.div_euclid(DAY_SECONDS)
}

/// The events among the parked messages.
#[derive(Clone, Debug, Default)]
pub struct ParkedEvents {
    /// Each once, however many copies are parked.
    pub keys: Vec<InputKey>,
    /// Those without an id or a time.
    pub unfiled: i64,
    /// Commands.
    pub commands: i64,
}

impl ParkedEvents {
    /// Looks at every parked message.
    ///
    /// # Errors
    /// See [`ParkedError`].
    pub async fn all(lot: &dyn ParkedMessages) -> Result<Self, ParkedError> {
        let mut collector = Collector::default();
        for queue in WorkQueue::ALL {
            if let Some(trouble) = lot.walk(queue, &mut collector).await.trouble {
                return Err(trouble);
            }
        }
        Ok(collector.found)
    }
}

#[derive(Default)]
struct Collector {
    found: ParkedEvents,
    known: BTreeSet<(Scope, String, i64)>,
}

#[async_trait]
impl Visitor for Collector {
    async fn visit(&mut self, message: ParkedMessage) -> Fate {
        let delivery = &message.delivery;
        let kind = delivery.kind.as_deref().unwrap_or_default();
        if message.queue == WorkQueue::Followup {
            self.found.commands += 1;
        } else if let (Some(id), Some(at)) = (&delivery.id, delivery.timestamp_unix_s) {
            let scope = Scope {
                livemode: delivery.headers.livemode.unwrap_or(false),
                stripe_account: delivery.headers.stripe_account.clone(),
            };
            // Observations are our own: read again, not accepted.
            let is_event = !kind.starts_with("relink.");
            if is_event && self.known.insert((scope.clone(), id.to_string(), at)) {
                let id = InputId::new(Arc::clone(id));
                self.found.keys.push(InputKey { scope, id, at: Second(at) });
            }
        } else {
            self.found.unfiled += 1;
        }
        Fate::Leave
    }
}

/// Shows the books as metrics, in the one process that keeps house.
pub struct Bookkeeper {
    store: Arc<dyn Store>,
    lot: Arc<dyn ParkedMessages>,
    wall: Arc<dyn Clock>,
    messages: IntGaugeVec,
    events: IntGaugeVec,
}

impl Bookkeeper {
    /// Registers its metrics; once per process.
    ///
    /// # Errors
    /// When the registry already holds one of the names.
    pub fn new(
        store: Arc<dyn Store>,
        lot: Arc<dyn ParkedMessages>,
        wall: Arc<dyn Clock>,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let messages = IntGaugeVec::new(
            Opts::new("relink_queue_messages", "Messages that wait, by queue and where in it"),
            &["queue", "state"],
        )?;
        let events = IntGaugeVec::new(
            Opts::new("relink_ledger_events", "Stripe's events of the last days by verdict"),
            &["days_ago", "verdict"],
        )?;
        registry.register(Box::new(messages.clone()))?;
        registry.register(Box::new(events.clone()))?;
        let bookkeeper = Self { store, lot, wall, messages, events };
        for queue in WorkQueue::ALL {
            let missing = Vec::new();
            bookkeeper.show(&Depth { queue, ready: 0, retrying: 0, parked: 0, missing });
        }
        bookkeeper.show_no_events();
        Ok(bookkeeper)
    }

    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(
            every(DEPTHS, &stop, "the queues", async || self.look().await),
            every(COUNTS, &stop, "the ledger", async || self.count().await),
        );
    }

    async fn look(&self) -> Result<(), BooksError> {
        let depths = self.lot.depths().await?;
        depths.iter().for_each(|depth| self.show(depth));
        match depths.iter().find_map(Depth::lacks) {
            Some(lacks) => Err(ParkedError::Misconfigured(lacks).into()),
            None => Ok(()),
        }
    }

    fn show(&self, depth: &Depth) {
        let states =
            [("ready", depth.ready), ("retrying", depth.retrying), ("parked", depth.parked)];
        for (state, count) in states {
            let gauge = self.messages.with_label_values(&[depth.queue.name(), state]);
            gauge.set(count.cast_signed());
        }
    }

    /// Every day and verdict at zero: a sum over none of them could not be told from a gap.
    fn show_no_events(&self) {
        for days_ago in (0..DAYS).map(|days| days.to_string()) {
            for verdict in Verdict::all() {
                self.events.with_label_values(&[&*days_ago, verdict.as_str()]).set(0);
            }
        }
    }

    async fn count(&self) -> Result<(), BooksError> {
        let now = Second(self.wall.now().0.div_euclid(1000));
        let from = Second(now.0 - (DAYS - 1) * DAY_SECONDS);
        let tallies = self.store.tally(from, now).await?;
        let mut counts: HashMap<(i64, &str), i64> = HashMap::new();
        for tally in tallies.iter().filter(|tally| tally.is_event) {
            *counts.entry((day(now) - tally.day, &tally.verdict)).or_default() += tally.count;
        }
        // Yesterday's numbers move one day on; what is not counted any more must not stay.
        self.events.reset();
        self.show_no_events();
        for ((days_ago, verdict), count) in counts {
            self.events.with_label_values(&[&*days_ago.to_string(), verdict]).set(count);
        }
        Ok(())
    }
}

async fn every(
    period: Duration,
    stop: &CancellationToken,
    what: &'static str,
    look: impl AsyncFn() -> Result<(), BooksError>,
) {
    let mut failing = false;
    while !stop.is_cancelled() {
        let looked = tokio::select! {
            () = stop.cancelled() => return,
            looked = look() => looked,
        };
        if let (Err(error), false) = (&looked, failing) {
            tracing::warn!(%error, what, "not all is counted, the metrics of the rest stay as they are");
        }
        failing = looked.is_err();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period) => {}
        }
    }
}

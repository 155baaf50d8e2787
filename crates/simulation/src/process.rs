//! A process that can be killed anywhere between two calls.
//!
//! All that a process does to the world goes through its ports. Each call passes [`Process::point`]
//! before and after: there it may be held up, and there it may die. The tasks of a dead process
//! wait for ever at their next point, which is as good as gone.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use relink_bus::port::Publisher;
use relink_core::time::{Span, Time};
use relink_engine::clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::broker::Line;
use crate::chance::Chance;
use crate::fault::Fault;
use crate::stage::Stage;

/// Longest time, in milliseconds, that a call is held up now and then.
const HELD_UP_MS: u64 = 400;

/// A process; clones share it.
#[derive(Clone)]
pub(crate) struct Process(Arc<Inner>);

struct Inner {
    name: String,
    life: String,
    stage: Arc<Stage>,
    chance: Chance,
    dead: AtomicBool,
    died: CancellationToken,
    /// Its connections to the broker, which break with it.
    lines: Mutex<Vec<Arc<Line>>>,
    /// Weak, because it holds the process.
    publisher: OnceLock<Weak<dyn Publisher>>,
    /// How far its clock is off, in milliseconds; it outlives the process.
    skew_ms: Arc<AtomicI64>,
}

impl Process {
    pub(crate) fn start(
        stage: &Arc<Stage>,
        name: &str,
        life: u32,
        skew_ms: &Arc<AtomicI64>,
    ) -> Self {
        let chance = Chance::of(stage.plan.seed, &format!("{name}/{life}"));
        stage.note(name, format_args!("starts"));
        Self(Arc::new(Inner {
            name: name.to_owned(),
            life: format!("{name}/{life}"),
            stage: Arc::clone(stage),
            chance,
            dead: AtomicBool::new(false),
            died: CancellationToken::new(),
            lines: Mutex::default(),
            publisher: OnceLock::new(),
            skew_ms: Arc::clone(skew_ms),
        }))
    }

    pub(crate) fn holds(&self, line: &Arc<Line>) {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(line));
    }

    pub(crate) fn lines(&self) -> Vec<Arc<Line>> {
        self.0.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publishes_through(&self, publisher: &Arc<dyn Publisher>) {
        let _ = self.0.publisher.set(Arc::downgrade(publisher));
    }

    pub(crate) fn publisher(&self) -> Option<Arc<dyn Publisher>> {
        self.0.publisher.get()?.upgrade()
    }

    /// Its name; each life has another.
    pub(crate) fn name_of_life(&self) -> &str {
        &self.0.life
    }

    pub(crate) fn stage(&self) -> &Arc<Stage> {
        &self.0.stage
    }

    pub(crate) fn chance(&self) -> &Chance {
        &self.0.chance
    }

    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        self.0.stage.strikes(&self.0.chance, fault)
    }

    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.0.stage.note(&self.0.name, what);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.0.dead.load(Ordering::Relaxed)
    }

    /// Ends when the process is dead.
    pub(crate) async fn died(&self) {
        self.0.died.cancelled().await;
    }

    /// A place between two calls, where it may be held up and where it may die.
    pub(crate) async fn point(&self, what: &str) {
        self.stay_dead().await;
        let chance = &self.0.chance;
        if chance.happens(0.25) {
            tokio::time::sleep(Duration::from_millis(chance.below(HELD_UP_MS))).await;
        } else if chance.happens(0.5) {
            tokio::task::yield_now().await;
        }
        self.stay_dead().await;
        if self.strikes(Fault::Crash) {
            self.note(format_args!("is killed at {what}"));
            self.0.dead.store(true, Ordering::Relaxed);
            self.0.died.cancel();
            self.stay_dead().await;
        }
    }

    async fn stay_dead(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}

impl Clock for Process {
    fn now(&self) -> Time {
        self.0.stage.now().after(Span(self.0.skew_ms.load(Ordering::Relaxed)))
    }
}

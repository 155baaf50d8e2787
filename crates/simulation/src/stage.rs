//! What all parts of a run share: the plan, the time, the trace, and what was found broken.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use relink_bus::port::ParkReason;
use relink_core::policy::Policy;
use relink_core::time::{Span, Time};
use relink_sim::{ClockChange, Sim, SimConfig};
use relink_sqlite::SqliteStore;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::chance::Chance;
use crate::fault::Fault;
use crate::plan::{Bodies, Plan};
use crate::trace::Trace;
use crate::watch::Watch;

/// When every run begins; what matters is that it is always the same.
const BEGIN_UNIX_S: i64 = 1_790_000_000;

/// Everything that outlives a process.
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    pub(crate) sim: Sim,
    pub(crate) store: SqliteStore,
    pub(crate) broker: Broker,
    pub(crate) watch: Watch,
    pub(crate) policy: Arc<Policy>,
    /// Webhooks that Stripe has not delivered or given up yet.
    pub(crate) webhooks: AtomicUsize,
    pub(crate) database_away: AtomicBool,
    calm: AtomicBool,
    broken: Mutex<Option<String>>,
    found: Notify,
    began: Instant,
}

impl Stage {
    pub(crate) fn set(plan: Plan) -> Result<Arc<Self>, String> {
        let twin = plan.probability(Fault::Twin);
        let mut config = SimConfig {
            seed: plan.seed,
            start_unix_s: Some(BEGIN_UNIX_S),
            time_scale: 0.0,
            ..SimConfig::default()
        };
        config.delivery.twin = twin;
        match plan.bodies {
            Bodies::Preview => {}
            Bodies::Plain => config.webhook_version = relink_sim::GA_VERSION.to_owned(),
            Bodies::Thin => config.delivery.thin = true,
        }
        let store = SqliteStore::in_memory().map_err(|error| error.to_string())?;
        Ok(Arc::new(Self {
            trace: Trace::begin(),
            sim: Sim::new(config),
            store,
            broker: Broker::default(),
            watch: Watch::default(),
            policy: Arc::new(policy()),
            webhooks: AtomicUsize::new(0),
            database_away: AtomicBool::new(false),
            calm: AtomicBool::new(false),
            broken: Mutex::default(),
            found: Notify::new(),
            began: Instant::now(),
            plan,
        }))
    }

    /// The true time.
    pub(crate) fn now(&self) -> Time {
        let passed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Time(BEGIN_UNIX_S * 1000).after(Span(passed))
    }

    /// Stripe's clock is the true time.
    pub(crate) fn wind_stripes_clock(&self) {
        let now = Some(self.now().0.div_euclid(1000));
        let _ = self.sim.set_clock(&ClockChange { now, ..ClockChange::default() });
    }

    /// Whether a fault strikes here; never once the faults have stopped.
    pub(crate) fn strikes(&self, chance: &Chance, fault: Fault) -> bool {
        let probability = if self.is_calm() { 0.0 } else { self.plan.probability(fault) };
        chance.happens(probability)
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    /// The faults stop.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
        self.database_away.store(false, Ordering::Relaxed);
        self.broker.set_away(false);
        self.note("run", format_args!("the faults stop"));
    }

    pub(crate) fn note(&self, who: &str, what: fmt::Arguments<'_>) {
        self.trace.note(who, what);
    }

    /// A promise is broken: the run ends here. The first one counts.
    pub(crate) fn broken(&self, what: String) {
        self.note("BROKEN", format_args!("{what}"));
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(what);
        self.found.notify_one();
    }

    /// S9: nothing is parked, since no run has poison, but what Stripe has refused so often that
    /// the ladder is at its end; that read is asked for again by and by.
    pub(crate) fn parked(&self, id: &str, reason: ParkReason, error: &str) {
        self.note("parked", format_args!("{id}: {} ({error})", reason.as_str()));
        let refuses = [Fault::StripeLimits, Fault::StripeFails, Fault::StripeHangs];
        let has_cause = refuses.iter().any(|fault| self.plan.faults.contains_key(fault));
        if reason != ParkReason::RetriesExhausted || !has_cause {
            self.broken(format!("S9: {id} is parked: {} ({error})", reason.as_str()));
        }
    }

    pub(crate) fn take_broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends when something is found broken.
    pub(crate) async fn found(&self) {
        self.found.notified().await;
    }
}

/// As in earnest, but with minutes for days: a run has to see the end of every ladder.
fn policy() -> Policy {
    Policy {
        reminders_before: [40, 20, 10, 5].map(Span::minutes).to_vec(),
        reminders_after: [3, 7, 14].map(Span::minutes).to_vec(),
        escalate_after: Span::minutes(2),
        forecast_grace: Span::minutes(3),
        verify_patience: Span::minutes(2),
        ..Policy::default()
    }
}

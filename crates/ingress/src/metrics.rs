//! The closed list of what the ingress counts; every label value is there from the start.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};
use relink_stripe::signature::Verified;

use crate::refusal::Refusal;

/// From a confirm in the same rack to the confirm timeout of 5 s, in seconds.
const PUBLISH_BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
/// From a near sender to the signature's age limit, in seconds. Stripe signs in whole seconds, so
/// less than one of them says little.
const AGE_BUCKETS: [f64; 10] = [0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// From a clock slightly behind to the signature's limit, in seconds.
const SKEW_BUCKETS: [f64; 7] = [0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0];

/// What became of an accepted event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The bus has confirmed it.
    Published,
    /// It is not about Financial Connections.
    IgnoredType,
    /// It would have been published in the other mode.
    OtherMode,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Published, Self::IgnoredType, Self::OtherMode];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::IgnoredType => "ignored_type",
            Self::OtherMode => "other_mode",
        }
    }
}

pub(crate) struct Metrics {
    published: IntCounter,
    ignored_type: IntCounter,
    other_mode: IntCounter,
    rejected: Vec<(Refusal, IntCounter)>,
    pub(crate) publish_seconds: Histogram,
    webhook_age_seconds: Histogram,
    webhook_skew_seconds: Histogram,
    in_flight: IntGauge,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let events = IntCounterVec::new(
            Opts::new("relink_ingress_events_total", "Webhooks answered 200, by what became of it"),
            &["outcome"],
        )?;
        let [published, ignored_type, other_mode] =
            Outcome::ALL.map(|outcome| events.with_label_values(&[outcome.as_str()]));
        registered(registry, events)?;
        let rejected = IntCounterVec::new(
            Opts::new("relink_ingress_rejected_total", "Requests not answered 200, by reason"),
            &["reason"],
        )?;
        let counter = |refusal: Refusal| rejected.with_label_values(&[refusal.as_str()]);
        let by_refusal = Refusal::all().map(|refusal| (refusal, counter(refusal))).collect();
        registered(registry, rejected)?;
        let in_flight = IntGauge::new("relink_ingress_in_flight", "Webhooks being handled")?;
        Ok(Self {
            published,
            ignored_type,
            other_mode,
            rejected: by_refusal,
            publish_seconds: histogram(
                registry,
                "relink_ingress_publish_seconds",
                "From handing a message to the bus to its answer, confirmed or not",
                &PUBLISH_BUCKETS,
            )?,
            webhook_age_seconds: histogram(
                registry,
                "relink_ingress_webhook_age_seconds",
                "From Stripe's signature to its check here",
                &AGE_BUCKETS,
            )?,
            webhook_skew_seconds: histogram(
                registry,
                "relink_ingress_webhook_skew_seconds",
                "How far signatures lie in the future; any at all means that a clock is wrong",
                &SKEW_BUCKETS,
            )?,
            in_flight: registered(registry, in_flight)?,
        })
    }

    pub(crate) fn accepted(&self, outcome: Outcome) {
        match outcome {
            Outcome::Published => self.published.inc(),
            Outcome::IgnoredType => self.ignored_type.inc(),
            Outcome::OtherMode => self.other_mode.inc(),
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        // Looked up without a lock: whoever floods us with forgeries comes by here.
        if let Some((_, counter)) = self.rejected.iter().find(|(known, _)| *known == refusal) {
            counter.inc();
        }
    }

    /// Counts a genuine webhook's age, or how far in the future it was signed.
    pub(crate) fn verified(&self, verified: Verified, now_unix_ms: i64) {
        let signed_at_unix_ms = verified.signed_at_unix_seconds.saturating_mul(1000);
        let age_ms = now_unix_ms.saturating_sub(signed_at_unix_ms);
        let age_seconds = age_ms as f64 / 1000.0;
        if age_ms < 0 {
            self.webhook_skew_seconds.observe(-age_seconds);
        } else {
            self.webhook_age_seconds.observe(age_seconds);
        }
    }

    /// Counts a webhook as being handled until the value is dropped, however that comes about.
    pub(crate) fn in_flight(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }
}

pub(crate) struct InFlight<'a>(&'a IntGauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram, prometheus::Error> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    registered(registry, Histogram::with_opts(options)?)
}

fn registered<M>(registry: &Registry, metric: M) -> Result<M, prometheus::Error>
where
    M: Collector + Clone + 'static,
{
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

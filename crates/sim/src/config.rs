//! How a simulator starts and how its webhooks travel.

use std::time::Duration;

use serde::Deserialize;

use crate::error::SimError;
use crate::version::{PREVIEW_VERSION, Shape};

/// What a [`crate::Sim`] starts with.
#[derive(Clone)]
pub struct SimConfig {
    /// Decides every id and every chance; the same seed and the same calls give the same run.
    pub seed: u64,
    /// The only key the Stripe API accepts, as bearer token or basic-auth user.
    pub api_key: String,
    /// Where webhooks go; `None` keeps events for `/v1/events` only. Plain `http://` only.
    pub webhook_url: Option<String>,
    /// The endpoint secret, used whole as bytes.
    pub webhook_secret: String,
    /// During a rotation: a second secret that signs every webhook as well.
    pub previous_webhook_secret: Option<String>,
    /// The version that shapes event bodies, as on Stripe's destinations. What is not a version
    /// counts as preview.
    pub webhook_version: String,
    /// How webhooks travel.
    pub delivery: Delivery,
    /// Where the simulated clock starts; `None` is the wall clock.
    pub start_unix_s: Option<i64>,
    /// Simulated seconds per real second; 0 stands still until it is advanced.
    pub time_scale: f64,
    /// Reads per second and endpoint before 429; Stripe's own limit is 25.
    pub read_limit_per_second: Option<u32>,
    /// The mode of every object and event.
    pub livemode: bool,
    /// The connected account that newly linked accounts belong to, unless the link says another.
    pub stripe_account: Option<String>,
}

impl Default for SimConfig {
    fn default() -> Self {
        SimConfig {
            seed: 1,
            api_key: "sk_test_sim".into(),
            webhook_url: None,
            webhook_secret: "whsec_sim".into(),
            previous_webhook_secret: None,
            webhook_version: PREVIEW_VERSION.into(),
            delivery: Delivery::default(),
            start_unix_s: None,
            time_scale: 1.0,
            read_limit_per_second: None,
            livemode: false,
            stripe_account: None,
        }
    }
}

/// How webhooks travel. Chances are between 0 and 1 and independent of each other; all durations
/// are real time. The default delivers everything once and at once.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Chance that an event is delivered a second time under the same id.
    pub duplicate: f64,
    /// Chance that one change makes a second event with its own id, which is delivered too.
    pub twin: f64,
    /// Chance that an event is held back for up to `max_delay`, so that later ones overtake it.
    pub reorder: f64,
    /// Chance that an event is never delivered; it is still listed in `/v1/events`.
    pub lose: f64,
    /// Chance that an event is not even made, so that only a read can tell.
    pub unmade: f64,
    /// The longest that reordering and duplication hold a delivery back.
    pub max_delay: Duration,
    /// The wait before the first retry; each further wait is twice as long.
    pub retry_first: Duration,
    /// How many retries follow a delivery that got no 2xx.
    pub retries: u32,
    /// How many deliveries are under way at once; 1 delivers strictly in order.
    pub concurrency: usize,
    /// Sends thin notifications for the types that have a thin form.
    pub thin: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Delivery {
            duplicate: 0.0,
            twin: 0.0,
            reorder: 0.0,
            lose: 0.0,
            unmade: 0.0,
            max_delay: Duration::from_millis(500),
            retry_first: Duration::from_secs(1),
            // Doubling from one second, ten retries last a quarter of an hour: long enough to
            // outlive a restarted receiver, short enough that a person waits for the end.
            retries: 10,
            concurrency: 64,
            thin: false,
        }
    }
}

/// The settings of a delivery that shall change; what is absent stays.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryChange {
    /// See [`Delivery::duplicate`].
    pub duplicate: Option<f64>,
    /// See [`Delivery::twin`].
    pub twin: Option<f64>,
    /// See [`Delivery::reorder`].
    pub reorder: Option<f64>,
    /// See [`Delivery::lose`].
    pub lose: Option<f64>,
    /// See [`Delivery::unmade`].
    pub unmade: Option<f64>,
    /// See [`Delivery::max_delay`].
    pub max_delay_ms: Option<u64>,
    /// See [`Delivery::retry_first`].
    pub retry_first_ms: Option<u64>,
    /// See [`Delivery::retries`].
    pub retries: Option<u32>,
    /// See [`Delivery::concurrency`].
    pub concurrency: Option<usize>,
    /// See [`Delivery::thin`].
    pub thin: Option<bool>,
    /// See [`SimConfig::webhook_url`]; an empty text stops deliveries.
    pub webhook_url: Option<String>,
    /// See [`SimConfig::webhook_version`].
    pub webhook_version: Option<String>,
    /// See [`SimConfig::webhook_secret`]; the one in use becomes the previous one.
    pub webhook_secret: Option<String>,
}

impl DeliveryChange {
    /// Applies the change as a whole, or refuses it as a whole.
    pub(crate) fn apply(self, config: &mut SimConfig) -> Result<(), SimError> {
        let chances = [self.duplicate, self.twin, self.reorder, self.lose, self.unmade];
        if chances.iter().flatten().any(|chance| !(0.0..=1.0).contains(chance)) {
            return Err(SimError::Invalid("a chance is between 0 and 1".into()));
        }
        if self.concurrency == Some(0) {
            return Err(SimError::Invalid("concurrency is at least 1".into()));
        }
        if let Some(version) = &self.webhook_version
            && Shape::of(version).is_none()
        {
            return Err(SimError::Invalid(format!("not an API version: {version}")));
        }
        let delivery = &mut config.delivery;
        set(&mut delivery.duplicate, self.duplicate);
        set(&mut delivery.twin, self.twin);
        set(&mut delivery.reorder, self.reorder);
        set(&mut delivery.lose, self.lose);
        set(&mut delivery.unmade, self.unmade);
        set(&mut delivery.max_delay, self.max_delay_ms.map(Duration::from_millis));
        set(&mut delivery.retry_first, self.retry_first_ms.map(Duration::from_millis));
        set(&mut delivery.retries, self.retries);
        set(&mut delivery.concurrency, self.concurrency);
        set(&mut delivery.thin, self.thin);
        set(&mut config.webhook_version, self.webhook_version);
        if let Some(url) = self.webhook_url {
            config.webhook_url = (!url.is_empty()).then_some(url);
        }
        if let Some(secret) = self.webhook_secret {
            config.previous_webhook_secret =
                Some(std::mem::replace(&mut config.webhook_secret, secret));
        }
        Ok(())
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

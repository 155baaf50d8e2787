//! What the ingress is told when it is built.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use relink_stripe::signature::Verifier;

/// The largest body that is read: Stripe's events take a few kilobytes, and a mebibyte is well
/// below what a broker takes in one message.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a whole body may take: Stripe sends it at once, and whoever trickles holds a slot.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many webhooks are handled at once: with 5 ms a confirm that is 400,000 a second, and with
/// bodies of the largest size 2 GiB.
pub const IN_FLIGHT_MAX: usize = 2048;

/// How far the signing time may be from ours, in seconds, for [`Verifier::new`]; the default of
/// Stripe's SDKs.
pub const SIGNATURE_TOLERANCE_SECONDS: u32 = 300;

/// Tells the time, Unix milliseconds; passed in, so that tests and the demo can turn it.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Everything the ingress needs to know.
pub struct IngressConfig {
    /// Checks signatures.
    pub verifier: Verifier,
    /// The largest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// How long a whole body may take to arrive.
    pub body_timeout: Duration,
    /// Where set, only events of this mode are published; those of the other are acknowledged and
    /// counted, since one endpoint in Stripe may be sent both.
    pub livemode: Option<bool>,
    /// How many webhooks are handled at once; those beyond are refused at once.
    pub in_flight_max: usize,
    /// The clock.
    pub now: Now,
}

impl IngressConfig {
    /// The defaults, for both modes.
    pub fn new(verifier: Verifier, now: Now) -> Self {
        Self {
            verifier,
            body_bytes_max: BODY_BYTES_MAX,
            body_timeout: BODY_TIMEOUT,
            livemode: None,
            in_flight_max: IN_FLIGHT_MAX,
            now,
        }
    }
}

impl fmt::Debug for IngressConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IngressConfig")
            .field("verifier", &self.verifier)
            .field("body_bytes_max", &self.body_bytes_max)
            .field("body_timeout", &self.body_timeout)
            .field("livemode", &self.livemode)
            .field("in_flight_max", &self.in_flight_max)
            .finish_non_exhaustive()
    }
}

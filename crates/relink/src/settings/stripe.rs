//! Stripe's API: how it is reached, and how often it may be asked.

use std::time::Duration;

use relink_stripe::client::{ClientConfig, ConfigError};
use relink_worker_followup::Duties;
use secrecy::SecretString;

use super::Problems;
use crate::cli::{BackgroundArgs, FollowupArgs, StripeArgs};

/// Stripe's own limit for each endpoint (docs.stripe.com/rate-limits): more would only be refused.
const READS_PER_SECOND_MAX: u32 = 25;

/// Where that limit holds; a stand-in has its own.
const STRIPES_OWN: &str = "https://api.stripe.com";

/// Stripe's API.
#[derive(Clone, Debug)]
pub(crate) struct Stripe {
    pub(crate) client: Option<ClientConfig>,
    pub(crate) reads_per_second: f64,
    /// The mode of the key, where it tells.
    pub(crate) livemode: Option<bool>,
}

/// Stripe's API for commands, and which of them are Relink's to carry out.
#[derive(Clone, Debug)]
pub(crate) struct Followup {
    pub(crate) stripe: Stripe,
    pub(crate) duties: Duties,
}

/// What compares Relink with Stripe unasked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Background {
    /// After how long without an event it catches up; `None`: never.
    pub(crate) silence: Option<Duration>,
    /// How long nothing may be heard of an account; `None`: for ever.
    pub(crate) age: Option<Duration>,
    pub(crate) reads_per_second: f64,
}

impl Problems {
    /// Stripe's API; `None` inside where no key is set.
    pub(crate) fn stripe(&mut self, args: StripeArgs) -> Option<Stripe> {
        let base = args.stripe_api_base;
        let name = "RELINK_STRIPE_READS_PER_SECOND";
        let reads_per_second = self.reads(name, &args.stripe_reads_per_second, &base);
        let allow_http = self.switch("RELINK_STRIPE_ALLOW_HTTP", &args.stripe_allow_http);
        let name = "RELINK_STRIPE_API_KEY";
        let key = self.secret(name, args.stripe_api_key, args.stripe_api_key_file);
        let reads_per_second = reads_per_second?;
        let Some(key) = key else {
            return Some(Stripe { client: None, reads_per_second, livemode: None });
        };
        let livemode = mode_of(&key);
        if key.starts_with("pk_") || key.starts_with("whsec_") {
            // Not shown: whatever it is, it may be a secret.
            self.add(format!(
                "{name} is a publishable key or a webhook's secret; write a secret or restricted \
                 key (sk_…, rk_…)"
            ));
        }
        if !args.stripe_api_version.ends_with(".preview") {
            self.add(
                "RELINK_STRIPE_API_VERSION must be a preview version such as 2026-09-30.preview: \
                 only those tell an account's authorization, cause and action",
            );
        }
        let mut config = ClientConfig::new(base, SecretString::from(key), args.stripe_api_version);
        config.allow_http = allow_http?;
        if let Err(error) = config.validate() {
            let name = match error {
                ConfigError::KeyNotAcceptable => name,
                ConfigError::VersionNotAcceptable => "RELINK_STRIPE_API_VERSION",
                _ => "RELINK_STRIPE_API_BASE",
            };
            self.add(format!("{name}: {error}"));
        }
        Some(Stripe { client: Some(config), reads_per_second, livemode })
    }

    pub(crate) fn followup(&mut self, stripe: StripeArgs, args: &FollowupArgs) -> Option<Followup> {
        let stripe = self.stripe(stripe);
        let refresh = self.switch("RELINK_REFRESH_DATA", &args.refresh_data);
        let reconcile = self.switch("RELINK_RECONCILE_ACCOUNTS", &args.reconcile_accounts);
        let duties = Duties { refresh: refresh?, reconcile: reconcile? };
        Some(Followup { stripe: stripe?, duties })
    }

    /// What the scheduler does unasked; `base`: where Stripe's API is.
    pub(crate) fn background(&mut self, args: &BackgroundArgs, base: &str) -> Option<Background> {
        let silence: Option<u32> =
            self.number("RELINK_CATCH_UP_SILENCE_SECONDS", &args.catch_up_silence_seconds);
        let days: Option<u32> = self.number("RELINK_RECONCILE_DAYS", &args.reconcile_days);
        let name = "RELINK_BACKGROUND_READS_PER_SECOND";
        let rate = self.reads(name, &args.background_reads_per_second, base);
        let some = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
        Some(Background {
            silence: some(u64::from(silence?)),
            age: some(u64::from(days?) * 86_400),
            reads_per_second: rate?,
        })
    }

    /// How often a second Stripe may be asked.
    fn reads(&mut self, name: &str, text: &str, base: &str) -> Option<f64> {
        let reads: u32 = self.positive(name, text)?;
        if reads > READS_PER_SECOND_MAX && base.starts_with(STRIPES_OWN) {
            self.add(format!(
                "{name}: Stripe answers {READS_PER_SECOND_MAX} reads a second at the most"
            ));
            return None;
        }
        Some(f64::from(reads))
    }
}

/// The mode that a key of Stripe's names: `sk_live_…`, `rk_test_…`, `pk_live_…`.
pub(super) fn mode_of(key: &str) -> Option<bool> {
    let (_, rest) = key.split_once('_')?;
    match rest.split_once('_')?.0 {
        "live" => Some(true),
        "test" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::mode_of;

    #[test]
    fn a_key_names_its_mode() {
        for (key, mode) in [
            ("sk_live_51A", Some(true)),
            ("rk_test_51A", Some(false)),
            ("pk_test_51A", Some(false)),
            ("sk_51A", None),
            ("live", None),
        ] {
            assert_eq!(mode_of(key), mode, "{key}");
        }
    }
}

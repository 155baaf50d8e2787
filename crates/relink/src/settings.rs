//! From flags and environment to checked configuration: every problem is found before a port is
//! bound, and all are told together.

mod portal;
mod secret;
mod stripe;
mod tls;
mod traces;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use relink_core::policy::Policy;
use relink_core::time::{Span, Time};
use relink_engine::link::{LinkSigner, Links};
use relink_ingress::IngressConfig;
use relink_postgres::PostgresConfig;
use relink_rabbitmq::RabbitConfig;
use relink_stripe::signature::Verifier;
use secrecy::SecretString;

use crate::cli::{
    AdminArgs, AmqpArgs, DatabaseArgs, LinkArgs, PolicyArgs, RetentionArgs, WebhookArgs,
};
use crate::failure::Failure;

pub(crate) use portal::Page;
pub(crate) use stripe::{Background, Followup, Stripe};
pub(crate) use traces::Collector;

/// Least retention: above Stripe's replay of 30 days, or a replayed event would count as new.
const RETENTION_DAYS_MIN: u32 = 35;

/// Collects problems while settings are read.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// Ends the reading: either all is well, or all problems are told.
    pub(crate) fn done(self) -> Result<(), Failure> {
        if self.0.is_empty() { Ok(()) } else { Err(Failure::usage(&self.0)) }
    }

    /// Ends the reading for those who tell the problems and go on.
    pub(crate) fn told(self) -> Vec<String> {
        self.0
    }

    fn parse<T: FromStr>(&mut self, name: &str, text: &str, what: &str) -> Option<T> {
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.add(format!("{name}: `{text}` is not {what}"));
        }
        parsed
    }

    pub(crate) fn number<T: FromStr>(&mut self, name: &str, text: &str) -> Option<T> {
        self.parse(name, text, "a whole number in range")
    }

    /// A number of which there must be some.
    pub(crate) fn positive<T>(&mut self, name: &str, text: &str) -> Option<T>
    where
        T: FromStr + PartialEq + Default,
    {
        let number = self.number::<T>(name, text)?;
        if number == T::default() {
            self.add(format!("{name} must be at least 1"));
            return None;
        }
        Some(number)
    }

    pub(crate) fn switch(&mut self, name: &str, text: &str) -> Option<bool> {
        self.parse(name, text, "true or false")
    }

    pub(crate) fn chance(&mut self, name: &str, text: &str) -> Option<f64> {
        let chance: f64 = self.parse(name, text, "a chance between 0 and 1")?;
        if (0.0..=1.0).contains(&chance) {
            return Some(chance);
        }
        self.add(format!("{name}: `{text}` is not a chance between 0 and 1"));
        None
    }

    pub(crate) fn listen(&mut self, name: &str, text: &str) -> Option<SocketAddr> {
        self.parse(name, text, "an address and port such as 127.0.0.1:8080")
    }

    /// A table that is shipped, or that a file of the operator's replaces.
    pub(crate) fn table<T>(
        &mut self,
        name: &str,
        file: Option<&str>,
        read: impl FnOnce(Option<&str>) -> Result<T, String>,
    ) -> Option<T> {
        let text = file.filter(|file| !file.is_empty()).map(|file| {
            std::fs::read_to_string(file)
                .map_err(|error| self.add(format!("{name}: {file} cannot be read: {error}")))
        });
        let text = text.transpose().ok()?;
        read(text.as_deref()).map_err(|problem| self.add(format!("{name}: {problem}"))).ok()
    }

    pub(crate) fn amqp(&mut self, args: AmqpArgs) -> Option<RabbitConfig> {
        let count = self.0.len();
        let Some(url) = self.confidential("RELINK_AMQP_URL", args.amqp_url, args.amqp_url_file)
        else {
            if self.0.len() == count {
                self.add("RELINK_AMQP_URL is not set; write amqps://user:password@host:5671/%2f");
            }
            return None;
        };
        let config = RabbitConfig::new(&url).inspect_err(|error| self.add(error.to_string())).ok();
        self.broker_tls(config, args.tls)
    }

    pub(crate) fn database(&mut self, args: DatabaseArgs, can: Databases) -> Option<Database> {
        let pool_size = self.positive("RELINK_DATABASE_POOL_SIZE", &args.database_pool_size);
        let prepare = self.switch("RELINK_DATABASE_PREPARE", &args.database_prepare);
        let name = "RELINK_DATABASE_URL";
        let forms = match can {
            Databases::PostgresOnly => "postgres://user:password@host:5432/name",
            Databases::Both => "postgres://user:password@host:5432/name or sqlite://path",
        };
        let count = self.0.len();
        let Some(url) = self.confidential(name, args.database_url, args.database_url_file) else {
            if self.0.len() == count {
                self.add(format!("{name} is not set; write {forms}"));
            }
            return None;
        };
        match (url.strip_prefix("sqlite://"), can) {
            (Some(_), Databases::PostgresOnly) => {
                self.add(format!(
                    "{name}: a SQLite file belongs to one process; write {forms}, or use `relink \
                     standalone`"
                ));
                return None;
            }
            (Some(""), Databases::Both) => {
                self.add(format!("{name}: a path must follow sqlite://"));
                return None;
            }
            (Some(path), Databases::Both) => {
                self.no_database_tls(&args.tls);
                return Some(Database::Sqlite(path.to_owned()));
            }
            (None, _) => {}
        }
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            self.add(format!("{name} is of another form; write {forms}"));
            return None;
        }
        let mut config = PostgresConfig::new(url);
        self.database_tls(&mut config, args.tls)?;
        config.pool_size = pool_size?;
        config.prepare = prepare?;
        Some(Database::Postgres(Box::new(config)))
    }

    pub(crate) fn choices(&mut self, policy: &PolicyArgs, link: LinkArgs) -> Option<Choices> {
        let policy = self.policy(policy);
        let links = self.links(link);
        Some(Choices { policy: policy?, links: links? })
    }

    /// The links that prompts carry; `None` inside where there is no relink page.
    pub(crate) fn links(&mut self, args: LinkArgs) -> Option<Option<Links>> {
        let count = self.0.len();
        let key = self.confidential("RELINK_LINK_KEY", args.link_key, args.link_key_file);
        let is_unreadable = self.0.len() > count;
        let url = args.portal_url.filter(|url| !url.is_empty());
        let Some(url) = url else {
            if key.is_some() {
                self.add(
                    "RELINK_LINK_KEY is set without RELINK_PORTAL_URL; write the address at which \
                     customers reach the relink page, or prompts carry no links",
                );
            }
            return (self.0.len() == count).then_some(None);
        };
        if !is_https_or_local(&url) {
            self.add(
                "RELINK_PORTAL_URL must be https://, or http:// on this host: links are secrets",
            );
        }
        if url.contains(['?', '#', '@']) || url.chars().any(char::is_whitespace) {
            // Not shown: it may hold a password.
            self.add("RELINK_PORTAL_URL must be scheme, host, port and path only");
        }
        let Some(key) = key else {
            if !is_unreadable {
                self.add(
                    "RELINK_LINK_KEY is not set; links to RELINK_PORTAL_URL are signed with it",
                );
            }
            return None;
        };
        let keys: Vec<&str> = key.split(',').map(str::trim).filter(|key| !key.is_empty()).collect();
        if !keys.iter().all(|key| self.one_word("RELINK_LINK_KEY", key)) {
            return None;
        }
        match LinkSigner::new(keys) {
            Ok(signer) => Some(Some(Links::new(signer, &url))),
            Err(error) => {
                self.add(format!("RELINK_LINK_KEY: {error}"));
                None
            }
        }
    }

    pub(crate) fn webhook(&mut self, args: WebhookArgs) -> Option<Webhook> {
        let name = "RELINK_WEBHOOK_SECRETS";
        let tolerance =
            self.number("RELINK_WEBHOOK_TOLERANCE_SECONDS", &args.webhook_tolerance_seconds);
        let listen = self.listen("RELINK_INGRESS_LISTEN", &args.ingress_listen);
        let livemode = match args.webhook_mode.as_deref() {
            None | Some("") => None,
            Some("live") => Some(true),
            Some("test") => Some(false),
            Some(other) => {
                self.add(format!("RELINK_WEBHOOK_MODE: `{other}` is neither live nor test"));
                None
            }
        };
        let count = self.0.len();
        let text = self.confidential(name, args.webhook_secrets, args.webhook_secrets_file);
        let secrets = text.and_then(|text| self.endpoint_secrets(name, &text)).unwrap_or_default();
        if secrets.is_empty() {
            if self.0.len() == count {
                self.add(format!("{name} is not set; write the endpoint's whsec_… secret"));
            }
            return None;
        }
        let secrets = secrets.into_iter().map(SecretString::from).collect();
        let verifier = Verifier::new(secrets, tolerance?);
        let mut config = IngressConfig::new(verifier, Arc::new(crate::wiring::now_unix_ms));
        config.livemode = livemode;
        Some(Webhook { config, listen: listen? })
    }

    pub(crate) fn policy(&mut self, args: &PolicyArgs) -> Option<Policy> {
        let settle: Option<u32> = self.number("RELINK_SETTLE_SECONDS", &args.settle_seconds);
        let doubt: Option<u32> = self.number("RELINK_DOUBT_SECONDS", &args.doubt_seconds);
        let before = self.spans("RELINK_REMINDERS_BEFORE", &args.reminders_before);
        let after = self.spans("RELINK_REMINDERS_AFTER", &args.reminders_after);
        let escalate = self.span("RELINK_ESCALATE_AFTER", &args.escalate_after);
        let watch_numbers = self.switch("RELINK_WATCH_NUMBERS", &args.watch_numbers);
        Some(Policy {
            settle: Span::seconds(i64::from(settle?)),
            doubt_window_s: i64::from(doubt?),
            reminders_before: before?,
            reminders_after: after?,
            escalate_after: escalate?,
            watch_numbers: watch_numbers?,
            ..Policy::default()
        })
    }

    fn spans(&mut self, name: &str, text: &str) -> Option<Vec<Span>> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        // Every part is read before the first missing one ends it: all problems are told.
        let spans: Vec<Option<Span>> = parts.map(|part| self.span(name, part)).collect();
        spans.into_iter().collect()
    }

    pub(crate) fn span(&mut self, name: &str, text: &str) -> Option<Span> {
        let days = jiff::SpanRelativeTo::days_are_24_hours();
        let seconds = text
            .parse::<jiff::Span>()
            .and_then(|span| span.total((jiff::Unit::Second, days)))
            .ok()
            .filter(|seconds| *seconds > 0.0 && *seconds < 1e9);
        if seconds.is_none() {
            self.add(format!("{name}: `{text}` is not a span of time such as 14d, 12h or 30m"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        seconds.map(|seconds| Span::seconds(seconds as i64))
    }

    /// A day, an instant, or so long before `now`.
    pub(crate) fn moment(&mut self, name: &str, text: &str, now: Time) -> Option<Time> {
        let midnight = |date: jiff::civil::Date| date.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let instant = text.parse::<jiff::Timestamp>().ok();
        let instant = instant.or_else(|| {
            let date = text.parse::<jiff::civil::Date>().ok().filter(|_| !text.contains('T'));
            date.and_then(midnight).map(|zoned| zoned.timestamp())
        });
        if let Some(instant) = instant {
            return Some(Time(instant.as_millisecond()));
        }
        let mut unread = Self::default();
        let span = unread.span(name, text);
        if span.is_none() {
            self.add(format!(
                "{name}: `{text}` is neither a day (2026-11-22), nor an instant \
                 (2026-11-22T06:00:00Z), nor a span of time such as 2d, 12h or 30m"
            ));
        }
        span.map(|span| now.before(span))
    }

    pub(crate) fn retention(&mut self, args: &RetentionArgs) -> Option<Retention> {
        let days: Option<u32> = self.number("RELINK_RETENTION_DAYS", &args.retention_days);
        if days.is_some_and(|days| days < RETENTION_DAYS_MIN) {
            self.add(format!(
                "RELINK_RETENTION_DAYS must be at least {RETENTION_DAYS_MIN}: Stripe replays 30 days"
            ));
        }
        let tick: Option<u64> = self.positive("RELINK_TICK_MILLISECONDS", &args.tick_milliseconds);
        Some(Retention { days: days?, tick: Duration::from_millis(tick?.max(10)) })
    }

    pub(crate) fn admin(&mut self, args: &AdminArgs) -> Option<Admin> {
        let drain: Option<u64> = self.positive("RELINK_DRAIN_SECONDS", &args.drain_seconds);
        let listen = match args.admin_listen.trim() {
            "off" => None,
            text => Some(self.listen("RELINK_ADMIN_LISTEN", text)?),
        };
        Some(Admin { listen, drain: Duration::from_secs(drain?) })
    }
}

/// Whether nobody on the way can read or change what is fetched there.
fn is_https_or_local(url: &str) -> bool {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let is_host = |rest: &str| rest.is_empty() || rest.starts_with([':', '/']);
    let is_local = |start: &&str| url.strip_prefix(*start).is_some_and(is_host);
    url.starts_with("https://") || local.iter().any(is_local)
}

/// What the operator chose about the rules and about what leaves.
#[derive(Debug)]
pub(crate) struct Choices {
    pub(crate) policy: Policy,
    pub(crate) links: Option<Links>,
}

/// Which databases will do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Databases {
    /// Several processes share it.
    PostgresOnly,
    /// One process has it to itself, or only looks.
    Both,
}

/// Which database.
#[derive(Debug)]
pub(crate) enum Database {
    Postgres(Box<PostgresConfig>),
    Sqlite(String),
}

/// The webhook endpoint.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) config: IngressConfig,
    pub(crate) listen: SocketAddr,
}

/// The scheduler's rhythm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retention {
    pub(crate) days: u32,
    pub(crate) tick: Duration,
}

/// What every role has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admin {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) drain: Duration,
}

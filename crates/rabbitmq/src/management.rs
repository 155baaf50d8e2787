//! RabbitMQ's management API: what AMQP does not tell. Read only, and only where its plugin is
//! there and its address is given; nothing but `relink doctor` asks it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use relink_bus::topology::{Argument, Exchange, PARKED_DESK, Queue, queues};
use relink_tls::{ClientTls, Peer};
use reqwest::{StatusCode, Url, redirect};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::RabbitConfig;

/// How long one answer may take; a list of thousands of queues takes about a second.
const ANSWER: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes: a binding takes about 300, and there are thousands
/// in a large virtual host.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What Relink's own queues begin with.
const OURS: &str = "relink.";

/// Where the API is and who asks.
#[derive(Clone)]
pub struct ManagementConfig {
    base: Url,
    user: String,
    /// Private and absent from `Debug`.
    password: String,
    vhost: String,
    /// The broker's: both are shown and verified with the same files.
    tls: ClientTls,
}

/// The URL is not one; never repeats it, since it may hold a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "RELINK_MANAGEMENT_URL is not the address of a management API; write \
     https://user:password@host:15671 or http://host:15672 (without a user that of RELINK_AMQP_URL)"
)]
pub struct ManagementConfigError;

impl ManagementConfig {
    /// The API beside a broker. Without a user in the URL it is asked as the broker is.
    ///
    /// # Errors
    /// If it is not an `http://` or `https://` URL.
    pub fn new(url: &str, broker: &RabbitConfig) -> Result<Self, ManagementConfigError> {
        let mut base = Url::parse(url).map_err(|_| ManagementConfigError)?;
        let is_http = matches!(base.scheme(), "http" | "https");
        if !is_http || !base.has_host() || base.query().is_some() || base.fragment().is_some() {
            return Err(ManagementConfigError);
        }
        let own = broker.uri().authority.userinfo;
        let (user, password) = match base.username() {
            "" => (own.username, own.password),
            user => (decoded(user)?, decoded(base.password().unwrap_or_default())?),
        };
        // They go into a header; the rest may be told.
        base.set_username("").map_err(|()| ManagementConfigError)?;
        base.set_password(None).map_err(|()| ManagementConfigError)?;
        let (vhost, tls) = (broker.vhost().to_owned(), broker.tls.clone());
        Ok(Self { base, user, password, vhost, tls })
    }
}

impl fmt::Debug for ManagementConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagementConfig")
            .field("base", &self.base.as_str())
            .field("vhost", &self.vhost)
            .finish_non_exhaustive()
    }
}

/// A part of a URL without its percents.
fn decoded(text: &str) -> Result<String, ManagementConfigError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = (digit().ok_or(ManagementConfigError)?, digit());
        let code = high * 16 + low.ok_or(ManagementConfigError)?;
        bytes.push(u8::try_from(code).map_err(|_| ManagementConfigError)?);
    }
    String::from_utf8(bytes).map_err(|_| ManagementConfigError)
}

/// Why the API did not tell.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ManagementError {
    /// No answer, or none of a management API.
    #[error("the management API does not answer: {0}")]
    Away(String),
    /// User or password are not accepted.
    #[error("the management API does not accept the user or the password")]
    Unauthorized,
    /// The user lacks a tag.
    #[error("the management API does not permit it to this user")]
    Forbidden,
}

/// Something that stops publishing on a node.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Alarm {
    /// Which node.
    pub node: String,
    /// `memory`, `disk` or `file descriptors`.
    pub resource: String,
}

/// The virtual host held against the topology.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// Exchanges and queues that do not exist.
    pub missing: Vec<String>,
    /// What is different, a sentence each.
    pub differences: Vec<String>,
    /// Policies that touch Relink's queues: `(queue, policy, what it sets)`.
    pub policies: Vec<(String, String, Vec<String>)>,
    /// Queues with a name of Relink's that no topology of this version has.
    pub unused: Vec<String>,
    /// Bindings of the topology that are missing: `(exchange, routing key, queue)`.
    pub unbound: Vec<(String, String, String)>,
}

#[derive(Deserialize)]
struct Overview {
    rabbitmq_version: String,
}

#[derive(Deserialize)]
struct Health {
    #[serde(default)]
    alarms: Vec<Alarm>,
}

#[derive(Deserialize)]
struct Found {
    name: String,
    durable: bool,
    arguments: BTreeMap<String, Value>,
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    operator_policy: Option<String>,
    /// An object, or an empty list where there is none.
    #[serde(default)]
    effective_policy_definition: Value,
}

#[derive(Deserialize)]
struct FoundExchange {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    durable: bool,
}

#[derive(Deserialize)]
struct Binding {
    source: String,
    routing_key: String,
    destination: String,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Management {
    config: ManagementConfig,
    http: reqwest::Client,
}

impl Management {
    /// Builds the client; nothing is sent.
    ///
    /// # Errors
    /// Where TLS cannot be set up, because of its files perhaps.
    pub fn new(config: ManagementConfig) -> Result<Self, ManagementError> {
        let builder = reqwest::Client::builder()
            .timeout(ANSWER)
            // A redirect would carry the password to wherever it points.
            .redirect(redirect::Policy::none());
        let builder = if config.base.scheme() == "http" {
            // Another part of the process may have installed one before; any will do.
            let _ = rustls::crypto::ring::default_provider().install_default();
            // A proxy would see the password; no TLS, so no root certificates are needed.
            builder.no_proxy().tls_certs_only([])
        } else {
            let tls = config.tls.config();
            let tls = tls.map_err(|error| ManagementError::Away(error.to_string()))?;
            builder.tls_backend_preconfigured(ClientConfig::clone(&tls))
        };
        let no_tls = |_| ManagementError::Away("TLS cannot be set up".into());
        let http = builder.build().map_err(no_tls)?;
        Ok(Self { config, http })
    }

    /// The broker's version.
    ///
    /// # Errors
    /// See [`ManagementError`].
    pub async fn version(&self) -> Result<String, ManagementError> {
        Ok(self.get::<Overview>(&["overview"]).await?.rabbitmq_version)
    }

    /// The alarms in effect anywhere in the cluster.
    ///
    /// # Errors
    /// See [`ManagementError`].
    pub async fn alarms(&self) -> Result<Vec<Alarm>, ManagementError> {
        Ok(self.get::<Health>(&["health", "checks", "alarms"]).await?.alarms)
    }

    /// The virtual host's exchanges, queues and bindings, held against the topology.
    ///
    /// # Errors
    /// See [`ManagementError`].
    pub async fn survey(&self) -> Result<Survey, ManagementError> {
        let vhost = self.config.vhost.clone();
        let exchanges: Vec<FoundExchange> = self.get(&["exchanges", &vhost]).await?;
        let found: Vec<Found> = self.get(&["queues", &vhost]).await?;
        let bindings: Vec<Binding> = self.get(&["bindings", &vhost]).await?;
        Ok(compare(&exchanges, &found, &bindings))
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ManagementError> {
        let mut url = self.config.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // A segment is encoded whole: the virtual host `/` becomes %2F.
            segments.pop_if_empty().push("api").extend(path);
        }
        let request = self.http.get(url);
        let request = request.basic_auth(&self.config.user, Some(&self.config.password));
        let mut answer = request.send().await.map_err(away)?;
        match answer.status() {
            StatusCode::UNAUTHORIZED => return Err(ManagementError::Unauthorized),
            StatusCode::FORBIDDEN => return Err(ManagementError::Forbidden),
            // A health check that fails answers 503 with what it found.
            status if status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE => {}
            status => return Err(ManagementError::Away(format!("status {}", status.as_u16()))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(away)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ManagementError::Away("its answer is too long".into()));
            }
            body.extend_from_slice(&chunk);
        }
        let unreadable = |_| ManagementError::Away("what answers is no management API".into());
        serde_json::from_slice(&body).map_err(unreadable)
    }
}

/// The error itself names the URL and goes no further.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn away(error: reqwest::Error) -> ManagementError {
    if let Some(why) = Peer::Management.why(&error) {
        return ManagementError::Away(why);
    }
    let what = if error.is_timeout() { "no answer in time" } else { "no connection" };
    ManagementError::Away(what.into())
}

fn compare(exchanges: &[FoundExchange], found: &[Found], bindings: &[Binding]) -> Survey {
    let mut survey = Survey::default();
    for exchange in Exchange::ALL.map(Exchange::name) {
        match exchanges.iter().find(|found| found.name == exchange) {
            None => survey.missing.push(exchange.to_owned()),
            Some(found) if found.kind == "topic" && found.durable => {}
            Some(found) => survey.differences.push(format!(
                "exchange `{exchange}` is {}, durable {}; wanted is topic, durable true",
                found.kind, found.durable
            )),
        }
    }
    let wanted = queues();
    for queue in &wanted {
        let Some(found) = found.iter().find(|found| found.name == queue.name) else {
            survey.missing.push(queue.name.clone());
            continue;
        };
        survey.differences.extend(differences(queue, found));
        survey.policies.extend(policy(found));
        let is_bound = |exchange: &str, key: &str| {
            bindings.iter().any(|one| {
                one.source == exchange && one.routing_key == key && one.destination == queue.name
            })
        };
        for (exchange, key) in &queue.bindings {
            if !is_bound(exchange.name(), key) {
                let names = (exchange.name().to_owned(), (*key).to_owned(), queue.name.clone());
                survey.unbound.push(names);
            }
        }
    }
    let is_wanted = |name: &str| wanted.iter().any(|queue| queue.name == name);
    let unused = found.iter().map(|found| &found.name);
    let is_ours = |name: &str| name.starts_with(OURS) && name != PARKED_DESK;
    let unused = unused.filter(|name| is_ours(name) && !is_wanted(name));
    survey.unused = unused.cloned().collect();
    survey
}

/// Every argument that differs, not only the first one, which is all that AMQP tells.
fn differences(wanted: &Queue, found: &Found) -> Vec<String> {
    let name = &wanted.name;
    let mut differences = Vec::new();
    if !found.durable {
        differences.push(format!("queue `{name}` is not durable"));
    }
    for (argument, value) in &wanted.arguments {
        let value = match value {
            Argument::Text(text) => Value::from(text.as_str()),
            Argument::Number(number) => Value::from(*number),
            Argument::Switch(switch) => Value::from(*switch),
        };
        match found.arguments.get(*argument) {
            Some(present) if *present == value => {}
            Some(present) => differences
                .push(format!("queue `{name}`: {argument} is {present}, wanted is {value}")),
            None => differences.push(format!("queue `{name}`: {argument} is none, wanted {value}")),
        }
    }
    let is_wanted = |name: &str| wanted.arguments.iter().any(|(argument, _)| *argument == name);
    let more = found.arguments.iter().filter(|(argument, _)| !is_wanted(argument));
    differences.extend(
        more.map(|(argument, value)| {
            format!("queue `{name}`: {argument} is {value}, wanted is none")
        }),
    );
    differences
}

fn policy(found: &Found) -> Option<(String, String, Vec<String>)> {
    let of = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let names: Vec<String> =
        [of(&found.policy), of(&found.operator_policy)].into_iter().flatten().collect();
    let sets = found.effective_policy_definition.as_object();
    let sets: Vec<String> = sets.map(|sets| sets.keys().cloned().collect()).unwrap_or_default();
    (!names.is_empty()).then(|| (found.name.clone(), names.join(", "), sets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker() -> RabbitConfig {
        RabbitConfig::new("amqp://anna:hunter2@mq.example/%2fprod").unwrap()
    }

    #[test]
    fn the_password_is_the_urls_or_the_brokers_and_never_shown() {
        let own = ManagementConfig::new("http://mq.example:15672", &broker()).unwrap();
        assert_eq!((&*own.user, &*own.password, &*own.vhost), ("anna", "hunter2", "/prod"));
        let url = "https://eve:se%40cret@mq.example:15671/proxied";
        let other = ManagementConfig::new(url, &broker()).unwrap();
        assert_eq!((&*other.user, &*other.password), ("eve", "se@cret"));
        for config in [own, other] {
            let shown = format!("{config:?} {:?}", Management::new(config.clone()));
            assert!(!shown.contains("hunter2") && !shown.contains("cret"), "{shown}");
        }
        for wrong in ["amqp://mq.example", "mq.example", "http://a/?b=c", "http://a:%zz@mq"] {
            assert!(ManagementConfig::new(wrong, &broker()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_difference_is_told_and_not_only_the_first() {
        let own = |queue: &Queue| {
            let arguments = queue.arguments.iter().map(|(name, value)| {
                let value = match value {
                    Argument::Text(text) => Value::from(text.as_str()),
                    Argument::Number(number) => Value::from(*number),
                    Argument::Switch(switch) => Value::from(*switch),
                };
                ((*name).to_owned(), value)
            });
            Found {
                name: queue.name.clone(),
                durable: true,
                arguments: arguments.collect(),
                policy: None,
                operator_policy: None,
                effective_policy_definition: Value::Null,
            }
        };
        let mut found: Vec<Found> = queues().iter().map(own).collect();
        let bindings = queues().into_iter().flat_map(|queue| {
            queue.bindings.into_iter().map(move |(exchange, key)| Binding {
                source: exchange.name().to_owned(),
                routing_key: key.to_owned(),
                destination: queue.name.clone(),
            })
        });
        let mut bindings: Vec<Binding> = bindings.collect();
        let topic = |exchange: Exchange| FoundExchange {
            name: exchange.name().into(),
            kind: "topic".into(),
            durable: true,
        };
        let mut exchanges = Exchange::ALL.map(topic);
        assert_eq!(compare(&exchanges, &found, &bindings), Survey::default());

        let lifecycle = found.iter_mut().find(|one| one.name == "relink.lifecycle").unwrap();
        lifecycle.arguments.insert("x-delivery-limit".into(), Value::from(7));
        lifecycle.arguments.remove("x-overflow");
        lifecycle.arguments.insert("x-max-length".into(), Value::from(10));
        lifecycle.policy = Some("short".into());
        lifecycle.effective_policy_definition = serde_json::json!({ "message-ttl": 1 });
        found[0].name = "relink.yesterday".into();
        let lost = bindings.pop().unwrap();
        exchanges[0].kind = "direct".into();
        exchanges[1].name = "relink.other".into();
        let survey = compare(&exchanges, &found, &bindings);
        assert_eq!(survey.differences.len(), 4, "{survey:?}");
        assert_eq!(survey.missing, ["relink.commands", &queues()[0].name]);
        assert_eq!(survey.unused, ["relink.yesterday"]);
        assert_eq!(survey.policies[0].1, "short");
        assert!(survey.unbound.iter().any(|(_, key, _)| *key == lost.routing_key), "{survey:?}");
    }
}

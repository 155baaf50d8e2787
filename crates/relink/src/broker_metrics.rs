//! How the connections to the broker are, read when somebody looks: counting them costs nothing.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};
use relink_rabbitmq::{BrokerState, BrokerStatus};

use crate::failure::Failure;

const CONNECTION: &[&str] = &["connection"];

/// Shows the connections of one process: those over which it publishes by the name that the broker
/// shows, the others by their queue.
struct Connections {
    states: Vec<(&'static str, BrokerState)>,
    descriptions: Vec<Desc>,
}

/// What is shown of each.
struct Families {
    connected: IntGaugeVec,
    blocked: IntGaugeVec,
    connects: IntCounterVec,
    failures: IntCounterVec,
}

impl Families {
    fn new() -> prometheus::Result<Self> {
        let gauges = |name: &str, help: &str| IntGaugeVec::new(Opts::new(name, help), CONNECTION);
        let counters =
            |name: &str, help: &str| IntCounterVec::new(Opts::new(name, help), CONNECTION);
        Ok(Self {
            connected: gauges(
                "relink_broker_connected",
                "1 while the connection to the broker and its channel are up",
            )?,
            blocked: gauges(
                "relink_broker_blocked",
                "1 while the broker has blocked publishers: a memory or disk alarm",
            )?,
            connects: counters(
                "relink_broker_connects_total",
                "How often the connection was made; more than once means that it was lost",
            )?,
            failures: counters(
                "relink_broker_failures_total",
                "How often the connection was lost or could not be made",
            )?,
        })
    }

    fn show(&self, connection: &str, status: &BrokerStatus) {
        let label = [connection];
        self.connected.with_label_values(&label).set(status.connected.into());
        self.blocked.with_label_values(&label).set(status.blocked.into());
        self.connects.with_label_values(&label).inc_by(status.connects);
        self.failures.with_label_values(&label).inc_by(status.failures);
    }

    fn all(&self) -> [&dyn Collector; 4] {
        [&self.connected, &self.blocked, &self.connects, &self.failures]
    }
}

impl Collector for Connections {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Made when this one was registered, so it can be made again.
        let Ok(families) = Families::new() else { return Vec::new() };
        for (connection, state) in &self.states {
            families.show(connection, &state.status());
        }
        families.all().iter().flat_map(|family| family.collect()).collect()
    }
}

/// Registers the connections of one process, each with its name; once.
pub(crate) fn register(
    registry: &Registry,
    states: Vec<(&'static str, BrokerState)>,
) -> Result<(), Failure> {
    let families = Families::new().map_err(Failure::software)?;
    let descriptions = families.all().iter().flat_map(|one| one.desc()).cloned().collect();
    registry.register(Box::new(Connections { states, descriptions })).map_err(Failure::software)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_is_shown_as_it_is_now() {
        let registry = Registry::new();
        let (publish, consume) = (BrokerState::default(), BrokerState::default());
        register(&registry, vec![("publish-1", publish), ("relink.lifecycle", consume)]).unwrap();
        let look = || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        // Looked at twice: a counter that is made anew each time must not add up.
        look();
        let told = look();
        for line in [
            "relink_broker_connected{connection=\"publish-1\"} 0",
            "relink_broker_blocked{connection=\"relink.lifecycle\"} 0",
            "relink_broker_connects_total{connection=\"publish-1\"} 0",
            "relink_broker_failures_total{connection=\"relink.lifecycle\"} 0",
        ] {
            assert!(told.contains(line), "{line} is not told:\n{told}");
        }
    }
}

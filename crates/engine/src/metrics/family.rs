//! Counters of a bounded list of labels, looked up once: what counts an event touches an atomic
//! and no lock.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

/// Registers counters.
pub(crate) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> prometheus::Result<IntCounterVec> {
    let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(counters.clone()))?;
    Ok(counters)
}

/// Registers histograms with one label.
pub(crate) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    buckets: &[f64],
) -> prometheus::Result<HistogramVec> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let histograms = HistogramVec::new(options, &[label])?;
    registry.register(Box::new(histograms.clone()))?;
    Ok(histograms)
}

/// One metric for each key of a closed list.
#[derive(Clone, Debug)]
pub struct Family<Key, Metric>(Vec<(Key, Metric)>);

/// Counters by key.
pub type Counters<Key> = Family<Key, IntCounter>;

/// Histograms by key.
pub type Histograms<Key> = Family<Key, Histogram>;

impl<Key: PartialEq, Metric> Family<Key, Metric> {
    /// Looks each up once, which shows it as zero from the start.
    pub(crate) fn of(keys: impl IntoIterator<Item = Key>, metric: impl Fn(&Key) -> Metric) -> Self {
        let keys = keys.into_iter();
        Self(keys.map(|key| (metric(&key), key)).map(|(one, key)| (key, one)).collect())
    }

    /// The metric of a key; one outside of the list has none and is not counted.
    fn get(&self, key: &Key) -> Option<&Metric> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, metric)| metric)
    }
}

impl<Key: PartialEq> Counters<Key> {
    /// Counts one.
    pub fn inc(&self, key: &Key) {
        self.inc_by(key, 1);
    }

    /// Counts several.
    pub fn inc_by(&self, key: &Key, count: u64) {
        if let Some(counter) = self.get(key) {
            counter.inc_by(count);
        }
    }
}

impl<Key: PartialEq> Histograms<Key> {
    /// Observes a value.
    pub fn observe(&self, key: &Key, value: f64) {
        if let Some(histogram) = self.get(key) {
            histogram.observe(value);
        }
    }
}

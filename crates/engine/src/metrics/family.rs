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

/// One counter for each key of a closed list.
#[derive(Clone, Debug)]
pub struct Counters<Key>(Vec<(Key, IntCounter)>);

impl<Key: PartialEq> Counters<Key> {
    /// Looks each up once, which shows it as zero from the start.
    pub(crate) fn of(
        keys: impl IntoIterator<Item = Key>,
        counter: impl Fn(&Key) -> IntCounter,
    ) -> Self {
        Self(
            keys.into_iter().map(|key| (counter(&key), key)).map(|(one, key)| (key, one)).collect(),
        )
    }

    /// Counts one; a key outside of the list is not counted.
    pub fn inc(&self, key: &Key) {
        self.inc_by(key, 1);
    }

    /// Counts several.
    pub fn inc_by(&self, key: &Key, count: u64) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| known == key) {
            counter.inc_by(count);
        }
    }
}

/// One histogram for each key of a closed list.
#[derive(Clone, Debug)]
pub struct Histograms<Key>(Vec<(Key, Histogram)>);

impl<Key: PartialEq> Histograms<Key> {
    /// Looks each up once.
    pub(crate) fn of(
        keys: impl IntoIterator<Item = Key>,
        histogram: impl Fn(&Key) -> Histogram,
    ) -> Self {
        let keys = keys.into_iter();
        Self(keys.map(|key| (histogram(&key), key)).map(|(one, key)| (key, one)).collect())
    }

    /// Observes a value; a key outside of the list is not counted.
    pub fn observe(&self, key: &Key, value: f64) {
        if let Some((_, histogram)) = self.0.iter().find(|(known, _)| known == key) {
            histogram.observe(value);
        }
    }
}

//! What was measured, and the tables of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::meter::Who;
use crate::plot::{Course, picture};

/// The name of what all others are held against.
pub(crate) const RELINK: &str = "relink";

/// One measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// So many a second.
    pub(crate) rate: f64,
    /// How long each took, where that was measured.
    pub(crate) times: Vec<Duration>,
    /// How it went.
    pub(crate) course: Course,
    /// Processors kept busy.
    pub(crate) busy: BTreeMap<Who, f64>,
    /// The most memory of any of its processes, in MiB.
    pub(crate) peak_mib: f64,
}

/// What was measured: scenario, under which conditions, which program.
type Key = (String, String, String);

/// Everything so far.
#[derive(Default)]
pub(crate) struct Report {
    samples: Mutex<BTreeMap<Key, Vec<Sample>>>,
    notes: Mutex<Vec<String>>,
}

impl Report {
    /// Keeps one measurement, and says so while it runs.
    pub(crate) fn add(&self, scenario: &str, conditions: &str, program: &str, sample: Sample) {
        let row = Row::of(std::slice::from_ref(&sample));
        crate::tell(&format!("{scenario}, {conditions}: {program} {}", row.in_words()));
        let key = (scenario.to_owned(), conditions.to_owned(), program.to_owned());
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.entry(key).or_default().push(sample);
    }

    /// A sentence for the end.
    pub(crate) fn note(&self, text: String) {
        crate::tell(&text);
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn rows(&self) -> Vec<(Key, Row)> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.iter().map(|(key, samples)| (key.clone(), Row::of(samples))).collect()
    }

    /// A table in Markdown; each program with Relink's part of its rate.
    pub(crate) fn table(&self) -> String {
        let rows = self.rows();
        let mut text = String::from(
            "| Scenario | Program | A second | Relink to it | p50 | p99 | max | Memory | Busy |\n\
             |---|---|---|---|---|---|---|---|---|\n",
        );
        for ((scenario, conditions, program), row) in &rows {
            let ours = rows.iter().find(|((one, under, who), _)| {
                who == RELINK && one == scenario && under == conditions
            });
            let ratio = match ours {
                Some((_, ours)) if program != RELINK => format!("{:.2}", ours.rate / row.rate),
                _ => String::new(),
            };
            let busy: Vec<String> =
                row.busy.iter().map(|(who, part)| format!("{} {part:.2}", who.name())).collect();
            let spread = format!("{:.0} ({:.0}–{:.0})", row.rate, row.lowest, row.highest);
            let _ = writeln!(
                text,
                "| {scenario}, {conditions} | {program} | {spread} | {ratio} | {} | {} | {} | \
                 {:.0} MiB | {} |",
                milliseconds(row.p50),
                milliseconds(row.p99),
                milliseconds(row.max),
                row.peak_mib,
                busy.join(", ")
            );
        }
        for note in self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }

    /// How the last rounds went.
    pub(crate) fn picture(&self) -> String {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let mut panels: Vec<(String, Vec<(String, &Course)>)> = Vec::new();
        for ((scenario, conditions, program), samples) in &*samples {
            let Some(last) = samples.last().filter(|one| !one.course.is_empty()) else { continue };
            let title = format!("{scenario}, {conditions}");
            match panels.last_mut().filter(|(known, _)| *known == title) {
                Some((_, courses)) => courses.push((program.clone(), &last.course)),
                None => panels.push((title, vec![(program.clone(), &last.course)])),
            }
        }
        picture(&panels)
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let row = |((scenario, conditions, program), row): (Key, Row)| {
            let busy: BTreeMap<&str, f64> =
                row.busy.iter().map(|(who, part)| (who.name(), *part)).collect();
            json!({
                "scenario": scenario, "conditions": conditions, "program": program,
                "per_second": row.rate, "lowest": row.lowest, "highest": row.highest,
                "p50_ms": row.p50.map(in_ms), "p99_ms": row.p99.map(in_ms),
                "max_ms": row.max.map(in_ms), "peak_mib": row.peak_mib, "busy": busy,
            })
        };
        self.rows().into_iter().map(row).collect()
    }
}

/// Medians over rounds.
struct Row {
    rate: f64,
    lowest: f64,
    highest: f64,
    p50: Option<Duration>,
    p99: Option<Duration>,
    max: Option<Duration>,
    busy: BTreeMap<Who, f64>,
    peak_mib: f64,
}

impl Row {
    fn of(samples: &[Sample]) -> Self {
        let rates: Vec<f64> = samples.iter().map(|one| one.rate).collect();
        let timed: Vec<&Sample> = samples.iter().filter(|one| !one.times.is_empty()).collect();
        let time = |part: f64| {
            let seconds: Vec<f64> = timed
                .iter()
                .map(|one| {
                    let mut times = one.times.clone();
                    times.sort_unstable();
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        clippy::cast_precision_loss,
                        reason = "a place in a list"
                    )]
                    let place = ((times.len() - 1) as f64 * part) as usize;
                    times[place].as_secs_f64()
                })
                .collect();
            (!seconds.is_empty()).then(|| Duration::from_secs_f64(median(seconds)))
        };
        let whos: std::collections::BTreeSet<Who> =
            samples.iter().flat_map(|one| one.busy.keys().copied()).collect();
        let busy = |who: &Who| {
            median(samples.iter().map(|one| one.busy.get(who).copied().unwrap_or(0.0)).collect())
        };
        Self {
            lowest: rates.iter().copied().fold(f64::INFINITY, f64::min),
            highest: rates.iter().copied().fold(0.0, f64::max),
            rate: median(rates),
            p50: time(0.5),
            p99: time(0.99),
            max: time(1.0),
            busy: whos.iter().map(|who| (*who, busy(who))).collect(),
            peak_mib: samples.iter().map(|one| one.peak_mib).fold(0.0, f64::max),
        }
    }

    fn in_words(&self) -> String {
        let mut text = format!("{:.0} a second", self.rate);
        if let (Some(p50), Some(p99)) = (self.p50, self.p99) {
            let _ = write!(text, ", p50 {:.1} ms, p99 {:.1} ms", in_ms(p50), in_ms(p99));
        }
        text
    }
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn milliseconds(time: Option<Duration>) -> String {
    time.map_or_else(String::new, |time| format!("{:.1} ms", in_ms(time)))
}

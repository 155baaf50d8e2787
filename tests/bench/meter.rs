//! Processor time and memory, as Linux counts them.

use std::collections::BTreeMap;
use std::time::Duration;

/// Ticks of processor time a second (`getconf CLK_TCK`; 100 on every Linux of today).
const TICKS: f64 = 100.0;

/// Whose processor time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Relink, a bare program or a peer.
    Program,
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
    /// This process.
    Driver,
}

impl Who {
    /// A word for tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Broker => "broker",
            Self::Database => "database",
            Self::Driver => "driver",
        }
    }
}

/// Processor seconds used so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Used(BTreeMap<Who, f64>);

impl Used {
    /// By now; children that have ended count with whoever waited for them.
    pub(crate) fn now(programs: &[u32]) -> Self {
        let mut used = BTreeMap::new();
        let mut add = |who, seconds| *used.entry(who).or_insert(0.0) += seconds;
        for program in programs {
            add(Who::Program, processor_s(*program));
        }
        add(Who::Driver, processor_s(std::process::id()));
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let name = process.file_name();
            let Some(id) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let path = process.path().join("comm");
            match std::fs::read_to_string(path).unwrap_or_default().trim() {
                "beam.smp" => add(Who::Broker, processor_s(id)),
                "postgres" => add(Who::Database, processor_s(id)),
                _ => {}
            }
        }
        Self(used)
    }

    /// Processors kept busy since then.
    pub(crate) fn since(&self, before: &Self, took: Duration) -> BTreeMap<Who, f64> {
        let part = |(who, seconds): (&Who, &f64)| {
            let before = before.0.get(who).copied().unwrap_or(0.0);
            (*who, (seconds - before) / took.as_secs_f64())
        };
        self.0.iter().map(part).collect()
    }
}

/// Own time and that of children that were waited for.
fn processor_s(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in brackets, may hold anything.
    let Some((_, rest)) = text.rsplit_once(") ") else { return 0.0 };
    let fields = rest.split(' ').skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// The most memory that a process has had, in MiB.
pub(crate) fn peak_mib(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

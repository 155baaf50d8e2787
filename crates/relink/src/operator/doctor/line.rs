//! The lines of a diagnosis: what was looked at, how it is, and what to do.

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::output::Colours;

/// Everything that is looked at, in the order in which it is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Check {
    SettingsProcess,
    SettingsWebhooks,
    SettingsBroker,
    SettingsDatabase,
    SettingsStripe,
    SettingsRules,
    SettingsLinks,
    SettingsPage,
    SettingsBackground,
    SettingsCommands,
    StripeKey,
    StripeClock,
    StripePermissions,
    StripePreview,
    EventsDetails,
    EventsArrival,
    BrokerConnection,
    BrokerVersion,
    BrokerTopology,
    BrokerBindings,
    BrokerPermissions,
    BrokerPolicies,
    BrokerAlarms,
    BrokerConsumers,
    BrokerUnused,
    DatabaseServer,
    DatabaseSchema,
    DatabasePrivileges,
    DatabasePartitions,
    DatabaseTransactions,
    DatabaseOutbox,
    Parked,
    Traces,
}

impl Check {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 33] = [
        Self::SettingsProcess,
        Self::SettingsWebhooks,
        Self::SettingsBroker,
        Self::SettingsDatabase,
        Self::SettingsStripe,
        Self::SettingsRules,
        Self::SettingsLinks,
        Self::SettingsPage,
        Self::SettingsBackground,
        Self::SettingsCommands,
        Self::StripeKey,
        Self::StripeClock,
        Self::StripePermissions,
        Self::StripePreview,
        Self::EventsDetails,
        Self::EventsArrival,
        Self::BrokerConnection,
        Self::BrokerVersion,
        Self::BrokerTopology,
        Self::BrokerBindings,
        Self::BrokerPermissions,
        Self::BrokerPolicies,
        Self::BrokerAlarms,
        Self::BrokerConsumers,
        Self::BrokerUnused,
        Self::DatabaseServer,
        Self::DatabaseSchema,
        Self::DatabasePrivileges,
        Self::DatabasePartitions,
        Self::DatabaseTransactions,
        Self::DatabaseOutbox,
        Self::Parked,
        Self::Traces,
    ];

    /// Its name, for people and scripts.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SettingsProcess => "settings.process",
            Self::SettingsWebhooks => "settings.webhooks",
            Self::SettingsBroker => "settings.broker",
            Self::SettingsDatabase => "settings.database",
            Self::SettingsStripe => "settings.stripe",
            Self::SettingsRules => "settings.rules",
            Self::SettingsLinks => "settings.links",
            Self::SettingsPage => "settings.page",
            Self::SettingsBackground => "settings.background",
            Self::SettingsCommands => "settings.commands",
            Self::StripeKey => "stripe.key",
            Self::StripeClock => "stripe.clock",
            Self::StripePermissions => "stripe.permissions",
            Self::StripePreview => "stripe.preview",
            Self::EventsDetails => "events.details",
            Self::EventsArrival => "events.arrival",
            Self::BrokerConnection => "broker.connection",
            Self::BrokerVersion => "broker.version",
            Self::BrokerTopology => "broker.topology",
            Self::BrokerBindings => "broker.bindings",
            Self::BrokerPermissions => "broker.permissions",
            Self::BrokerPolicies => "broker.policies",
            Self::BrokerAlarms => "broker.alarms",
            Self::BrokerConsumers => "broker.consumers",
            Self::BrokerUnused => "broker.unused",
            Self::DatabaseServer => "database.server",
            Self::DatabaseSchema => "database.schema",
            Self::DatabasePrivileges => "database.privileges",
            Self::DatabasePartitions => "database.partitions",
            Self::DatabaseTransactions => "database.transactions",
            Self::DatabaseOutbox => "database.outbox",
            Self::Parked => "parked",
            Self::Traces => "traces",
        }
    }
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Level {
    Ok,
    /// Not looked at: not configured, or something else has to be in order first.
    NotChecked,
    /// It works, and somebody should look at it.
    Warn,
    /// Something does not work, or will not.
    Fail,
}

impl Level {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not_checked",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::NotChecked => AnsiColor::BrightBlack.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default().bold(),
            Self::Fail => AnsiColor::Red.on_default().bold(),
        }
    }

    /// As a table shows it.
    fn sign(self) -> &'static str {
        match self {
            Self::NotChecked => "–",
            other => other.as_str(),
        }
    }
}

/// What one look found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    pub(crate) check: Check,
    pub(crate) level: Level,
    pub(crate) found: String,
    /// What to do; nothing where nothing is to be done.
    pub(crate) advice: Option<String>,
}

impl Line {
    pub(crate) fn ok(check: Check, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), advice: None }
    }

    pub(crate) fn warn(check: Check, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, level: Level::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    pub(crate) fn fail(check: Check, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, level: Level::Fail, found: found.into(), advice: Some(advice.into()) }
    }

    pub(crate) fn not_checked(
        check: Check,
        why: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = Some(advice.into()).filter(|advice| !advice.is_empty());
        Self { check, level: Level::NotChecked, found: why.into(), advice }
    }
}

/// All lines, in order.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    pub(crate) lines: Vec<Line>,
}

impl Diagnosis {
    /// How many are so.
    pub(crate) fn count(&self, level: Level) -> usize {
        self.lines.iter().filter(|line| line.level == level).count()
    }

    /// For scripts.
    pub(crate) fn document(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            json!({
                "check": line.check.as_str(), "level": line.level.as_str(), "found": line.found,
                "advice": line.advice,
            })
        });
        let count = |level| self.count(level);
        json!({
            "checks": lines.collect::<Value>(),
            "summary": {
                "ok": count(Level::Ok), "warn": count(Level::Warn), "fail": count(Level::Fail),
                "not_checked": count(Level::NotChecked),
            },
        })
    }

    /// For people: what to do stands under what was found.
    pub(crate) fn text(&self, colours: Colours) -> String {
        let width = self.lines.iter().map(|line| line.check.as_str().len()).max().unwrap_or(0);
        let mut text = String::new();
        for line in &self.lines {
            let (level, name) = (line.level, line.check.as_str());
            let sign = colours.paint(&format!("{:<4}", level.sign()), level.style());
            text += &format!("{sign}  {name:<width$}  {}\n", line.found);
            if let Some(advice) = &line.advice {
                text += &format!("{:<4}  {:<width$}  → {advice}\n", "", "");
            }
        }
        let of = |level: Level, word: &str| {
            let (count, told) = (self.count(level), format!("{} {word}", self.count(level)));
            if count > 0 { colours.paint(&told, level.style()) } else { told }
        };
        text + &format!(
            "\n{}, {}, {}, {}\n",
            of(Level::Ok, "ok"),
            of(Level::Warn, "warn"),
            of(Level::Fail, "fail"),
            of(Level::NotChecked, "not checked")
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_runbook_has_a_row_for_every_check() {
        let runbook = include_str!("../../../../../deploy/README.md");
        for check in Check::ALL {
            let row = format!("\n| `{}` | ", check.as_str());
            assert!(runbook.contains(&row), "deploy/README.md has no row for {}", check.as_str());
        }
    }

    #[test]
    fn every_check_has_a_name_of_its_own_and_they_stand_in_order() {
        let names: BTreeSet<&str> = Check::ALL.into_iter().map(Check::as_str).collect();
        assert_eq!(names.len(), Check::ALL.len());
        assert!(Check::ALL.is_sorted());
    }

    #[test]
    fn a_table_is_aligned_and_says_what_to_do() {
        let diagnosis = Diagnosis {
            lines: vec![
                Line::ok(Check::StripeKey, "a restricted key"),
                Line::fail(Check::BrokerTopology, "a queue differs", "delete it"),
                Line::not_checked(Check::Parked, "no broker", ""),
            ],
        };
        let expected = "\
ok    stripe.key       a restricted key
fail  broker.topology  a queue differs
                       → delete it
–     parked           no broker

1 ok, 0 warn, 1 fail, 1 not checked
";
        assert_eq!(diagnosis.text(Colours(false)), expected);
        let coloured = diagnosis.text(Colours(true));
        let fail = "\x1b[1m\x1b[31mfail\x1b[0m  broker.topology  a queue differs\n";
        assert!(coloured.contains(fail), "{coloured:?}");
        assert_eq!(diagnosis.document()["summary"]["fail"], 1);
        assert_eq!(diagnosis.document()["checks"][2]["advice"], Value::Null);
    }
}

//! `relink forecast`: what will need a relink, by week, bank and health.

mod banks;
mod readers;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use relink_core::account::Account;
use relink_core::aggregate::{Aggregate, Health};
use relink_core::bank::{Bank, expectation};
use relink_core::observation::Status;
use relink_core::time::{Second, Time};
use relink_engine::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::explain::health_style;
use crate::cli::ForecastArgs;
use crate::failure::Failure;
use crate::output::{Colours, print};
use crate::progress::Progress;
use crate::settings::{Databases, Problems};
use crate::telemetry::start_logging;

pub(crate) async fn run(args: ForecastArgs) -> Result<(), Failure> {
    let mut problems = Problems::default();
    start_logging(&args.log, &mut problems);
    let database = problems.database(args.database, Databases::Both);
    let banks = problems.table("RELINK_BANKS", args.banks.as_deref(), banks::read);
    problems.done()?;
    let (Some(database), Some(banks)) = (database, banks) else {
        return Err(Failure::software("settings without a problem are incomplete"));
    };
    let progress = Progress::waiting(args.json, super::CONNECTING_DATABASE);
    let store = super::store(database, &progress).await?;
    let now = SystemClock.now();
    progress.anew("authorizations", None);
    let outlook = progress.during(readers::outlook(store, banks, now, &progress)).await?;
    progress.end();
    if args.json {
        let document = outlook.document();
        return print(&serde_json::to_string_pretty(&document).map_err(Failure::software)?);
    }
    print(outlook.table(Colours::on(&std::io::stdout())).trim_end())
}

/// When something needs a relink; the order is that of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum When {
    /// It does already.
    Now,
    /// In the week that begins on this Monday, in UTC.
    Week(Date),
    /// One of these days, nobody knows when.
    AnyTime,
}

/// Who says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Says {
    /// Stripe, and a relink is due.
    Stripe,
    /// Stripe, and there is nothing to ask the customer for yet.
    StripeLater,
    /// The table of banks: ours, never a reason to prompt.
    Relink,
}

impl Says {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::StripeLater => "stripe_not_yet_due",
            Self::Relink => "bank_table",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Stripe => "Stripe",
            Self::StripeLater => "Stripe, not due yet",
            Self::Relink => "our table of banks",
        }
    }
}

/// One line: when, the bank, its health, and who says so.
type Line = (When, String, Health, Says);

#[derive(Default)]
struct Count {
    authorizations: u64,
    accounts: u64,
}

#[derive(Default)]
struct Outlook(BTreeMap<Line, Count>);

impl Outlook {
    fn merge(&mut self, other: Self) {
        for (line, count) in other.0 {
            let sum = self.0.entry(line).or_default();
            sum.authorizations += count.authorizations;
            sum.accounts += count.accounts;
        }
    }

    fn add(&mut self, aggregate: &Aggregate, banks: &[Bank], now: Time) {
        let health = aggregate.state.summary.health;
        let mut accounts: BTreeMap<(When, Says), u64> = BTreeMap::new();
        for account in aggregate.accounts.values() {
            if let Some(line) = outlook_of(aggregate, account, banks, now) {
                *accounts.entry(line).or_default() += 1;
            }
        }
        for ((when, says), accounts) in accounts {
            let bank = aggregate.institution_name().map_or("unknown bank", |name| name);
            let count = self.0.entry((when, bank.to_owned(), health, says)).or_default();
            count.authorizations += 1;
            count.accounts += accounts;
        }
    }

    fn table(&self, colours: Colours) -> String {
        if self.0.is_empty() {
            return "nothing that is known of will need a relink".to_owned();
        }
        let bank = self.0.keys().map(|line| line.1.chars().count()).max().unwrap_or(0).max(4);
        let head = ("week of", "bank", "health", "authorizations", "accounts", "who says so");
        let mut text = format!(
            "{:<10}  {:<bank$}  {:<15}  {:>14}  {:>8}  {}\n",
            head.0, head.1, head.2, head.3, head.4, head.5
        );
        for ((when, name, health, says), count) in &self.0 {
            let (authorizations, accounts) = (count.authorizations, count.accounts);
            let (when, says) = (words(*when), says.words());
            let health = colours.paint(&format!("{:<15}", health.as_str()), health_style(*health));
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{when:<10}  {name:<bank$}  {health}  {authorizations:>14}  {accounts:>8}  {says}"
            );
        }
        text
    }

    fn document(&self) -> Value {
        let line = |((when, bank, health, says), count): (&Line, &Count)| {
            let week = match when {
                When::Week(monday) => Some(monday.to_string()),
                When::Now | When::AnyTime => None,
            };
            let when = match when {
                When::Now => "now",
                When::Week(_) => "week",
                When::AnyTime => "any_time",
            };
            json!({
                "when": when, "week": week, "bank": bank, "health": health.as_str(),
                "says": says.as_str(), "accounts": count.accounts,
                "authorizations": count.authorizations,
            })
        };
        json!({ "lines": self.0.iter().map(line).collect::<Vec<_>>() })
    }
}

fn outlook_of(
    aggregate: &Aggregate,
    account: &Account,
    banks: &[Bank],
    now: Time,
) -> Option<(When, Says)> {
    if account.needs_relink() {
        return Some((When::Now, Says::Stripe));
    }
    if account.status() != Some(Status::Active) {
        return None;
    }
    if let Some(forecast) = account.forecast().or(aggregate.forecast()) {
        let due = account.is_expiring() || aggregate.is_expiring();
        let says = if due { Says::Stripe } else { Says::StripeLater };
        return Some((week_of(forecast.date, now), says));
    }
    if let Some(end) = account.numbers_end(now) {
        return Some((week_of(Second(end.0.div_euclid(1000)), now), Says::Stripe));
    }
    let expected = expectation(banks, aggregate, account, now)?;
    Some((expected.date.map_or(When::AnyTime, |date| week_of(date, now)), Says::Relink))
}

/// The week of a date; one that has passed is this week's business.
fn week_of(date: Second, now: Time) -> When {
    let seconds = date.0.max(now.0.div_euclid(1000));
    let Ok(timestamp) = Timestamp::from_second(seconds) else { return When::AnyTime };
    let day = timestamp.to_zoned(TimeZone::UTC).date();
    let since_monday = i64::from(day.weekday().since(Weekday::Monday));
    let monday = day.checked_sub(jiff::Span::new().days(since_monday));
    monday.map_or(When::AnyTime, When::Week)
}

fn words(when: When) -> String {
    match when {
        When::Now => "now".to_owned(),
        When::Week(monday) => monday.to_string(),
        When::AnyTime => "any time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_and_what_has_passed_is_this_weeks() {
        let at = |text: &str| Second(text.parse::<Timestamp>().unwrap().as_second());
        let now = at("2026-11-22T12:00:00Z").as_time();
        let monday = |text: &str| When::Week(text.parse().unwrap());
        assert_eq!(week_of(at("2026-12-09T00:00:00Z"), now), monday("2026-12-07"));
        assert_eq!(week_of(at("2026-12-07T00:00:00Z"), now), monday("2026-12-07"));
        assert_eq!(week_of(at("2026-12-13T23:59:59Z"), now), monday("2026-12-07"));
        assert_eq!(week_of(at("2026-01-01T00:00:00Z"), now), monday("2026-11-16"));
        assert_eq!(week_of(Second(i64::MAX), now), When::AnyTime);
    }
}

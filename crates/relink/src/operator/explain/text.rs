//! What is known, for a person at a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use relink_bus::envelope::rfc3339;
use relink_core::account::Account;
use relink_core::aggregate::{Aggregate, Attempt, Health, Verify};
use relink_core::id::{AccountId, CommandId};
use relink_core::observation::{RelinkOutcome, Status};
use relink_core::register::value;
use relink_core::time::Second;
use relink_engine::parked::masked;
use relink_engine::store::{CaseRow, HistoryRow, WhyParked};

use super::{Event, Story};
use crate::output::{Colours, counted};

pub(super) fn all(id: &str, story: &Story, colours: Colours) -> String {
    let mut text = String::new();
    if let Some(event) = &story.event {
        add_event(&mut text, event);
    }
    if let Some(WhyParked { queue, reason, error, at }) = &story.parked {
        let at = rfc3339(*at);
        line(
            &mut text,
            &format!("{id}: parked {at} by the worker of {queue}: {reason}, {}", masked(error)),
        );
    }
    for one in &story.found {
        add_home(&mut text, &one.aggregate, colours);
        one.cases.iter().for_each(|row| add_case(&mut text, row));
        if !one.history.is_empty() {
            line(&mut text, "  history, newest first:");
        }
        one.history.iter().for_each(|row| add_history(&mut text, row));
    }
    text
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn add_event(text: &mut String, event: &Event) {
    let row = &event.row;
    let at = second(row.at);
    line(text, &format!("{}: {} of {at} ({}), {}", row.id, row.kind, row.scope, row.verdict));
    let Some(first) = event.history.first() else {
        return line(text, "  it changed nothing and led to no command");
    };
    line(text, &format!("  decided {}", rfc3339(first.decided_at)));
    for row in &event.history {
        let mut head = format!("  {}", row.home.home.as_str());
        if let Some(account) = row.account.as_ref().filter(|id| id.as_str() != head.trim_start()) {
            let _ = write!(head, "  {account}");
        }
        let note = if row.note.is_empty() { &row.verdict } else { &*row.note };
        line(text, &format!("{head}  {note}"));
        add_commands(text, "    ", &row.commands);
    }
}

fn add_home(text: &mut String, aggregate: &Aggregate, colours: Colours) {
    let summary = &aggregate.state.summary;
    let bank = aggregate.institution_name().map_or("bank unknown", |name| name);
    let holder = aggregate.holder().map_or("holder unknown", |holder| &*holder.id);
    let health = colours.paint(summary.health.as_str(), health_style(summary.health));
    let (home, scope) = (aggregate.key.home.as_str(), &aggregate.key.scope);
    line(text, &format!("{home} ({scope}) {bank}, {holder}: {health}"));
    for (id, account) in &aggregate.accounts {
        add_account(text, id, account, aggregate.state.verifies.get(id));
    }
}

fn add_account(text: &mut String, id: &AccountId, account: &Account, verify: Option<&Verify>) {
    let status = account.status().map_or("unknown", Status::as_str);
    let last4 = value(&account.last4).map_or(String::new(), |last4| format!(" ••{last4}"));
    let mut all = format!("  {id}{last4}  {status}");
    // Writing to a String cannot fail.
    if let Some(details) = account.inactive_details() {
        let cause = details.cause.as_deref().unwrap_or("no cause");
        let _ = write!(all, " ({cause}, {})", details.action.as_str());
    } else if account.is_inactive() {
        all.push_str(" (details unknown)");
    }
    if let Some(forecast) = account.forecast() {
        let date = second(forecast.date);
        let _ = write!(all, ", deactivation expected {date} ({})", forecast.action.as_str());
    }
    if let Some(verify) = verify {
        let _ = write!(all, ", verify asked {}", counted(verify.asked, "time"));
    }
    line(text, &all);
}

fn add_case(text: &mut String, row: &CaseRow) {
    let state = match &row.closed {
        Some((at, outcome)) => format!("closed {} as {}", rfc3339(*at), outcome.as_str()),
        None => "open".to_owned(),
    };
    let case = &row.case;
    let (id, reason, opened) = (&case.id, case.reason.as_str(), rfc3339(case.opened_at));
    let (prompts, reminders) =
        (counted(case.prompts, "prompt"), counted(case.reminders, "reminder"));
    line(text, &format!("  case {id}: {reason}, opened {opened}, {prompts}, {reminders}, {state}"));
    for attempt in &case.attempts {
        let Attempt { session, at, outcome } = attempt;
        let outcome = outcome.as_ref().map_or("goes on".into(), RelinkOutcome::to_string);
        line(text, &format!("    attempt {session}: {outcome}, {}", second(*at)));
    }
}

fn add_history(text: &mut String, row: &HistoryRow) {
    let HistoryRow { verdict, kind, note, .. } = row;
    let gap = if note.is_empty() { "" } else { "  " };
    line(text, &format!("    {}  {verdict:<28} {kind}{gap}{note}", rfc3339(row.decided_at)));
    add_commands(text, "      ", &row.commands);
}

fn add_commands(text: &mut String, indent: &str, commands: &[CommandId]) {
    commands.iter().for_each(|command| line(text, &format!("{indent}→ {command}")));
}

/// A time of Stripe's, which has whole seconds.
fn second(second: Second) -> String {
    rfc3339(second.as_time()).replace(".000Z", "Z")
}

pub(in super::super) fn health_style(health: Health) -> Style {
    let colour = match health {
        Health::RelinkRequired => AnsiColor::Red,
        Health::Unverified | Health::Expiring | Health::NumbersDue => AnsiColor::Yellow,
        Health::Unrepairable | Health::Disconnected => AnsiColor::BrightBlack,
        Health::Active => AnsiColor::Green,
    };
    colour.on_default().bold()
}

#[cfg(test)]
mod tests {
    use relink_core::aggregate::Case;
    use relink_core::command::Reason;
    use relink_core::id::{Home, HomeKey, Scope};
    use relink_core::time::Time;

    use super::*;

    #[test]
    fn a_case_tells_its_attempts_and_counts_in_words_that_fit() {
        let attempt = |session: &str, outcome| {
            let (session, at) = (session.into(), Second(1_767_225_600));
            Attempt { session, at, outcome }
        };
        let case = Case {
            id: "live:fcauth_1:case-1".into(),
            reason: Reason::Inactive,
            opened_at: Time(1_767_225_600_000),
            began_at: None,
            prompt_due: None,
            prompted_at: None,
            reminded_at: None,
            escalated: false,
            prompts: 1,
            reminders: 0,
            deadline: None,
            named: [].into(),
            attempts: vec![
                attempt("fcsess_1", Some(RelinkOutcome::Abandoned)),
                attempt("fcsess_2", None),
            ],
        };
        let home = Home::Authorization("fcauth_1".into());
        let home = HomeKey { scope: Scope::own(true), home };
        let mut text = String::new();
        add_case(&mut text, &CaseRow { home, case, closed: None });
        for said in [
            "1 prompt, 0 reminders, open",
            "attempt fcsess_1: abandoned, 2026-01-01T00:00:00Z",
            "attempt fcsess_2: goes on, ",
        ] {
            assert!(text.contains(said), "{said} is not told: {text}");
        }
    }
}

//! What the story has to come to: every command counted, every state compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use relink_core::aggregate::Health;
use relink_core::command::Body;
use relink_core::input::Verdict;
use relink_core::observation::Status;

use super::commands::Told;
use super::stage::Stage;
use crate::failure::Failure;

/// How often each command has to come.
const EXPECTED: [(&str, usize); 10] = [
    ("prompt_relink", 2),
    ("remind_relink", 2),
    ("withdraw_relink", 2),
    ("escalate_relink", 0),
    ("pause_data", 4),
    ("resume_data", 3),
    ("refresh_data", 3),
    ("replace_account", 1),
    ("verify_accounts", 2),
    ("reconcile_accounts", 0),
];

/// What Ada's authorization has to be told, in this order.
const HARBOR: [&str; 15] = [
    "pause_data",
    "pause_data",
    "pause_data",
    "prompt_relink",
    "remind_relink",
    "resume_data",
    "refresh_data",
    "verify_accounts",
    "resume_data",
    "refresh_data",
    "resume_data",
    "refresh_data",
    "withdraw_relink",
    "pause_data",
    "replace_account",
];

/// What Ben's has to be told.
const SUMMIT: [&str; 4] = ["prompt_relink", "remind_relink", "verify_accounts", "withdraw_relink"];

/// An authorization with its accounts.
pub(super) struct Bank {
    pub(super) authorization: String,
    pub(super) accounts: Vec<String>,
}

/// Who plays.
pub(super) struct Cast {
    /// Ada's: three accounts, of which the last is closed at the end.
    pub(super) harbor: Bank,
    /// Ben's: two accounts.
    pub(super) summit: Bank,
    /// The event that came too late.
    pub(super) late: &'static str,
}

/// All that is known, in words that can be compared.
pub(super) async fn state(stage: &Stage, cast: &Cast) -> Result<String, Failure> {
    let mut text = String::new();
    for bank in [&cast.harbor, &cast.summit] {
        let aggregate = stage.aggregate(&bank.authorization).await?;
        // Writing to a String cannot fail.
        let _ = write!(text, "{:?}", aggregate.state);
        for (id, account) in &aggregate.accounts {
            let of = (account.status(), account.version, account.paused, account.forecast());
            let _ = write!(text, "{id}{of:?}{:?}", account.inactive_details());
        }
    }
    Ok(text)
}

/// Compares the end with what it has to be; the summary, or every difference.
pub(super) async fn examine(
    stage: &Stage,
    cast: &Cast,
    commands: &[Told],
) -> Result<String, Failure> {
    let mut wrong = Wrong::default();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for told in commands {
        *counts.entry(&told.name).or_default() += 1;
    }
    for (name, expected) in EXPECTED {
        wrong.unless(name, counts.get(name).copied().unwrap_or_default(), expected);
    }
    examine_order(&cast.harbor, commands, &HARBOR, &mut wrong);
    examine_order(&cast.summit, commands, &SUMMIT, &mut wrong);
    examine_prompts(cast, commands, &mut wrong);
    let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
    let banks = [(&cast.harbor, Health::Unrepairable), (&cast.summit, Health::Active)];
    for (bank, health) in banks {
        let aggregate = stage.aggregate(&bank.authorization).await?;
        let id = &bank.authorization;
        wrong.unless(&format!("health of {id}"), aggregate.state.summary.health, health);
        wrong.unless(&format!("open case of {id}"), aggregate.state.case, None);
        for account in aggregate.accounts.values() {
            let active = account.status() == Some(Status::Active);
            *statuses.entry(account.status().map_or("unknown", Status::as_str)).or_default() += 1;
            wrong.unless("an account is paused", account.paused, !active);
        }
    }
    wrong.unless("active accounts", statuses.get("active").copied(), Some(4));
    wrong.unless("inactive accounts", statuses.get("inactive").copied(), Some(1));
    let row = stage.store.inbox_row(cast.late).await.map_err(Failure::unavailable)?;
    let verdict = row.map(|row| row.verdict);
    wrong.unless("verdict about the late event", verdict, Some(Verdict::Stale));
    let census = stage.store.census().await.map_err(Failure::unavailable)?;
    wrong.unless("parked messages", census.parked, 0);
    wrong.unless("commands not sent", census.outbox_depth, 0);
    wrong.end()?;
    Ok(summary(&counts, &statuses))
}

fn examine_order(bank: &Bank, commands: &[Told], expected: &[&str], wrong: &mut Wrong) {
    let told: Vec<&str> = commands
        .iter()
        .filter(|told| told.subject == bank.authorization)
        .map(|told| &*told.name)
        .collect();
    wrong.unless(&format!("commands about {}", bank.authorization), &*told, expected);
}

fn examine_prompts(cast: &Cast, commands: &[Told], wrong: &mut Wrong) {
    let about = |bank: &Bank, name: &str| {
        let of = |told: &&Told| told.subject == bank.authorization && told.name == name;
        commands.iter().find(of).cloned()
    };
    for (bank, reason, urgency) in
        [(&cast.harbor, "inactive", "now"), (&cast.summit, "upcoming", "before_date")]
    {
        let Some(prompt) = about(bank, "prompt_relink") else { continue };
        let mut expected: Vec<&str> = bank.accounts.iter().map(String::as_str).collect();
        let mut named = prompt.accounts();
        expected.sort_unstable();
        named.sort_unstable();
        wrong.unless("accounts that the prompt names", named, expected);
        wrong.unless("reason of the prompt", prompt.text("reason"), reason);
        wrong.unless("urgency of the prompt", prompt.text("urgency"), urgency);
        if let Some(withdrawal) = about(bank, "withdraw_relink") {
            wrong.unless("outcome", withdrawal.text("outcome"), "relinked");
            wrong.unless("case of the withdrawal", withdrawal.text("case"), prompt.text("case"));
        }
    }
    if let (Some(replace), Some(closed)) =
        (about(&cast.harbor, "replace_account"), cast.harbor.accounts.last())
    {
        wrong.unless("account to replace", replace.text("account"), closed.as_str());
    }
}

/// Differences, collected so that all are told.
#[derive(Default)]
struct Wrong(Vec<String>);

impl Wrong {
    fn unless<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
        &mut self,
        what: &str,
        is: T,
        expected: U,
    ) {
        if is != expected {
            self.0.push(format!("{what}: {is:?}, expected {expected:?}"));
        }
    }

    fn end(self) -> Result<(), Failure> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Failure::no(format!("the story went wrong:\n  - {}", self.0.join("\n  - "))))
    }
}

fn summary(counts: &BTreeMap<&str, usize>, statuses: &BTreeMap<&str, usize>) -> String {
    let mut commands = Body::NAMES
        .iter()
        .filter_map(|name| counts.get(name).map(|count| format!("{name:<20}{count:>3}")));
    let mut accounts = statuses.iter().map(|(status, count)| format!("{status:<12}{count:>3}"));
    let mut text = format!("  {:<31}{}\n", "commands", "accounts");
    loop {
        let (left, right) = (commands.next(), accounts.next());
        if left.is_none() && right.is_none() {
            break;
        }
        let row = format!("  {:<31}{}", left.unwrap_or_default(), right.unwrap_or_default());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", row.trim_end());
    }
    text.push_str(
        "\n  Two outages became two prompts, each withdrawn when it was over, and data was paused\n  \
         and resumed account by account, although events were missing, repeated and late.\n\n  \
         Go on: `relink standalone --help` runs this with your own Stripe account; see README.md.",
    );
    text
}

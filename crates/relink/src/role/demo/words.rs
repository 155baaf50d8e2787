//! Events and commands in plain words.

use relink_sim::Sim;
use serde_json::Value;

use super::commands::{Told, VERIFY};
use super::narrator::{Line, command_style};

/// From Stripe's webhooks and answers.
pub(super) const STRIPE: &str = "Stripe → Relink";
/// What a customer does, at the bank or on Stripe's pages.
pub(super) const CUSTOMER: &str = "customer → Stripe";
/// What Relink concludes and tells nobody.
pub(super) const RELINK: &str = "Relink";
const TO_PLATFORM: &str = "Relink → platform";
const TO_STRIPE: &str = "Relink → Stripe";

const DAY_S: i64 = 86_400;

/// An account as its owner knows it.
pub(super) fn label(sim: &Sim, id: &str) -> String {
    sim.account(id).map_or_else(|_| id.to_owned(), |account| name(&account))
}

fn name(account: &Value) -> String {
    let text = |field: &str| account[field].as_str().unwrap_or_default().to_owned();
    let name = text("display_name");
    if text("last4").is_empty() { name } else { format!("{name} ··{}", text("last4")) }
}

/// An event of Stripe's.
pub(super) fn event(event: &Value, now_unix_s: i64) -> Line {
    let object = &event["data"]["object"];
    let kind = event["type"].as_str().unwrap_or_default();
    let what = kind.rsplit('.').next().unwrap_or_default();
    let state = state(object, now_unix_s);
    // The event's name has said the status already; what is new is the rest.
    let news = state.split_once(", ").map_or(&*state, |(_, news)| news);
    let words = match object["object"].as_str().unwrap_or_default() {
        "financial_connections.account" => {
            format!("{}: {news}", name(object))
        }
        "financial_connections.authorization" => {
            let bank = object["institution_name"].as_str().unwrap_or_default();
            format!("{bank} as a whole: {news}")
        }
        _ => {
            let status = object["status"].as_str().unwrap_or_default();
            format!("the customer's relink session {}", session_word(status))
        }
    };
    let what = if kind.contains(".session.") { "session updated".to_owned() } else { plain(what) };
    Line::dim(STRIPE, &what, words)
}

/// How an account or authorization is.
pub(super) fn state(object: &Value, now_unix_s: i64) -> String {
    let details = &object["status_details"];
    let inactive = &details["inactive"];
    let expected = details["active"]["expected_deactivation_date"].as_i64();
    match (object["status"].as_str().unwrap_or_default(), expected) {
        ("inactive", _) => {
            let cause = plain(inactive["cause"].as_str().unwrap_or("no cause given"));
            let helps = match inactive["action"].as_str() {
                Some("relink_required") => "a relink repairs it",
                _ => "nothing can repair it",
            };
            format!("inactive, {cause}; {helps}")
        }
        ("active", Some(date)) => format!("active, will stop {}", in_days(date, now_unix_s)),
        (status, _) => plain(status),
    }
}

/// A command of Relink's.
pub(super) fn command(told: &Told, sim: &Sim) -> Line {
    let mut names: Vec<String> = told.accounts().into_iter().map(|id| label(sim, id)).collect();
    names.sort_unstable();
    let names = list(&names);
    let who = told.data["holder"]["id"].as_str().unwrap_or("the customer");
    let who = who.strip_prefix("cus_").unwrap_or(who);
    let bank = told.text("institution_name");
    let words = match told.name.as_str() {
        "prompt_relink" => format!("ask {who} to relink {bank} {}: {names}", when(told, sim)),
        "remind_relink" => {
            let stage = &told.data["stage"];
            let stages = &told.data["stages"];
            format!("ask {who} again, reminder {stage} of {stages}, {}: {names}", when(told, sim))
        }
        "withdraw_relink" => format!("stop asking {who}: {}", outcome(told)),
        "escalate_relink" => format!("asking {who} did not help: a person should look"),
        "pause_data" => {
            let cause = told.data["cause"].as_str().unwrap_or("not known why yet");
            format!("stop using the data of {names}: {}", plain(cause))
        }
        "resume_data" => format!("{names} can be used again"),
        "refresh_data" => {
            let features = told.data["features"].as_array().map_or(&[][..], |all| all);
            let features: Vec<String> =
                features.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect();
            format!("fetch what was missed of {names}: {}", list(&features))
        }
        "replace_account" => format!("{names} cannot come back: ask {who} for another account"),
        VERIFY if names.is_empty() => format!("read {bank} back: {}", because(told)),
        VERIFY => format!("read back {names}: {}", because(told)),
        _ => format!("the accounts of {who} at {bank} have to be matched"),
    };
    let to = if told.name == VERIFY { TO_STRIPE } else { TO_PLATFORM };
    Line { who: to, what: told.name.clone(), words, style: command_style(&told.name) }
}

/// What Stripe answers to a verify.
pub(super) fn answers(verify: &Told, sim: &Sim) -> Vec<Line> {
    let now = sim.now_unix_s();
    let answer = |words: String| Line::dim(STRIPE, "(answer to the read)", words);
    let accounts = verify.accounts().into_iter().filter_map(|id| sim.account(id).ok());
    let mut lines: Vec<Line> = accounts
        .map(|account| answer(format!("{}: {}", name(&account), state(&account, now))))
        .collect();
    if verify.data["read_authorization"] == true
        && let Ok(authorization) = sim.authorization(&verify.subject)
    {
        let bank = authorization["institution_name"].as_str().unwrap_or_default();
        let state = state(&authorization, now);
        let no_date = authorization["status_details"]["active"].is_null();
        let end = if no_date { ", no date any more" } else { "" };
        lines.push(answer(format!("{bank} as a whole: {state}{end}")));
    }
    lines
}

fn outcome(told: &Told) -> &'static str {
    match told.text("outcome") {
        "relinked" => "the relink worked",
        "recovered" => "the accounts work again",
        "moved" => "the accounts have moved",
        "disconnected" => "the link has ended",
        _ => "a relink cannot help any more",
    }
}

fn because(told: &Told) -> &'static str {
    match told.text("because") {
        "session" => "the relink may have repaired more than it told",
        "siblings" => "a sibling is back, they might be, too",
        "forecast" => "the date may have moved",
        "doubt" => "the events contradict each other",
        _ => "nobody said why",
    }
}

fn when(told: &Told, sim: &Sim) -> String {
    match told.data["deadline"].as_i64() {
        Some(date) => format!("before it stops {}", in_days(date, sim.now_unix_s())),
        None => "now".to_owned(),
    }
}

fn in_days(date_unix_s: i64, now_unix_s: i64) -> String {
    // To the nearest day: the story's jumps are a few seconds off.
    let days = (date_unix_s - now_unix_s + DAY_S / 2).div_euclid(DAY_S);
    format!("in {days} days")
}

fn plain(word: &str) -> String {
    word.replace('_', " ")
}

fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// How a session that is over reads in a sentence.
fn session_word(status: &str) -> String {
    match status {
        "cancelled" => "was cancelled".to_owned(),
        other => format!("has {}", plain(other)),
    }
}

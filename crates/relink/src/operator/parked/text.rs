//! Parked messages for a person at a terminal.

use std::fmt::Write as _;

use relink_bus::parked::ParkedMessage;
use relink_engine::parked::{Listed, masked, shown};
use serde_json::Value;

use super::document::time;

/// A choice that means none of so many.
pub(super) fn nothing_matches(parked: u64) -> String {
    match parked {
        0 => "nothing is parked".into(),
        1 => "nothing matches; 1 message is parked".into(),
        more => format!("nothing matches; {more} messages are parked"),
    }
}

/// Counts first, then the longest parked ones.
pub(super) fn listed(listed: &Listed) -> String {
    if listed.counts.is_empty() {
        return "nothing is parked".into();
    }
    let mut text = String::new();
    // Writing to a String cannot fail.
    for ((queue, reason), count) in &listed.counts {
        let _ = writeln!(text, "{count:>7}  {:<9}  {reason}", queue.short_name());
    }
    text.push('\n');
    text.push_str(&table(&listed.messages));
    let (shown, total) = (listed.messages.len(), listed.total());
    if u64::try_from(shown).is_ok_and(|shown| shown < total) {
        let _ = writeln!(text, "the {shown} longest parked of {total}");
    }
    text
}

/// One line each, with the widest of each column as its width.
pub(super) fn table(messages: &[ParkedMessage]) -> String {
    if messages.is_empty() {
        return String::new();
    }
    let head = ["id", "queue", "reason", "times", "parked at", "type", "message"];
    let mut lines = vec![head.map(str::to_owned)];
    lines.extend(messages.iter().map(cells));
    let mut widths = [0; 7];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in lines {
        let padded = line.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cells(message: &ParkedMessage) -> [String; 7] {
    let delivery = &message.delivery;
    [
        message.id.to_string(),
        message.queue.short_name().to_owned(),
        message.reason.to_string(),
        message.times().to_string(),
        time(message.parked_at_unix_ms).unwrap_or_else(|| "–".into()),
        plain(&masked(delivery.kind.as_deref().unwrap_or("–"))),
        plain(delivery.id.as_deref().unwrap_or("–")),
    ]
}

/// All of one.
pub(super) fn complete(message: &ParkedMessage) -> String {
    let mut text = String::new();
    let Value::Object(mut all) = super::document::complete(message) else { return text };
    all.remove("body");
    for (name, value) in all {
        let value = match value {
            Value::Null => continue,
            Value::String(value) => plain(&value),
            other => other.to_string(),
        };
        let _ = writeln!(text, "{name:<16} {value}");
    }
    let body = match shown(&message.delivery.body) {
        // Text that is no JSON may hold anything; its escapes show what a terminal would obey.
        Value::String(body) => format!("{body:?}"),
        body => serde_json::to_string_pretty(&body).unwrap_or_default(),
    };
    let _ = writeln!(text, "body\n{body}");
    text
}

/// Whatever a foreign publisher wrote, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

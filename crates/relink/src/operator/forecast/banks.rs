//! The table of banks, as a person writes it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use relink_core::bank::{Bank, Ends, Rule};
use relink_core::time::{Second, Span};
use serde::Deserialize;

/// What is known to us.
const SHIPPED: &str = include_str!("banks.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    bank: Vec<BankEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BankEntry {
    names: Vec<String>,
    #[serde(default)]
    rule: Vec<RuleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    linked_from: Option<String>,
    linked_before: Option<String>,
    after_days: Option<u16>,
    on: Option<String>,
    #[serde(default)]
    any_time: bool,
    why: String,
}

/// The operator's table, or the one that is shipped.
///
/// # Errors
/// What is wrong with the table, and where.
pub(super) fn read(operators: Option<&str>) -> Result<Vec<Bank>, String> {
    let file: File = toml::from_str(operators.unwrap_or(SHIPPED))
        .map_err(|error| error.to_string().trim_end().to_owned())?;
    file.bank.into_iter().map(bank).collect()
}

fn bank(entry: BankEntry) -> Result<Bank, String> {
    let BankEntry { names, rule } = entry;
    let Some(name) = names.first() else {
        return Err("a bank has no names".to_owned());
    };
    let rules = rule.into_iter().map(|entry| rule_of(entry).map_err(|it| format!("{name}: {it}")));
    Ok(Bank { rules: rules.collect::<Result<_, _>>()?, names })
}

fn rule_of(entry: RuleEntry) -> Result<Rule, String> {
    let ends = match (entry.after_days, &entry.on, entry.any_time) {
        (Some(days), None, false) => Ends::After(Span::days(i64::from(days))),
        (None, Some(date), false) => Ends::On(second(date)?),
        (None, None, true) => Ends::AnyTime,
        _ => return Err("a rule has exactly one of after_days, on and any_time = true".to_owned()),
    };
    Ok(Rule {
        linked_from: entry.linked_from.as_deref().map(second).transpose()?,
        linked_before: entry.linked_before.as_deref().map(second).transpose()?,
        ends,
        why: entry.why,
    })
}

/// The first second of a day in UTC.
fn second(date: &str) -> Result<Second, String> {
    let start = date.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
    let start = start.map_err(|_| format!("`{date}` is not a day such as 2026-08-01"))?;
    Ok(Second(start.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_table_can_be_read() {
        let banks = read(None).unwrap();
        assert_eq!(banks[0].names, ["Bank of America"]);
        assert_eq!(banks[0].rules[1].ends, Ends::On(Second(1_785_542_400)));
        assert_eq!(banks[0].rules[2].linked_before, Some(Second(1_776_470_400)));
    }

    #[test]
    fn what_is_wrong_with_a_table_is_told() {
        let with = |rule: &str| read(Some(&format!("[[bank]]\nnames = [\"A\"]\n{rule}")));
        let wrong = [
            "[[bank.rule]]\nwhy = \"x\"",
            "[[bank.rule]]\nwhy = \"x\"\nany_time = true\nafter_days = 3",
            "[[bank.rule]]\nwhy = \"x\"\non = \"2026-13-01\"",
            "[[bank.rule]]\nwhy = \"x\"\nafter_day = 3",
            "[[bank.rule]]\nany_time = true",
        ];
        for rule in wrong {
            assert!(with(rule).is_err(), "{rule}");
        }
        assert!(with(wrong[0]).unwrap_err().starts_with("A: "), "the bank is named");
        assert!(read(Some("[[bank]]\nnames = []")).is_err());
        assert_eq!(read(Some("")), Ok(Vec::new()));
    }
}

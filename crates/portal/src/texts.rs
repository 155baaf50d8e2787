//! Every sentence of the page, from one file that an operator may replace.

use serde::Deserialize;

use relink_core::time::Second;

/// The texts that are shipped with the program.
const SHIPPED: &str = include_str!("texts.toml");

/// What may stand in braces.
const PLACEHOLDERS: [&str; 8] = ["brand", "bank", "date", "last4", "name", "day", "month", "year"];

/// The texts of the page; see `texts.toml` for what each is for.
#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    pub(crate) language: String,
    pub(crate) direction: Direction,
    pub(crate) unnamed_bank: String,
    pub(crate) unnamed_account: String,
    pub(crate) account: String,
    pub(crate) account_without_digits: String,
    pub(crate) date: String,
    pub(crate) months: [String; 12],
    pub(crate) ask: Ask,
    pub(crate) why: Why,
    pub(crate) earlier: Earlier,
    pub(crate) progress: Progress,
    pub(crate) result: Results,
    pub(crate) closed: Closed,
    pub(crate) trouble: Troubles,
    pub(crate) returned: Returned,
}

/// Which way the language runs.
#[derive(Clone, Copy, Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Ltr,
    Rtl,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ltr => "ltr",
            Self::Rtl => "rtl",
        }
    }
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    pub(crate) title: String,
    pub(crate) inactive: String,
    pub(crate) inactive_until: String,
    pub(crate) upcoming: String,
    pub(crate) upcoming_without_date: String,
    pub(crate) upcoming_until: String,
    pub(crate) numbers: String,
    pub(crate) numbers_without_date: String,
    pub(crate) numbers_until: String,
    pub(crate) accounts: String,
    pub(crate) what_happens: String,
    pub(crate) choose_all: String,
    pub(crate) button: String,
    pub(crate) no_script: String,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Why {
    pub(crate) access_expired: String,
    pub(crate) access_denied: String,
    pub(crate) institution_requirement: String,
    pub(crate) other: String,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Earlier {
    pub(crate) repaired: String,
    pub(crate) no_account: String,
    pub(crate) no_authorization: String,
    pub(crate) other: String,
    pub(crate) cancelled: String,
    pub(crate) abandoned: String,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    pub(crate) opening: String,
    pub(crate) waiting: String,
    pub(crate) checking: String,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Results {
    pub(crate) done_title: String,
    pub(crate) done: String,
    pub(crate) done_without_accounts: String,
    pub(crate) partly_title: String,
    pub(crate) partly: String,
    pub(crate) left_out: String,
    pub(crate) unrepairable: String,
    pub(crate) another_title: String,
    pub(crate) another: String,
    pub(crate) no_account_title: String,
    pub(crate) no_account: String,
    pub(crate) no_authorization_title: String,
    pub(crate) no_authorization: String,
    pub(crate) other_title: String,
    pub(crate) other: String,
    pub(crate) cancelled_title: String,
    pub(crate) cancelled: String,
    pub(crate) again: String,
    pub(crate) next: String,
    pub(crate) close: String,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closed {
    pub(crate) well_title: String,
    pub(crate) well: String,
    pub(crate) moved_title: String,
    pub(crate) moved: String,
    pub(crate) disconnected_title: String,
    pub(crate) disconnected: String,
    pub(crate) unrepairable_title: String,
    pub(crate) unrepairable: String,
    pub(crate) newer_title: String,
    pub(crate) newer: String,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Troubles {
    pub(crate) expired_title: String,
    pub(crate) expired: String,
    pub(crate) broken_title: String,
    pub(crate) broken: String,
    pub(crate) unavailable_title: String,
    pub(crate) unavailable: String,
    pub(crate) too_often_title: String,
    pub(crate) too_often: String,
    pub(crate) not_offered_title: String,
    pub(crate) not_offered: String,
    pub(crate) script_title: String,
    pub(crate) script: String,
    pub(crate) stale_title: String,
    pub(crate) stale: String,
    pub(crate) malformed_title: String,
    pub(crate) malformed: String,
    pub(crate) not_found_title: String,
    pub(crate) not_found: String,
}

#[derive(Clone, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(crate) struct Returned {
    pub(crate) title: String,
    pub(crate) text: String,
}

impl Texts {
    /// The texts that are shipped.
    ///
    /// # Errors
    /// Never: a test reads them.
    pub fn shipped() -> Result<Self, String> {
        Self::read(SHIPPED)
    }

    /// Reads a file of texts.
    ///
    /// # Errors
    /// What is missing, unknown, or stands in braces without a meaning.
    pub fn read(text: &str) -> Result<Self, String> {
        let texts = toml::from_str(text).map_err(|error| error.to_string().trim().to_owned())?;
        match unknown_placeholder(text) {
            Some(name) => Err(format!("{{{name}}} has no meaning; there are {PLACEHOLDERS:?}")),
            None => Ok(texts),
        }
    }

    /// A date for people, in UTC.
    pub(crate) fn date(&self, second: Second) -> Option<String> {
        let timestamp = jiff::Timestamp::from_second(second.0).ok()?;
        let date = timestamp.to_zoned(jiff::tz::TimeZone::UTC).date();
        let month = usize::try_from(date.month()).ok()?.checked_sub(1)?;
        let (day, year) = (date.day().to_string(), date.year().to_string());
        Some(fill(
            &self.date,
            &[("day", &day), ("month", self.months.get(month)?), ("year", &year)],
        ))
    }
}

/// Fills in what stands in braces; what is filled in is not looked at again.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        let named = behind.split_once('}').and_then(|(name, after)| {
            let value = values.iter().find(|(known, _)| *known == name)?.1;
            Some((value, after))
        });
        match named {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push('{');
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn unknown_placeholder(text: &str) -> Option<&str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let names = lines
        .flat_map(|line| line.split('{').skip(1))
        .map(|behind| behind.split_once('}').map_or(behind, |(name, _)| name));
    names.into_iter().find(|name| !PLACEHOLDERS.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_texts_are_complete() {
        let texts = Texts::shipped().unwrap();
        assert_eq!(texts.date(Second(1_767_225_600)).as_deref(), Some("1 January 2026"));
    }

    #[test]
    fn what_is_missing_unknown_or_meaningless_is_told() {
        let missing = SHIPPED.replace("again = \"Try again\"\n", "");
        assert!(Texts::read(&missing).unwrap_err().contains("again"));
        let unknown = format!("colour = \"red\"\n{SHIPPED}");
        assert!(Texts::read(&unknown).unwrap_err().contains("colour"));
        let meaningless = SHIPPED.replace("{bank} is connected again", "{bnk} is connected again");
        assert!(Texts::read(&meaningless).unwrap_err().contains("{bnk}"));
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        let filled = fill("{brand} and {bank} {", &[("brand", "{bank}"), ("bank", "B")]);
        assert_eq!(filled, "{bank} and B {");
    }
}

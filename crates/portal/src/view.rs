//! The page in words: what is shown for each standing and each outcome.

use relink_core::account::Account;
use relink_core::aggregate::Aggregate;
use relink_core::command::{CaseOutcome, Reason};
use relink_core::health::concerned;
use relink_core::id::AccountId;
use relink_core::observation::RelinkOutcome;
use relink_core::policy::Policy;
use relink_core::register::value;
use relink_core::time::Time;

use crate::config::{PortalConfig, UiMode};
use crate::ended::{Ended, Outcome};
use crate::html::{Html, attribute};
use crate::standing::OfCase;
use crate::texts::{Texts, fill};
use crate::trouble::Trouble;

/// What stands in the middle of the page, and its title.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct View {
    pub(crate) title: String,
    pub(crate) body: Html,
}

/// Writes views in the operator's words.
pub(crate) struct Words<'a> {
    texts: &'a Texts,
    brand: &'a str,
    bank: &'a str,
}

/// The longest run of digits that is shown of a name: an account's number is not for a page.
const DIGITS_SHOWN: usize = 4;

impl<'a> Words<'a> {
    /// Words about a bank.
    pub(crate) fn about(config: &'a PortalConfig, aggregate: &'a Aggregate) -> Self {
        let bank = aggregate.institution_name().map(|name| &**name);
        let texts = &config.texts;
        Self { texts, brand: &config.brand.name, bank: bank.unwrap_or(&texts.unnamed_bank) }
    }

    /// Words about nothing in particular.
    pub(crate) fn general(config: &'a PortalConfig) -> Self {
        let texts = &config.texts;
        Self { texts, brand: &config.brand.name, bank: &texts.unnamed_bank }
    }

    fn say(&self, text: &str) -> String {
        fill(text, &[("brand", self.brand), ("bank", self.bank)])
    }

    fn view(&self, title: &str, body: Html) -> View {
        let title = self.say(title);
        // The heading takes the focus when the page changes under a screen reader.
        let heading = Html::default().element("h1", "tabindex=\"-1\"", &title);
        View { title, body: heading.then(&body) }
    }

    fn plain(&self, title: &str, text: &str) -> View {
        self.view(title, self.paragraph(text))
    }

    fn paragraph(&self, text: &str) -> Html {
        Html::default().element("p", "", &self.say(text))
    }

    /// The page that asks.
    pub(crate) fn ask(&self, of: &OfCase, policy: &Policy, now: Time, form: &Form<'_>) -> View {
        let ask = &self.texts.ask;
        let date = of.case.deadline.filter(|date| date.as_time() > now);
        let date = date.and_then(|date| self.texts.date(date));
        let (what, until) = match (of.case.reason, &date) {
            (Reason::Inactive, _) => (&ask.inactive, &ask.inactive_until),
            (Reason::Upcoming, Some(_)) => (&ask.upcoming, &ask.upcoming_until),
            (Reason::Upcoming, None) => (&ask.upcoming_without_date, &ask.upcoming_until),
            (Reason::Numbers, Some(_)) => (&ask.numbers, &ask.numbers_until),
            (Reason::Numbers, None) => (&ask.numbers_without_date, &ask.numbers_until),
        };
        let date = date.unwrap_or_default();
        let what = fill(what, &[("brand", self.brand), ("bank", self.bank), ("date", &date)]);
        let accounts: Vec<(&AccountId, &Account)> =
            concerned(&of.aggregate, of.case.reason, policy, now).collect();
        let mut body = Html::default().element("p", "class=\"what\"", &what);
        let why = match of.case.reason {
            Reason::Numbers => String::new(),
            Reason::Inactive | Reason::Upcoming => self.say(self.why(&accounts)) + " ",
        };
        body = body.element("p", "", &(why + &self.say(until)));
        if let Some(earlier) = self.earlier(of) {
            body = body.element("p", "class=\"note\"", &earlier);
        }
        if !accounts.is_empty() {
            body = body.element("h2", "", &self.say(&ask.accounts)).then(&self.list(&accounts));
        }
        if accounts.len() > 1 {
            body = body.then(&self.paragraph(&ask.choose_all));
        }
        self.view(&ask.title, body.then(&self.form(form)))
    }

    /// How the customer's last attempt ended, so that whoever comes back knows where they stand;
    /// one that still goes on is not told.
    fn earlier(&self, of: &OfCase) -> Option<String> {
        let earlier = &self.texts.earlier;
        let last =
            of.case.attempts.iter().filter(|one| one.outcome.is_some()).max_by_key(|one| one.at)?;
        let text = match last.outcome.as_ref()? {
            RelinkOutcome::Repaired => &earlier.repaired,
            // The case is over, or about to be.
            RelinkOutcome::NewAuthorization(_) => return None,
            RelinkOutcome::Failed(reason) => match &**reason {
                "no_account" => &earlier.no_account,
                "no_authorization" => &earlier.no_authorization,
                _ => &earlier.other,
            },
            RelinkOutcome::Cancelled => &earlier.cancelled,
            RelinkOutcome::Abandoned => &earlier.abandoned,
        };
        let date = self.texts.date(last.at)?;
        Some(fill(text, &[("brand", self.brand), ("bank", self.bank), ("date", &date)]))
    }

    fn form(&self, form: &Form<'_>) -> Html {
        let ask = &self.texts.ask;
        let label = self.say(&ask.button);
        let note = Html::default().element("p", "class=\"note\"", &self.say(&ask.what_happens));
        match form.mode {
            UiMode::Page => {
                let no_script = self.paragraph(&ask.no_script);
                let attributes = "type=\"button\" data-start disabled";
                Html::default()
                    .nest(
                        "noscript",
                        "",
                        &Html::default().nest("div", "class=\"alert\"", &no_script),
                    )
                    .element("button", attributes, &label)
                    .then(&note)
            }
            UiMode::Hosted => {
                let value = attribute("value", form.attempt);
                let input = format!("<input type=\"hidden\" name=\"attempt\" {value}>\n");
                let inner = Html::raw(&input).element("button", "type=\"submit\"", &label);
                let action = attribute("action", form.action);
                Html::default()
                    .nest("form", &format!("method=\"post\" {action}"), &inner)
                    .then(&note)
            }
        }
    }

    fn why(&self, accounts: &[(&AccountId, &Account)]) -> &'a str {
        let cause = accounts.iter().find_map(|(_, account)| match account.inactive_details() {
            Some(details) => details.cause.as_deref(),
            None => account.forecast().and_then(|forecast| forecast.cause.as_deref()),
        });
        match cause {
            Some("access_expired") => &self.texts.why.access_expired,
            Some("access_denied") => &self.texts.why.access_denied,
            Some("institution_requirement") => &self.texts.why.institution_requirement,
            _ => &self.texts.why.other,
        }
    }

    fn list(&self, accounts: &[(&AccountId, &Account)]) -> Html {
        let mut names: Vec<String> =
            accounts.iter().map(|(_, account)| self.name(account)).collect();
        names.sort();
        let items = names.iter().fold(Html::default(), |items, name| items.element("li", "", name));
        Html::default().nest("ul", "class=\"accounts\"", &items)
    }

    fn named(&self, aggregate: &Aggregate, ids: &[AccountId]) -> Html {
        let found = |id: &'_ AccountId| aggregate.accounts.get_key_value(id);
        self.list(&ids.iter().filter_map(found).collect::<Vec<_>>())
    }

    fn name(&self, account: &Account) -> String {
        let name = value(&account.display_name).map(|name| mask(name));
        let name = name.filter(|name| !name.trim().is_empty());
        let name = name.as_deref().unwrap_or(&self.texts.unnamed_account);
        match value(&account.last4) {
            Some(last4) => fill(&self.texts.account, &[("name", name), ("last4", &mask(last4))]),
            None => fill(&self.texts.account_without_digits, &[("name", name)]),
        }
    }

    /// How an attempt ended.
    pub(crate) fn ended(&self, aggregate: &Aggregate, ended: &Ended) -> View {
        let result = &self.texts.result;
        match ended.outcome {
            Outcome::Repaired => self.repaired(aggregate, ended),
            Outcome::NewAuthorization => {
                let body = self.paragraph(&result.another).then(&self.close());
                self.view(&result.another_title, body)
            }
            Outcome::NoAccount => {
                let wanted = self.named(aggregate, &ended.left_out);
                let body = self.paragraph(&result.no_account).then(&wanted);
                self.view(&result.no_account_title, body.then(&self.again(&result.again)))
            }
            Outcome::NoAuthorization => {
                self.offer(&result.no_authorization_title, &result.no_authorization)
            }
            Outcome::Other => self.offer(&result.other_title, &result.other),
            Outcome::Cancelled | Outcome::Pending => {
                self.offer(&result.cancelled_title, &result.cancelled)
            }
        }
    }

    fn repaired(&self, aggregate: &Aggregate, ended: &Ended) -> View {
        let result = &self.texts.result;
        let whole = ended.left_out.is_empty();
        let title = if whole { &result.done_title } else { &result.partly_title };
        let intro = if whole { &result.done } else { &result.partly };
        let mut body = if ended.back.is_empty() {
            self.paragraph(&result.done_without_accounts)
        } else {
            self.paragraph(intro).then(&self.named(aggregate, &ended.back))
        };
        if !ended.unrepairable.is_empty() {
            let lost = self.named(aggregate, &ended.unrepairable);
            body = body.then(&self.paragraph(&result.unrepairable)).then(&lost);
        }
        if whole {
            return self.view(title, body.then(&self.close()));
        }
        let left_out = self.named(aggregate, &ended.left_out);
        body = body.then(&self.paragraph(&result.left_out)).then(&left_out);
        self.view(title, body.then(&self.again(&result.next)))
    }

    fn offer(&self, title: &str, text: &str) -> View {
        self.view(title, self.paragraph(text).then(&self.again(&self.texts.result.again)))
    }

    fn again(&self, label: &str) -> Html {
        Html::default().element("button", "type=\"button\" data-start", &self.say(label))
    }

    fn close(&self) -> Html {
        Html::default().element("p", "class=\"note\"", &self.say(&self.texts.result.close))
    }

    /// That the case is over.
    pub(crate) fn closed(&self, outcome: CaseOutcome) -> View {
        let closed = &self.texts.closed;
        match outcome {
            CaseOutcome::Relinked | CaseOutcome::Recovered => {
                self.plain(&closed.well_title, &closed.well)
            }
            CaseOutcome::Moved => self.plain(&closed.moved_title, &closed.moved),
            CaseOutcome::Disconnected => {
                self.plain(&closed.disconnected_title, &closed.disconnected)
            }
            CaseOutcome::Unrepairable => {
                self.plain(&closed.unrepairable_title, &closed.unrepairable)
            }
        }
    }

    /// That a newer link is in use.
    pub(crate) fn newer(&self) -> View {
        self.plain(&self.texts.closed.newer_title, &self.texts.closed.newer)
    }

    /// That the customer came back from Stripe's own page.
    pub(crate) fn returned(&self) -> View {
        self.plain(&self.texts.returned.title, &self.texts.returned.text)
    }

    /// What went wrong and what to do.
    pub(crate) fn trouble(&self, trouble: Trouble) -> View {
        let (title, text) = self.trouble_texts(trouble);
        self.plain(title, text)
    }

    /// The same on a page whose script can start again.
    pub(crate) fn trouble_with_button(&self, trouble: Trouble) -> View {
        let (title, text) = self.trouble_texts(trouble);
        match trouble {
            Trouble::Unavailable | Trouble::Script | Trouble::TooOften => self.offer(title, text),
            _ => self.plain(title, text),
        }
    }

    fn trouble_texts(&self, trouble: Trouble) -> (&'a str, &'a str) {
        let texts = &self.texts.trouble;
        match trouble {
            Trouble::Expired => (&texts.expired_title, &texts.expired),
            Trouble::Broken => (&texts.broken_title, &texts.broken),
            Trouble::Unavailable => (&texts.unavailable_title, &texts.unavailable),
            Trouble::TooOften => (&texts.too_often_title, &texts.too_often),
            Trouble::NotOffered => (&texts.not_offered_title, &texts.not_offered),
            Trouble::Script => (&texts.script_title, &texts.script),
            Trouble::Stale => (&texts.stale_title, &texts.stale),
            Trouble::Malformed | Trouble::TooLarge | Trouble::ContentType => {
                (&texts.malformed_title, &texts.malformed)
            }
            Trouble::NotFound | Trouble::Method => (&texts.not_found_title, &texts.not_found),
        }
    }
}

/// How the button starts.
pub(crate) struct Form<'a> {
    pub(crate) mode: UiMode,
    /// Where a form is posted.
    pub(crate) action: &'a str,
    /// Names this attempt, so that a second click is the same one.
    pub(crate) attempt: &'a str,
}

/// Hides all but the last digits of every run of them.
fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|one: char| one.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        let end = digits.find(|one: char| !one.is_ascii_digit()).unwrap_or(digits.len());
        let (run, after) = digits.split_at(end);
        masked.push_str(before);
        let (hidden, shown) = run.split_at(run.len().saturating_sub(DIGITS_SHOWN));
        if !hidden.is_empty() {
            masked.push('…');
        }
        masked.push_str(shown);
        rest = after;
    }
    masked.push_str(rest);
    masked
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn no_more_than_four_digits_of_a_number_are_shown() {
        assert_eq!(mask("CHECKING 000123456789 (2)"), "CHECKING …6789 (2)");
        assert_eq!(mask("4242"), "4242");
        assert_eq!(mask("Everyday"), "Everyday");
    }
}

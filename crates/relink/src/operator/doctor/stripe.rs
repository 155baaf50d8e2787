//! Stripe: whether the key is right, the clocks agree, and reads tell what is needed. Reads only.

use std::collections::BTreeSet;
use std::time::Duration;

use relink_core::id::{AccountId, AuthorizationId, Scope};
use relink_core::time::Time;
use relink_engine::clock::{Clock as _, SystemClock};
use relink_stripe::client::{CallError, Client, ClientConfig, EventFilter};
use relink_worker_followup::catch_up::listed_types;
use secrecy::ExposeSecret as _;

use super::line::{Check, Line};
use super::settings::Named;

/// All that is told of it.
pub(super) const CHECKS: [Check; 4] =
    [Check::StripeKey, Check::StripeClock, Check::StripePermissions, Check::StripePreview];

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(8);

/// A difference of clocks that a machine which keeps its time does not have, in seconds.
const SKEW_S: i64 = 10;

/// Ids that nobody has: whether they may be asked for is what is wanted to know.
const NO_ACCOUNT: &str = "fca_relinkdoctor";
const NO_AUTHORIZATION: &str = "fcauth_relinkdoctor";

/// Looks; `known`: the modes of what the database holds.
pub(super) async fn look(named: &Named, known: &BTreeSet<bool>, lines: &mut Vec<Line>) {
    let Some(stripe) = &named.stripe else { return };
    let Some(config) = &stripe.client else { return };
    let (config, livemode) = (impatient(config), stripe.livemode);
    let found = format!("a {}", kind_of(config.api_key.expose_secret(), livemode));
    let client = match Client::new(config) {
        Ok(client) => client,
        Err(error) => {
            lines.push(Line::fail(Check::StripeKey, error.to_string(), "correct the setting"));
            return;
        }
    };
    let scope = Scope::own(livemode.unwrap_or(known.contains(&true)));
    let asked = SystemClock.now();
    let types: Vec<&str> = listed_types().collect();
    let filter = EventFilter { types: &types, ..EventFilter::default() };
    let listed = client.events(&scope, &filter, None).await;
    let answered = SystemClock.now();

    let account = client.account(&scope, &AccountId::new(NO_ACCOUNT)).await.map(drop);
    lines.push(match [&listed.as_ref().map(drop), &account.as_ref().map(drop)] {
        [Err(CallError::Unauthorized(_)), _] | [_, Err(CallError::Unauthorized(_))] => Line::fail(
            Check::StripeKey,
            format!("{found}, which Stripe does not accept"),
            "make a new key in Stripe's dashboard and set RELINK_STRIPE_API_KEY",
        ),
        [Err(one), Err(_)] if one.is_retryable() => Line::fail(
            Check::StripeKey,
            format!("{found}; Stripe cannot be asked about it: {one}"),
            "is RELINK_STRIPE_API_BASE right, and reachable from here? Stripe's own state is at \
             status.stripe.com",
        ),
        _ => key(found, livemode, named.webhook_mode, known),
    });
    match &listed {
        Ok(page) => {
            let skew = skew(asked, page.date_unix_seconds, answered);
            lines.push(clock(skew, named.tolerance_s));
        }
        Err(error) => lines.push(Line::not_checked(
            Check::StripeClock,
            format!("not checked: events cannot be listed: {error}"),
            "",
        )),
    }
    lines.push(permissions(listed.map(drop), account));
    let authorization = AuthorizationId::new(NO_AUTHORIZATION);
    lines.push(preview(client.authorization(&scope, &authorization).await.map(drop)));
}

/// One try each, and a short one: a person waits, and whoever measures a clock must not repeat.
pub(super) fn impatient(config: &ClientConfig) -> ClientConfig {
    let mut config = config.clone();
    (config.timeout, config.connect_timeout, config.max_retries) = (ANSWER, ANSWER, 0);
    config
}

fn word(livemode: bool) -> &'static str {
    if livemode { "live" } else { "test" }
}

fn kind_of(key: &str, livemode: Option<bool>) -> String {
    let kind = match key.split('_').next() {
        Some("sk") => "secret key",
        Some("rk") => "restricted key",
        Some("pk") => "publishable key",
        Some("whsec") => "webhook's secret",
        _ => "key of unknown kind",
    };
    livemode.map_or(kind.to_owned(), |livemode| format!("{kind} of {} mode", word(livemode)))
}

fn key(
    found: String,
    livemode: Option<bool>,
    webhooks: Option<bool>,
    known: &BTreeSet<bool>,
) -> Line {
    let check = Check::StripeKey;
    let Some(livemode) = livemode else {
        return Line::warn(
            check,
            format!("{found}, whose mode cannot be told"),
            "take a key that begins with sk_live_, rk_live_, sk_test_ or rk_test_",
        );
    };
    let (own, other) = (word(livemode), word(!livemode));
    if webhooks == Some(!livemode) {
        return Line::fail(
            check,
            format!("{found}, and only webhooks of {other} mode are taken"),
            format!("set RELINK_WEBHOOK_MODE to {own}, or take a key of {other} mode"),
        );
    }
    if known.contains(&!livemode) && !known.contains(&livemode) {
        return Line::fail(
            check,
            format!("{found}, and the database knows accounts of {other} mode only"),
            format!("take a key of {other} mode: this one can read none of them"),
        );
    }
    if known.contains(&!livemode) {
        return Line::warn(
            check,
            format!("{found}, and the database knows accounts of {other} mode as well"),
            "those cannot be read back; give each mode a Relink of its own, or RELINK_WEBHOOK_MODE",
        );
    }
    Line::ok(check, found)
}

/// How far our clock is ahead of Stripe's, in seconds, at the least: Stripe's second lasts a
/// second, and was told somewhere between question and answer.
fn skew(asked: Time, date_s: i64, answered: Time) -> i64 {
    let (from, until) = (asked.0.div_euclid(1000), answered.0.div_euclid(1000));
    if from > date_s + 1 {
        from - date_s - 1
    } else if until < date_s {
        until - date_s
    } else {
        0
    }
}

fn clock(skew: i64, tolerance_s: i64) -> Line {
    let check = Check::StripeClock;
    let way = if skew > 0 { "ahead of" } else { "behind" };
    let found = format!("our clock is {} s {way} Stripe's", skew.abs());
    let advice = "set the clock by NTP (timedatectl, chronyc tracking)";
    if tolerance_s > 0 && skew.abs() >= tolerance_s {
        let found = format!("{found}: signatures count as too old or too new, webhooks get 400");
        return Line::fail(check, found, advice);
    }
    match skew.abs() {
        0 => Line::ok(check, "our clock agrees with Stripe's"),
        less if less < SKEW_S => Line::ok(check, found),
        _ => Line::warn(check, found, advice),
    }
}

fn permissions(events: Result<(), CallError>, account: Result<(), CallError>) -> Line {
    let check = Check::StripePermissions;
    let is_away =
        |answer: &Result<(), CallError>| answer.as_ref().is_err_and(CallError::is_retryable);
    if is_away(&events) && is_away(&account) {
        return Line::not_checked(check, "not checked: Stripe cannot be asked", "");
    }
    let mut lacking = Vec::new();
    for (what, answer) in [("events", events), ("Financial Connections", account)] {
        match answer {
            // There is no such account, which was permitted to be asked.
            Ok(()) | Err(CallError::NotFound(_)) => {}
            Err(error) => lacking.push(format!("{what}: {error}")),
        }
    }
    if lacking.is_empty() {
        return Line::ok(check, "the key may read events and Financial Connections");
    }
    Line::fail(
        check,
        format!("the key cannot read {}", lacking.join("; ")),
        "give the key read on Events and on Financial Connections in Stripe's dashboard, or see \
         status.stripe.com",
    )
}

/// An endpoint that only preview versions have tells by its 404 which one it is.
fn preview(answer: Result<(), CallError>) -> Line {
    let check = Check::StripePreview;
    match answer {
        Ok(()) | Err(CallError::NotFound(_)) => Line::ok(
            check,
            "authorizations can be read; whether sessions may relink is told by the first one",
        ),
        Err(error @ (CallError::Permission(_) | CallError::PreviewMissing(_))) => Line::fail(
            check,
            format!("authorizations cannot be read: {error}"),
            "set RELINK_STRIPE_API_VERSION to a *.preview version, and ask Stripe to enable the \
             preview of relinking for the account",
        ),
        Err(error) => Line::not_checked(check, format!("not checked: {error}"), ""),
    }
}

#[cfg(test)]
mod tests {
    use relink_stripe::client::Trace;

    use super::super::line::Level;
    use super::*;

    #[test]
    fn a_clock_is_off_by_what_no_second_between_question_and_answer_explains() {
        for (asked, date, answered, expected) in [
            (10_000, 10, 10_400, 0),
            (10_900, 10, 11_200, 0),
            (10_900, 11, 11_200, 0),
            (11_100, 10, 11_200, 0),
            (15_000, 10, 15_100, 4),
            (10_000, 14, 10_400, -4),
        ] {
            assert_eq!(skew(Time(asked), date, Time(answered)), expected, "{asked} {date}");
        }
        for (skew, tolerance, level) in [
            (0, 300, Level::Ok),
            (-5, 300, Level::Ok),
            (60, 300, Level::Warn),
            (-300, 300, Level::Fail),
            (900, 0, Level::Warn),
        ] {
            assert_eq!(clock(skew, tolerance).level, level, "{skew}");
        }
    }

    #[test]
    fn a_key_is_called_what_it_is() {
        for (key, livemode, expected) in [
            ("sk_live_1", Some(true), "secret key of live mode"),
            ("rk_test_1", Some(false), "restricted key of test mode"),
            ("pk_test_1", Some(false), "publishable key of test mode"),
            ("whsec_1", None, "webhook's secret"),
            ("hunter2", None, "key of unknown kind"),
        ] {
            assert_eq!(kind_of(key, livemode), expected);
        }
    }

    #[test]
    fn a_key_of_the_other_mode_is_told() {
        let level = |livemode, webhooks, known: &[bool]| {
            key("a key".into(), livemode, webhooks, &known.iter().copied().collect()).level
        };
        assert_eq!(level(Some(true), None, &[]), Level::Ok);
        assert_eq!(level(Some(true), Some(true), &[true]), Level::Ok);
        assert_eq!(level(Some(false), Some(true), &[]), Level::Fail);
        assert_eq!(level(Some(false), None, &[true]), Level::Fail);
        assert_eq!(level(Some(false), None, &[true, false]), Level::Warn);
        assert_eq!(level(None, None, &[]), Level::Warn);
    }

    #[test]
    fn only_a_missing_object_shows_that_it_might_be_asked_for() {
        let none = || CallError::NotFound(Trace::default());
        let refused = || CallError::Permission(Trace::default());
        assert_eq!(permissions(Ok(()), Err(none())).level, Level::Ok);
        assert_eq!(permissions(Err(refused()), Err(none())).level, Level::Fail);
        assert_eq!(preview(Err(none())).level, Level::Ok);
        assert_eq!(preview(Err(refused())).level, Level::Fail);
        assert_eq!(preview(Err(CallError::Timeout)).level, Level::NotChecked);
    }
}

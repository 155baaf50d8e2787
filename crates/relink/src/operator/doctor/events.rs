//! What events have been like: whether they say enough, and whether they come.

use relink_core::id::Scope;
use relink_core::input::{Deferred, Verdict};
use relink_core::time::{Second, Time};
use relink_engine::store::{InputKey, Store, StoreError, Tally};
use relink_stripe::client::{Client, EventFilter};
use relink_stripe::envelope::Envelope;
use relink_worker_followup::catch_up::{key, listed_types};
use serde_json::value::RawValue;

use super::line::{Check, Line};
use super::stripe::impatient;
use crate::output::counted;
use crate::settings::Stripe;

/// All that is told of them.
pub(super) const CHECKS: [Check; 2] = [Check::EventsDetails, Check::EventsArrival];

/// How many days of events are looked at.
const DAYS: i64 = 7;

const DAY_S: i64 = 86_400;

/// Younger events may still be on their way, in seconds.
const ON_THEIR_WAY_S: i64 = 300;

pub(super) async fn look(
    store: Option<&dyn Store>,
    stripe: Option<&Stripe>,
    now: Time,
    lines: &mut Vec<Line>,
) {
    let Some(store) = store else { return };
    let now = Second(now.0.div_euclid(1000));
    match store.tally(Second(now.0 - (DAYS - 1) * DAY_S), now).await {
        Ok(tally) => lines.push(details(&tally)),
        Err(error) => lines.push(unknown(Check::EventsDetails, &error)),
    }
    match arrival(store, stripe, now).await {
        Ok(line) => lines.push(line),
        Err(error) => lines.push(unknown(Check::EventsArrival, &error)),
    }
}

fn unknown(check: Check, error: &StoreError) -> Line {
    Line::not_checked(check, format!("not checked: {error}"), "")
}

/// The ledger knows no version, but what became of the bodies that one shaped.
fn details(tally: &[Tally]) -> Line {
    let check = Check::EventsDetails;
    let count = |verdict: Option<Deferred>| -> u64 {
        let is = |row: &&Tally| {
            row.is_event
                && verdict.is_none_or(|why| Verdict::Deferred(why).as_str() == &*row.verdict)
        };
        tally.iter().filter(is).map(|row| row.count.max(0).cast_unsigned()).sum()
    };
    let all = counted(count(None), "event");
    let (silent, thin) =
        (count(Some(Deferred::DetailsUnknown)), count(Some(Deferred::StateUnknown)));
    if silent + thin == 0 {
        return Line::ok(check, format!("{all} of the last {DAYS} days, none short of details"));
    }
    let mut parts = Vec::new();
    if silent > 0 {
        parts.push(format!("{silent} did not say why an account is inactive"));
    }
    if thin > 0 {
        parts.push(format!("{thin} were thin"));
    }
    Line::warn(
        check,
        format!("of {all} of the last {DAYS} days {}: each costs a read", parts.join(" and ")),
        "the event destination has no preview version, or is thin: make a new one with a *.preview \
         version and snapshot events, then delete the old one",
    )
}

/// Whether the newest event that Stripe made some minutes ago is here.
async fn arrival(
    store: &dyn Store,
    stripe: Option<&Stripe>,
    now: Second,
) -> Result<Line, StoreError> {
    let check = Check::EventsArrival;
    let heard = match store.latest_event(Second(now.0 - 30 * DAY_S)).await? {
        Some(at) => format!("the newest event is {} old", age(now.0 - at.0)),
        None => "no event of the last 30 days".to_owned(),
    };
    let client = stripe.and_then(|stripe| stripe.client.as_ref().map(|c| (stripe.livemode, c)));
    let Some((livemode, config)) = client else {
        let advice = "with RELINK_STRIPE_API_KEY it is compared with what Stripe has made";
        return Ok(Line::not_checked(check, format!("not compared: {heard}"), advice));
    };
    let not_compared =
        |why: &str| Line::not_checked(check, format!("not compared ({why}): {heard}"), "");
    let Some(livemode) = livemode else { return Ok(not_compared("the key names no mode")) };
    let Ok(client) = Client::new(impatient(config)) else {
        return Ok(not_compared("no client"));
    };
    let types: Vec<&str> = listed_types().collect();
    let filter = EventFilter { types: &types, ..EventFilter::default() };
    let page = match client.events(&Scope::own(livemode), &filter, None).await {
        Ok(page) => page,
        Err(error) => return Ok(not_compared(&error.to_string())),
    };
    let until = page.date_unix_seconds - ON_THEIR_WAY_S;
    let read = |event: &RawValue| -> Option<InputKey> {
        let envelope = Envelope::read(event.get().as_bytes()).ok()?;
        (envelope.created <= until).then(|| key(&envelope))
    };
    let Some(newest) = page.events.iter().find_map(|event| read(event)) else {
        let compared = match page.events.is_empty() {
            true => "Stripe has made none in 30 days",
            false => "what Stripe has made is younger than five minutes",
        };
        return Ok(Line::ok(check, format!("{heard}; {compared}")));
    };
    let is_here = store.seen(std::slice::from_ref(&newest)).await? == [true];
    Ok(match is_here {
        true => Line::ok(check, format!("{heard}; Stripe's newest has come")),
        false => Line::warn(
            check,
            format!(
                "{heard}; {}, which Stripe made {} ago, is not in the ledger",
                newest.id.as_str(),
                age(page.date_unix_seconds - newest.at.0)
            ),
            "see the destination's deliveries in Stripe's dashboard and `relink audit`; \
             `relink catch-up --write` fetches what is missing",
        ),
    })
}

/// In the largest unit that tells enough.
pub(super) fn age(seconds: i64) -> String {
    match seconds.max(0) {
        few if few < 120 => format!("{few} s"),
        some if some < 2 * 3600 => format!("{} min", some / 60),
        many if many < 2 * DAY_S => format!("{} h", many / 3600),
        days => format!("{} days", days / DAY_S),
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Level;
    use super::*;

    #[test]
    fn events_without_details_are_counted() {
        let row = |verdict: &str, is_event, count| Tally {
            day: 20_000,
            is_event,
            verdict: verdict.into(),
            count,
        };
        let good = [row("applied", true, 5), row("deferred(details_unknown)", false, 1)];
        assert_eq!(details(&good).level, Level::Ok);
        let line = details(&[row("applied", true, 5), row("deferred(details_unknown)", true, 2)]);
        assert_eq!(line.level, Level::Warn);
        assert!(line.found.starts_with("of 7 events of the last 7 days 2 did not"), "{line:?}");
        let thin = details(&[row("deferred(state_unknown)", true, 1)]);
        assert!(thin.found.contains("1 were thin"), "{thin:?}");
    }

    #[test]
    fn an_age_has_a_unit_that_fits() {
        let ages: Vec<String> = [5, 300, 7200, 300_000].into_iter().map(age).collect();
        assert_eq!(ages, ["5 s", "5 min", "2 h", "3 days"]);
    }
}

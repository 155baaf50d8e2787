//! Every example body against what it means, line by line, in `fixtures/expected.txt`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use relink_core::input::{Happened, Input};
use relink_core::observation::{
    AccountObservation, AuthorizationObservation, Details, Holder, RelinkOutcome,
    SessionObservation, Source, Stamp,
};
use relink_stripe::envelope::Envelope;
use relink_stripe::mapping;

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the folder of fixtures")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

fn or_dash(text: Option<&Arc<str>>) -> &str {
    text.map_or("-", |text| text)
}

fn quoted(text: Option<&Arc<str>>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| format!("\"{text}\""))
}

fn details(details: &Details) -> String {
    match details {
        Details::Absent => "-".to_owned(),
        Details::Inactive(details) => {
            format!("inactive({},{})", or_dash(details.cause.as_ref()), details.action.as_str())
        }
        Details::Active(None) => "active(none)".to_owned(),
        Details::Active(Some(forecast)) => format!(
            "active({},{},{})",
            forecast.date.0,
            forecast.action.as_str(),
            or_dash(forecast.cause.as_ref())
        ),
    }
}

fn holder(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "-".to_owned(), |holder| format!("{}:{}", holder.kind, holder.id))
}

fn numbers(observation: &AccountObservation) -> String {
    let Some(numbers) = &observation.numbers else {
        return "-".to_owned();
    };
    let entries: Vec<_> = numbers
        .iter()
        .map(|number| {
            let kind = if number.tokenized { "tokenized" } else { "real" };
            let expiry = number.expected_expiry.map_or("-".to_owned(), |at| at.0.to_string());
            format!("{kind}/{}/{expiry}", number.status)
        })
        .collect();
    format!("[{}]", entries.join(" "))
}

fn account(observation: &AccountObservation, indent: &str) -> String {
    let description = &observation.description;
    let permissions = description.permissions.as_ref().map_or("-".to_owned(), |p| p.join(" "));
    let linked = description.created.map_or("-".to_owned(), |at| at.0.to_string());
    let mut text = String::new();
    let mut line = |content: String| writeln!(text, "{indent}{content}").expect("a string");
    line(format!(
        "account {} {}{}",
        observation.account,
        observation.status.map_or("-", |status| status.as_str()),
        if observation.must_read { " must_read" } else { "" }
    ));
    line(format!("  details {}", details(&observation.details)));
    line(format!(
        "  authorization {} numbers {}",
        observation.authorization.as_ref().map_or("-", |id| id.as_str()),
        numbers(observation)
    ));
    line(format!(
        "  holder {} institution {} {}",
        holder(description.holder.as_ref()),
        or_dash(description.institution.as_ref()),
        quoted(description.institution_name.as_ref())
    ));
    line(format!(
        "  {} {} {} linked {linked} may {permissions}",
        or_dash(description.subcategory.as_ref()),
        quoted(description.display_name.as_ref()),
        or_dash(description.last4.as_ref())
    ));
    text
}

fn authorization(observation: &AuthorizationObservation) -> String {
    format!(
        "authorization {} {}\n  details {}\n  holder {} institution {} {}\n",
        observation.authorization,
        observation.status.map_or("-", |status| status.as_str()),
        details(&observation.details),
        holder(observation.holder.as_ref()),
        or_dash(observation.institution.as_ref()),
        quoted(observation.institution_name.as_ref())
    )
}

fn session(observation: &SessionObservation) -> String {
    let outcome = match &observation.outcome {
        None => "pending".to_owned(),
        Some(RelinkOutcome::Repaired) => "repaired".to_owned(),
        Some(RelinkOutcome::NewAuthorization(id)) => format!("new_authorization {id}"),
        Some(RelinkOutcome::Failed(reason)) => format!("failed {reason}"),
        Some(RelinkOutcome::Cancelled) => "cancelled".to_owned(),
        Some(RelinkOutcome::Abandoned) => "abandoned".to_owned(),
    };
    let accounts: String =
        observation.accounts.iter().map(|observation| account(observation, "  ")).collect();
    format!(
        "session {} of {}: {outcome}\n{accounts}",
        observation.session, observation.authorization
    )
}

fn stamps(happened: &Happened) -> Vec<Stamp> {
    match happened {
        Happened::AccountObserved(observation) => vec![observation.stamp],
        Happened::AuthorizationObserved(observation) => vec![observation.stamp],
        Happened::SessionObserved(observation) => {
            let accounts = observation.accounts.iter().map(|account| account.stamp);
            accounts.chain([observation.stamp]).collect()
        }
        _ => Vec::new(),
    }
}

fn summary(input: &Input) -> String {
    let happened = match &input.happened {
        Happened::AccountObserved(observation) => account(observation, ""),
        Happened::AuthorizationObserved(observation) => authorization(observation),
        Happened::SessionObserved(observation) => session(observation),
        Happened::Ignored(reason) => format!("ignored {}\n", reason.as_str()),
        other => format!("unexpected {other:?}\n"),
    };
    format!("{} {} at {} {}\n{happened}", input.id, input.kind, input.at.0, input.scope)
}

#[test]
fn every_example_means_what_the_reference_says() {
    let paths = fixtures();
    assert_eq!(paths.len(), 47);
    let mut actual = String::new();
    for path in paths {
        let body = fs::read(&path).expect("a fixture");
        let name = path.file_name().expect("a name").to_string_lossy();
        let input = mapping::input(&body).expect("a mappable fixture");
        for stamp in stamps(&input.happened) {
            assert_eq!(stamp, Stamp(input.at, Source::Event), "{name}");
        }
        write!(actual, "# {name}\n{}\n", summary(&input)).expect("a string");
    }
    let expected = include_str!("../fixtures/expected.txt");
    for (number, (actual, expected)) in actual.lines().zip(expected.lines()).enumerate() {
        assert_eq!(actual, expected, "line {} of expected.txt", number + 1);
    }
    assert_eq!(actual.lines().count(), expected.lines().count());
}

#[test]
fn the_envelope_and_the_mapping_agree_on_every_example() {
    for path in fixtures() {
        let body = fs::read(&path).expect("a fixture");
        let envelope = Envelope::read(&body).expect("an envelope");
        let input = mapping::input(&body).expect("a mappable fixture");
        assert!(envelope.is_financial_connections());
        assert_eq!(&*envelope.id, input.id.as_str());
        assert_eq!(&*envelope.kind, &*input.kind);
        assert_eq!(envelope.created, input.at.0);
        assert_eq!(envelope.livemode, input.scope.livemode);
        assert_eq!(envelope.stripe_account.as_deref(), input.scope.stripe_account.as_deref());
    }
}

//! Which events each verb makes, and what they leave behind.

use relink_sim::{
    Action, Cause, Change, Feature, GA_VERSION, Link, NumberStatus, Outcome, PREVIEW_VERSION,
    RefreshStatus, Relink, Sim, SimConfig, Target, Traffic, TrafficConfig, Verb,
};
use serde_json::json;

use crate::harness::{START, Schemas, still, types};

/// A link of two accounts, whose events are out of the way.
fn linked() -> (Sim, String, Vec<String>, usize) {
    let sim = Sim::new(still());
    let change = sim.link(Link::of("cus_1", "Harbor", 2)).unwrap();
    assert_eq!(types(&sim), ["account.created"; 2]);
    (sim, change.authorization.unwrap(), change.accounts, 2)
}

fn relink_of(authorization: &str) -> Relink {
    Relink { authorization: Some(authorization.into()), ..Relink::default() }
}

#[track_caller]
fn check(verb: impl FnOnce(&Sim, &str, &[String]) -> Change, expected: &[&str]) -> Sim {
    let (sim, authorization, accounts, before) = linked();
    let change = verb(&sim, &authorization, &accounts);
    assert_eq!(types(&sim)[before..], *expected);
    assert_eq!(change.events.len(), expected.len());
    sim
}

#[test]
fn each_verb_makes_the_events_the_documentation_names() {
    let gone = "account.deactivated";
    check(|sim, auth, _| sim.expire(auth).unwrap(), &[gone, gone]);
    check(|sim, auth, _| sim.break_link(auth).unwrap(), &[gone, gone]);
    check(|sim, auth, _| sim.deny(auth).unwrap(), &[gone, gone]);
    check(|sim, auth, _| sim.revoke(auth).unwrap(), &[gone, gone]);
    check(|sim, _, ids| sim.deny(&ids[0]).unwrap(), &[gone]);
    check(|sim, _, ids| sim.close(&ids[0]).unwrap(), &[gone]);
    check(|sim, _, ids| sim.unavailable(&ids[0]).unwrap(), &[gone]);
    check(|sim, _, ids| sim.disconnect(&ids[0]).unwrap(), &["account.disconnected"]);
    check(
        |sim, auth, _| sim.warn(auth, START + 1, None).unwrap(),
        &[
            "account.upcoming_deactivation",
            "account.upcoming_deactivation",
            "authorization.upcoming_deactivation",
        ],
    );
    check(
        |sim, auth, _| {
            sim.apply(Verb::MoveDate {
                authorization: auth.into(),
                expected_deactivation_date: None,
                action: None,
                cause: None,
            })
            .unwrap()
        },
        &[
            "account.expected_deactivation_date_updated",
            "account.expected_deactivation_date_updated",
            "authorization.expected_deactivation_date_updated",
        ],
    );
    for (feature, event) in [
        (Feature::Balance, "account.refreshed_balance"),
        (Feature::Ownership, "account.refreshed_ownership"),
        (Feature::Transactions, "account.refreshed_transactions"),
        (Feature::InferredBalances, "account.refreshed_inferred_balances"),
    ] {
        check(
            |sim, _, ids| sim.refresh(&ids[0], feature, RefreshStatus::Failed).unwrap(),
            &[event],
        );
    }
    check(
        |sim, _, ids| sim.numbers(&ids[0], NumberStatus::Expired, None).unwrap(),
        &["account.account_numbers_updated", "account.supported_payment_method_types_updated"],
    );
    check(
        |sim, _, ids| {
            sim.numbers(&ids[0], NumberStatus::Transactable, Some(START + 86_400)).unwrap()
        },
        &["account.upcoming_account_number_expiry"],
    );
}

#[test]
fn only_a_change_of_status_is_announced() {
    let (sim, authorization, accounts, _) = linked();
    sim.close(&accounts[0]).unwrap();
    let expired = sim.expire(&authorization).unwrap();
    assert_eq!(expired.accounts, accounts[1..]);
    assert_eq!(sim.account(&accounts[0]).unwrap()["status_details"]["inactive"]["action"], "none");
    assert_eq!(sim.expire(&authorization).unwrap().events.len(), 0);
}

#[test]
fn a_relink_brings_back_what_a_relink_can_repair() {
    let (sim, authorization, accounts, _) = linked();
    sim.close(&accounts[0]).unwrap();
    sim.expire(&authorization).unwrap();
    let relinked = sim.relink(relink_of(&authorization)).unwrap();
    assert_eq!((relinked.accounts, relinked.events.len()), (accounts[1..].to_vec(), 1));
    assert_eq!(sim.authorization(&authorization).unwrap()["status"], "active");
    assert_eq!(sim.account(&accounts[0]).unwrap()["status"], "inactive");
}

#[test]
fn silent_siblings_come_back_without_an_event() {
    let (sim, authorization, accounts, before) = linked();
    sim.expire(&authorization).unwrap();
    sim.relink(Relink { silent_siblings: true, ..relink_of(&authorization) }).unwrap();
    assert_eq!(types(&sim)[before + 2..], ["account.reactivated"]);
    for id in accounts {
        assert_eq!(sim.account(&id).unwrap()["status"], "active");
    }
}

#[test]
fn a_relink_before_the_date_only_clears_the_forecast() {
    let (sim, authorization, accounts, _) = linked();
    sim.warn(&authorization, START + 86_400, None).unwrap();
    assert_eq!(sim.relink(relink_of(&authorization)).unwrap().events.len(), 0);
    assert_eq!(sim.account(&accounts[0]).unwrap()["status_details"], json!({}));
    assert_eq!(sim.authorization(&authorization).unwrap()["status_details"], json!({}));
}

#[test]
fn a_new_authorization_takes_accounts_over_or_gets_new_ones() {
    let (sim, old, accounts, before) = linked();
    sim.expire(&old).unwrap();
    let some = Relink {
        accounts: Some(accounts[..1].to_vec()),
        new_authorization: true,
        send_session: true,
        ..relink_of(&old)
    };
    let moved = sim.relink(some).unwrap();
    let new = moved.authorization.unwrap();
    assert_ne!(new, old);
    assert_eq!(types(&sim)[before + 2..], ["account.reactivated", "session.updated"]);
    let at = |id: &str| sim.account(id).unwrap()["authorization"].clone();
    assert_eq!((at(&accounts[0]), at(&accounts[1])), (json!(new), json!(old)));

    let replaced = Relink { new_authorization: true, new_account_ids: true, ..relink_of(&old) };
    let replaced = sim.relink(replaced).unwrap();
    assert_ne!(replaced.accounts, accounts[1..]);
    assert_eq!(types(&sim).last().unwrap(), "account.created");
    assert_eq!(sim.account(&accounts[1]).unwrap()["status"], "inactive");
}

#[test]
fn a_failed_relink_changes_nothing_but_its_session() {
    for (outcome, status, reason) in [
        (Outcome::NoAccount, "succeeded", json!("no_account")),
        (Outcome::NoAuthorization, "failed", json!("no_authorization")),
        (Outcome::Failed, "failed", json!("other")),
        (Outcome::Cancelled, "cancelled", json!(null)),
    ] {
        let (sim, authorization, accounts, _) = linked();
        sim.expire(&authorization).unwrap();
        let failed = Relink { outcome, send_session: true, ..relink_of(&authorization) };
        assert_eq!(sim.relink(failed).unwrap().events.len(), 1);
        let event = sim.events().pop().unwrap();
        Schemas::of(PREVIEW_VERSION).check_event(&event);
        let session = &event["data"]["object"];
        assert_eq!(session["status"], status);
        assert_eq!(session["relink_result"]["failure_reason"], reason);
        assert_eq!(sim.account(&accounts[0]).unwrap()["status"], "inactive");
    }
}

#[test]
fn disconnected_is_final() {
    let (sim, authorization, accounts, _) = linked();
    for id in &accounts {
        sim.disconnect(id).unwrap();
    }
    assert_eq!(sim.authorization(&authorization).unwrap()["status"], "disconnected");
    assert!(sim.reactivate(&accounts[0]).is_err());
    assert!(sim.relink(relink_of(&authorization)).is_err());
    assert!(sim.close(&accounts[0]).is_err());
}

#[test]
fn values_of_tomorrow_can_be_told_today() {
    let (sim, _, accounts, _) = linked();
    let target = Target::from(accounts[0].as_str());
    let (cause, action) = (Cause::Other("new_cause".into()), Action::Other("new_action".into()));
    sim.apply(Verb::Deactivate { target, cause, action }).unwrap();
    let expected = json!({ "inactive": { "cause": "new_cause", "action": "new_action" } });
    assert_eq!(sim.account(&accounts[0]).unwrap()["status_details"], expected);
}

#[test]
fn the_same_seed_gives_the_same_ids_however_webhooks_travel() {
    let run = |config: SimConfig| {
        let sim = Sim::new(config);
        let linked = sim.link(Link::default()).unwrap();
        sim.expire(linked.authorization.as_deref().unwrap()).unwrap();
        sim.events()
    };
    let first = run(still());
    assert_eq!(first, run(still()));
    let mut lossy = SimConfig { webhook_url: Some("http://127.0.0.1:9".into()), ..still() };
    (lossy.delivery.lose, lossy.delivery.duplicate) = (0.5, 0.5);
    assert_eq!(first[1]["id"], run(lossy)[1]["id"]);
    assert_ne!(first[0]["id"], run(SimConfig { seed: 2, ..still() })[0]["id"]);
    let id = first[0]["data"]["object"]["id"].as_str().unwrap();
    assert!(id.starts_with("fca_1") && id.len() == 28, "{id}");
}

#[test]
fn traffic_is_what_the_published_schemas_say_in_both_versions() {
    for version in [PREVIEW_VERSION, GA_VERSION] {
        let schemas = Schemas::of(version);
        let sim = SimConfig { webhook_version: version.into(), ..still() };
        let traffic = || {
            let config = TrafficConfig { sim: sim.clone(), authorizations: 20, accounts: 3 };
            Traffic::new(config).take(300)
        };
        let mut kinds = Vec::new();
        for event in traffic() {
            let body = serde_json::from_slice(&event.body).unwrap();
            schemas.check_event(&body);
            kinds.push(event.kind.name());
        }
        kinds.sort_unstable();
        kinds.dedup();
        assert!(kinds.len() >= 6, "{kinds:?}");
        assert!(traffic().map(|event| event.id).eq(traffic().map(|event| event.id)));
    }
}

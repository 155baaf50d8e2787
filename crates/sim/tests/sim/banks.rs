//! The banks of Stripe's sandbox that have ways of their own.

use relink_sim::{GA_VERSION, Link, PREVIEW_VERSION, Relink, Sim, TestBank};
use serde_json::{Value, json};

use crate::harness::{Running, START, Schemas, still, types};

const DAY_S: i64 = 86_400;

fn linked(bank: TestBank) -> (Sim, String, Vec<String>) {
    let sim = Sim::new(still());
    let change = sim.link(Link::of("cus_1", bank.name(), 2)).unwrap();
    (sim, change.authorization.unwrap(), change.accounts)
}

fn relink_of(authorization: &str) -> Relink {
    Relink { authorization: Some(authorization.into()), ..Relink::default() }
}

#[test]
fn inactive_accounts_come_inactive_and_a_relink_repairs_them() {
    let (sim, authorization, accounts) = linked(TestBank::InactiveAccounts);
    assert_eq!(types(&sim), ["account.created"; 2], "they never were active");
    let body = sim.events().remove(0);
    Schemas::of(PREVIEW_VERSION).check_event(&body);
    let details = json!({ "inactive": { "action": "relink_required", "cause": "access_expired" } });
    let created = &body["data"]["object"];
    assert_eq!((&created["status"], &created["status_details"]), (&"inactive".into(), &details));
    assert_eq!(sim.authorization(&authorization).unwrap()["status"], "inactive");

    sim.relink(relink_of(&authorization)).unwrap();
    assert_eq!(types(&sim)[2..], ["account.reactivated"; 2]);
    assert_eq!(sim.account(&accounts[0]).unwrap()["status"], "active");
    assert_eq!(sim.authorization(&authorization).unwrap()["status"], "active");
}

#[test]
fn tokenized_numbers_expire_and_a_relink_renews_them() {
    let (sim, authorization, accounts) = linked(TestBank::TokenizedAccountNumbers);
    let expected = |expires: i64| {
        json!([{
            "expected_expiry_date": expires,
            "identifier_type": "tokenized_account_number",
            "status": "transactable",
            "supported_networks": ["ach"],
        }])
    };
    let numbers = || sim.account(&accounts[0]).unwrap()["account_numbers"].clone();
    assert_eq!(numbers(), expected(START + 90 * DAY_S));
    sim.advance(60 * DAY_S);
    let numbers_updated = "account.account_numbers_updated";
    sim.relink(relink_of(&authorization)).unwrap();
    assert_eq!(types(&sim)[2..], [numbers_updated, numbers_updated]);
    assert_eq!(numbers(), expected(START + 150 * DAY_S));
    // Where the relink makes another authorization its new accounts have such numbers, too.
    let anew =
        Relink { new_authorization: true, new_account_ids: true, ..relink_of(&authorization) };
    let id = sim.relink(anew).unwrap().accounts.remove(0);
    assert_eq!(sim.account(&id).unwrap()["account_numbers"], expected(START + 150 * DAY_S));
}

#[tokio::test]
async fn they_are_picked_by_id_or_name_and_shaped_by_version() {
    let running = Running::start(still()).await;
    let banks = running.sim.state()["institutions"].clone();
    let schemas = Schemas::of(PREVIEW_VERSION);
    for (bank, found) in TestBank::ALL.iter().zip(banks.as_array().unwrap()) {
        assert_eq!(found["name"], bank.name());
        schemas.check("financial_connections.institution", found);
        for institution in [&found["id"], &json!(bank.name().to_lowercase())] {
            let linked = running.control("link", json!({ "institution": institution })).await.body;
            assert_eq!(linked["authorization"]["institution"], found["id"]);
            let id = linked["accounts"][0]["id"].as_str().unwrap();
            for version in [GA_VERSION, PREVIEW_VERSION] {
                let path = format!("/v1/financial_connections/accounts/{id}");
                let account = running.get(&path, version).await.body;
                Schemas::of(version).check("financial_connections.account", &account);
            }
        }
    }
    let known = running.sim.state()["institutions"].as_array().map(Vec::len);
    assert_eq!(known, Some(2), "no bank of the same name is made");
    assert_ne!(banks[0]["id"], Value::Null);
}

//! Messages that cannot be applied, among those that can.

use bytes::Bytes;
use relink_bus::topology::WorkQueue;

use crate::bodies::{CREATED_S, account, deactivated, event, message, raw};
use crate::faults::Poison;
use crate::stand::Stand;
use relink_engine::store::Store as _;

async fn check(poison: Poison, reason: &str) {
    let stand = Stand::new();
    for id in ["evt_000", "evt_100", "evt_255"] {
        stand.store.poison(id, poison);
    }
    let batch = (0..256).map(|number| deactivated(&format!("{number:03}"))).collect();
    let answers = stand.run(batch).await;
    assert_eq!(answers, vec![Ok(()); 256]);
    let mut parked = stand.parked();
    parked.sort();
    let expected = ["evt_000", "evt_100", "evt_255"].map(|id| (id.to_owned(), reason.to_owned()));
    assert_eq!(parked.len(), 3);
    for ((id, why), (expected_id, expected_why)) in parked.iter().zip(&expected) {
        assert_eq!((id.as_str(), *why), (expected_id.as_str(), expected_why.as_str()));
    }
    assert_eq!(stand.counted("applied"), 253);
    for number in 0..256 {
        let known = stand.verdict(&format!("evt_{number:03}")).await.is_some();
        assert_eq!(known, ![0, 100, 255].contains(&number), "{number}");
    }
    assert_eq!(stand.wire.names().len(), 2 * 253, "mates have their effects once");
}

#[tokio::test(start_paused = true)]
async fn what_the_database_refuses_is_parked_alone() {
    check(Poison::Refused, "constraint").await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decided_is_parked_alone() {
    check(Poison::Undecided, "panicked").await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_nothing_but_poison_ends() {
    let stand = Stand::new();
    stand.store.poison("evt_", Poison::Refused);
    let batch = (0..64).map(|number| deactivated(&format!("{number}"))).collect();
    assert_eq!(stand.run(batch).await, vec![Ok(()); 64]);
    assert_eq!(stand.parked().len(), 64);
    assert_eq!(stand.counted("applied"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_read_is_parked_with_its_reason() {
    let stand = Stand::new();
    let kind = "financial_connections.account.deactivated";
    let batch = vec![
        deactivated("1"),
        raw("evt_cut", kind, Bytes::from_static(b"{\"id\":")),
        raw("evt_bytes", kind, Bytes::from_static(b"\xff\x00")),
        deactivated("2"),
    ];
    assert_eq!(stand.run(batch).await, [Ok(()); 4]);
    let mut parked = stand.parked();
    parked.sort();
    let unparsable = |id: &str| (id.to_owned(), "unparsable");
    assert_eq!(parked, [unparsable("evt_bytes"), unparsable("evt_cut")]);
    assert_eq!(stand.counted("applied"), 2);
    let lot = stand.lot.parked.lock().unwrap();
    assert!(lot.iter().all(|one| one.queue == WorkQueue::Lifecycle.name()));
    assert!(lot.iter().all(|one| !one.parking.error.contains("{\"id\"")), "no bodies in errors");
}

#[tokio::test(start_paused = true)]
async fn the_account_beyond_the_limit_is_parked_and_its_mates_are_applied() {
    let stand = Stand::new();
    let of = |number: usize| {
        let object = account(&format!("fca_{number}"), "fcauth_1", "inactive");
        message(&event(&format!("evt_{number:03}"), "account.deactivated", CREATED_S, &object))
    };
    let mut batch: Vec<_> = (0..201).map(of).collect();
    batch.push(deactivated("other"));
    assert_eq!(stand.run(batch).await, vec![Ok(()); 202]);
    assert_eq!(stand.parked(), [("evt_200".to_owned(), "too_many_accounts")]);
    assert_eq!(stand.store.find("fcauth_1").await.unwrap()[0].accounts.len(), 200);
    assert_eq!(stand.verdict("evt_other").await, Some("applied"));
    assert_eq!(stand.verdict("evt_200").await, None);
    // It is not in the ledger, so a repeat after room was made is not a duplicate.
    stand.run(vec![of(200)]).await;
    assert_eq!(stand.parked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_nul_in_a_text_or_an_id_harms_nobody_else() {
    let stand = Stand::new();
    let mut object = account("fca_1", "fcauth_1", "inactive");
    object["display_name"] = "a\0b".into();
    object["institution_name"] = "\0".into();
    object["status_details"]["inactive"]["cause"] = "odd\0cause".into();
    let text = event("evt_text", "account.deactivated", CREATED_S, &object);
    let id = event("evt\0id", "account.deactivated", CREATED_S, &object);
    let nul_object = account("fca_\0", "fcauth_1", "inactive");
    let object_id = event("evt_object", "account.deactivated", CREATED_S, &nul_object);
    let mut batch: Vec<_> = [&text, &id, &object_id].map(message).into();
    batch.push(deactivated("2"));
    assert_eq!(stand.run(batch).await, vec![Ok(()); 4]);
    let mut parked = stand.parked();
    parked.sort();
    assert_eq!(parked, [("evt\0id".to_owned(), "no_id"), ("evt_object".to_owned(), "impossible")]);
    assert!(stand.verdict("evt_text").await.is_some());
    assert_eq!(stand.verdict("evt_2").await, Some("applied"));
}

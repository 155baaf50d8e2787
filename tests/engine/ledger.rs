//! Nothing accepted is lost, and the counts say so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use relink_bus::message::Message;
use relink_core::policy::Policy;
use relink_core::time::Second;

use crate::bodies::{CREATED_S, account, event, message, raw};
use crate::faults::Poison;
use crate::stand::{QUEUE, Stand, settle_down};
use relink_engine::store::{Store as _, Tally};

const SEED: u64 = 20_261_122;

/// No event is made later: some time in 2096.
const LAST: Second = Second(4_000_000_000);

/// Facts about thirty accounts of ten authorizations, some of them broken, each up to thrice.
fn stream(random: &mut rand::rngs::StdRng) -> Vec<Message> {
    let mut messages = Vec::new();
    for number in 0..400_i64 {
        let who = number % 30;
        let (id, home) = (format!("fca_{who}"), format!("fcauth_{}", who % 10));
        let (stem, status) = match random.random_range(0..3) {
            0 => ("account.reactivated", "active"),
            1 => ("account.brand_new", "active"),
            _ => ("account.deactivated", "inactive"),
        };
        let object = account(&id, &home, status);
        let name = format!("evt_{number:03}");
        let one = message(&event(&name, stem, CREATED_S + number, &object));
        let one = match number % 40 {
            7 => raw(&name, &one.kind, Bytes::from_static(b"[]")),
            _ => one,
        };
        for _ in 0..random.random_range(1..=3) {
            messages.push(one.clone());
        }
    }
    messages.shuffle(random);
    messages
}

#[tokio::test(start_paused = true)]
async fn accepted_is_applied_or_ignored_or_parked() {
    let mut random = rand::rngs::StdRng::seed_from_u64(SEED);
    let stand = Stand::with(Policy::default());
    stand.store.poison("evt_05", Poison::Refused);
    stand.store.poison("evt_11", Poison::Undecided);
    let messages = stream(&mut random);
    let sent = messages.len() as u64;
    let ids: BTreeSet<String> = messages.iter().map(|one| one.id.to_string()).collect();
    // Half of it in batches, then a crash, then all of it again.
    let answers = stand.run(messages[..messages.len() / 2].to_vec()).await;
    assert!(answers.iter().all(Result::is_ok), "seed {SEED}");
    settle_down().await;
    let answers = stand.run(messages).await;
    assert!(answers.iter().all(Result::is_ok), "seed {SEED}");

    let mut verdicts: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    for Tally { verdict, count, .. } in stand.store.tally(Second(0), LAST).await.unwrap() {
        *verdicts.entry(verdict).or_default() += count;
    }
    let in_inbox: i64 = verdicts.values().sum();
    let parked: BTreeSet<String> = stand.parked().into_iter().map(|(id, _)| id).collect();
    assert_eq!(usize::try_from(in_inbox).unwrap() + parked.len(), ids.len(), "seed {SEED}");
    assert_eq!(parked.len(), 30, "ten unreadable, twenty poisoned; seed {SEED}");
    for id in &ids {
        let known = stand.verdict(id).await.is_some();
        assert_eq!(known, !parked.contains(id), "{id}; seed {SEED}");
    }

    // The metrics tell the same story.
    let metrics = &stand.engine.metrics;
    for (verdict, count) in &verdicts {
        assert_eq!(stand.counted(verdict), u64::try_from(*count).unwrap(), "{verdict}");
    }
    let deliveries = metrics.deliveries.with_label_values(&[QUEUE]).get();
    assert_eq!(deliveries, sent + sent / 2);
    let decided: u64 = verdicts.keys().map(|verdict| stand.counted(verdict)).sum();
    let set_aside: u64 = ["unparsable", "constraint", "panicked"]
        .map(|reason| metrics.parked.with_label_values(&[QUEUE, reason]).get())
        .iter()
        .sum();
    assert_eq!(decided + stand.counted("duplicate") + set_aside, deliveries);
    assert_eq!(set_aside, stand.parked().len() as u64);
    assert_eq!(stand.store.census().await.unwrap().parked, i64::try_from(set_aside).unwrap());
    let commands: u64 = relink_core::command::Body::NAMES
        .map(|name| metrics.commands.with_label_values(&[name]).get())
        .iter()
        .sum();
    assert_eq!(commands, stand.wire.ids().len() as u64);
    assert_eq!(metrics.published.get(), commands);
}

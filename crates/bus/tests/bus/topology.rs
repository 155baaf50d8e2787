//! Exchanges, queues and bindings: what the broker is told.

use std::collections::{BTreeMap, BTreeSet};

use relink_bus::topology::{
    Argument, DELIVERY_LIMIT, Exchange, FOLLOWUP_KEYS, OBSERVED_ACCOUNT_KEY,
    OBSERVED_AUTHORIZATION_KEY, OBSERVED_SESSION_KEY, PARKED_DELIVERY_LIMIT, Queue, RETRY_LADDER,
    UNKNOWN_TYPE_KEY, WorkQueue, is_bound, queues, queues_of,
};
use relink_core::command::Body;

/// Stripe's snapshot types (reference, section 3), without `financial_connections.`.
const SNAPSHOTS: [&str; 16] = [
    "account.created",
    "account.deactivated",
    "account.reactivated",
    "account.disconnected",
    "account.expected_deactivation_date_updated",
    "account.upcoming_deactivation",
    "account.account_numbers_updated",
    "account.upcoming_account_number_expiry",
    "account.supported_payment_method_types_updated",
    "account.refreshed_balance",
    "account.refreshed_ownership",
    "account.refreshed_transactions",
    "account.refreshed_inferred_balances",
    "authorization.expected_deactivation_date_updated",
    "authorization.upcoming_deactivation",
    "session.updated",
];

/// What can be refreshed, in the names of the thin-only types.
const FEATURES: [&str; 5] =
    ["balance", "inferred_balances", "ownership", "risk_intelligence", "transactions"];

fn stripe_keys() -> BTreeSet<String> {
    let outcomes = FEATURES.iter().flat_map(|feature| {
        ["succeeded", "failed"].map(|how| format!("account.{feature}_refresh_{how}"))
    });
    let snapshots = SNAPSHOTS.map(str::to_owned).into_iter();
    snapshots.chain(outcomes).map(|stem| format!("financial_connections.{stem}")).collect()
}

fn taking(exchange: Exchange, key: &str) -> Vec<WorkQueue> {
    let takes = |queue: &WorkQueue| queue.exchange() == exchange && queue.keys().contains(&key);
    WorkQueue::ALL.into_iter().filter(takes).collect()
}

fn argument<'a>(queue: &'a Queue, name: &str) -> Option<&'a Argument> {
    queue.arguments.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

fn text(value: &str) -> Argument {
    Argument::Text(value.to_owned())
}

#[test]
fn no_key_is_bound_twice() {
    let mut bound = BTreeMap::new();
    for queue in WorkQueue::ALL {
        for key in queue.keys() {
            assert_eq!(bound.insert((queue.exchange(), *key), queue), None, "{key}");
        }
    }
}

#[test]
fn every_type_of_stripe_is_bound_to_exactly_one_queue() {
    let stripe = stripe_keys();
    for key in &stripe {
        assert_eq!(taking(Exchange::Events, key).len(), 1, "{key}");
        assert!(is_bound(key), "{key}");
    }
    // And nothing else is, but what Relink sends itself.
    let own =
        [OBSERVED_ACCOUNT_KEY, OBSERVED_AUTHORIZATION_KEY, OBSERVED_SESSION_KEY, UNKNOWN_TYPE_KEY];
    let keys = WorkQueue::Lifecycle.keys().iter().chain(WorkQueue::Upcoming.keys());
    let bound: BTreeSet<String> = keys.map(|key| (*key).to_owned()).collect();
    assert_eq!(bound, stripe.into_iter().chain(own.map(str::to_owned)).collect());
}

#[test]
fn forecasts_go_to_their_own_queue_and_facts_never_do() {
    for key in stripe_keys() {
        let forecast = key.contains("upcoming_deactivation") || key.contains("expected_");
        let queue = if forecast { WorkQueue::Upcoming } else { WorkQueue::Lifecycle };
        assert_eq!(taking(Exchange::Events, &key), [queue], "{key}");
    }
}

#[test]
fn a_type_of_tomorrow_is_not_bound() {
    for key in ["financial_connections.account.brand_new", "relink.verify_accounts.v1", ""] {
        assert!(!is_bound(key), "{key}");
    }
    assert!(is_bound(UNKNOWN_TYPE_KEY), "where its copy goes");
}

#[test]
fn the_followup_worker_is_bound_to_commands_that_exist() {
    let names = Body::NAMES.map(relink_bus::envelope::command_type);
    for key in FOLLOWUP_KEYS {
        assert!(names.iter().any(|name| name == key), "{key}");
    }
}

#[test]
fn work_queues_limit_deliveries_and_set_aside_at_least_once() {
    // Positive: -1 drops on RabbitMQ 3.10.
    assert_ne!(DELIVERY_LIMIT.max(0), 0);
    for work in WorkQueue::ALL {
        let all = queues_of(work);
        let queue = all.iter().find(|queue| queue.name == work.name()).expect("the work queue");
        assert_eq!(argument(queue, "x-delivery-limit"), Some(&Argument::Number(DELIVERY_LIMIT)));
        assert_eq!(argument(queue, "x-dead-letter-routing-key"), Some(&text(work.parked())));
        let single = argument(queue, "x-single-active-consumer");
        let expected = (work == WorkQueue::Followup).then_some(&Argument::Switch(true));
        assert_eq!(single, expected, "{work:?}");
        let bound: Vec<_> = queue.bindings.iter().map(|(_, key)| *key).collect();
        assert_eq!(bound, work.keys());
    }
}

#[test]
fn looking_at_a_parked_queue_never_uses_up_its_deliveries() {
    for work in WorkQueue::ALL {
        let all = queues_of(work);
        let queue = all.iter().find(|queue| queue.name == work.parked()).expect("the parked queue");
        // Without a limit of its own RabbitMQ 4 sets one of 20; negative drops on 3.10.
        let limit = argument(queue, "x-delivery-limit");
        assert_eq!(limit, Some(&Argument::Number(PARKED_DELIVERY_LIMIT)));
        assert_ne!(PARKED_DELIVERY_LIMIT.max(1_000_000), 1_000_000);
    }
}

#[test]
fn every_queue_is_quorum_and_what_it_dead_letters_is_never_dropped() {
    for queue in queues() {
        assert_eq!(argument(&queue, "x-queue-type"), Some(&text("quorum")), "{}", queue.name);
        if argument(&queue, "x-dead-letter-exchange").is_some() {
            let strategy = argument(&queue, "x-dead-letter-strategy");
            assert_eq!(strategy, Some(&text("at-least-once")), "{}", queue.name);
            // Without it the strategy silently falls back to at-most-once.
            assert_eq!(argument(&queue, "x-overflow"), Some(&text("reject-publish")));
        }
        assert!(queue.arguments.is_sorted(), "{}", queue.name);
    }
}

#[test]
fn the_ladder_comes_back_to_its_queue_and_waits_longer_each_time() {
    assert!(RETRY_LADDER.is_sorted_by(|a, b| a.1 < b.1));
    for work in WorkQueue::ALL {
        for (rung, wait) in RETRY_LADDER {
            let name = format!("{}.retry.{rung}", work.name());
            let all = queues_of(work);
            let queue = all.iter().find(|queue| queue.name == name).expect("a rung");
            assert_eq!(argument(queue, "x-dead-letter-routing-key"), Some(&text(work.name())));
            let millis = i64::try_from(wait.as_millis()).expect("a short wait");
            assert_eq!(argument(queue, "x-message-ttl"), Some(&Argument::Number(millis)));
            assert!(queue.bindings.is_empty(), "addressed by name");
        }
    }
}

#[test]
fn a_queue_is_declared_after_those_it_dead_letters_to_and_once() {
    let names: Vec<String> = queues().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for work in WorkQueue::ALL {
        let place = |name: &str| names.iter().position(|known| known == name);
        assert!(place(work.parked()) < place(work.name()));
    }
}

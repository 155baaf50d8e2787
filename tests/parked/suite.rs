//! What holds on either bus.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use relink_bus::parked::{Fate, ParkedError, ParkedMessage, Visitor};
use relink_bus::port::{ParkReason, Parking, Settlement};
use relink_bus::topology::WorkQueue;
use relink_core::id::{Home, HomeKey, Scope};
use relink_core::input::{Ignored, Verdict};
use relink_core::time::Second;
use relink_engine::balance::Books;
use relink_engine::parked::{ParkedFilter, Reach, own_home};
use relink_tests::wait::until;
use tokio::sync::Notify;

use crate::world::{ALL, CREATED_S, World, command, event, raw};

const LIFECYCLE: WorkQueue = WorkQueue::Lifecycle;

pub(crate) async fn looking_changes_nothing(world: World) {
    world.park_events(&["evt_1", "evt_2", "evt_3"]).await;
    world.park(vec![command("cmd_1")], WorkQueue::Followup, ParkReason::Refused).await;
    for _ in 0..30 {
        let listed = world.list(&ParkedFilter::default()).await;
        assert_eq!(listed.total(), 4, "looking thirty times, more often than a default limit");
    }
    let listed = world.list(&ParkedFilter::default()).await;
    let counts: Vec<(WorkQueue, &str, u64)> =
        listed.counts.iter().map(|((queue, reason), count)| (*queue, &**reason, *count)).collect();
    assert_eq!(counts, [(LIFECYCLE, "constraint", 3), (WorkQueue::Followup, "refused", 1)]);
    assert_eq!(world.ids(&ParkedFilter::default()).await, ["evt_1", "evt_2", "evt_3", "cmd_1"]);
    assert!(listed.messages.iter().all(|one| one.delivery.body.is_empty()), "lists need no bodies");

    let one = world.one("evt_2").await;
    let sent = event("evt_2");
    assert_eq!((&one.delivery.body, &one.delivery.kind), (&sent.body, &Some(sent.kind)));
    assert_eq!((one.times(), one.delivery.headers.attempts), (1, 0));
    assert_eq!(one.delivery.timestamp_unix_s, Some(CREATED_S));
    assert_eq!(one.delivery.headers.traceparent, sent.headers.traceparent);
    assert_eq!((&*one.reason, &*one.error), ("constraint", "for a test"));
    assert!(one.first_failed_at_unix_ms.is_some() && one.parked_at_unix_ms.is_some());
    assert_eq!(world.one(&one.id).await, one, "by the name under which it is parked");
    assert_eq!(world.desk.show("evt_9", ALL).await.unwrap(), []);
}

pub(crate) async fn what_is_put_back_comes_again_and_counts(world: World) {
    world.park_events(&["evt_1", "evt_2"]).await;
    assert_eq!(world.requeue(&ParkedFilter::of("evt_1"), ALL).await, 1);
    let again = world.deliveries(LIFECYCLE, 1).await;
    assert_eq!(again[0].id.as_deref(), Some("evt_1"));
    assert_eq!(again[0].body, event("evt_1").body);
    assert_eq!((again[0].headers.requeues, again[0].headers.attempts), (1, 0));
    assert_eq!(again[0].headers.livemode, Some(true));
    // It fails once more, for another reason.
    let parking = Parking::new(ParkReason::Panicked, "once more");
    world.settle(LIFECYCLE, &again, &Settlement::Park(parking)).await;
    world.until_parked(2).await;
    let parked = world.one("evt_1").await;
    assert_eq!((parked.times(), &*parked.reason, &*parked.error), (2, "panicked", "once more"));
    // And then it is accepted.
    assert_eq!(world.requeue(&ParkedFilter::of(&parked.id), ALL).await, 1);
    let third = world.deliveries(LIFECYCLE, 1).await;
    assert_eq!(third[0].headers.requeues, 2);
    world.settle(LIFECYCLE, &third, &Settlement::Accept).await;
    world.until_parked(1).await;
    assert_eq!(world.ids(&ParkedFilter::default()).await, ["evt_2"]);
}

pub(crate) async fn a_filter_chooses(world: World) {
    world.park_events(&["evt_1"]).await;
    world.park(vec![event("evt_2")], LIFECYCLE, ParkReason::Unparsable).await;
    world.park(vec![command("cmd_1")], WorkQueue::Followup, ParkReason::Refused).await;
    let of = |filter: ParkedFilter| {
        let world = &world;
        async move { world.ids(&filter).await }
    };
    let all = ParkedFilter::default;
    let queue = Some(WorkQueue::Followup);
    assert_eq!(of(ParkedFilter { queue, ..all() }).await, ["cmd_1"]);
    assert_eq!(of(ParkedFilter { reason: Some("unparsable".into()), ..all() }).await, ["evt_2"]);
    let kind = |kind: &str| ParkedFilter { kind: Some(kind.into()), ..ParkedFilter::default() };
    assert_eq!(of(kind("relink.*")).await, ["cmd_1"]);
    assert_eq!(of(kind("financial_connections.account.created")).await, ["evt_1", "evt_2"]);
    assert_eq!(of(kind("financial_connections.account")).await, Vec::<String>::new());
    let at = world.one("evt_1").await.parked_at_unix_ms.unwrap();
    assert_eq!(of(ParkedFilter { until_unix_ms: Some(at - 1), ..all() }).await.len(), 0);
    assert_eq!(of(ParkedFilter { since_unix_ms: Some(at), ..all() }).await.len(), 3);
    let ids: Vec<Arc<str>> = vec!["evt_2".into(), "cmd_1".into(), "evt_9".into()];
    let some = ParkedFilter { ids, ..all() };
    assert_eq!(of(some.clone()).await, ["evt_2", "cmd_1"]);
    assert_eq!(world.requeue(&some, ALL).await, 2);
    assert_eq!(world.deliveries(LIFECYCLE, 1).await[0].id.as_deref(), Some("evt_2"));
    let command = world.deliveries(WorkQueue::Followup, 1).await;
    assert_eq!(command[0].id.as_deref(), Some("cmd_1"));
    assert_eq!(command[0].correlation.as_deref(), Some("evt_0"));
    assert_eq!(world.ids(&all()).await, ["evt_1"]);
}

/// More than what is asked for ahead, and a stop in the middle of it.
pub(crate) async fn many_are_met_once_each(world: World) {
    let ids: Vec<String> = (0..100).map(|number| format!("evt_{number:03}")).collect();
    for some in ids.chunks(10) {
        let messages = some.iter().map(|id| event(id)).collect();
        world.park(messages, LIFECYCLE, ParkReason::Constraint).await;
    }
    let sorted = async |world: &World| {
        let mut found = world.ids(&ParkedFilter::default()).await;
        found.sort();
        found
    };
    assert_eq!(sorted(&world).await, ids);
    let taken = async |count: usize| {
        let back = world.deliveries(LIFECYCLE, count).await;
        world.settle(LIFECYCLE, &back, &Settlement::Accept).await;
        back.into_iter().map(|delivery| delivery.id.unwrap().to_string()).collect::<Vec<_>>()
    };
    let one = ParkedFilter::of("evt_050");
    assert_eq!(world.requeue(&one, Reach { at_most: 1, ..ALL }).await, 1);
    assert_eq!(taken(1).await, ["evt_050"]);
    assert_eq!(world.requeue(&ParkedFilter::default(), Reach { at_most: 40, ..ALL }).await, 40);
    world.until_parked(59).await;
    let mut all = sorted(&world).await;
    all.push("evt_050".to_owned());
    while all.len() < ids.len() {
        all.extend(taken(1).await);
    }
    all.sort();
    assert_eq!(all, ids);
}

pub(crate) async fn a_limit_stops(world: World) {
    world.park_events(&["evt_1", "evt_2", "evt_3", "evt_4"]).await;
    assert_eq!(world.requeue(&ParkedFilter::default(), Reach { at_most: 2, ..ALL }).await, 2);
    world.until_parked(2).await;
    let mut all = world.ids(&ParkedFilter::default()).await;
    for delivery in world.deliveries(LIFECYCLE, 2).await {
        all.push(delivery.id.unwrap().to_string());
    }
    all.sort();
    assert_eq!(all, ["evt_1", "evt_2", "evt_3", "evt_4"]);
    let near = Reach { looked_at: 1, ..ALL };
    let listed = world.desk.list(&ParkedFilter::of("evt_9"), near).await.unwrap();
    assert!(listed.is_cut && listed.messages.is_empty());
    assert_eq!(world.requeue(&ParkedFilter::of("evt_9"), near).await, 0);
    let listed = world.desk.list(&ParkedFilter::default(), Reach { at_most: 1, ..ALL }).await;
    let listed = listed.unwrap();
    assert_eq!((listed.messages.len(), listed.total(), listed.is_cut), (1, 2, false));
}

fn live() -> Scope {
    Scope::own(true)
}

pub(crate) async fn a_drop_is_recorded_and_then_gone(world: World) {
    world.park_events(&["evt_1", "evt_2"]).await;
    world.park(vec![command("cmd_1")], WorkQueue::Followup, ParkReason::Refused).await;
    let ids = vec!["evt_1".into(), "cmd_1".into()];
    let some = ParkedFilter { ids, ..ParkedFilter::default() };
    assert_eq!(world.drop_all(&some).await, 2);
    world.until_parked(1).await;
    assert_eq!(world.ids(&ParkedFilter::default()).await, ["evt_2"]);
    let row = world.store.inbox_row("evt_1").await.unwrap().unwrap();
    assert_eq!(row.verdict, Verdict::Ignored(Ignored::Dropped));
    assert_eq!((row.at, &row.scope), (Second(CREATED_S), &live()));
    let told = world.store.input_history(&row, 9).await.unwrap();
    assert_eq!(told.len(), 1);
    for part in ["it was a test", "constraint", "relink.lifecycle.parked"] {
        assert!(told[0].note.contains(part), "{}", told[0].note);
    }
    // A command is no part of the ledger, but of its authorization's history.
    assert_eq!(world.store.inbox_row("cmd_1").await.unwrap(), None);
    let home = HomeKey { scope: live(), home: Home::Authorization("fcauth_1".into()) };
    let told = world.store.history(&home, None, 9).await.unwrap();
    assert_eq!(told.iter().filter(|row| row.input.as_str() == "cmd_1").count(), 1);
    // Who knows nothing but its id finds it as well.
    let own = HomeKey { scope: live(), home: own_home("cmd_1") };
    let told = world.store.history(&own, None, 9).await.unwrap();
    assert_eq!(told.len(), 1);
    assert!(&*told[0].verdict == "ignored(dropped)" && told[0].note.contains("it was a test"));
}

pub(crate) async fn a_drop_of_what_nobody_can_read_is_recorded_under_its_name(world: World) {
    let bodies = [&b"<xml/>"[..], b"", b"{\xff}", b"[1]"];
    let messages = (0..)
        .zip(bodies)
        .map(|(number, body)| raw(&format!("evt_{number}"), Bytes::from_static(body)));
    world.park(messages.collect(), LIFECYCLE, ParkReason::Unparsable).await;
    world.park(vec![raw("evt\0odd", Bytes::new())], LIFECYCLE, ParkReason::NoId).await;
    assert_eq!(world.drop_all(&ParkedFilter::default()).await, 5);
    world.until_parked(0).await;
    for id in ["evt_0", "evt_1", "evt_2", "evt_3", "evtodd"] {
        let row = world.store.inbox_row(id).await.unwrap().unwrap();
        assert_eq!((row.verdict.as_str(), row.at), ("ignored(dropped)", Second(CREATED_S)), "{id}");
        let told = world.store.input_history(&row, 9).await.unwrap();
        assert!(told[0].note.ends_with(": it was a test"), "{}", told[0].note);
    }
}

pub(crate) async fn a_dropped_event_stays_dropped(world: World) {
    world.park_events(&["evt_1", "evt_1"]).await;
    let first = world.list(&ParkedFilter::default()).await.messages.remove(0);
    assert_eq!(world.drop_all(&ParkedFilter::of(&first.id)).await, 1);
    // The other copy: the ledger has its event already, and history says it twice.
    assert_eq!(world.drop_all(&ParkedFilter::of("evt_1")).await, 1);
    world.until_parked(0).await;
    let row = world.store.inbox_row("evt_1").await.unwrap().unwrap();
    assert_eq!(world.store.input_history(&row, 9).await.unwrap().len(), 2);
}

/// Waits at the second message until it is told, or for ever.
struct Waiting {
    fate: Fate,
    met: Vec<String>,
    reached: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[async_trait]
impl Visitor for Waiting {
    async fn visit(&mut self, message: ParkedMessage) -> Fate {
        self.met.push(message.delivery.id.as_deref().unwrap_or_default().to_owned());
        if self.met.len() == 2 {
            self.reached.notify_one();
            self.go_on.notified().await;
        }
        self.fate
    }
}

fn waiting() -> Waiting {
    Waiting { fate: Fate::Requeue, met: Vec::new(), reached: Arc::default(), go_on: Arc::default() }
}

pub(crate) async fn a_walk_that_is_given_up_loses_nothing(world: World) {
    world.park_events(&["evt_1", "evt_2", "evt_3"]).await;
    let mut visitor = waiting();
    let reached = Arc::clone(&visitor.reached);
    tokio::select! {
        _ = world.desk.lot.walk(LIFECYCLE, &mut visitor) => panic!("nobody told it to go on"),
        () = reached.notified() => {}
    }
    world.until_parked(2).await;
    let mut all = world.ids(&ParkedFilter::default()).await;
    all.push(world.deliveries(LIFECYCLE, 1).await[0].id.as_deref().unwrap().to_owned());
    all.sort();
    assert_eq!(all, ["evt_1", "evt_2", "evt_3"]);
}

pub(crate) async fn two_who_look_at_once_see_everything(world: World) {
    world.park_events(&["evt_1", "evt_2", "evt_3"]).await;
    let mut visitor = Waiting { fate: Fate::Leave, ..waiting() };
    let (reached, go_on) = (Arc::clone(&visitor.reached), Arc::clone(&visitor.go_on));
    let lot = Arc::clone(&world.desk.lot);
    let walking = tokio::spawn(async move { lot.walk(LIFECYCLE, &mut visitor).await });
    reached.notified().await;
    // Whoever does not wait is told all, or that somebody else looks.
    let (hasty, all) = (&world.hasty, ParkedFilter::default());
    match hasty.list(&all, ALL).await {
        Ok(listed) => assert_eq!(listed.total(), 3),
        Err(error) => assert_eq!(error, ParkedError::Busy),
    }
    match hasty.lot.depths().await {
        Ok(depths) => assert_eq!(depths[0].parked, 3),
        Err(error) => assert_eq!(error, ParkedError::Busy),
    }
    let told = hasty.requeue(&ParkedFilter::of("evt_9"), ALL, Duration::ZERO, &mut |_| {}).await;
    assert!(told.trouble.is_none_or(|trouble| trouble == ParkedError::Busy));
    // Whoever waits is told all; in the same process and in another one.
    let patient = &world.patient;
    let (listing, depths, same) = (patient.list(&all, ALL), patient.lot.depths(), world.list(&all));
    go_on.notify_one();
    let (listed, depths, same) = tokio::join!(listing, depths, same);
    assert_eq!((listed.unwrap().total(), depths.unwrap()[0].parked, same.total()), (3, 3, 3));
    assert_eq!(walking.await.unwrap().trouble, None);
    // Whoever is killed leaves nothing taken.
    let mut visitor = Waiting { fate: Fate::Leave, ..waiting() };
    let reached = Arc::clone(&visitor.reached);
    tokio::select! {
        _ = patient.lot.walk(LIFECYCLE, &mut visitor) => panic!("nobody told it to go on"),
        () = reached.notified() => {}
    }
    until(async || match hasty.list(&all, ALL).await {
        Ok(listed) if listed.total() == 3 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
}

pub(crate) async fn two_who_put_back_at_once_count_each_message_once(world: World) {
    world.park_events(&["evt_1", "evt_2", "evt_3"]).await;
    let all = ParkedFilter::default();
    let mut tell = |_: &ParkedMessage| {};
    let mut tell_other = |_: &ParkedMessage| {};
    let (one, other) = tokio::join!(
        world.desk.requeue(&all, ALL, Duration::ZERO, &mut tell),
        world.patient.requeue(&all, ALL, Duration::ZERO, &mut tell_other),
    );
    assert_eq!((one.trouble, other.trouble), (None, None));
    assert_eq!(one.carried_out + other.carried_out, 3);
    assert_eq!(world.deliveries(LIFECYCLE, 3).await.len(), 3);
    assert_eq!(world.ids(&all).await, Vec::<String>::new());
}

pub(crate) async fn what_was_parked_during_a_walk_is_not_met_by_it(world: World) {
    world.park_events(&["evt_1", "evt_2"]).await;
    let mut visitor = waiting();
    let (reached, go_on) = (Arc::clone(&visitor.reached), Arc::clone(&visitor.go_on));
    let lot = Arc::clone(&world.desk.lot);
    let walking = tokio::spawn(async move {
        let walked = lot.walk(LIFECYCLE, &mut visitor).await;
        (walked, visitor.met)
    });
    reached.notified().await;
    // What was put back fails at once: were it met again, this would never end.
    let again = world.deliveries(LIFECYCLE, 1).await;
    let parking = Parking::new(ParkReason::Constraint, "at once");
    world.settle(LIFECYCLE, &again, &Settlement::Park(parking)).await;
    go_on.notify_one();
    let (walked, met) = walking.await.unwrap();
    assert_eq!((walked.carried_out, walked.trouble), (2, None));
    assert_eq!(met.len(), 2);
    assert_eq!(again[0].id.as_deref(), Some(&*met[0]));
    assert_eq!(world.deliveries(LIFECYCLE, 1).await[0].id.as_deref(), Some(&*met[1]));
    world.until_parked(1).await;
    assert_eq!(world.one(&met[0]).await.times(), 2);
}

pub(crate) async fn the_books_balance(world: World) {
    world.park_events(&["evt_1", "evt_2", "evt_2", "evt_3"]).await;
    world.park(vec![command("cmd_1")], WorkQueue::Followup, ParkReason::Refused).await;
    world.drop_all(&ParkedFilter::of("evt_3")).await;
    let day = CREATED_S.div_euclid(86_400);
    let of = async |at: i64| {
        let (store, lot) = (&*world.store, &*world.desk.lot);
        Books::of(store, lot, Second(at), Second(at)).await.unwrap()
    };
    let books = of(CREATED_S).await;
    let of_day = &books.days[&day];
    assert_eq!((of_day.parked, of_day.ignored(), of_day.applied()), (2, 1, 0), "each event once");
    assert_eq!(of_day.accepted(), 3);
    assert_eq!((books.parked_commands, books.parked_unfiled, books.observations), (1, 0, 0));
    let other = of(CREATED_S - 86_400).await;
    assert!(other.days.is_empty());
    let depths = world.desk.lot.depths().await.unwrap();
    assert_eq!(depths.iter().map(|depth| depth.parked).collect::<Vec<_>>(), [3, 0, 1]);
    assert_eq!(depths.iter().map(|depth| depth.ready + depth.retrying).sum::<u64>(), 0);
}

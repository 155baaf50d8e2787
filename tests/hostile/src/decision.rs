//! Short histories of odd events, decided one after the other.

use relink_bus::envelope::{CloudEvent, command_type, encode_command};
use relink_core::aggregate::Aggregate;
use relink_core::decide::decide;
use relink_core::id::{HomeKey, InputId, Scope};
use relink_core::input::{Happened, Input};
use relink_core::invariant;
use relink_core::policy::Policy;
use relink_core::time::{Second, Span, Time};
use relink_core::world::World;
use relink_engine::row;
use relink_stripe::mapping;
use serde_json::{Value, json};

use crate::seed::EVENTS;
use crate::source::Source;

/// About when the example events were made.
const START: i64 = 1_790_000_000;

/// The longest short string of AMQP 0-9-1.
const SHORT_STRING_BYTES_MAX: usize = 255;

/// Days by which the clock, and the events, go on.
const STEPS_S: [i64; 8] = [0, 1, 5, 6, 3_600, 86_400, 7 * 86_400, 40 * 86_400];

/// So few that one history meets each of them again.
const ACCOUNTS: [&str; 4] = ["fca_1", "fca_2", "fca_3", "fca_4"];
const AUTHORIZATIONS: [&str; 2] = ["fcauth_1", "fcauth_2"];

/// Nothing panics, the numbered invariants hold, deciding again decides the same, and states and
/// commands are what they were after they were written and read.
pub(crate) fn run(source: &mut Source<'_>) {
    let settle = *source.pick(&[0, 5]);
    let policy = Policy { settle: Span::seconds(settle), ..Policy::default() };
    let mut world = World::default();
    let mut now = Time(START * 1000);
    for number in 0..=source.below(7) {
        now = now.after(Span::seconds(*source.pick(&STEPS_S)));
        let Some(input) = input(source, &world, number) else { continue };
        let mut again = world.clone();
        let decision = decide(&mut world, &input, &policy, now);
        let repeated = decide(&mut again, &input, &policy, now);
        assert_eq!(decision, repeated, "deciding again decides the same");
        // Those that were not touched may wait for a timer that is due by now.
        for aggregate in world.changed_homes.iter().filter_map(|home| world.get(home)) {
            let held = invariant::check(aggregate, &policy, now);
            assert!(held.is_ok(), "{held:?} after {input:?}");
        }
        world = stored(&world);
        let Ok(decision) = decision else { continue };
        for command in &decision.commands {
            let body = encode_command(command, &input.scope, now).unwrap();
            let read: CloudEvent<Value> = serde_json::from_slice(&body).unwrap();
            assert_eq!(read.id, command.id.as_str());
            assert_eq!(read.kind, command_type(command.body.name()));
            assert!(read.id.len() <= SHORT_STRING_BYTES_MAX, "{}", read.id);
            assert!(command.correlation.len() <= SHORT_STRING_BYTES_MAX);
        }
    }
}

/// The world as the next transaction loads it.
fn stored(world: &World) -> World {
    let mut loaded = World::default();
    for aggregate in world.aggregates().filter(|one| !one.is_void()) {
        let mut again = Aggregate::new(aggregate.key.clone());
        again.state = row::state(&row::json(&aggregate.state).unwrap()).unwrap();
        assert_eq!(again.state, aggregate.state);
        for (id, account) in &aggregate.accounts {
            let read = row::account(&row::json(account).unwrap()).unwrap();
            assert_eq!(read, *account);
            again.accounts.insert(id.clone(), read);
        }
        loaded.insert(again);
    }
    loaded
}

fn input(source: &mut Source<'_>, world: &World, number: usize) -> Option<Input> {
    let ours = |happened| Input {
        id: InputId::new(format!("in_{number}")),
        scope: Scope::own(true),
        kind: "relink.observed.account".into(),
        at: Second(START),
        happened,
    };
    match source.below(8) {
        0 => Some(ours(Happened::TimerDue(home(source, world)?))),
        1 => Some(ours(Happened::AccountMissing(account(source).into()))),
        2 => Some(ours(Happened::AuthorizationMissing(authorization(source).into()))),
        _ => mapping::input(&body(source, number)).ok(),
    }
}

fn home(source: &mut Source<'_>, world: &World) -> Option<HomeKey> {
    let homes: Vec<HomeKey> = world.aggregates().map(|one| one.key.clone()).collect();
    (!homes.is_empty()).then(|| source.pick(&homes).clone())
}

fn account(source: &mut Source<'_>) -> &'static str {
    ACCOUNTS[source.below(ACCOUNTS.len())]
}

fn authorization(source: &mut Source<'_>) -> &'static str {
    AUTHORIZATIONS[source.below(AUTHORIZATIONS.len())]
}

/// An event about one of a few accounts, so that one meets what another has left.
fn body(source: &mut Source<'_>, number: usize) -> Vec<u8> {
    let mut event = source.pick(&EVENTS.documents).clone();
    let inner = if event.get("detail").is_some() { "/detail" } else { "" };
    let places = source.below(3);
    source.alter(&mut event, &EVENTS.names, places);
    let created = START + source.pick(&STEPS_S) + i64::from(source.byte() % 4);
    let (account, authorization) = (account(source), authorization(source));
    put(&mut event, &format!("{inner}/id"), json!(format!("evt_{number}")));
    put(&mut event, &format!("{inner}/livemode"), json!(true));
    let is_thin = event.get("object").is_some_and(|object| object == "v2.core.event");
    if !is_thin {
        put(&mut event, &format!("{inner}/created"), json!(created));
    }
    put(&mut event, &format!("{inner}/data/object/authorization"), json!(authorization));
    for (place, starts) in [("/data/object/id", ""), ("/related_object/id", "")] {
        let place = format!("{inner}{place}");
        let known = event.pointer(&place).and_then(Value::as_str).unwrap_or(starts);
        let id = match known.split('_').next() {
            Some("fca") => account,
            Some("fcauth") => authorization,
            Some("fcsess") => "fcsess_1",
            _ => continue,
        };
        put(&mut event, &place, json!(id));
    }
    if let Some(Value::Array(accounts)) =
        event.pointer_mut(&format!("{inner}/data/object/accounts/data"))
    {
        for one in accounts.iter_mut().filter(|one| one.is_object()) {
            one["id"] = json!(account);
            one["authorization"] = json!(authorization);
        }
    }
    event.to_string().into_bytes()
}

/// Only where there is something: what is absent is another story.
fn put(event: &mut Value, place: &str, value: Value) {
    if let Some(known) = event.pointer_mut(place)
        && !known.is_null()
    {
        *known = value;
    }
}

//! What a person does with messages that were set aside, with the real binary on either bus.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use relink_tests::foreign::Foreign;
use relink_tests::http::Connection;
use relink_tests::place::Place;
use relink_tests::process::{Process, Settings, free_address, run};
use relink_tests::role::{Role, WEBHOOK_SECRET, start};
use relink_tests::send::{now_unix_s, post};
use relink_tests::stage::Stage;
use relink_tests::wait::until;
use serde_json::{Value, json};

use crate::progress::before_a_terminal;

const CREATED: &str = "financial_connections.account.created";

/// Enough that a kill falls into the middle of them.
const MANY: usize = 150;

/// Runs `relink` and hands over its exit code, what it printed and what it said.
async fn told(arguments: &[&str], settings: &Settings) -> (i32, String, String) {
    let output = run(arguments, settings).await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs `relink parked … --json`, which must succeed.
async fn parked(arguments: &[&str], settings: &Settings) -> Value {
    let all = [&["parked"], arguments, &["--json"]].concat();
    let (code, printed, said) = told(&all, settings).await;
    assert_eq!(code, 0, "relink {all:?}: {said}");
    serde_json::from_str(&printed).unwrap()
}

async fn until_parked(count: usize, times: u64, settings: &Settings) -> Value {
    until(async || {
        let listed = parked(&["list", "--limit", "1000"], settings).await;
        let messages = listed["messages"].as_array().unwrap();
        let as_often = messages.iter().all(|one| one["times"] == times);
        if listed["parked"] == count && as_often { Ok(listed) } else { Err(listed.to_string()) }
    })
    .await
}

/// An event that passes for one at the door and for none at the desk.
fn hopeless(id: &str) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2026-09-30.preview", "livemode": true,
        "created": now_unix_s(), "type": CREATED,
        "data": { "object": null, "client_secret": "fcsess_1_secret_x" },
    })
}

/// The whole story of one message, which is the same on either bus.
async fn a_message_goes_round(id: &str, settings: &Settings) {
    let listed = until_parked(1, 1, settings).await;
    assert_eq!(
        listed["counts"],
        json!([{ "queue": "lifecycle", "reason": "impossible", "count": 1 }])
    );
    let one = &listed["messages"][0];
    assert_eq!((&one["message"], &one["type"]), (&json!(id), &json!(CREATED)));
    let shown = parked(&["show", id], settings).await;
    assert_eq!(shown[0]["livemode"], true, "{shown}");
    assert_eq!(shown[0]["body"]["data"]["client_secret"], "•••", "{shown}");
    let (code, table, _) = told(&["parked", "list"], settings).await;
    assert!(code == 0 && table.contains("impossible") && table.contains(id), "{table}");
    let (code, text, _) = told(&["parked", "show", id], settings).await;
    assert!(code == 0 && text.contains("•••") && !text.contains("_secret_"), "{text}");

    let (code, table, _) = told(&["parked", "list", "--queue", "upcoming"], settings).await;
    assert_eq!((code, table.trim()), (0, "nothing matches; 1 message is parked"));
    // Those that are not there are named, before and after.
    for write in [&[][..], &["--write"]] {
        let some = [&["parked", "drop", "nope", id, "--reason", "x", "--queue", "upcoming"], write];
        let (code, printed, said) = told(&some.concat(), settings).await;
        assert!(code == 1 && said.contains(&format!("`{id}`, `nope`")), "{printed}{said}");
    }
    let (code, printed, said) = told(&["parked", "requeue", "nope"], settings).await;
    assert!(
        code == 1 && !printed.contains("--write") && said.contains("`nope`"),
        "{printed}{said}"
    );
    let (code, printed, said) = told(&["parked", "requeue", "nope", id], settings).await;
    assert!(code == 1 && printed.contains("1 to requeue") && said.contains("`nope`"), "{printed}");
    assert!(!said.contains(id), "{said}");

    let preview = parked(&["requeue", id], settings).await;
    assert_eq!((&preview["written"], &preview["count"]), (&json!(false), &json!(1)));
    until_parked(1, 1, settings).await;
    let some = ["parked", "requeue", id, "nope", "--parked-for", "impossible", "--write", "--json"];
    let (code, done, said) = told(&some, settings).await;
    assert!(code == 1 && said.contains("`nope`") && !said.contains(id), "{said}");
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&done["written"], &done["count"]), (&json!(true), &json!(1)));
    let again = until_parked(1, 2, settings).await;
    assert_eq!(again["messages"][0]["reason"], "impossible");

    let (code, _, said) = told(&["parked", "drop", id, "--write"], settings).await;
    assert!(code != 0 && said.contains("--reason"), "{said}");
    let reason = ["drop", id, "--reason", "sent by a test"];
    assert_eq!(parked(&reason, settings).await["written"], false);
    until_parked(1, 2, settings).await;
    assert_eq!(parked(&[&reason[..], &["--write"]].concat(), settings).await["count"], 1);
    until_parked(0, 0, settings).await;
    let (code, story, _) = told(&["explain", id], settings).await;
    assert_eq!(code, 0);
    for part in ["ignored(dropped)", "sent by a test", "relink.lifecycle.parked"] {
        assert!(story.contains(part), "{story}");
    }
    let (_, status, _) = told(&["status", "--json"], settings).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    let today = &status["days"][0];
    assert_eq!((&today["accepted"], &today["ignored"]), (&json!(1), &json!(1)), "{status}");
    assert_eq!((&today["parked"], &status["in_flight"]), (&json!(0), &json!(0)), "{status}");
    let (code, table, _) = told(&["status"], settings).await;
    assert!(code == 0 && table.contains("1 ignored(dropped)"), "{table}");
}

async fn mistakes_are_told(settings: &Settings) {
    for (arguments, expected) in [
        (&["show", "evt_none"][..], 1),
        (&["requeue", "evt_none", "--write"], 1),
        (&["drop", "evt_none", "--reason", "x"], 1),
        (&["requeue"], 64),
        (&["requeue", "evt_1", "--all"], 64),
        (&["requeue", "--all", "--rate", "0"], 64),
        (&["list", "--queue", "other"], 64),
        (&["list", "--since", "soon"], 64),
        (&["drop", "--all", "--reason", "two\nlines"], 64),
        (&["list", "--since", "2026-11-01", "--until", "1h"], 0),
        (&["list", "--since", "1h", "--until", "2h"], 64),
        (&["requeue", "--parked-for", "unparseable"], 64),
        (&["list", "--parked-for", "delivery_limit"], 0),
    ] {
        let (code, _, said) = told(&[&["parked"], arguments].concat(), settings).await;
        assert_eq!(code, expected, "{arguments:?}: {said}");
    }
    let (_, _, said) = told(&["parked", "list", "--parked-for", "unparseable"], settings).await;
    assert!(said.contains("unparsable, no_id") && said.contains("delivery_limit"), "{said}");
    let (code, printed, _) = told(&["parked", "list", "--parked-for", "no_id"], settings).await;
    assert_eq!((code, printed.trim()), (0, "nothing is parked"));
    let (code, _, said) = told(&["parked", "list"], &Settings::new()).await;
    assert!(code == 64 && said.contains("RELINK_AMQP_URL"), "{said}");
}

async fn publish(foreign: &mut Foreign, id: &str, body: &Value) {
    let properties = json!({
        "message_id": id, "type": CREATED, "timestamp": now_unix_s(), "delivery_mode": 2,
        "headers": { "relink-livemode": true },
    });
    foreign.publish_event(CREATED, &body.to_string().into_bytes(), &properties).await;
}

pub(crate) async fn parked_work_at_a_broker(stage: &Stage) {
    let place = stage.place("parked").await;
    place.migrate().await;
    let mut foreign = Foreign::connect(&place);
    let settings = place.settings(&[]);
    let worker = place.start("worker", &["worker", "lifecycle"], &[]).await;
    publish(&mut foreign, "evt_1", &hopeless("evt_1")).await;
    a_message_goes_round("evt_1", &settings).await;
    mistakes_are_told(&settings).await;
    the_status_is_watched(stage, &settings).await;
    a_missing_queue_is_told_beside_the_others(&mut foreign, &place, &settings).await;
    secrets_are_masked(&mut foreign, &settings).await;
    a_dropped_command_is_explained(&mut foreign, &settings).await;
    killed_at_a_broker(&place, &mut foreign, &settings, worker).await;
}

/// Line after line until a signal, of which each is a document.
async fn the_status_is_watched(stage: &Stage, settings: &Settings) {
    let arguments = ["status", "--json", "--watch", "1"];
    let watching = Process::start(stage.folder(), "watching", &arguments, settings);
    let lines = until(async || match watching.out() {
        lines if lines.lines().count() >= 2 => Ok(lines),
        lines => Err(format!("{lines}\n{}", watching.log())),
    })
    .await;
    for line in lines.lines() {
        let status: Value = serde_json::from_str(line).unwrap();
        assert_eq!(status["days"][0]["accepted"], 1, "{status}");
    }
    watching.stop().await;
    let (code, _, said) = told(&["status", "--watch", "0"], settings).await;
    assert!(code == 64 && said.contains("--watch"), "{said}");
}

/// Queues that are gone hide nothing of the others.
async fn a_missing_queue_is_told_beside_the_others(
    foreign: &mut Foreign,
    place: &Place,
    settings: &Settings,
) {
    for rung in ["15s", "2m"] {
        foreign.delete(&format!("relink.upcoming.retry.{rung}")).await;
    }
    let (code, table, said) = told(&["status"], settings).await;
    assert_eq!(code, 0, "{said}");
    let lacks = "upcoming        0 ready, 0 to be tried again, 0 parked; relink.upcoming.retry.15s, \
                 relink.upcoming.retry.2m are missing; run `relink migrate`\n";
    assert!(table.contains(lacks), "{table}");
    assert!(
        table.contains("\nfollowup        0 ready, 0 to be tried again, 0 parked\n"),
        "{table}"
    );
    assert!(table.contains("1 ignored(dropped)"), "{table}");
    let (_, status, _) = told(&["status", "--json"], settings).await;
    let status: Value = serde_json::from_str(&status).unwrap();
    let missing = |number: usize| status["queues"][number]["missing"].as_array().unwrap().len();
    assert_eq!([0, 1, 2].map(missing), [0, 2, 0], "{status}");
    place.migrate().await;
    let (_, table, _) = told(&["status"], settings).await;
    assert!(!table.contains("missing"), "{table}");
}

/// A body that was cut off, and a type that is a key: nothing of either is printed.
async fn secrets_are_masked(foreign: &mut Foreign, settings: &Settings) {
    let properties = json!({
        "message_id": "evt_secret", "type": "sk_live_hunter2", "delivery_mode": 2,
    });
    let body = br#"{"id":"evt_secret","password":"hunter2","client_secret":"#;
    foreign.publish_event(CREATED, body, &properties).await;
    until_parked(1, 1, settings).await;
    for arguments in [&["list"][..], &["list", "--json"], &["show", "evt_secret"]] {
        let (code, printed, said) = told(&[&["parked"], arguments].concat(), settings).await;
        assert!(code == 0 && printed.contains("•••"), "{arguments:?}: {printed}{said}");
        assert!(!printed.contains("hunter2"), "{arguments:?}: {printed}");
    }
    let drop = ["drop", "evt_secret", "--reason", "of a test", "--write"];
    assert_eq!(parked(&drop, settings).await["count"], 1);
}

/// A command is no part of the ledger, and its id leads to what became of it all the same.
async fn a_dropped_command_is_explained(foreign: &mut Foreign, settings: &Settings) {
    let command = json!({
        "specversion": "1.0", "id": "cmd_1", "source": "/relink/live", "subject": "fcauth_1",
        "type": "relink.verify_accounts.v1", "time": "2026-10-27T00:00:00Z",
    });
    let body = STANDARD.encode(command.to_string());
    let properties = json!({
        "message_id": "cmd_1", "type": "relink.verify_accounts.v1", "delivery_mode": 2,
        "headers": { "relink-livemode": true },
    });
    foreign
        .attempt(&json!({
            "op": "publish", "exchange": "", "routing_key": "relink.followup.parked",
            "body": body, "properties": properties,
        }))
        .await
        .unwrap();
    let drop = ["drop", "cmd_1", "--reason", "of a test", "--write"];
    assert_eq!(parked(&drop, settings).await["count"], 1);
    let (code, story, said) = told(&["explain", "cmd_1"], settings).await;
    assert_eq!(code, 0, "{said}");
    for part in ["relink.verify_accounts.v1", "ignored(dropped)", "of a test"] {
        assert!(story.contains(part), "{story}");
    }
}

/// Ctrl-C in the middle: every message is in one of the two queues, none in both, and it is told
/// how many were put back; that number is the answer.
async fn interrupted_at_a_broker(foreign: &mut Foreign, place: &Place, settings: &Settings) -> u64 {
    let queues = ["relink.lifecycle", "relink.lifecycle.parked"];
    // A script that sends the signal gets the same as a document.
    let script = ["parked", "requeue", "--all", "--write", "--rate", "30", "--json"];
    let mut requeuing = Process::start(&place.folder, "interrupted", &script, settings);
    until(async || match foreign.counts(&queues).await[queues[0]] {
        0 => Err("none is put back".to_owned()),
        _ => Ok(()),
    })
    .await;
    requeuing.signal("INT").await;
    assert_eq!(requeuing.wait().await.code(), Some(130), "{}", requeuing.log());
    let done: Value = serde_json::from_str(&requeuing.out()).unwrap();
    let by_script = done["count"].as_u64().unwrap();
    assert_eq!(
        (&done["interrupted"], done["messages"].as_array().unwrap().len() as u64),
        (&json!(true), by_script)
    );
    let counts = foreign.counts(&queues).await;
    assert_eq!(queues.map(|queue| counts[queue]), [by_script, MANY as u64 - by_script]);

    let mut settings = settings.clone();
    settings.push(("TERM", "xterm".to_owned()));
    let arguments = ["parked", "requeue", "--all", "--write", "--rate", "30"];
    let shown = before_a_terminal(&arguments, &settings, (" requeued", "\\x03")).await;
    let (code, rest) = (shown.code, shown.rest());
    assert_eq!(code, 130, "{rest}");
    let told = rest.lines().last().unwrap().strip_prefix("relink: interrupted: ").unwrap();
    let (count, told) = told.split_once(' ').unwrap();
    assert_eq!(told, "requeued, the others stay parked; run it again");
    let requeued = by_script + count.parse::<u64>().unwrap();
    let counts = foreign.counts(&queues).await;
    let there = queues.map(|queue| counts[queue]);
    assert_eq!(there, [requeued, MANY as u64 - requeued], "{rest}");
    requeued
}

/// `kill -9` in the middle: every message is in one of the two queues, and no more than the one
/// in hand in both.
async fn killed_at_a_broker(
    place: &Place,
    foreign: &mut Foreign,
    settings: &Settings,
    worker: Role,
) {
    let ids: BTreeSet<String> = (0..MANY).map(|number| format!("evt_many_{number:03}")).collect();
    for id in &ids {
        publish(foreign, id, &hopeless(id)).await;
    }
    until_parked(MANY, 1, settings).await;
    worker.process.stop().await;
    let before = interrupted_at_a_broker(foreign, place, settings).await;
    let arguments = ["parked", "requeue", "--all", "--write", "--rate", "100"];
    let requeuing = Process::start(&place.folder, "requeue", &arguments, settings);
    until(async || match foreign.counts(&["relink.lifecycle"]).await["relink.lifecycle"] {
        count if count >= before + 20 => Ok(()),
        count => Err(format!("{count} are put back")),
    })
    .await;
    requeuing.kill().await;
    let queues = ["relink.lifecycle", "relink.lifecycle.parked"];
    until(async || match foreign.counts(&queues).await.values().sum::<u64>() {
        count if count >= MANY as u64 => Ok(()),
        count => Err(format!("{count} messages")),
    })
    .await;
    let mut left = BTreeSet::new();
    let mut taken = 0;
    for queue in queues {
        let messages = foreign.take(queue).await;
        assert!(!messages.is_empty(), "the kill came too late or too early");
        taken += messages.len();
        left.extend(messages.into_iter().map(|message| message.id.unwrap()));
    }
    assert_eq!(left, ids, "nothing is lost");
    assert!(taken <= MANY + 1, "{taken} messages of {MANY}");
}

pub(crate) async fn parked_work_of_a_single_process(stage: &Stage) {
    let listen = free_address();
    let settings: Settings = vec![
        ("RELINK_DATABASE_URL", format!("sqlite://{}", stage.folder().join("relink.db").display())),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ("RELINK_INGRESS_LISTEN", listen.to_string()),
    ];
    let begin =
        async || start(stage.folder(), "standalone", &["standalone"], settings.clone()).await;
    let role = begin().await;
    let mut connection = Connection::open(listen).await.unwrap();
    let mut send = async |id: &str| {
        let answer = post(&mut connection, hopeless(id).to_string().as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    send("evt_1").await;
    a_message_goes_round("evt_1", &settings).await;
    mistakes_are_told(&settings).await;

    let ids: BTreeSet<String> = (0..MANY).map(|number| format!("evt_many_{number:03}")).collect();
    for id in &ids {
        send(id).await;
    }
    until_parked(MANY, 1, &settings).await;
    let arguments = ["parked", "requeue", "--all", "--write", "--rate", "100"];
    let requeuing = Process::start(stage.folder(), "requeue", &arguments, &settings);
    until(async || {
        let listed = parked(&["list", "--limit", "1000"], &settings).await;
        let messages = listed["messages"].as_array().unwrap();
        match messages.iter().filter(|one| one["times"] == 2).count() {
            0 => Err("none is put back".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    requeuing.kill().await;
    role.process.kill().await;
    // What was marked and not put back is put back now.
    let role = begin().await;
    until(async || {
        let listed = parked(&["list", "--limit", "1000"], &settings).await;
        let found = listed["messages"].as_array().unwrap().iter();
        let found: BTreeSet<String> =
            found.map(|one| one["message"].as_str().unwrap().to_owned()).collect();
        if found == ids { Ok(()) } else { Err(format!("{} of {MANY}", found.len())) }
    })
    .await;
    role.process.stop().await;
    // Without the process a mark waits for it.
    parked(&["requeue", "evt_many_000", "--write"], &settings).await;
    let (code, ..) = told(&["parked", "show", "evt_many_000"], &settings).await;
    assert_eq!(code, 1, "it waits to be put back");
    let role = begin().await;
    until(async || match told(&["parked", "show", "evt_many_000"], &settings).await {
        (0, ..) => Ok(()),
        (_, _, said) => Err(said),
    })
    .await;
    role.process.stop().await;
}

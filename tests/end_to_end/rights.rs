//! Every process with rights of its own and no more, on a real broker and a real database: all of
//! it works, and what a role has no business with is refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use relink_tests::api::Api;
use relink_tests::captured::Commands;
use relink_tests::feed::{Feed, seed};
use relink_tests::foreign::{Consumer, Foreign};
use relink_tests::http::Connection;
use relink_tests::ledger::{Picture, committed, nothing_is_left, settled};
use relink_tests::place::Place;
use relink_tests::portal::{API_TOKEN, page_settings};
use relink_tests::process::{free_address, run};
use relink_tests::rights::Rights;
use relink_tests::role::Role;
use relink_tests::send::{now_unix_s, send_all};
use relink_tests::stage::Stage;
use relink_tests::wait::until;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

const SEED: u64 = 44;
const CREATED: &str = "financial_connections.account.created";

pub(crate) async fn a_whole_system_works_with_the_least_rights(stage: &Stage) {
    let seed = seed(SEED);
    let feed = Feed::new(seed, 30, 150);
    let api = Api::serve(&feed.sim).await;
    let place = stage.place("rights").await;
    let rights = Rights::grant(&place).await;
    let consumer = Consumer::bind(&place, "relink.commands", "#").await;
    let mut foreign = Foreign::connect(&place);
    let database = place.database().await;
    // The scheduler has to make a day again, which only the owner of a table may do by itself.
    let days = "SELECT max(c.relname)::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                WHERE i.inhparent = 'inbox'::regclass AND c.relname ~ '[0-9]$'";
    let last: String = database.query_one(days, &[]).await.unwrap().get(0);
    database.batch_execute(&format!("DROP TABLE {last}")).await.unwrap();

    let roles = begin(&rights, &api).await;
    let ingress = roles["ingress"].listen;
    send_all(ingress, feed.shuffled(seed), 8).await;
    settled(&database, &mut foreign, feed.events.len(), true).await;
    until(async || match database.query_one(days, &[]).await.unwrap().get::<_, String>(0) {
        day if day == last => Ok(()),
        day => Err(format!("the last day is {day}, not {last}")),
    })
    .await;
    // What it shows it has to be permitted to count.
    until(async || match roles["scheduler"].metric("relink_authorizations").await {
        0.0 => Err("the scheduler has not counted any authorization".to_owned()),
        _ => Ok(()),
    })
    .await;
    people_look(&rights, &feed.accounts()[0]).await;
    people_put_back_and_drop(&rights, &mut foreign, roles["portal"].listen).await;
    for role in roles.into_values() {
        role.process.stop().await;
    }
    nothing_is_left(&mut foreign).await;
    let commands = Commands::of(&consumer.finish().await);
    commands.agree_with(&Picture::of(&database).await);
    commands.include(&committed(&database).await);
    rights.revoke().await;
}

/// Every role as a process, each as its own user of the broker and of the database.
async fn begin(rights: &Rights, api: &Api) -> BTreeMap<&'static str, Role> {
    let mut roles = BTreeMap::new();
    let settings = api.settings();
    let listen = [("RELINK_INGRESS_LISTEN", free_address().to_string())];
    // It has no database; a user is named because a place always has one.
    let ingress = rights.user("relink_ingress", "relink_followup");
    roles.insert("ingress", ingress.start("ingress", &["ingress"], &listen).await);
    for (name, broker, database, arguments) in [
        ("decider", "relink_decider", "relink_worker", &["worker", "lifecycle", "upcoming"][..]),
        ("followup", "relink_followup", "relink_followup", &["worker", "followup"]),
        ("worker", "relink_worker", "relink_worker", &["worker"]),
        ("scheduler", "relink_scheduler", "relink_scheduler", &["scheduler"]),
    ] {
        let role = rights.user(broker, database).start(name, arguments, &settings).await;
        roles.insert(name, role);
    }
    let page = free_address();
    let mut settings = settings;
    settings.extend(page_settings(page));
    let portal = rights.user("relink_portal", "relink_portal");
    let mut portal = portal.start("portal", &["portal"], &settings).await;
    portal.listen = page;
    roles.insert("portal", portal);
    roles
}

async fn operator(place: &Place, arguments: &[&str]) -> Value {
    let output = run(arguments, &place.settings(&[])).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "relink {arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn people_look(rights: &Rights, account: &str) {
    let operator_place = rights.user("relink_operator", "relink_operator");
    for arguments in
        [&["status", "--json"][..], &["explain", account, "--json"], &["forecast", "--json"]]
    {
        operator(&operator_place, arguments).await;
    }
    assert_eq!(operator(&operator_place, &["parked", "list", "--json"]).await["parked"], 0);
}

/// Two messages that cannot be applied: one is put back and dropped by the desk, one by the API.
async fn people_put_back_and_drop(rights: &Rights, foreign: &mut Foreign, page: SocketAddr) {
    let desk = rights.user("relink_desk", "relink_desk");
    for id in ["evt_rights_1", "evt_rights_2"] {
        let body = json!({
            "id": id, "object": "event", "livemode": true, "created": now_unix_s(),
            "type": CREATED, "data": { "object": null },
        });
        let properties = json!({ "message_id": id, "type": CREATED, "delivery_mode": 2 });
        foreign.publish_event(CREATED, body.to_string().as_bytes(), &properties).await;
    }
    let parked = async |times: u64| {
        until(async || {
            let listed = operator(&desk, &["parked", "list", "--json"]).await;
            let messages = listed["messages"].as_array().unwrap().iter();
            let of_that = messages.filter(|one| one["times"] == times).count();
            if of_that > 0 { Ok(listed) } else { Err(listed.to_string()) }
        })
        .await
    };
    until(async || match parked(1).await["parked"].as_u64() {
        Some(2) => Ok(()),
        other => Err(format!("{other:?} are parked")),
    })
    .await;
    operator(&desk, &["parked", "requeue", "evt_rights_1", "--write", "--json"]).await;
    parked(2).await;
    let reason = ["--reason", "sent by a test", "--write", "--json"];
    let arguments = [&["parked", "drop", "evt_rights_1"], &reason[..]].concat();
    assert_eq!(operator(&desk, &arguments).await["count"], 1);

    let authorization = format!("Bearer {API_TOKEN}");
    let headers = [("authorization", &*authorization), ("content-type", "application/json")];
    for call in [
        json!({ "path": "requeue", "ids": ["evt_rights_2"], "write": true }),
        json!({ "path": "drop", "ids": ["evt_rights_2"], "reason": "by a test", "write": true }),
    ] {
        until(async || {
            let mut body = call.clone();
            let path = body.as_object_mut().unwrap().remove("path").unwrap();
            let line = format!("POST /v1/parked/{}", path.as_str().unwrap());
            let mut connection = Connection::open(page).await.unwrap();
            let body = body.to_string();
            let answer = connection.request(&line, &headers, body.as_bytes()).await.unwrap();
            assert_eq!(answer.status, 200, "{line}: {}", answer.body);
            let done: Value = serde_json::from_str(&answer.body).unwrap();
            if done["count"] == 1 { Ok(()) } else { Err(answer.body) }
        })
        .await;
    }
    assert_eq!(operator(&desk, &["parked", "list", "--json"]).await["parked"], 0);
}

/// What a user of the database is refused, and what it is not: each line of these would show a
/// grant too many or too few.
const OF_THE_DATABASE: [(&str, &[&str], &[&str]); 7] = [
    (
        "relink_worker",
        &[
            "SELECT 1 FROM history",
            "SELECT 1 FROM parked",
            "SELECT 1 FROM claims",
            "DELETE FROM inbox",
            "UPDATE inbox SET verdict = 'applied'",
            "UPDATE outbox SET bodies = '{}'",
            "DELETE FROM cases",
            "DROP TABLE accounts",
            "TRUNCATE accounts",
            "SELECT relink_make_day('inbox', '2031-01-01')",
            "CREATE TABLE own (id integer)",
            "CREATE TEMPORARY TABLE inbox (id integer)",
            "INSERT INTO relink_schema (version, name) VALUES (999, 'x')",
        ],
        &["SELECT 1 FROM accounts", "DELETE FROM outbox", "SELECT 1 FROM inbox"],
    ),
    (
        "relink_followup",
        &["SELECT 1 FROM accounts", "SELECT 1 FROM inbox", "DELETE FROM outbox"],
        &["SELECT 1 FROM relink_schema"],
    ),
    (
        "relink_scheduler",
        &[
            "SELECT 1 FROM history",
            "DELETE FROM parked",
            "DELETE FROM inbox_default",
            "DROP TABLE inbox_default",
            "ALTER TABLE inbox ADD COLUMN x integer",
            "SELECT relink_day_table('inbox', '2031-01-01')",
        ],
        &[
            "SELECT 1 FROM claims",
            "SELECT relink_make_day('history', '2031-01-01')",
            "SELECT relink_drop_day('history', '2031-01-01')",
            "SELECT relink_expire_default('inbox', '2000-01-01')",
        ],
    ),
    (
        "relink_portal",
        &[
            "UPDATE accounts SET version = 0",
            "INSERT INTO accounts (scope, id) VALUES ('x', 'x')",
            "SELECT 1 FROM outbox",
            "INSERT INTO outbox DEFAULT VALUES",
            "DELETE FROM inbox",
        ],
        &["SELECT 1 FROM accounts", "SELECT 1 FROM history", "SELECT 1 FROM inbox"],
    ),
    (
        "relink_operator",
        &["INSERT INTO inbox SELECT * FROM inbox", "DELETE FROM parked", "DELETE FROM outbox"],
        &["SELECT 1 FROM outbox", "SELECT 1 FROM parked", "SELECT 1 FROM history"],
    ),
    (
        "relink_desk",
        &["UPDATE accounts SET version = 0", "DELETE FROM history", "DELETE FROM outbox"],
        &["SELECT 1 FROM history", "DELETE FROM parked"],
    ),
    (
        "relink_standalone",
        &["DROP TABLE accounts", "DELETE FROM inbox", "UPDATE history SET note = ''"],
        &["DELETE FROM parked", "UPDATE outbox SET claimed_until_ms = 0"],
    ),
];

/// An operation of the foreign client and what it acts on.
type Operation = (&'static str, &'static str, &'static str);

/// What those who look at parked messages have to themselves meanwhile.
const DESK: Operation = ("declare", "relink.parked.desk", "");

/// The same for users of the broker.
const OF_THE_BROKER: [(&str, &[Operation], &[Operation]); 8] = [
    (
        "relink_ingress",
        &[
            ("take", "relink.lifecycle", ""),
            ("take", "relink.lifecycle.parked", ""),
            ("publish", "relink.commands", "relink.prompt_relink.v1"),
            ("publish", "relink.events", "relink.observed.account"),
            ("publish", "", "relink.lifecycle"),
            ("declare", "relink.own", ""),
            DESK,
            ("delete", "relink.lifecycle", ""),
        ],
        &[("publish", "relink.events", CREATED)],
    ),
    (
        "relink_decider",
        &[
            ("take", "relink.followup", ""),
            ("publish", "relink.events", "relink.observed.account"),
            ("publish", "relink.events", CREATED),
            ("delete", "relink.lifecycle", ""),
        ],
        &[("take", "relink.lifecycle", ""), ("publish", "relink.commands", "relink.x.v1")],
    ),
    (
        "relink_followup",
        &[
            ("take", "relink.lifecycle", ""),
            ("publish", "relink.events", CREATED),
            ("publish", "relink.commands", "relink.prompt_relink.v1"),
            ("declare", "relink.own", ""),
        ],
        // A queue with a single active consumer is not looked into; that it is consumed shows above.
        &[("publish", "relink.events", "relink.observed.account")],
    ),
    (
        "relink_worker",
        &[
            ("take", "relink.lifecycle.parked", ""),
            ("publish", "relink.events", CREATED),
            ("declare", "relink.own", ""),
            DESK,
        ],
        &[("take", "relink.upcoming", "")],
    ),
    (
        "relink_scheduler",
        &[
            ("take", "relink.lifecycle", ""),
            ("publish", "", "relink.lifecycle"),
            ("declare", "relink.own", ""),
        ],
        &[
            ("take", "relink.lifecycle.parked", ""),
            ("publish", "relink.events", CREATED),
            ("publish", "relink.commands", "relink.x.v1"),
            DESK,
        ],
    ),
    (
        "relink_portal",
        &[
            ("take", "relink.lifecycle", ""),
            ("publish", "relink.events", CREATED),
            ("publish", "relink.commands", "relink.prompt_relink.v1"),
            ("delete", "relink.lifecycle.parked", ""),
            ("declare", "relink.parked.other", ""),
        ],
        &[("publish", "relink.events", "relink.observed.session"), DESK],
    ),
    (
        "relink_operator",
        &[
            ("take", "relink.lifecycle", ""),
            ("publish", "relink.events", CREATED),
            ("publish", "", "relink.lifecycle"),
            ("declare", "relink.parked.other", ""),
        ],
        &[("take", "relink.followup.parked", ""), DESK],
    ),
    (
        "relink_desk",
        &[
            ("take", "relink.lifecycle", ""),
            ("publish", "relink.commands", "relink.prompt_relink.v1"),
            ("delete", "relink.lifecycle.parked", ""),
            ("declare", "relink.parked.desk.2", ""),
        ],
        &[("publish", "", "relink.lifecycle"), ("publish", "relink.events", CREATED), DESK],
    ),
];

pub(crate) async fn each_user_is_refused_what_is_not_its_own(stage: &Stage) {
    let place = stage.place("refused").await;
    let rights = Rights::grant(&place).await;
    let mut problems = Vec::new();
    for (user, refused, permitted) in OF_THE_DATABASE {
        let client = rights.user("relink_ingress", user).database().await;
        for (expected, statements) in [(true, refused), (false, permitted)] {
            for statement in statements {
                let answer = client.batch_execute(statement).await;
                let told = answer.as_ref().err().and_then(tokio_postgres::Error::code);
                let is_refused = told == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
                if is_refused != expected || (!expected && answer.is_err()) {
                    problems.push(format!("{user}: {statement}: {answer:?}"));
                }
            }
        }
    }
    for (user, refused, permitted) in OF_THE_BROKER {
        let mut foreign = Foreign::connect(&rights.user(user, "relink_followup"));
        for (expected, operations) in [(true, refused), (false, permitted)] {
            for (op, on, key) in operations {
                let request = json!({
                    "op": op, "queue": on, "exchange": on, "routing_key": key, "body": "",
                    "properties": null, "arguments": {},
                });
                let answer = foreign.attempt(&request).await;
                let is_refused = answer.as_ref().is_err_and(|told| told.contains("ACCESS_REFUSED"));
                // A command that nobody is bound to is returned, which is no refusal.
                let is_taken =
                    answer.as_ref().map_or_else(|told| told.contains("nroutable"), |_| true);
                if is_refused != expected || (!expected && !is_taken) {
                    problems.push(format!("{user}: {op} {on} {key}: {answer:?}"));
                }
            }
        }
    }
    rights.revoke().await;
    assert!(problems.is_empty(), "{problems:#?}");
}

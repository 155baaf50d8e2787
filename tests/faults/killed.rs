//! `kill -9` of every role, at moments that a seed chooses.

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use relink_tests::ledger::ids_in_inbox;
use relink_tests::process::free_address;
use relink_tests::stage::Stage;
use relink_tests::wait::until;

use crate::row::{Plan, Row, play};

const SEED: u64 = 90_210;

/// How often each role dies.
const DEATHS: usize = 15;

/// What a process is called, and what it is.
const ROLES: [(&str, &[&str]); 7] = [
    ("ingress", &["ingress"]),
    ("lifecycle-1", &["worker", "lifecycle"]),
    ("lifecycle-2", &["worker", "lifecycle"]),
    ("upcoming", &["worker", "upcoming"]),
    ("followup", &["worker", "followup"]),
    ("scheduler", &["scheduler"]),
    ("portal", &["portal"]),
];

pub(crate) async fn every_role_killed_again_and_again(stage: &Stage) {
    let plan = Plan {
        name: "kill -9 of every role",
        seed: SEED,
        authorizations: 250,
        events: 1600,
        per_second: 120,
    };
    play(stage, plan, None, async |row| {
        let page = free_address();
        let settings = [
            ("RELINK_PORTAL_LISTEN", page.to_string()),
            ("RELINK_PORTAL_URL", format!("http://{page}")),
            ("RELINK_PORTAL_BRAND", "The Matrix".to_owned()),
            ("RELINK_LINK_KEY", "a-key-for-links-of-thirty-two-bytes-or-more".to_owned()),
            ("RELINK_STRIPE_PUBLISHABLE_KEY", "pk_live_of_the_matrix".to_owned()),
        ];
        for (name, arguments) in ROLES {
            row.start(name, arguments, &settings).await;
        }
        row.begin_load();
        let mut random = StdRng::seed_from_u64(row.seed);
        let mut victims: Vec<_> = ROLES.iter().flat_map(|role| [role; DEATHS]).collect();
        victims.shuffle(&mut random);
        let rounds = victims.len();
        for (name, arguments) in victims {
            // Any moment of what happens between two events, with ever other neighbours ill.
            more_arrived(row, random.random_range(1..=12)).await;
            let victim = row.roles.remove(name).unwrap();
            row.suffer(victim.process.kill()).await;
            row.launch(name, arguments, &settings);
        }
        for role in row.roles.values_mut() {
            role.is_ready().await;
        }
        row.consumes_again().await;
        row.remark(format!("{rounds} kills"));
    })
    .await;
}

/// Waits until so many more events are in the inbox, or all.
async fn more_arrived(row: &Row<'_>, more: usize) {
    let before = ids_in_inbox(&row.database).await.len();
    until(async || match ids_in_inbox(&row.database).await.len() {
        now if now >= (before + more).min(row.events) => Ok(()),
        now => Err(format!("{now} events are in the inbox, {more} more than {before} are wanted")),
    })
    .await;
}

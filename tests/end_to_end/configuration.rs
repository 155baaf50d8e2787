//! What is wrong with settings and surroundings is told at once, by name, and without secrets.

use relink_tests::foreign::Foreign;
use relink_tests::process::{Settings, free_address, run, run_into};
use relink_tests::stage::Stage;
use serde_json::json;

const PASSWORD: &str = "correct-horse-battery";

/// Runs a role that must give up; hands over its code and what it said.
async fn gives_up(arguments: &[&str], settings: &Settings) -> (i32, String) {
    let output = run(arguments, settings).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let code = output.status.code().unwrap_or_else(|| panic!("{arguments:?} was killed: {said}"));
    assert_ne!(code, 0, "{arguments:?}: {said}");
    (code, said)
}

pub(crate) async fn configuration_problems_are_told_together(_stage: &Stage) {
    let wrong = |names: &[&'static str]| -> Settings {
        names.iter().map(|name| (*name, "7 o'clock".to_owned())).collect()
    };
    let worker = [
        "RELINK_DATABASE_URL",
        "RELINK_DATABASE_POOL_SIZE",
        "RELINK_DATABASE_PREPARE",
        "RELINK_STRIPE_READS_PER_SECOND",
        "RELINK_SETTLE_SECONDS",
        "RELINK_DOUBT_SECONDS",
        "RELINK_REMINDERS_BEFORE",
        "RELINK_REMINDERS_AFTER",
        "RELINK_ESCALATE_AFTER",
        "RELINK_WATCH_NUMBERS",
        "RELINK_PREFETCH",
        "RELINK_ADMIN_LISTEN",
        "RELINK_DRAIN_SECONDS",
        "RELINK_LOG_FORMAT",
    ];
    let (code, said) = gives_up(&["worker", "nightshift"], &wrong(&worker)).await;
    assert_eq!(code, 64, "{said}");
    for name in worker.iter().chain(&["RELINK_AMQP_URL", "nightshift"]) {
        assert!(said.contains(name), "{name} is not named:\n{said}");
    }

    let ingress = ["RELINK_WEBHOOK_TOLERANCE_SECONDS", "RELINK_WEBHOOK_MODE"];
    let mut settings = wrong(&ingress);
    let listen = free_address();
    settings.push(("RELINK_INGRESS_LISTEN", listen.to_string()));
    let (code, said) = gives_up(&["ingress"], &settings).await;
    assert_eq!(code, 64, "{said}");
    for name in ingress.iter().chain(&["RELINK_AMQP_URL", "RELINK_WEBHOOK_SECRETS"]) {
        assert!(said.contains(name), "{name} is not named:\n{said}");
    }
    assert!(!said.contains(&listen.to_string()), "nothing was bound:\n{said}");

    let standalone = [
        "RELINK_RETENTION_DAYS",
        "RELINK_CATCH_UP_SILENCE_SECONDS",
        "RELINK_RECONCILE_DAYS",
        "RELINK_BACKGROUND_READS_PER_SECOND",
        "RELINK_COMMANDS_URL",
    ];
    let (code, said) = gives_up(&["standalone"], &wrong(&standalone)).await;
    assert_eq!(code, 64, "{said}");
    for name in standalone.iter().chain(&["RELINK_DATABASE_URL"]) {
        assert!(said.contains(name), "{name} is not named:\n{said}");
    }

    let asks_stripe = ["catch-up", "reconcile", "backfill"];
    for command in asks_stripe {
        let (code, said) = gives_up(&[command, "--write"], &Settings::new()).await;
        assert_eq!(code, 64, "{said}");
        for name in ["RELINK_AMQP_URL", "RELINK_STRIPE_API_KEY"] {
            assert!(said.contains(name), "{command}: {name} is not named:\n{said}");
        }
    }
}

pub(crate) async fn secrets_of_a_wrong_form_are_named_and_never_shown(_stage: &Stage) {
    let settings = vec![
        ("RELINK_DATABASE_URL", "sqlite:///nowhere/relink.db".to_owned()),
        ("RELINK_WEBHOOK_SECRETS", format!("whsec_good,{PASSWORD},whsec_{PASSWORD} b")),
        ("RELINK_STRIPE_API_KEY", format!("sk_test_{PASSWORD}\nsk_test_{PASSWORD}")),
        ("RELINK_COMMANDS_SECRET", format!("whsec_{PASSWORD}")),
    ];
    let (code, said) = gives_up(&["standalone"], &settings).await;
    assert_eq!(code, 64, "{said}");
    let told = [
        "RELINK_WEBHOOK_SECRETS, secret 2 of 3: an endpoint's secret starts with whsec_",
        "RELINK_WEBHOOK_SECRETS, secret 3 of 3 has a blank or a line break",
        "RELINK_STRIPE_API_KEY has a blank or a line break",
        "RELINK_COMMANDS_SECRET must be whsec_ followed by",
        "RELINK_COMMANDS_SECRET is set without RELINK_COMMANDS_URL",
    ];
    for part in told {
        assert!(said.contains(part), "`{part}` is not told:\n{said}");
    }
    assert!(!said.contains(PASSWORD), "a secret is shown:\n{said}");
    assert_eq!(said.matches("\n  - ").count(), told.len(), "nothing else is wrong:\n{said}");
}

/// What fits by itself and not together, or is set for something that is not there.
pub(crate) async fn settings_that_contradict_each_other_are_told(_stage: &Stage) {
    let usual = vec![
        ("RELINK_DATABASE_URL", "sqlite:///nowhere/relink.db".to_owned()),
        ("RELINK_WEBHOOK_SECRETS", "whsec_good".to_owned()),
        ("RELINK_LINK_KEY", "a-key-of-thirty-two-bytes-or-more".to_owned()),
        ("RELINK_PORTAL_BRAND", "Northwind".to_owned()),
        ("RELINK_API_TOKENS", format!("read:{}", "0".repeat(64))),
    ];
    let check = async |more: &[(&'static str, &str)], told: &[&str]| {
        let mut settings = usual.clone();
        settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let (code, said) = gives_up(&["standalone"], &settings).await;
        assert_eq!(code, 64, "{said}");
        for part in told {
            assert!(said.contains(part), "`{part}` is not told:\n{said}");
        }
        assert_eq!(said.matches("\n  - ").count(), told.len(), "nothing else is wrong:\n{said}");
    };
    check(
        &[("RELINK_STRIPE_API_KEY", "pk_test_x"), ("RELINK_BACKGROUND_READS_PER_SECOND", "26")],
        &[
            "RELINK_LINK_KEY is set without RELINK_PORTAL_URL",
            "RELINK_PORTAL_BRAND is set without RELINK_PORTAL_URL",
            "RELINK_API_TOKENS is set without RELINK_PORTAL_URL",
            "RELINK_STRIPE_API_KEY is a publishable key",
            "RELINK_BACKGROUND_READS_PER_SECOND: Stripe answers 25 reads a second at the most",
        ],
    )
    .await;
    check(
        &[
            ("RELINK_PORTAL_URL", "https://relink.example.com"),
            ("RELINK_STRIPE_API_KEY", "rk_live_x"),
            ("RELINK_STRIPE_PUBLISHABLE_KEY", "pk_test_x"),
            // Blanks around the comma of a rotation are no part of a key.
            (
                "RELINK_LINK_KEY",
                "a-new-key-of-thirty-two-bytes-or-more , a-key-of-thirty-two-bytes-or-more",
            ),
        ],
        &["RELINK_STRIPE_PUBLISHABLE_KEY is of test mode and RELINK_STRIPE_API_KEY of live mode"],
    )
    .await;
    let settings = vec![
        ("RELINK_DATABASE_URL", "sqlite:///nowhere/relink.db".to_owned()),
        ("RELINK_STRIPE_API_KEY", "sk_test_x".to_owned()),
    ];
    let (code, said) = gives_up(&["catch-up", "--since", "31d"], &settings).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("--since: `31d` is further back than the 30 days"), "{said}");
}

/// Secrets are what `--help` shows no value of; each has its `_FILE`, and each `_FILE` is read.
pub(crate) async fn every_secret_may_come_from_a_file(stage: &Stage) {
    let empty = stage.folder().join("empty");
    std::fs::write(&empty, "").unwrap();
    let mut found = std::collections::BTreeSet::new();
    for role in ["ingress", "worker", "scheduler", "portal", "standalone", "sim", "migrate"] {
        let help = run(&[role, "--help"], &Settings::new()).await.stdout;
        // Wherever a line ends.
        let help = String::from_utf8(help).unwrap();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split_once(']'));
        let secrets: Vec<&str> = named.map(|(name, _)| name).filter(|n| !n.contains('=')).collect();
        assert!(!secrets.is_empty(), "{help}");
        // Without it standalone has no use for the secrets of its page.
        let mut settings = vec![("RELINK_PORTAL_URL", "https://relink.example.com".to_owned())];
        for secret in &secrets {
            assert!(help.contains(&format!("[env: {secret}_FILE=")), "{role}: no {secret}_FILE");
            // Names of variables live as long as the test.
            let names = [(*secret).to_owned(), format!("{secret}_FILE")].map(String::leak);
            settings.push((names[0], PASSWORD.to_owned()));
            settings.push((names[1], empty.display().to_string()));
        }
        let (code, said) = gives_up(&[role], &settings).await;
        assert_eq!(code, 64, "{said}");
        for secret in &secrets {
            let both = format!("{secret} and {secret}_FILE are both set; keep one");
            assert!(said.contains(&both), "{role}: {both}:\n{said}");
        }
        assert!(!said.contains(PASSWORD), "a secret is shown:\n{said}");
        settings.retain(|(name, _)| !secrets.contains(name));
        let (_, said) = gives_up(&[role], &settings).await;
        for secret in &secrets {
            let nothing = format!("{secret}_FILE: {} is empty", empty.display());
            assert!(said.contains(&nothing), "{role}: {nothing}:\n{said}");
        }
        found.extend(secrets.iter().map(|secret| (*secret).to_owned()));
    }
    assert!(found.len() >= 9, "{found:?}");
}

pub(crate) async fn a_role_that_shares_its_database_offers_no_file(_stage: &Stage) {
    let settings = vec![("RELINK_DATABASE_URL", "sqlite:///nowhere/relink.db".to_owned())];
    for role in ["worker", "scheduler"] {
        let (_, said) = gives_up(&[role], &settings).await;
        assert!(said.contains("a SQLite file belongs to one process"), "{said}");
        let (_, said) = gives_up(&[role], &Settings::new()).await;
        assert!(!said.contains("sqlite://"), "{role} offers what it refuses:\n{said}");
    }
}

pub(crate) async fn an_answer_that_cannot_be_written_is_a_failure(stage: &Stage) {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let database = format!("sqlite://{}", stage.folder().join("relink.db").display());
    let settings = vec![
        ("RELINK_DATABASE_URL", database),
        ("RELINK_STRIPE_API_KEY", "rk_test_asks_nobody".to_owned()),
    ];
    for arguments in [
        &["schema"][..],
        &["migrate"],
        &["explain", "fca_1", "--json"],
        &["reconcile", "--json"],
        &["demo", "--once"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = run_into(arguments, &settings, full).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(74), "{arguments:?}: {said}");
        assert!(said.contains("standard output cannot be written"), "{arguments:?}: {said}");
    }
}

pub(crate) async fn a_queue_with_other_arguments_stops_the_role(stage: &Stage) {
    let place = stage.place("other-arguments").await;
    let mut foreign = Foreign::connect(&place);
    let arguments = json!({
        "x-queue-type": "quorum", "x-delivery-limit": 7, "x-overflow": "reject-publish",
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "relink.lifecycle.parked",
        "x-dead-letter-strategy": "at-least-once",
    });
    foreign.declare("relink.lifecycle", &arguments).await;
    let settings = place.settings(&[("RELINK_ADMIN_LISTEN", "off".to_owned())]);
    for arguments in [&["worker"][..], &["scheduler"], &["ingress"], &["migrate"]] {
        let mut settings = settings.clone();
        settings.push(("RELINK_INGRESS_LISTEN", free_address().to_string()));
        let (_, said) = gives_up(arguments, &settings).await;
        let wanted = "x-delivery-limit '50', x-";
        for part in ["relink.lifecycle", "x-delivery-limit", "there may be more", wanted] {
            assert!(said.contains(part), "{arguments:?} does not name {part}:\n{said}");
        }
    }
}

pub(crate) async fn a_wrong_password_is_named_and_never_shown(stage: &Stage) {
    let place = stage.place("wrong-password").await;
    let with_password = |url: &str, user: &str| {
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, host) = rest.split_once('@').unwrap();
        format!("{scheme}://{user}:{PASSWORD}@{host}")
    };
    let mut broker = place.settings(&[("RELINK_ADMIN_LISTEN", "off".to_owned())]);
    let mut database = broker.clone();
    broker.push(("RELINK_AMQP_URL", with_password(&place.amqp_url, "guest")));
    // A server that trusts everyone still knows who does not exist.
    database.push(("RELINK_DATABASE_URL", with_password(&place.database_url, "nobody_at_all")));
    for (name, settings) in [("RELINK_AMQP_URL", broker), ("RELINK_DATABASE_URL", database)] {
        for role in ["worker", "scheduler", "migrate"] {
            let (_, said) = gives_up(&[role], &settings).await;
            assert!(said.contains(name), "{role} does not name {name}:\n{said}");
            assert!(!said.contains(PASSWORD), "{role} shows the password:\n{said}");
        }
    }
}

pub(crate) async fn a_missing_schema_says_migrate(stage: &Stage) {
    let place = stage.place("no-schema").await;
    let settings = place.settings(&[("RELINK_ADMIN_LISTEN", "off".to_owned())]);
    for arguments in [&["worker"][..], &["scheduler"], &["explain", "fca_1"]] {
        let (_, said) = gives_up(arguments, &settings).await;
        assert!(said.contains("relink migrate"), "{arguments:?}:\n{said}");
    }
}

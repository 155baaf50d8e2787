//! Files that cannot be used, as problems of the configuration.

use relink_tests::process::{Settings, run};
use relink_tests::role::WEBHOOK_SECRET;
use relink_tests::stage::Stage;

use crate::files::{Files, with};

/// The configuration is wrong; nothing was started.
const USAGE: i32 = 64;

pub(crate) async fn problems_with_files_are_told_together_before_anything_starts(stage: &Stage) {
    let files = Files::new(stage.folder().join("certificates"));
    let path = |name| files.path(name).display().to_string();
    let other = files.authority.server(&["localhost"]);
    let other = files.file("other-key.pem", &other.key);
    // Nobody listens there; it does not come to that.
    let good: Settings = vec![
        ("RELINK_AMQP_URL", "amqps://guest:hunter2@127.0.0.1:1/%2f".to_owned()),
        ("RELINK_DATABASE_URL", "postgres://relink:hunter2@127.0.0.1:1/relink".to_owned()),
        ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
    ];
    let ingress = [
        ("RELINK_AMQP_TLS_CA_FILE", path("missing.pem")),
        ("RELINK_TLS_CERTIFICATE_FILE", path("server.pem")),
        ("RELINK_TLS_KEY_FILE", other),
    ];
    let words = ["missing.pem cannot be read", "RELINK_AMQP_TLS_CA_FILE", "is not of the private"];
    refused("ingress", &with(&good, &ingress), &words).await;

    let worker = [
        ("RELINK_AMQP_TLS_CERTIFICATE_FILE", path("client.pem")),
        ("RELINK_DATABASE_TLS_CA_FILE", path("client-key.pem")),
    ];
    let words = [
        "RELINK_AMQP_TLS_CERTIFICATE_FILE is set without RELINK_AMQP_TLS_KEY_FILE",
        "client-key.pem holds no certificate",
        "that is a private key",
    ];
    refused("worker", &with(&good, &worker), &words).await;

    let contradictions = [
        ("RELINK_AMQP_URL", "amqp://guest:hunter2@127.0.0.1:1/%2f".to_owned()),
        ("RELINK_AMQP_TLS_CA_FILE", path("authority.pem")),
        ("RELINK_DATABASE_URL", "postgres://a:hunter2@db.example/a?sslmode=disable".to_owned()),
        ("RELINK_DATABASE_TLS_CA_FILE", path("authority.pem")),
    ];
    let words = ["RELINK_AMQP_URL is amqp://", "write amqps://", "says sslmode=disable"];
    refused("worker", &with(&good, &contradictions), &words).await;

    // What is permitted and not safe is said all the same.
    let exposed = [
        ("RELINK_AMQP_URL", "amqp://guest:hunter2@mq.example/%2f".to_owned()),
        ("RELINK_DATABASE_URL", String::new()),
    ];
    let words = ["is not encrypted", "amqp://mq.example:5672", "RELINK_DATABASE_URL is not set"];
    refused("worker", &with(&good, &exposed), &words).await;

    let embedded = [
        ("RELINK_DATABASE_URL", "sqlite://nowhere.db".to_owned()),
        ("RELINK_DATABASE_TLS_CA_FILE", path("authority.pem")),
        ("RELINK_TLS_KEY_FILE", path("server-key.pem")),
    ];
    let words = ["names a SQLite file", "is set without RELINK_TLS_CERTIFICATE_FILE"];
    refused("standalone", &with(&good, &embedded), &words).await;
}

async fn refused(role: &str, settings: &Settings, words: &[&str]) {
    let output = run(&[role], settings).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(USAGE), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

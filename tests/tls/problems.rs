//! Files that cannot be used, as problems of the configuration; servers that do not say theirs.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use relink_tests::process::{Settings, free_address, run};
use relink_tests::role::WEBHOOK_SECRET;
use relink_tests::stage::Stage;

use crate::files::{Files, with};

/// The configuration is wrong; nothing was started.
const USAGE: i32 = 64;

/// A service it needs is not as it has to be.
const UNAVAILABLE: i32 = 69;

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

pub(crate) async fn a_server_that_hangs_up_without_its_reason_brings_the_client_certificate_to_mind(
    stage: &Stage,
) {
    let files = Files::new(stage.folder().join("certificates"));
    let authorities = files.path("authority.pem").display().to_string();
    let broker = hanging_up(|_| {});
    let broker = [
        ("RELINK_AMQP_URL", format!("amqps://guest:hunter2@127.0.0.1:{broker}/%2f")),
        ("RELINK_AMQP_TLS_CA_FILE", authorities.clone()),
    ];
    let place = stage.place("hangs").await;
    let settings = with(&broker.to_vec(), &[("RELINK_DATABASE_URL", place.database_url.clone())]);
    told("migrate", &settings, UNAVAILABLE, &["RELINK_AMQP_TLS_CERTIFICATE_FILE"]).await;

    let database = hanging_up(|stream| {
        // As PostgreSQL agrees to TLS (its protocol, "SSL Session Encryption").
        stream.read_exact(&mut [0; 8]).unwrap();
        stream.write_all(b"S").unwrap();
    });
    let database = [
        ("RELINK_DATABASE_URL", format!("postgres://relink:hunter2@127.0.0.1:{database}/relink")),
        ("RELINK_DATABASE_TLS_CA_FILE", authorities),
    ];
    let both = with(&broker.to_vec(), &database);
    told("migrate", &both, UNAVAILABLE, &["RELINK_DATABASE_TLS_CERTIFICATE_FILE"]).await;
}

/// The port of a server that hangs up as soon as the handshake begins, with that unread.
fn hanging_up(first: impl Fn(&mut TcpStream) + Send + 'static) -> u16 {
    let address = free_address();
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            first(&mut stream);
            stream.peek(&mut [0]).unwrap();
        }
    });
    address.port()
}

async fn refused(role: &str, settings: &Settings, words: &[&str]) {
    told(role, settings, USAGE, words).await;
}

async fn told(role: &str, settings: &Settings, status: i32, words: &[&str]) {
    let output = run(&[role], settings).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

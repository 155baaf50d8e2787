//! The management API over https: verified, and shown a certificate, with the broker's files.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use relink_tests::process::{Settings, run};
use relink_tests::stage::Stage;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

use crate::files::{Files, ROLE, with};

pub(crate) async fn the_management_api_is_verified_as_the_broker_is(stage: &Stage) {
    let files = Files::new(stage.folder().join("certificates"));
    let address = serve(&files);
    let path = |name: &str| files.path(name).display().to_string();
    let settings: Settings = vec![
        // Nobody is there; what is asked of the API does not depend on it.
        ("RELINK_AMQP_URL", "amqps://guest:hunter2@127.0.0.1:1/%2f".to_owned()),
        ("RELINK_AMQP_TLS_CA_FILE", path("authority.pem")),
        ("RELINK_AMQP_TLS_CERTIFICATE_FILE", path("client.pem")),
        ("RELINK_AMQP_TLS_KEY_FILE", path("client-key.pem")),
        ("RELINK_MANAGEMENT_URL", format!("https://{address}")),
    ];
    says(&settings, "broker.version", "ok", &["RabbitMQ 4.1.0"]).await;
    says(&settings, "broker.alarms", "ok", &[]).await;

    let stranger = relink_tests::authority::Authority::new("stranger");
    let ca = files.file("stranger.pem", stranger.certificate());
    let wrong = with(&settings, &[("RELINK_AMQP_TLS_CA_FILE", ca)]);
    let words = ["no authority that is trusted here", "RELINK_AMQP_TLS_CA_FILE"];
    says(&wrong, "broker.alarms", "warn", &words).await;

    let by_name = format!("https://localhost:{}", address.port());
    let wrong = with(&settings, &[("RELINK_MANAGEMENT_URL", by_name)]);
    let words = ["localhost is wanted", "RELINK_MANAGEMENT_URL"];
    says(&wrong, "broker.alarms", "warn", &words).await;

    files.client("expired", &files.authority.expired_client(ROLE));
    for changes in [[String::new(), String::new()], [path("expired.pem"), path("expired-key.pem")]]
    {
        let [certificate, key] = changes;
        let names = ["RELINK_AMQP_TLS_CERTIFICATE_FILE", "RELINK_AMQP_TLS_KEY_FILE"];
        let wrong = with(&settings, &[(names[0], certificate), (names[1], key)]);
        says(&wrong, "broker.alarms", "warn", &["management API", names[0]]).await;
    }
}

/// Fails unless the doctor's line is so and says all of that.
async fn says(settings: &Settings, check: &str, level: &str, parts: &[&str]) {
    let output = run(&["doctor", "--json"], settings).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = told["checks"].as_array().unwrap();
    let line = lines.iter().find(|line| line["check"] == check).unwrap();
    assert_eq!(line["level"], level, "{line}");
    for part in parts {
        assert!(line.to_string().contains(part), "{part} is missing: {line}");
    }
}

/// Answers like the API of a broker without alarms and without anything of Relink's, to whoever
/// shows a certificate of the authority. It ends with the process.
fn serve(files: &Files) -> SocketAddr {
    let read = |name: &str| std::fs::read(files.path(name)).unwrap();
    let one = |name: &str| CertificateDer::from_pem_slice(&read(name)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(one("authority.pem")).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::from_pem_slice(&read("server-key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![one("server.pem")], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            std::thread::spawn(move || answer(&mut stream));
        }
    });
    address
}

fn answer(stream: &mut (impl Read + Write)) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        request.extend_from_slice(&byte);
    }
    let request = String::from_utf8_lossy(&request);
    let body = match request.split(' ').nth(1)? {
        "/api/overview" => r#"{"rabbitmq_version":"4.1.0"}"#,
        "/api/health/checks/alarms" => r#"{"status":"ok"}"#,
        _ => "[]",
    };
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
    stream.flush().ok()
}

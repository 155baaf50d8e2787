//! The same over TLS, with a client that verifies; certificates that change while webhooks come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relink_tests::authority::{Authority, replace};
use relink_tls::{ClientTls, Peer, PemFile, Reload, ServerCertificate};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::stand::{Client, DEACTIVATED, NOW, PATIENCE, SECRET, Stand, event, sign};

const SHORT: Duration = Duration::from_millis(100);

/// An authority, the files of a server of it, and whoever trusts it.
struct Files {
    folder: TempDir,
    authority: Authority,
    certificate: ServerCertificate,
    trusting: ClientTls,
}

impl Files {
    fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new("authority"));
        let path = |name| folder.path().join(name);
        authority.server(&["localhost"]).write(&path("server.pem"), &path("server-key.pem"));
        replace(&path("authority.pem"), authority.certificate());
        let certificate = ServerCertificate::load(
            PemFile::new("RELINK_TLS_CERTIFICATE_FILE", path("server.pem")),
            PemFile::new("RELINK_TLS_KEY_FILE", path("server-key.pem")),
        );
        // Which peer it is only matters for what is said of trouble.
        let trusting = ClientTls::new(Peer::Broker, Some(path("authority.pem")), None);
        Self { certificate: certificate.unwrap(), trusting, authority, folder }
    }

    fn renew(&self) {
        let path = |name| self.folder.path().join(name);
        let next = self.authority.server(&["localhost"]);
        next.write(&path("server.pem"), &path("server-key.pem"));
    }

    async fn stand(&self) -> Stand {
        Stand::showing(Some(self.certificate.clone()), |_, _| {}).await
    }

    fn caller(&self, address: SocketAddr) -> Caller {
        Caller { address, connector: TlsConnector::from(self.trusting.config().unwrap()) }
    }
}

#[derive(Clone)]
struct Caller {
    address: SocketAddr,
    connector: TlsConnector,
}

impl Caller {
    async fn connect(&self) -> Client<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        Client(self.connector.connect(name, stream).await.unwrap())
    }
}

async fn webhook(client: &mut Client<TlsStream<TcpStream>>) -> u16 {
    let body = event(DEACTIVATED);
    client.post(&body, &[("stripe-signature", &sign(SECRET, NOW, &body))]).await;
    client.answer().await.expect("an answer").status
}

fn shown(client: &Client<TlsStream<TcpStream>>) -> Vec<u8> {
    client.0.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn a_webhook_over_https_is_taken_and_plain_http_is_not() {
    let files = Files::new();
    let stand = files.stand().await;
    let mut client = files.caller(stand.address).connect().await;
    assert_eq!(webhook(&mut client).await, 200);
    assert_eq!(webhook(&mut client).await, 200);
    assert_eq!(stand.publisher.taken().len(), 2);

    let mut plain = stand.connect().await;
    plain.head("GET /", &[]).await;
    // An alert of TLS, and the end; nothing of HTTP.
    let mut said = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut plain.0, &mut said);
    let _ = tokio::time::timeout(PATIENCE, read).await.expect("it is closed");
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_under_traffic_without_a_failed_request() {
    const SENDERS: usize = 3;
    const ROUNDS: usize = 40;
    let files = Files::new();
    let stand = files.stand().await;
    let caller = files.caller(stand.address);
    let first = shown(&caller.connect().await);
    let done = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let caller = caller.clone();
            tokio::spawn(async move {
                let mut kept = caller.connect().await;
                for round in 0..ROUNDS {
                    let mut fresh = caller.connect().await;
                    assert_eq!(webhook(&mut fresh).await, 200, "new connection, round {round}");
                    assert_eq!(webhook(&mut kept).await, 200, "kept connection, round {round}");
                }
            })
        })
        .collect();
    let rotating = async {
        let mut rotations = 0;
        // At least one, however fast the senders are.
        while rotations == 0 || !done.load(Ordering::Relaxed) {
            files.renew();
            assert_eq!(files.certificate.reload().unwrap(), Reload::Changed);
            rotations += 1;
            tokio::task::yield_now().await;
        }
        rotations
    };
    let sending = async {
        for sender in senders {
            sender.await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    let (rotations, ()) = tokio::join!(rotating, sending);
    assert_eq!(stand.publisher.taken().len(), 2 * SENDERS * ROUNDS);
    let last = shown(&caller.connect().await);
    assert_ne!(first, last, "after {rotations} rotations the first certificate is still shown");
}

#[tokio::test]
async fn a_broken_renewal_leaves_the_certificate_that_was_there() {
    let files = Files::new();
    let stand = files.stand().await;
    let caller = files.caller(stand.address);
    let before = shown(&caller.connect().await);
    replace(&files.folder.path().join("server.pem"), "-----BEGIN CERTIFICATE-----\nhalf");
    let error = files.certificate.reload().unwrap_err().to_string();
    assert!(error.contains("RELINK_TLS_CERTIFICATE_FILE"), "{error}");
    let mut client = caller.connect().await;
    assert_eq!(webhook(&mut client).await, 200);
    assert_eq!(shown(&client), before);

    files.renew();
    assert_eq!(files.certificate.reload().unwrap(), Reload::Changed);
    assert_ne!(shown(&caller.connect().await), before);
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut_off() {
    let files = Files::new();
    let certificate = Some(files.certificate.clone());
    let stand = Stand::showing(certificate, |_, limits| limits.handshake_timeout = SHORT).await;
    // Nothing at all, and the beginning of a record that never ends.
    for beginning in [&b""[..], &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]] {
        let mut client = stand.connect().await;
        client.write(beginning).await;
        assert!(client.answer().await.is_none());
    }
}

#[tokio::test]
async fn handshakes_count_as_connections() {
    let files = Files::new();
    let certificate = Some(files.certificate.clone());
    let stand = Stand::showing(certificate, |_, limits| {
        limits.connections_max = 1;
        limits.handshake_timeout = PATIENCE;
    })
    .await;
    let stalled = stand.connect().await;
    let caller = files.caller(stand.address);
    let mut connecting = std::pin::pin!(caller.connect());
    let early = tokio::time::timeout(SHORT, connecting.as_mut()).await;
    assert!(early.is_err(), "a second connection was served beside a stalled handshake");
    drop(stalled);
    let mut client = tokio::time::timeout(PATIENCE, connecting).await.expect("in time");
    assert_eq!(webhook(&mut client).await, 200);
}

#[tokio::test]
async fn shutdown_waits_for_no_handshake() {
    let files = Files::new();
    let certificate = Some(files.certificate.clone());
    let mut stand = Stand::showing(certificate, |_, limits| {
        limits.connections_max = 1;
        limits.handshake_timeout = 4 * PATIENCE;
        limits.drain_timeout = 4 * PATIENCE;
    })
    .await;
    let mut stalled = stand.connect().await;
    // Once the place is taken, nobody else gets one.
    let mut other = stand.connect().await;
    assert!(tokio::time::timeout(SHORT, other.answer()).await.is_err());
    stand.begin_stop();
    assert!(stalled.answer().await.is_none());
    stand.stopped().await;
}

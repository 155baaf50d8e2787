//! The one door of the suites: an ingress behind a real listener, a publisher that does as told,
//! and a few lines of HTTP/1 and of Stripe's signing scheme of their own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use prometheus::Registry;
use relink_bus::message::Message;
use relink_bus::port::{PublishError, Publisher};
use relink_ingress::{Ingress, IngressConfig, Listener, ServeLimits, serve};
use relink_stripe::signature::Verifier;
use relink_tls::ServerCertificate;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub(crate) const SECRET: &str = "whsec_current";
pub(crate) const OLD_SECRET: &str = "whsec_previous";
pub(crate) const NOW: i64 = 1_790_000_000;
/// Longer than any step takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Records what it is given and answers as told; `gate` lets a test hold publishes back.
pub(crate) struct TestPublisher {
    pub(crate) messages: Mutex<Vec<Message>>,
    pub(crate) error: Mutex<Option<PublishError>>,
    pub(crate) gate: Semaphore,
    pub(crate) entered: Semaphore,
}

impl TestPublisher {
    pub(crate) fn taken(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }
}

#[async_trait]
impl Publisher for TestPublisher {
    async fn publish(&self, message: Message) -> Result<(), PublishError> {
        self.entered.add_permits(1);
        let _open = self.gate.acquire().await.unwrap();
        if let Some(error) = *self.error.lock().unwrap() {
            return Err(error);
        }
        self.messages.lock().unwrap().push(message);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        true
    }
}

pub(crate) struct Stand {
    pub(crate) address: SocketAddr,
    pub(crate) publisher: Arc<TestPublisher>,
    pub(crate) registry: Registry,
    pub(crate) now_unix_ms: Arc<AtomicI64>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Stand {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut IngressConfig, &mut ServeLimits)) -> Self {
        Self::showing(None, adjust).await
    }

    /// With https where there is a certificate.
    pub(crate) async fn showing(
        certificate: Option<ServerCertificate>,
        adjust: impl FnOnce(&mut IngressConfig, &mut ServeLimits),
    ) -> Self {
        let now_unix_ms = Arc::new(AtomicI64::new(NOW * 1000));
        let clock = Arc::clone(&now_unix_ms);
        let secrets = vec![SECRET.into(), OLD_SECRET.into()];
        let now = Arc::new(move || clock.load(Ordering::Relaxed));
        let mut config = IngressConfig::new(Verifier::new(secrets, 300), now);
        let mut limits = ServeLimits::default();
        adjust(&mut config, &mut limits);
        let publisher = Arc::new(TestPublisher {
            messages: Mutex::default(),
            error: Mutex::default(),
            gate: Semaphore::new(10_000),
            entered: Semaphore::new(0),
        });
        let registry = Registry::new();
        let ingress = Ingress::new(config, publisher.clone(), &registry).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = Listener::new(listener, certificate);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, ingress.router(), limits, async {
            let _ = stopped.await;
        }));
        Self { address, publisher, registry, now_unix_ms, stop: Some(stop), server }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// A signed webhook over a connection of its own.
    pub(crate) async fn send(&self, body: &[u8]) -> Answer {
        self.send_with(body, &[("stripe-signature", &sign(SECRET, NOW, body))]).await
    }

    pub(crate) async fn send_with(&self, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let mut client = self.connect().await;
        client.post(body, headers).await;
        client.answer().await.expect("an answer")
    }

    /// The value of the sample with this name and these labels, as it is scraped.
    pub(crate) fn metric(&self, sample: &str) -> Option<f64> {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.registry.gather());
        text.unwrap()
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
    }

    pub(crate) fn begin_stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    pub(crate) async fn stopped(self) {
        tokio::time::timeout(PATIENCE, self.server).await.expect("the server ends").unwrap();
    }
}

pub(crate) struct Client<S = TcpStream>(pub(crate) S);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn reason(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        assert!(!body["error"]["message"].as_str().unwrap().is_empty());
        assert_eq!(self.header("content-type"), Some("application/json"));
        body["error"]["reason"].as_str().unwrap().to_owned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn head(&mut self, request: &str, headers: &[(&str, &str)]) {
        let mut head = format!("{request} HTTP/1.1\r\nhost: relink\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.write(head.as_bytes()).await;
    }

    pub(crate) async fn post(&mut self, body: &[u8], headers: &[(&str, &str)]) {
        let length = body.len().to_string();
        let headers = [headers, &[("content-length", &length)]].concat();
        self.head("POST /webhooks/stripe", &headers).await;
        self.write(body).await;
    }

    /// The next answer, or `None` once the server has closed.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        tokio::time::timeout(PATIENCE, self.read_answer()).await.expect("in time")
    }

    async fn read_answer(&mut self) -> Option<Answer> {
        let mut head = vec![];
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: vec![] };
        let length = answer.header("content-length").unwrap_or("0").parse().unwrap();
        answer.body = vec![0; length];
        self.0.read_exact(&mut answer.body).await.unwrap();
        Some(answer)
    }
}

/// `t=…,v1=…` as Stripe signs.
pub(crate) fn sign(secret: &str, at_unix_s: i64, body: &[u8]) -> String {
    format!("t={at_unix_s},v1={}", digest(secret, at_unix_s, body))
}

pub(crate) fn digest(secret: &str, at_unix_s: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{at_unix_s}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An event of the type with blanks, order and an escape that a re-encoding would change.
pub(crate) fn event(kind: &str) -> Vec<u8> {
    format!(
        "{{\n  \"object\" : \"event\", \"type\": \"{kind}\",\n\"id\":\"evt_1\", \"created\": \
         1789999990, \"livemode\": true, \"api_version\": \"2025-03-31.preview\",\"note\": \
         \"caf\\u00e9\", \"data\": {{\"object\": {{\"id\": \"fca_1\", \"balance\": 1.10}}}} }}\n"
    )
    .into_bytes()
}

pub(crate) const DEACTIVATED: &str = "financial_connections.account.deactivated";

//! A bounded HTTP/1 server for any router, over TLS where it has a certificate.
//!
//! `axum::serve` neither bounds the time for a request's head nor the number of connections, so
//! hyper is driven directly.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use relink_tls::ServerCertificate;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

/// How long accepting rests when the process or the machine is out of something (of file
/// descriptors, mostly): trying at once fails again and burns a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What a server allows.
#[derive(Clone, Debug)]
pub struct ServeLimits {
    /// How many connections are open at once; those beyond wait in the listener's backlog.
    pub connections_max: usize,
    /// How long the handshake of TLS may take, from when the connection is accepted.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take, counted from when the connection is ready for it:
    /// so long a connection may also be idle between two requests.
    pub head_timeout: Duration,
    /// The most header lines of a request; one with more is answered 431.
    pub headers_max: usize,
    /// The largest head of a request, in bytes; a larger one is answered 431.
    pub head_bytes_max: usize,
    /// How much is read ahead or held back to be written per connection, in bytes, at least 8192.
    pub buffer_bytes_max: usize,
    /// How long a connection lives: so long a peer that never reads its answers can hold one.
    pub connection_age_max: Duration,
    /// How long requests in hand may take after shutdown has begun, or the connection's age is up.
    pub drain_timeout: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            // With the usual limit of file descriptors there is room for the rest of the process.
            connections_max: 4096,
            // A handshake is two round trips and a signature; a peer that is slower is none.
            handshake_timeout: Duration::from_secs(10),
            // Long enough for a sender that keeps its connections for the next webhook.
            head_timeout: Duration::from_secs(20),
            headers_max: 64,
            head_bytes_max: 16 * 1024,
            // A usual event in one piece; more only means fewer reads for rare large ones.
            buffer_bytes_max: 64 * 1024,
            // Rare enough to cost nothing; it also spreads senders over listeners added later.
            connection_age_max: Duration::from_secs(600),
            // Within the 25 s that a role has to shut down.
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Where connections are accepted.
#[derive(Debug)]
pub struct Listener {
    tcp: TcpListener,
    /// `None`: plain HTTP.
    certificate: Option<ServerCertificate>,
}

impl Listener {
    /// Speaks https where there is a certificate: each connection with what it is at that moment.
    pub fn new(tcp: TcpListener, certificate: Option<ServerCertificate>) -> Self {
        Self { tcp, certificate }
    }
}

impl From<TcpListener> for Listener {
    fn from(tcp: TcpListener) -> Self {
        Self::new(tcp, None)
    }
}

/// Serves the router until `shutdown` resolves and what was in hand by then is answered, or
/// [`ServeLimits::drain_timeout`] has passed; then it cuts the rest off.
///
/// The listener is closed as soon as shutdown begins, so that new connections go elsewhere.
/// Dropping the future cuts everything off at once.
pub async fn serve(
    listener: impl Into<Listener>,
    router: Router,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) {
    let Listener { tcp, certificate } = listener.into();
    let stop = CancellationToken::new();
    let service = Service { router, protocol: protocol(&limits), limits, stop: stop.clone() };
    let limits = &service.limits;
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let has_room = connections.len() < limits.connections_max;
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(ended) = connections.join_next() => report(ended),
            stream = accept(&tcp), if has_room => {
                let service = service.clone();
                match certificate.as_ref().map(ServerCertificate::current) {
                    None => _ = connections.spawn(service.converse(stream)),
                    Some(tls) => _ = connections.spawn(service.shake(stream, tls)),
                }
            }
        }
    }
    drop(tcp);
    stop.cancel();
    let drained = tokio::time::timeout(limits.drain_timeout, async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(connections = connections.len(), "cut off what did not end in time");
        connections.shutdown().await;
    }
}

fn protocol(limits: &ServeLimits) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.headers_max)
        .max_header_size(limits.head_bytes_max)
        .max_buf_size(limits.buffer_bytes_max.max(8192));
    protocol
}

/// What every connection is served with.
#[derive(Clone)]
struct Service {
    router: Router,
    protocol: http1::Builder,
    limits: ServeLimits,
    stop: CancellationToken,
}

impl Service {
    /// Begins with the handshake, which has its own time and is given up at shutdown: nothing has
    /// been asked yet.
    async fn shake(self, stream: TcpStream, tls: Arc<ServerConfig>) {
        let handshake = TlsAcceptor::from(tls).accept(stream);
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.limits.handshake_timeout, handshake) => ended,
            () = self.stop.cancelled() => return,
        };
        match ended {
            Ok(Ok(stream)) => self.converse(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long and was cut off"),
        }
    }

    async fn converse<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let router = TowerToHyperService::new(self.router);
        let mut connection = pin!(self.protocol.serve_connection(TokioIo::new(stream), router));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            // Resolves alike when the connection has to stop and when its age is up.
            _ = tokio::time::timeout(self.limits.connection_age_max, self.stop.cancelled()) => {
                // Answers what it has begun to read and closes; an idle one closes at once.
                connection.as_mut().graceful_shutdown();
                match tokio::time::timeout(self.limits.drain_timeout, connection).await {
                    Ok(ended) => ended,
                    Err(_) => return tracing::debug!("a connection was cut off"),
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Waits for the next connection, whatever happens to others.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is one small write; waiting to fill a packet only delays it.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY could not be set");
                }
                return stream;
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; check the limit of files");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether only the connection at the head of the queue is gone (accept(2), "Error handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a request's handler panicked; its connection was closed");
    }
}

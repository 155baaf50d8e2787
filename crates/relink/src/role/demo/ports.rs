//! Where the demo listens: ports that stay the same from run to run where they are free.

use std::io::ErrorKind;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::failure::Failure;
use crate::settings::Problems;

/// The first port that is never taken: from here on Linux hands them out to outgoing connections
/// (`net.ipv4.ip_local_port_range`), which may come and go under the demo.
const EPHEMERAL: u16 = 32_768;

/// Hands out free ports in order.
pub(super) struct Ports {
    first: u16,
    next: u16,
}

impl Ports {
    /// From the setting; a problem where it leaves no port to take.
    pub(super) fn read(problems: &mut Problems, text: &str) -> Option<Self> {
        let first: u16 = problems.positive("RELINK_DEMO_PORT", text)?;
        if first >= EPHEMERAL {
            let most = EPHEMERAL - 1;
            problems.add(format!(
                "RELINK_DEMO_PORT: {first} is above {most}, where outgoing connections have theirs"
            ));
            return None;
        }
        Some(Self { first, next: first })
    }

    /// Listens on the next free port of the loopback; the address as a URL.
    pub(super) async fn listen(&mut self, what: &str) -> Result<(TcpListener, String), Failure> {
        while self.next < EPHEMERAL {
            let port = self.next;
            self.next += 1;
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                Ok(listener) => return Ok((listener, format!("http://127.0.0.1:{port}"))),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    tracing::warn!("port {port} is taken: {what} takes the next free one");
                }
                Err(error) => {
                    let text = format!("{what} cannot listen on 127.0.0.1:{port}: {error}");
                    return Err(Failure::unavailable(format!("RELINK_DEMO_PORT: {text}")));
                }
            }
        }
        Err(Failure::unavailable(format!(
            "RELINK_DEMO_PORT: no port is free for {what} from {} to {}; choose a lower one",
            self.first,
            EPHEMERAL - 1,
        )))
    }
}

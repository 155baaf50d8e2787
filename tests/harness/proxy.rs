//! A TCP link that a test can make worse.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What the link does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// Passes everything on at once.
    Flows,
    /// Passes every piece on later, in both directions.
    Delays(Duration),
    /// Passes nothing on and closes nothing; what was held flows on afterwards.
    Stalls,
    /// The far end is away: connections are cut, new ones refused.
    Down,
}

/// What every connection is told.
#[derive(Clone, Copy, Debug)]
struct Order {
    link: Link,
    /// Connections opened before this number of cuts end in the middle of what they carry next.
    cuts: u64,
    /// Connections opened before this number of stalls carry nothing any more, for good.
    dead: u64,
}

/// A port in front of another one.
pub struct Proxy {
    /// Where to connect to.
    pub address: SocketAddr,
    order: watch::Sender<Order>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens in front of the server.
    ///
    /// # Panics
    /// When there is no port to listen on.
    pub async fn before(server: SocketAddr) -> Self {
        let address = crate::process::free_address();
        let listener = TcpListener::bind(address).await.unwrap();
        let order = watch::Sender::new(Order { link: Link::Flows, cuts: 0, dead: 0 });
        let listening = tokio::spawn(listen(listener, server, order.subscribe()));
        Self { address, order, listening }
    }

    /// From now on the link is like this.
    pub fn set(&self, link: Link) {
        self.order.send_modify(|order| order.link = link);
    }

    /// Every connection there is ends in the middle of the next piece it carries.
    pub fn cut_mid_frame(&self) {
        self.order.send_modify(|order| order.cuts += 1);
    }

    /// Every connection there is carries nothing any more and is never closed, as when a router
    /// forgets them; new ones work.
    pub fn forget_connections(&self) {
        self.order.send_modify(|order| order.dead += 1);
    }

    /// The URL with this port in place of the server's.
    pub fn in_place_of(&self, url: &str) -> String {
        let host = authority(url);
        url.replacen(&host, &self.address.to_string(), 1)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Where the server of a URL listens.
///
/// # Panics
/// When its host is a name.
pub fn server_of(url: &str) -> SocketAddr {
    authority(url).parse().unwrap()
}

fn authority(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    let authority = rest.split(['/', '?']).next().unwrap();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned()
}

async fn listen(listener: TcpListener, server: SocketAddr, mut order: watch::Receiver<Order>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        if order.borrow_and_update().link == Link::Down {
            listener = None;
            connections.shutdown().await;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(address).await.unwrap());
        }
        tokio::select! {
            changed = order.changed() => if changed.is_err() { return },
            accepted = accept(listener.as_ref()) => {
                connections.spawn(carry(accepted, server, order.clone()));
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

async fn carry(client: TcpStream, server: SocketAddr, order: watch::Receiver<Order>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // One direction that ends, ends the connection.
    tokio::select! {
        () = pass(from_client, to_server, order.clone()) => {}
        () = pass(from_server, to_client, order) => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut order: watch::Receiver<Order>) {
    let first = *order.borrow();
    let mut piece = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let now = loop {
            let now = *order.borrow_and_update();
            let held = now.link == Link::Stalls || now.dead > first.dead;
            if !held {
                break now;
            }
            if order.changed().await.is_err() {
                return;
            }
        };
        if let Link::Delays(delay) = now.link {
            tokio::time::sleep(delay).await;
        }
        let cut = now.cuts > first.cuts;
        let carried = if cut { length / 2 } else { length };
        if to.write_all(&piece[..carried]).await.is_err() || cut {
            return;
        }
    }
}

//! A transaction-mode pooler between the workers and PostgreSQL.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use relink_tests::process::free_address;
use relink_tests::proxy::server_of;
use relink_tests::stage::Stage;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::row::{Plan, play};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// Fewer connections to the server than the roles have to the pooler, so that they share.
const SHARED: u32 = 3;

pub(crate) async fn pooler_in_front(stage: &Stage) {
    if !Path::new(PROGRAM).exists() {
        eprintln!("LEFT OUT: pgbouncer is not installed, so no pooler stood in front");
        return;
    }
    let folder = stage.folder().to_owned();
    play(stage, Plan::named("transaction-mode pooler, killed twice", 901), None, async |row| {
        let listen = free_address();
        let server = server_of(&row.place.database_url);
        let mut pooler = start(&folder, listen, server).await;
        let through = row.place.database_url.replacen(&server.to_string(), &listen.to_string(), 1);
        row.place.database_url = through;
        row.place.migrate().await;
        row.begin_with(&[("RELINK_DATABASE_PREPARE", "false".to_owned())]).await;
        for percent in [30, 60] {
            row.arrived(percent).await;
            row.suffer(pooler.kill()).await.unwrap();
            pooler = start(&folder, listen, server).await;
            row.consumes_again().await;
        }
        pooler
    })
    .await;
}

async fn start(folder: &Path, listen: SocketAddr, server: SocketAddr) -> Child {
    let (host, port) = (server.ip(), server.port());
    let configuration = format!(
        "[databases]\n* = host={host} port={port} user=postgres\n\
         [pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nauth_type = any\nunix_socket_dir =\n\
         pool_mode = transaction\ndefault_pool_size = {SHARED}\n",
        listen.ip(),
        listen.port()
    );
    let path = folder.join("pgbouncer.ini");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(PROGRAM);
    // It refuses to stay root, and takes the option from nobody else.
    if is_root() {
        command.args(["-u", "nobody"]);
    }
    let log = folder.join("pgbouncer.log");
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    let pooler = command.spawn().unwrap();
    relink_tests::wait::until(async || {
        TcpStream::connect(listen).await.map(drop).map_err(|error| format!("pgbouncer: {error}"))
    })
    .await;
    pooler
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

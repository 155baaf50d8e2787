//! A database and a virtual host that one run has to itself.

use std::path::{Path, PathBuf};

use tokio::process::Command;
use tokio_postgres::{Client, NoTls};

use crate::stage::Servers;

/// Where one set of roles runs.
#[derive(Clone)]
pub struct Place {
    /// What it is called in logs.
    pub name: &'static str,
    /// Its virtual host.
    pub amqp_url: String,
    /// Its database.
    pub database_url: String,
    /// Where logs go.
    pub folder: PathBuf,
    servers: Servers,
}

impl Place {
    pub(crate) async fn create(
        servers: Servers,
        own: String,
        name: &'static str,
        folder: &Path,
    ) -> Self {
        execute(&servers.database_url, &format!("CREATE DATABASE {own}")).await;
        let user = user_of(&servers.amqp_url);
        let by = "<<\"tests\">>";
        let all = "<<\".*\">>, <<\".*\">>, <<\".*\">>";
        // Both in one call, since each takes a second of processor time to begin.
        let make = format!(
            "rabbit_vhost:add(<<\"{own}\">>, {by}), rabbit_auth_backend_internal:\
             set_permissions(<<\"{user}\">>, <<\"{own}\">>, {all}, {by})."
        );
        control(&servers, &["eval", &make]).await;
        Self {
            name,
            amqp_url: with_path(&servers.amqp_url, &own),
            database_url: with_path(&servers.database_url, &own),
            folder: folder.to_owned(),
            servers,
        }
    }

    /// A connection to its database.
    pub async fn database(&self) -> Client {
        connect(&self.database_url).await
    }

    /// `rabbitmqctl`, for the broker it is on.
    ///
    /// # Panics
    /// When that refuses.
    pub async fn control(&self, arguments: &[&str]) {
        control(&self.servers, arguments).await;
    }

    /// The name of its virtual host.
    ///
    /// # Panics
    /// Never: every URL of a place ends with it.
    pub fn vhost(&self) -> &str {
        self.amqp_url.rsplit('/').next().unwrap()
    }
}

/// Removes what [`Place::create`] made, as far as it was made.
pub(crate) async fn clear(servers: &Servers, names: &[String]) {
    for own in names {
        execute(&servers.database_url, &format!("DROP DATABASE IF EXISTS {own} WITH (FORCE)"))
            .await;
    }
    let vhosts: Vec<String> = names.iter().map(|own| format!("<<\"{own}\">>")).collect();
    let vhosts = vhosts.join(", ");
    let remove = format!("[catch rabbit_vhost:delete(V, <<\"tests\">>) || V <- [{vhosts}]].");
    let _ = Command::new(&servers.rabbitmqctl).args(["-q", "eval", &remove]).output().await;
}

async fn control(servers: &Servers, arguments: &[&str]) {
    let output =
        Command::new(&servers.rabbitmqctl).arg("-q").args(arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rabbitmqctl {arguments:?}: {said}");
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, sql: &str) {
    connect(url).await.batch_execute(sql).await.unwrap();
}

/// The URL with another path behind the host; its query stays.
fn with_path(url: &str, path: &str) -> String {
    let (base, query) = url.split_once('?').map_or((url, None), |(base, rest)| (base, Some(rest)));
    let host = base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{host}/{path}{query}")
}

fn user_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let credentials = rest.split_once('@').map_or("guest", |(credentials, _)| credentials);
    credentials.split(':').next().unwrap_or("guest").to_owned()
}

//! Roles of one place.

use std::net::SocketAddr;

use crate::http::get;
use crate::place::Place;
use crate::process::{Process, Settings, free_address, run};
use crate::wait::until;

/// The endpoint secret of every test.
pub const WEBHOOK_SECRET: &str = "whsec_end_to_end";

/// A role and where it is reached.
pub struct Role {
    name: String,
    /// The process.
    pub process: Process,
    /// `/metrics`, `/healthz`, `/readyz`.
    pub admin: SocketAddr,
    /// Webhooks, where it takes them.
    pub listen: SocketAddr,
}

impl Place {
    /// What every role of this place is told.
    pub fn settings(&self, more: &[(&'static str, String)]) -> Settings {
        let mut settings = vec![
            ("RELINK_AMQP_URL", self.amqp_url.clone()),
            ("RELINK_DATABASE_URL", self.database_url.clone()),
            ("RELINK_WEBHOOK_SECRETS", WEBHOOK_SECRET.to_owned()),
        ];
        settings.extend_from_slice(more);
        settings
    }

    /// `relink migrate`.
    pub async fn migrate(&self) {
        let output = run(&["migrate"], &self.settings(&[])).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "relink migrate: {said}");
    }

    /// Starts a role and waits until it is ready.
    pub async fn start(
        &self,
        name: &str,
        arguments: &[&str],
        more: &[(&'static str, String)],
    ) -> Role {
        let mut role = self.launch(name, arguments, more);
        role.is_ready().await;
        role
    }

    /// Starts a role without waiting for it.
    pub fn launch(&self, name: &str, arguments: &[&str], more: &[(&'static str, String)]) -> Role {
        let name = format!("{}.{name}", self.name);
        launch(&self.folder, &name, arguments, self.settings(more))
    }

    /// Starts the ingress at a given address, so that one that was killed can come back there.
    pub async fn ingress(&self, listen: SocketAddr) -> Role {
        let settings = [("RELINK_INGRESS_LISTEN", listen.to_string())];
        self.start("ingress", &["ingress"], &settings).await
    }
}

/// Starts a role in a folder and waits until it is ready.
///
/// # Panics
/// When it ends instead.
pub async fn start(
    folder: &std::path::Path,
    name: &str,
    arguments: &[&str],
    settings: Settings,
) -> Role {
    let mut role = launch(folder, name, arguments, settings);
    role.is_ready().await;
    role
}

fn launch(
    folder: &std::path::Path,
    name: &str,
    arguments: &[&str],
    mut settings: Settings,
) -> Role {
    let admin = free_address();
    let wanted = settings.iter().find(|(name, _)| *name == "RELINK_INGRESS_LISTEN");
    let listen = wanted.map_or_else(free_address, |(_, address)| address.parse().unwrap());
    if wanted.is_none() {
        settings.push(("RELINK_INGRESS_LISTEN", listen.to_string()));
    }
    settings.push(("RELINK_ADMIN_LISTEN", admin.to_string()));
    let process = Process::start(folder, name, arguments, &settings);
    Role { name: name.to_owned(), process, admin, listen }
}

impl Role {
    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn is_ready(&mut self) {
        let (name, admin) = (self.name.clone(), self.admin);
        until(async || {
            if let Some(status) = self.process.ended() {
                panic!("{name} ended with {status}:\n{}", self.process.log());
            }
            match get(admin, "/readyz").await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{name}: /readyz: {} {}", answer.status, answer.body)),
                Err(error) => Err(format!("{name}: /readyz: {error}")),
            }
        })
        .await;
    }

    /// Waits until it answers at all.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn answers(&mut self) {
        while get(self.admin, "/healthz").await.is_err() {
            assert!(self.process.ended().is_none(), "{} ended", self.name);
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// The admin pages, as an operator and a scraper see them.
    pub async fn has_its_pages(&self, role: &str) {
        for (path, part) in [("/healthz", "ok"), ("/readyz", ""), ("/metrics", "relink_build_info")]
        {
            let answer = get(self.admin, path).await.unwrap();
            assert_eq!(answer.status, 200, "{role}: {path}: {}", answer.body);
            assert!(answer.body.contains(part), "{role}: {path} lacks {part}: {}", answer.body);
        }
        let metrics = get(self.admin, "/metrics").await.unwrap().body;
        assert!(metrics.contains(&format!("role=\"{role}\"")), "{metrics}");
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = get(self.admin, "/metrics").await.unwrap().body;
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let sample = rest.starts_with('{') || rest.starts_with(' ');
            sample.then(|| rest.rsplit(' ').next())?.and_then(|value| value.parse::<f64>().ok())
        });
        values.sum()
    }
}

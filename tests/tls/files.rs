//! A folder of certificates: what servers show and trust, and what Relink does.

use std::path::{Path, PathBuf};

use relink_tests::authority::{Authority, Pair, replace};
use relink_tests::process::Settings;
use relink_tests::stage::Servers;

/// The files under their names.
pub(crate) struct Files {
    folder: PathBuf,
    pub(crate) authority: Authority,
}

/// The name that the private servers have, and no other.
const SERVER: &[&str] = &["127.0.0.1"];

/// The role of the database that has to show a certificate of its name.
pub(crate) const ROLE: &str = "mutual";

impl Files {
    /// A new authority, with a certificate for servers at 127.0.0.1 and one for a client.
    pub(crate) fn new(folder: PathBuf) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let files = Self { folder, authority: Authority::new("authority") };
        files.write();
        files
    }

    /// Gives another folder what clients need of this one, file by file, as people do.
    pub(crate) fn hand_to(&self, other: &Self) {
        for name in ["authority.pem", "client.pem", "client-key.pem"] {
            other.file(name, &std::fs::read_to_string(self.path(name)).unwrap());
        }
    }

    fn write(&self) {
        replace(&self.path("authority.pem"), self.authority.certificate());
        self.server_shows(&self.authority.server(SERVER));
        self.client("client", &self.authority.client(ROLE));
    }

    /// Puts another authority in the place of this one, and everything that it has signed.
    pub(crate) fn begin_anew(&mut self) {
        self.authority = Authority::new("authority");
        self.write();
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A file beside the others.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        replace(&self.path(name), text);
        self.path(name).display().to_string()
    }

    pub(crate) fn server_shows(&self, pair: &Pair) {
        pair.write(&self.path("server.pem"), &self.path("server-key.pem"));
    }

    pub(crate) fn server_renews(&self) {
        self.server_shows(&self.authority.server(SERVER));
    }

    pub(crate) fn server_lets_expire(&self) {
        self.server_shows(&self.authority.expired_server(SERVER));
    }

    /// Certificate and key of a client, under a name.
    pub(crate) fn client(&self, name: &str, pair: &Pair) {
        pair.write(&self.path(&format!("{name}.pem")), &self.path(&format!("{name}-key.pem")));
    }

    /// All that the broker and the database want of a client.
    pub(crate) fn settings(&self, servers: &Servers) -> Settings {
        let path = |name| self.path(name).display().to_string();
        vec![
            ("RELINK_AMQP_URL", servers.amqp_url.clone()),
            ("RELINK_AMQP_TLS_CA_FILE", path("authority.pem")),
            ("RELINK_AMQP_TLS_CERTIFICATE_FILE", path("client.pem")),
            ("RELINK_AMQP_TLS_KEY_FILE", path("client-key.pem")),
            ("RELINK_DATABASE_URL", servers.database_url.replace("postgres@", "mutual:hunter2@")),
            ("RELINK_DATABASE_TLS_CA_FILE", path("authority.pem")),
            ("RELINK_DATABASE_TLS_CERTIFICATE_FILE", path("client.pem")),
            ("RELINK_DATABASE_TLS_KEY_FILE", path("client-key.pem")),
        ]
    }
}

/// The settings with some of them changed; an empty one is left out.
pub(crate) fn with(settings: &Settings, changes: &[(&'static str, String)]) -> Settings {
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = settings.iter().filter(|(name, _)| !is_changed(name)).cloned();
    let changes = changes.iter().filter(|(_, value)| !value.is_empty()).cloned();
    kept.chain(changes).collect()
}

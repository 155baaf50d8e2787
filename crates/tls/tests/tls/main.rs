//! Files as people leave them, and handshakes in memory: what is accepted, and what is said of
//! the rest.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

mod files;
mod handshakes;
mod rotation;

use std::path::{Path, PathBuf};

use relink_tests::authority::Pair;
use relink_tls::{ClientTls, Identity, Peer, PemFile, ServerCertificate, TlsError};

/// The files of one test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Both files of a pair.
    fn pair(&self, name: &str, pair: &Pair) -> Identity {
        let identity = Identity {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}-key.pem")),
        };
        pair.write(&identity.certificate, &identity.key);
        identity
    }
}

fn server(identity: &Identity) -> Result<ServerCertificate, TlsError> {
    shown(&identity.certificate, &identity.key)
}

fn shown(certificate: &Path, key: &Path) -> Result<ServerCertificate, TlsError> {
    ServerCertificate::load(
        PemFile::new("RELINK_TLS_CERTIFICATE_FILE", certificate),
        PemFile::new("RELINK_TLS_KEY_FILE", key),
    )
}

fn client(authorities: &Path, identity: Option<Identity>) -> ClientTls {
    ClientTls::new(Peer::Broker, Some(authorities.to_owned()), identity)
}

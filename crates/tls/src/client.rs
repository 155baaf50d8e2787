//! The side that connects.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::{ClientConfig, RootCertStore};

use crate::error::TlsError;
use crate::pem::PemFile;
use crate::server::pair_refused;
use crate::why::Peer;

/// A certificate and its key, to show to a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The client's certificate, then those of authorities between it and the server's.
    pub certificate: PathBuf,
    /// Its private key, unencrypted.
    pub key: PathBuf,
}

/// How a server is verified, and what is shown to it.
#[derive(Clone)]
pub struct ClientTls {
    peer: Peer,
    /// `None`: the authorities that this machine trusts.
    authorities: Option<PemFile>,
    identity: Option<(PemFile, PemFile)>,
    last: Arc<Mutex<Option<Made>>>,
}

/// What was made of the files, while they stay as they are.
struct Made {
    contents: Contents,
    config: Arc<ClientConfig>,
}

/// What was in the files: authorities, certificate, key.
#[derive(PartialEq, Eq)]
struct Contents {
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl ClientTls {
    /// Trusts those whom this machine trusts, and shows nothing.
    pub fn of_machine(peer: Peer) -> Self {
        Self::new(peer, None, None)
    }

    /// Trusts the authorities of a file alone, where one is given. Nothing is read yet.
    pub fn new(peer: Peer, authorities: Option<PathBuf>, identity: Option<Identity>) -> Self {
        let authorities = authorities.map(|path| PemFile::new(peer.authorities(), path));
        let identity = identity.map(|Identity { certificate, key }| {
            let certificate = PemFile::new(peer.certificate(), certificate);
            (certificate, PemFile::new(peer.key(), key))
        });
        Self { peer, authorities, identity, last: Arc::default() }
    }

    /// Whether any file is named: whoever names one wants TLS.
    pub fn has_files(&self) -> bool {
        self.authorities.is_some() || self.identity.is_some()
    }

    /// What to connect with, made of the files as they are now. Files that became unusable since
    /// the last time are warned about, and what was made of them before is used.
    ///
    /// It reads up to three small files, so it is for whoever is about to connect.
    ///
    /// # Errors
    /// If a file has been unusable from the start.
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.read().and_then(|contents| match last.as_ref() {
            Some(made) if made.contents == contents => Ok(None),
            _ => self.make(&contents).map(|config| Some(Made { contents, config })),
        });
        match made {
            Ok(None) => {}
            Ok(Some(made)) => *last = Some(made),
            Err(error) if last.is_some() => {
                tracing::warn!(%error, "what these files held before is still used");
            }
            Err(error) => return Err(error),
        }
        let made = last.as_ref().map(|made| Arc::clone(&made.config));
        made.ok_or_else(|| TlsError::Provider("nothing was made".into()))
    }

    fn read(&self) -> Result<Contents, TlsError> {
        let authorities = self.authorities.as_ref().map(PemFile::read).transpose()?;
        let identity = match &self.identity {
            Some((certificate, key)) => Some((certificate.read()?, key.read()?)),
            None => None,
        };
        Ok(Contents { authorities, identity })
    }

    fn make(&self, contents: &Contents) -> Result<Arc<ClientConfig>, TlsError> {
        let roots = match (&self.authorities, &contents.authorities) {
            (Some(file), Some(bytes)) => Arc::new(roots_of_file(file, bytes)?),
            _ => self.roots_of_machine()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Provider(error.to_string()))?
            .with_root_certificates(roots);
        let config = match (&self.identity, &contents.identity) {
            (Some((certificate, key)), Some((certificate_bytes, key_bytes))) => {
                let chain = certificate.certificates(certificate_bytes)?;
                let secret = key.key(key_bytes)?;
                builder
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| pair_refused(certificate, key, &error))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// Read once for each process: a machine's store changes with its packages.
    fn roots_of_machine(&self) -> Result<Arc<RootCertStore>, TlsError> {
        static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
        let roots = ROOTS.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            Arc::new(roots)
        });
        if roots.is_empty() {
            let (url, setting) = (self.peer.url(), self.peer.authorities());
            return Err(TlsError::NoAuthority { url, setting });
        }
        Ok(Arc::clone(roots))
    }
}

/// Every certificate counts: one that cannot be used was put there for a reason.
fn roots_of_file(file: &PemFile, bytes: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in file.certificates(bytes)? {
        roots.add(certificate).map_err(|error| TlsError::Unusable {
            setting: file.setting,
            path: file.path.clone(),
            text: error.to_string(),
        })?;
    }
    Ok(roots)
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what was read: it holds a key.
        f.debug_struct("ClientTls")
            .field("peer", &self.peer)
            .field("authorities", &self.authorities)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

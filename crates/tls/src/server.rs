//! The side that listens.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::UnixTime;
use rustls::{InconsistentKeys, ServerConfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::error::TlsError;
use crate::pem::PemFile;

/// The certificate that a listener shows; clones are the same one.
#[derive(Clone)]
pub struct ServerCertificate(Arc<Shared>);

struct Shared {
    certificate: PemFile,
    key: PemFile,
    shown: RwLock<Shown>,
}

struct Shown {
    contents: (Vec<u8>, Vec<u8>),
    config: Arc<ServerConfig>,
    expires_at_unix_s: i64,
}

/// What a look at the files came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reload {
    /// They hold something else, which is shown from now on.
    Changed,
    /// They hold what is shown already.
    Unchanged,
}

impl ServerCertificate {
    /// Reads the files: the server's certificate, then those of authorities between it and what
    /// clients trust; and its private key, unencrypted.
    ///
    /// # Errors
    /// If they cannot be read or used, or do not belong together.
    pub fn load(certificate: PemFile, key: PemFile) -> Result<Self, TlsError> {
        let contents = (certificate.read()?, key.read()?);
        let shown = RwLock::new(Shown::new(&certificate, &key, contents)?);
        Ok(Self(Arc::new(Shared { certificate, key, shown })))
    }

    /// Looks at the files again: by what they hold, because times of files do not tell everything
    /// (a link that leads elsewhere, two changes within one tick).
    ///
    /// # Errors
    /// If they cannot be used; then what was shown before still is.
    pub fn reload(&self) -> Result<Reload, TlsError> {
        let Shared { certificate, key, shown } = &*self.0;
        let contents = (certificate.read()?, key.read()?);
        if shown.read().unwrap_or_else(PoisonError::into_inner).contents == contents {
            return Ok(Reload::Unchanged);
        }
        let new = Shown::new(certificate, key, contents)?;
        // One that nobody accepts any more must not take the place of one that is accepted.
        let now_unix_s = now_unix_s();
        if new.expires_at_unix_s <= now_unix_s && self.expires_at_unix_s() > now_unix_s {
            let (setting, path) = (certificate.setting, certificate.path.clone());
            let text = "it has expired: put the renewed one there".into();
            return Err(TlsError::Unusable { setting, path, text });
        }
        *shown.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(Reload::Changed)
    }

    /// What the next handshake is made with.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.shown.read().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// Whether the certificate that is shown has expired, so that no client takes it.
    pub fn has_expired(&self) -> bool {
        self.expires_at_unix_s() <= now_unix_s()
    }

    /// When the certificate that is shown expires.
    pub fn expires_at_unix_s(&self) -> i64 {
        self.0.shown.read().unwrap_or_else(PoisonError::into_inner).expires_at_unix_s
    }
}

impl Shown {
    fn new(
        certificate: &PemFile,
        key: &PemFile,
        contents: (Vec<u8>, Vec<u8>),
    ) -> Result<Self, TlsError> {
        let chain = certificate.certificates(&contents.0)?;
        let secret = key.key(&contents.1)?;
        let unusable = |text: String| TlsError::Unusable {
            setting: certificate.setting,
            path: certificate.path.clone(),
            text,
        };
        let own = chain.first().map(|der| X509Certificate::from_der(der));
        let expires_at_unix_s = match own {
            Some(Ok((_, own))) => own.validity().not_after.timestamp(),
            Some(Err(error)) => return Err(unusable(error.to_string())),
            None => return Err(unusable("it is empty".into())),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Provider(error.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| pair_refused(certificate, key, &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { contents, config: Arc::new(config), expires_at_unix_s })
    }
}

fn now_unix_s() -> i64 {
    // The clock by which handshakes are judged as well.
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}

/// Why a certificate and a key are not taken, by the file that is to be corrected.
pub(crate) fn pair_refused(
    certificate: &PemFile,
    key: &PemFile,
    error: &rustls::Error,
) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::NotOfOnePair {
            certificate: certificate.setting,
            certificate_path: certificate.path.clone(),
            key: key.setting,
            key_path: key.path.clone(),
        },
        rustls::Error::InvalidCertificate(_) => TlsError::Unusable {
            setting: certificate.setting,
            path: certificate.path.clone(),
            text: error.to_string(),
        },
        _ => TlsError::Unusable {
            setting: key.setting,
            path: key.path.clone(),
            text: error.to_string(),
        },
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what was read: it holds a key.
        f.debug_struct("ServerCertificate")
            .field("certificate", &self.0.certificate)
            .field("key", &self.0.key)
            .finish_non_exhaustive()
    }
}

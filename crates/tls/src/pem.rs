//! Reading PEM files.

use std::path::PathBuf;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::TlsError;

/// The largest file that is taken for one of certificates: a machine's whole store has a quarter
/// of a megabyte.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A file that a setting names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PemFile {
    /// The name of the setting.
    pub setting: &'static str,
    /// The file.
    pub path: PathBuf,
}

impl PemFile {
    /// A file that a setting names.
    pub fn new(setting: &'static str, path: impl Into<PathBuf>) -> Self {
        Self { setting, path: path.into() }
    }

    /// What is in it now.
    pub(crate) fn read(&self) -> Result<Vec<u8>, TlsError> {
        let bytes = std::fs::read(&self.path).and_then(|bytes| {
            let fits = bytes.len() <= FILE_BYTES_MAX;
            fits.then_some(bytes).ok_or_else(|| std::io::Error::other("it is too large"))
        });
        bytes.map_err(|error| TlsError::Unreadable {
            setting: self.setting,
            path: self.path.clone(),
            error,
        })
    }

    /// Every certificate in what was read, at least one.
    pub(crate) fn certificates(
        &self,
        bytes: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        let hint = match &found {
            Ok(certificates) if !certificates.is_empty() => return Ok(found.unwrap_or_default()),
            Err(_) => ": what begins like one is broken; copy the file again, whole",
            Ok(_) if holds(bytes, "PRIVATE KEY-----") => "; that is a private key",
            // The first bytes of every certificate in DER: a sequence with a long length.
            Ok(_) if bytes.starts_with(&[0x30, 0x82]) => {
                "; it is DER: `openssl x509 -inform der -in <file> -out <file>.pem` converts it"
            }
            Ok(_) => "",
        };
        Err(TlsError::NoCertificate { setting: self.setting, path: self.path.clone(), hint })
    }

    /// The private key in what was read.
    pub(crate) fn key(&self, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        let hint = if holds(bytes, "ENCRYPTED") {
            "; it is encrypted: `openssl pkey -in <file> -out <file>.plain` takes the passphrase \
             off; let nobody but this process's user read the result"
        } else {
            match PrivateKeyDer::from_pem_slice(bytes) {
                Ok(key) => return Ok(key),
                Err(_) if holds(bytes, "BEGIN CERTIFICATE") => "; that is a certificate",
                Err(_) if holds(bytes, "PRIVATE KEY-----") => {
                    ": what begins like one is broken; copy the file again, whole"
                }
                Err(_) => "",
            }
        };
        Err(TlsError::NoKey { setting: self.setting, path: self.path.clone(), hint })
    }
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

//! What can be wrong with files of certificates and keys.

use std::io;
use std::path::PathBuf;

/// Why files cannot be used; names the setting and what to do, never what a file holds.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file is not there, or not for this process.
    #[error(
        "{setting}: {} cannot be read: {error}; correct the path, or let the user of this process \
         read the file", .path.display()
    )]
    Unreadable {
        /// The name of the setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is no certificate in it, or one that is broken.
    #[error(
        "{setting}: {} holds no certificate in PEM (-----BEGIN CERTIFICATE-----){hint}",
        .path.display()
    )]
    NoCertificate {
        /// The name of the setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What it may be instead, and what to do about it.
        hint: &'static str,
    },
    /// There is no private key in it, or one that cannot be used.
    #[error(
        "{setting}: {} holds no private key in PEM (-----BEGIN PRIVATE KEY-----){hint}",
        .path.display()
    )]
    NoKey {
        /// The name of the setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What it may be instead, and what to do about it.
        hint: &'static str,
    },
    /// The two files are not of one pair.
    #[error(
        "{certificate}: the first certificate of {} is not of the private key in {} ({key}); give \
         the two files that were made together, the server's or client's own certificate before \
         those of authorities", .certificate_path.display(), .key_path.display()
    )]
    NotOfOnePair {
        /// The setting of the certificate.
        certificate: &'static str,
        /// Its file.
        certificate_path: PathBuf,
        /// The setting of the key.
        key: &'static str,
        /// Its file.
        key_path: PathBuf,
    },
    /// Nobody to trust.
    #[error(
        "this machine has no certificates of authorities to verify {url} with; install them (the \
         package ca-certificates), or give the authority's file in {setting}"
    )]
    NoAuthority {
        /// The setting of the server's address.
        url: &'static str,
        /// The setting that helps.
        setting: &'static str,
    },
    /// Something else that rustls does not take.
    #[error("{setting}: {} cannot be used: {text}", .path.display())]
    Unusable {
        /// The name of the setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Its words.
        text: String,
    },
    /// The provider of cryptography does not know what is asked of it.
    #[error("TLS cannot be set up: {0}")]
    Provider(String),
}

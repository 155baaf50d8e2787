//! Certificates that tests make themselves.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// An authority that signs what it is asked for.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its private key, in PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Pair {
    /// Writes both, as whoever renews them should: each file is replaced in one piece.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn write(&self, certificate: &Path, key: &Path) {
        replace(certificate, &self.certificate);
        replace(key, &self.key);
    }
}

/// Puts a file in the place of another in one piece.
///
/// # Panics
/// When that does not work.
pub fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, path).unwrap();
}

impl Authority {
    /// A new one with a key of its own; several may have one name.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(name: &str) -> Self {
        let (params, key) = (for_authority(name), KeyPair::generate().unwrap());
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Its own certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server with these names and addresses.
    pub fn server(&self, names: &[&str]) -> Pair {
        self.sign(named("server", names), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// One that expired long ago.
    pub fn expired_server(&self, names: &[&str]) -> Pair {
        self.sign(expired(named("server", names)), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client of that name.
    pub fn client(&self, name: &str) -> Pair {
        self.sign(named(name, &[]), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// One that expired long ago.
    pub fn expired_client(&self, name: &str) -> Pair {
        self.sign(expired(named(name, &[])), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// An authority below this one.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn below(&self, name: &str) -> Self {
        let (params, key) = (for_authority(name), KeyPair::generate().unwrap());
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn sign(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Pair {
        params.extended_key_usages = vec![purpose];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

fn for_authority(name: &str) -> CertificateParams {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 2, 1);
    params
}

fn named(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

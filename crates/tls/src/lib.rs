//! Certificates and keys: from files to what rustls works with, anew whenever the files change.
//!
//! * [`ClientTls`] verifies a server in full – a chain to a known authority, the host's name, the
//!   dates – and shows a certificate of its own where the server asks for one. There is no way to
//!   verify less.
//! * [`ServerCertificate`] is what a listener shows. [`ServerCertificate::reload`] takes changed
//!   files over; broken ones leave the old certificate in place.
//! * [`Peer::why`] turns what a handshake failed with into a sentence that says what to do.
//!
//! Every error names the setting and the file, and never what a file holds. There is one provider
//! of cryptography, ring. There is no socket, no timer and no signal here: whoever connects,
//! listens or watches does that.

mod client;
mod error;
mod pem;
mod server;
mod why;

pub use client::{ClientTls, Identity};
pub use error::TlsError;
pub use pem::PemFile;
pub use server::{Reload, ServerCertificate};
pub use why::Peer;

use std::net::IpAddr;

/// Whether nobody on the way can read or change what is sent to this host: it is this machine.
///
/// `host` is a name, an address, or the folder of a Unix socket.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.starts_with('/')
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_this_machine;

    #[test]
    fn only_loopback_and_sockets_are_this_machine() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.0.1", "::1", "[::1]", "/run/pg"]
        {
            assert!(is_this_machine(host), "{host}");
        }
        let others =
            ["", "db", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com", "0.0.0.0"];
        for host in others {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}

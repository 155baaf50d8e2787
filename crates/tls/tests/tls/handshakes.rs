//! Both ends in one thread, without a socket.

use std::io;
use std::sync::Arc;

use relink_tests::authority::Authority;
use relink_tls::{ClientTls, Identity, Peer, ServerCertificate};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};

use super::{Folder, client, server};

/// Shakes hands as a client that wants this name.
///
/// # Errors
/// What the client, or else the server, ended with.
pub(crate) fn shake(
    connecting: &ClientTls,
    listening: &ServerCertificate,
    name: &str,
) -> Result<(), String> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let config = connecting.config().map_err(|error| error.to_string())?;
    let mut client = ClientConnection::new(config, name).unwrap();
    let mut server = ServerConnection::new(listening.current()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().map_err(|error| format!("server: {error}"))?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        // As a socket would hand it on.
        let read = client.process_new_packets().map_err(io::Error::other);
        read.map_err(|error| Peer::Broker.why(&error).expect("it is about TLS"))?;
    }
    Ok(())
}

struct Stand {
    folder: Folder,
    authority: Authority,
    trusting: ClientTls,
}

impl Stand {
    fn new() -> Self {
        let (folder, authority) = (Folder::new(), Authority::new("authority"));
        let trusting = client(&folder.file("authority.pem", authority.certificate()), None);
        Self { folder, authority, trusting }
    }

    fn listening(&self, names: &[&str]) -> ServerCertificate {
        server(&self.folder.pair("server", &self.authority.server(names))).unwrap()
    }

    fn refused(&self, listening: &ServerCertificate, name: &str, words: &[&str]) {
        let told = shake(&self.trusting, listening, name).unwrap_err();
        for word in words {
            assert!(told.contains(word), "`{word}` is missing: {told}");
        }
    }
}

#[test]
fn a_server_of_the_authority_with_the_right_name_is_accepted() {
    let stand = Stand::new();
    let listening = stand.listening(&["broker.example.com", "127.0.0.1"]);
    shake(&stand.trusting, &listening, "broker.example.com").unwrap();
    shake(&stand.trusting, &listening, "127.0.0.1").unwrap();
}

#[test]
fn another_name_is_refused_and_both_names_are_told() {
    let stand = Stand::new();
    let listening = stand.listening(&["broker.example.com"]);
    let words = ["another host name", "localhost", "broker.example.com", "RELINK_AMQP_URL"];
    stand.refused(&listening, "localhost", &words);
}

#[test]
fn a_server_of_another_authority_is_refused_even_under_the_same_name() {
    let stand = Stand::new();
    let stranger = Authority::new("stranger").server(&["localhost"]);
    let listening = server(&stand.folder.pair("stranger", &stranger)).unwrap();
    stand.refused(&listening, "localhost", &["no authority", "RELINK_AMQP_TLS_CA_FILE"]);
    let namesake = Authority::new("authority").server(&["localhost"]);
    let listening = server(&stand.folder.pair("namesake", &namesake)).unwrap();
    stand.refused(&listening, "localhost", &["RELINK_AMQP_TLS_CA_FILE"]);
}

#[test]
fn a_server_of_the_authority_is_not_trusted_by_this_machine_alone() {
    let stand = Stand::new();
    let listening = stand.listening(&["localhost"]);
    let told = shake(&ClientTls::of_machine(Peer::Broker), &listening, "localhost").unwrap_err();
    // A machine without any store says that instead.
    assert!(told.contains("RELINK_AMQP_TLS_CA_FILE"), "{told}");
}

#[test]
fn authorities_in_between_are_shown_by_the_server() {
    let stand = Stand::new();
    let between = stand.authority.below("between");
    let pair = between.server(&["localhost"]);
    let files = stand.folder.pair("server", &pair);
    stand.refused(&server(&files).unwrap(), "localhost", &["no authority"]);
    let chain = format!("{}{}", pair.certificate, between.certificate());
    std::fs::write(&files.certificate, chain).unwrap();
    shake(&stand.trusting, &server(&files).unwrap(), "localhost").unwrap();
}

#[test]
fn while_an_authority_is_changed_the_file_holds_both() {
    let stand = Stand::new();
    let next = Authority::new("next");
    let both = format!("{}{}", stand.authority.certificate(), next.certificate());
    let trusting = client(&stand.folder.file("both.pem", both), None);
    shake(&trusting, &stand.listening(&["localhost"]), "localhost").unwrap();
    let renewed = server(&stand.folder.pair("next", &next.server(&["localhost"]))).unwrap();
    shake(&trusting, &renewed, "localhost").unwrap();
}

#[test]
fn an_expired_server_is_refused() {
    let stand = Stand::new();
    let expired = stand.authority.expired_server(&["localhost"]);
    let listening = server(&stand.folder.pair("expired", &expired)).unwrap();
    assert!(listening.expires_at_unix_s() < 1_600_000_000);
    stand.refused(&listening, "localhost", &["has expired", "renew it at the broker"]);
}

#[test]
fn a_certificate_for_clients_is_none_for_a_server() {
    let stand = Stand::new();
    let listening = server(&stand.folder.pair("client", &stand.authority.client("localhost")));
    stand.refused(&listening.unwrap(), "localhost", &["the broker's certificate"]);
}

#[test]
fn words_of_another_protocol_are_told_as_such() {
    let stand = Stand::new();
    let config = stand.trusting.config().unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::clone(&config), name).unwrap();
    client.read_tls(&mut &b"AMQP\x00\x00\x09\x01"[..]).unwrap();
    let error = client.process_new_packets().map_err(io::Error::other).unwrap_err();
    let told = Peer::Broker.why(&error).unwrap();
    assert!(told.contains("does not speak TLS at this port"), "{told}");
    assert_eq!(Peer::Broker.why(&io::Error::other("the cable is cut")), None);
}

#[test]
fn the_client_certificate_is_read_again_when_it_changes_and_kept_when_it_breaks() {
    let stand = Stand::new();
    let authorities = stand.folder.path("authority.pem");
    let identity = stand.folder.pair("client", &stand.authority.client("relink"));
    let Identity { certificate, key } = identity.clone();
    let connecting = client(&authorities, Some(identity));
    let first = connecting.config().unwrap();
    assert!(Arc::ptr_eq(&first, &connecting.config().unwrap()), "nothing has changed");
    stand.authority.client("relink").write(&certificate, &key);
    let second = connecting.config().unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    std::fs::write(&key, "half a key").unwrap();
    assert!(Arc::ptr_eq(&second, &connecting.config().unwrap()), "the last good one is used");
    std::fs::remove_file(&authorities).unwrap();
    assert!(Arc::ptr_eq(&second, &connecting.config().unwrap()));
}

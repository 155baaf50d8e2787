use relink_tests::authority::Authority;
use relink_tls::{ClientTls, Identity, Peer};

use super::{Folder, client, server, shown};

/// What is said has to hold all the words.
fn says(error: impl std::fmt::Display, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is missing: {text}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named_with_its_setting() {
    let folder = Folder::new();
    let path = folder.path("missing.pem");
    let error = client(&path, None).config().unwrap_err();
    says(error, &["RELINK_AMQP_TLS_CA_FILE", "missing.pem", "No such file", "correct the path"]);
}

#[test]
fn what_is_not_pem_is_told_by_what_it_is() {
    let folder = Folder::new();
    let pair = Authority::new("authority").server(&["localhost"]);
    for (name, bytes, word) in [
        ("text.pem", &b"hello"[..], "no certificate in PEM"),
        ("empty.pem", b"", "no certificate in PEM"),
        ("key.pem", pair.key.as_bytes(), "that is a private key"),
        ("der.pem", &[0x30, 0x82, 0x01, 0x02], "openssl x509 -inform der"),
        ("half.pem", &pair.certificate.as_bytes()[..200], "copy the file again"),
    ] {
        let path = folder.file(name, bytes);
        says(client(&path, None).config().unwrap_err(), &["RELINK_AMQP_TLS_CA_FILE", name, word]);
        let key = folder.file("good-key.pem", &pair.key);
        says(shown(&path, &key).unwrap_err(), &["RELINK_TLS_CERTIFICATE_FILE", name, word]);
    }
}

#[test]
fn a_key_that_is_none_is_told_by_what_it_is() {
    let folder = Folder::new();
    let pair = Authority::new("authority").server(&["localhost"]);
    let certificate = folder.file("certificate.pem", &pair.certificate);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY\
                     -----\n";
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for (name, text, word) in [
        ("text-key.pem", "hello", "no private key in PEM"),
        ("certificate-key.pem", &pair.certificate, "that is a certificate"),
        ("encrypted-key.pem", encrypted, "openssl pkey"),
        ("half-key.pem", &pair.key[..60], "copy the file again"),
        ("broken-key.pem", broken, "cannot be used"),
    ] {
        let key = folder.file(name, text);
        says(shown(&certificate, &key).unwrap_err(), &["RELINK_TLS_KEY_FILE", name, word]);
    }
}

#[test]
fn a_certificate_and_the_key_of_another_are_told_apart() {
    let folder = Folder::new();
    let authority = Authority::new("authority");
    let mine = folder.pair("mine", &authority.server(&["localhost"]));
    let other = folder.pair("other", &authority.server(&["localhost"]));
    let mixed = Identity { certificate: mine.certificate.clone(), key: other.key.clone() };
    says(server(&mixed).unwrap_err(), &["mine.pem", "other-key.pem", "RELINK_TLS_KEY_FILE"]);
    // The chain in the wrong order is the same mistake.
    let chain = format!("{}{}", authority.certificate(), authority.server(&["a"]).certificate);
    let chain = folder.file("chain.pem", chain);
    says(shown(&chain, &mine.key).unwrap_err(), &["before those of authorities"]);
    // And so it is for a client.
    let authorities = folder.file("authority.pem", authority.certificate());
    let error = client(&authorities, Some(mixed)).config().unwrap_err();
    says(error, &["RELINK_AMQP_TLS_CERTIFICATE_FILE", "RELINK_AMQP_TLS_KEY_FILE"]);
}

#[test]
fn what_is_printed_holds_no_key() {
    let folder = Folder::new();
    let pair = Authority::new("authority").server(&["localhost"]);
    let identity = folder.pair("server", &pair);
    let shown = server(&identity).unwrap();
    let connecting = ClientTls::new(Peer::Database, None, Some(identity));
    let printed = format!("{shown:?} {connecting:?}");
    let secret = pair.key.lines().nth(1).unwrap();
    assert!(!printed.contains(secret) && printed.contains("server-key.pem"), "{printed}");
}

use std::sync::Arc;

use relink_tests::authority::{Authority, replace};
use relink_tls::{Reload, TlsError};

use super::handshakes::shake;
use super::{Folder, client, server};

#[test]
fn a_changed_certificate_is_shown_and_a_broken_one_is_not() {
    let (folder, authority) = (Folder::new(), Authority::new("authority"));
    let trusting = client(&folder.file("authority.pem", authority.certificate()), None);
    let files = folder.pair("server", &authority.server(&["first.example.com"]));
    let listening = server(&files).unwrap();
    assert_eq!(listening.reload().unwrap(), Reload::Unchanged);

    let next = authority.server(&["second.example.com"]);
    next.write(&files.certificate, &files.key);
    let same = listening.clone();
    assert_eq!(listening.reload().unwrap(), Reload::Changed);
    shake(&trusting, &same, "second.example.com").unwrap();
    shake(&trusting, &same, "first.example.com").unwrap_err();

    // Half of the next renewal, then nonsense, then nothing.
    let shown = listening.current();
    replace(&files.certificate, &authority.server(&["third.example.com"]).certificate);
    assert!(matches!(listening.reload(), Err(TlsError::NotOfOnePair { .. })));
    replace(&files.certificate, "no certificate");
    assert!(matches!(listening.reload(), Err(TlsError::NoCertificate { .. })));
    std::fs::remove_file(&files.certificate).unwrap();
    assert!(matches!(listening.reload(), Err(TlsError::Unreadable { .. })));
    assert!(Arc::ptr_eq(&shown, &listening.current()));
    shake(&trusting, &same, "second.example.com").unwrap();

    authority.expired_server(&["second.example.com"]).write(&files.certificate, &files.key);
    assert!(matches!(listening.reload(), Err(TlsError::Unusable { .. })));
    assert!(!listening.has_expired());

    next.write(&files.certificate, &files.key);
    assert_eq!(listening.reload().unwrap(), Reload::Unchanged);
}

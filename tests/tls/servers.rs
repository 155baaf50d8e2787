//! What is verified of a server, and what a server wants of us.

use relink_tests::authority::Authority;
use relink_tests::pair::Pair;
use relink_tests::process::{Settings, run};
use relink_tests::stage::Stage;
use relink_tests::wait::until;

use crate::files::{Files, ROLE, with};

/// What the process says when it cannot connect.
const UNAVAILABLE: i32 = 69;

/// The settings of one server: its address, authorities, certificate and key.
struct Names {
    url: &'static str,
    authorities: &'static str,
    certificate: &'static str,
    key: &'static str,
    peer: &'static str,
}

const BROKER: Names = Names {
    url: "RELINK_AMQP_URL",
    authorities: "RELINK_AMQP_TLS_CA_FILE",
    certificate: "RELINK_AMQP_TLS_CERTIFICATE_FILE",
    key: "RELINK_AMQP_TLS_KEY_FILE",
    peer: "broker",
};

const DATABASE: Names = Names {
    url: "RELINK_DATABASE_URL",
    authorities: "RELINK_DATABASE_TLS_CA_FILE",
    certificate: "RELINK_DATABASE_TLS_CERTIFICATE_FILE",
    key: "RELINK_DATABASE_TLS_KEY_FILE",
    peer: "database",
};

pub(crate) async fn broker_and_database_are_verified_in_full(stage: &Stage) {
    let files = Files::new(stage.folder().join("certificates"));
    let mut pair = Pair::start_with_tls(stage, &["broker", "database"], files.folder()).await;
    let settings = files.settings(&pair.servers);
    works(&settings).await;
    for names in [&BROKER, &DATABASE] {
        the_server_is_verified(&files, &settings, names).await;
        the_client_is_asked(&files, &settings, names).await;
    }
    plain_connections_are_told_what_is_wanted(&settings).await;

    for names in [&BROKER, &DATABASE] {
        let order = format!("{} certificate", names.peer);
        files.server_lets_expire();
        pair.order(&order).await;
        in_the_end_refused(&settings, &["certificate has expired", names.peer, "renew it"]).await;
        files.server_renews();
        pair.order(&order).await;
        in_the_end_works(&settings).await;
    }
}

async fn the_server_is_verified(files: &Files, settings: &Settings, names: &Names) {
    let stranger = Authority::new("stranger");
    let stranger = files.file("stranger.pem", stranger.certificate());
    let wrong = with(settings, &[(names.authorities, stranger)]);
    refused(&wrong, &["no authority that is trusted here", names.authorities]).await;
    // Another authority of the same name is none either.
    let namesake = files.file("namesake.pem", Authority::new("authority").certificate());
    let wrong = with(settings, &[(names.authorities, namesake)]);
    refused(&wrong, &["not its signature", names.authorities]).await;
    // The machine's own authorities know nothing of the test's.
    refused(&with(settings, &[(names.authorities, String::new())]), &[names.authorities]).await;

    let url = settings.iter().find(|(name, _)| *name == names.url).unwrap();
    let by_name = with(settings, &[(names.url, url.1.replace("127.0.0.1", "localhost"))]);
    refused(&by_name, &["another host name", "localhost is wanted", names.url]).await;
}

async fn the_client_is_asked(files: &Files, settings: &Settings, names: &Names) {
    let nothing = [(names.certificate, String::new()), (names.key, String::new())];
    let words = ["client certificate", names.key];
    client_refused(&with(settings, &nothing), names, &words).await;

    files.client("stranger", &Authority::new("stranger").client(ROLE));
    let path = |name| files.path(name).display().to_string();
    let stranger =
        [(names.certificate, path("stranger.pem")), (names.key, path("stranger-key.pem"))];
    client_refused(&with(settings, &stranger), names, &["client certificate"]).await;
    files.client("expired", &files.authority.expired_client(ROLE));
    let expired = [(names.certificate, path("expired.pem")), (names.key, path("expired-key.pem"))];
    client_refused(&with(settings, &expired), names, &["certificate has expired", names.key]).await;
}

/// The server's reason is seen in the end, and the setting to look at each time: a server that
/// hangs up on what we have begun to write may take its reason with it.
async fn client_refused(settings: &Settings, names: &Names, reason: &[&str]) {
    until(async || {
        check_refused(settings, &[names.certificate]).await.unwrap();
        check_refused(settings, reason).await
    })
    .await;
}

async fn plain_connections_are_told_what_is_wanted(settings: &Settings) {
    let url = |name| settings.iter().find(|(one, _)| *one == name).unwrap().1.clone();
    let files = |names: &Names| {
        let files = [names.authorities, names.certificate, names.key];
        files.map(|name| (name, String::new())).to_vec()
    };
    let plain = url(BROKER.url).replace("amqps://", "amqp://");
    let changes = [files(&BROKER), vec![(BROKER.url, plain)]].concat();
    // Its alert is no AMQP; what is seen of it first, that or the end, is a matter of chance.
    refused(&with(settings, &changes), &["no connection to amqp://"]).await;
    let plain = url(DATABASE.url).replace("verify-full", "disable");
    let changes = [files(&DATABASE), vec![(DATABASE.url, plain)]].concat();
    refused(&with(settings, &changes), &["no encryption", "sslmode=verify-full"]).await;
}

pub(crate) async fn servers_without_tls_are_told_apart_from_those_that_are_away(stage: &Stage) {
    let files = Files::new(stage.folder().join("certificates"));
    let servers = stage.servers();
    let authorities = files.path("authority.pem").display().to_string();
    let settings = vec![
        (BROKER.url, servers.amqp_url.replace("amqp://", "amqps://")),
        (BROKER.authorities, authorities.clone()),
        (DATABASE.url, servers.database_url.clone()),
    ];
    let place = stage.place("plain").await;
    let database = vec![(DATABASE.url, place.database_url.clone())];
    refused(&with(&settings, &database), &["does not speak TLS at this port", BROKER.url]).await;
    // A file of authorities is enough to want TLS, on this machine as well.
    let settings = vec![
        (DATABASE.url, servers.database_url.clone()),
        (DATABASE.authorities, authorities),
        (BROKER.url, servers.amqp_url.clone()),
    ];
    refused(&settings, &["offers no TLS", "sslmode=disable"]).await;
}

async fn works(settings: &Settings) {
    let output = run(&["migrate"], settings).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "relink migrate: {said}");
}

async fn refused(settings: &Settings, words: &[&str]) {
    check_refused(settings, words).await.unwrap();
}

async fn check_refused(settings: &Settings, words: &[&str]) -> Result<(), String> {
    let output = run(&["migrate"], settings).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.code() != Some(UNAVAILABLE) {
        return Err(format!("{words:?} was expected: {}: {said}", output.status));
    }
    let missing = words.iter().find(|word| !said.contains(**word));
    missing.map_or(Ok(()), |word| Err(format!("`{word}` is missing: {said}")))
}

/// A server may take a moment to show what it was told to.
async fn in_the_end_refused(settings: &Settings, words: &[&str]) {
    until(async || check_refused(settings, words).await).await;
}

async fn in_the_end_works(settings: &Settings) {
    until(async || {
        let output = run(&["migrate"], settings).await;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(said()) }
    })
    .await;
}

//! What the verifier accepts, and the name of every refusal.

use hmac::{Hmac, KeyInit, Mac};
use relink_stripe::signature::{Rejection, SIGNATURES_MAX, Verified, Verifier};
use secrecy::SecretString;
use sha2::Sha256;

const SECRET: &str = "whsec_q3ZqWq7bA0f1XyV9";
const OLD_SECRET: &str = "whsec_old_9Yt2LkPm4RsD";
const SIGNED_AT: i64 = 1_793_577_600;
const BODY: &[u8] = "{\"id\":\"evt_1\",\"object\":\"event\",\"note\":\"café\"}\n".as_bytes();

/// Computed outside of this program, with Python's `hmac` and with OpenSSL:
/// `hmac.new(SECRET, b"1793577600." + BODY, hashlib.sha256).hexdigest()`.
const KNOWN: &str = "0811e7d1bb7bbd1adb5135170adec6e24201ff233914d8852b65cfcc2edc6fbd";
/// The same under `OLD_SECRET`.
const KNOWN_OLD: &str = "a079c22e5bb31925d354306d962d9086b9235efdcd344fd1d9b412138188dd8d";
/// The same under `SECRET` without its prefix, which is not the key.
const KNOWN_STRIPPED: &str = "848141b07af0fd872bcec4bd7fcd835c812a43e47832b84f48bd73e366fc85c3";
const WRONG: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

fn verifier(secrets: &[&str], tolerance_seconds: u32) -> Verifier {
    Verifier::new(secrets.iter().copied().map(SecretString::from).collect(), tolerance_seconds)
}

fn check(header: &str) -> Result<Verified, Rejection> {
    verifier(&[SECRET], 300).verify(Some(header), BODY, SIGNED_AT)
}

fn sign(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_known_answer_verifies() {
    let verified = check(&format!("t={SIGNED_AT},v1={KNOWN}"));
    assert_eq!(verified, Ok(Verified { signed_at_unix_seconds: SIGNED_AT, skew_seconds: 0 }));
    assert_eq!(sign(SECRET, "1793577600", BODY), KNOWN);
}

#[test]
fn the_secret_is_used_whole() {
    assert_eq!(check(&format!("t={SIGNED_AT},v1={KNOWN_STRIPPED}")), Err(Rejection::NoMatch));
}

#[test]
fn any_v1_may_match_any_secret() {
    let header = format!("t={SIGNED_AT},v1={KNOWN_OLD},v1={KNOWN},v0={WRONG}");
    for secrets in [&[SECRET][..], &[OLD_SECRET], &["whsec_x", OLD_SECRET], &[SECRET, "whsec_x"]] {
        assert!(verifier(secrets, 300).verify(Some(&header), BODY, SIGNED_AT).is_ok());
    }
    let neither = verifier(&["whsec_x", "whsec_y"], 300).verify(Some(&header), BODY, SIGNED_AT);
    assert_eq!(neither, Err(Rejection::NoMatch));
}

#[test]
fn the_matching_v1_may_stand_last_and_beside_garbage() {
    assert!(check(&format!("v1={WRONG},v1=zz,v1=,t={SIGNED_AT},v1={KNOWN},x=y")).is_ok());
    assert!(check(&format!("t={SIGNED_AT}, v1={KNOWN}")).is_ok());
}

#[test]
fn only_so_many_v1_are_looked_at() {
    let wrong = format!("v1={WRONG},").repeat(SIGNATURES_MAX - 1);
    assert!(check(&format!("t={SIGNED_AT},{wrong}v1={KNOWN}")).is_ok());
    let header = format!("t={SIGNED_AT},v1={WRONG},{wrong}v1={KNOWN}");
    assert_eq!(check(&header), Err(Rejection::NoMatch));
}

#[test]
fn an_altered_body_or_time_does_not_match() {
    let header = format!("t={SIGNED_AT},v1={KNOWN}");
    let verifier = verifier(&[SECRET], 300);
    for position in 0..BODY.len() {
        let mut altered = BODY.to_vec();
        altered[position] ^= 1;
        let verdict = verifier.verify(Some(&header), &altered, SIGNED_AT);
        assert_eq!(verdict, Err(Rejection::NoMatch));
    }
    let trimmed = BODY.trim_ascii_end();
    assert_eq!(verifier.verify(Some(&header), trimmed, SIGNED_AT), Err(Rejection::NoMatch));
    let later = format!("t={},v1={KNOWN}", SIGNED_AT + 1);
    assert_eq!(verifier.verify(Some(&later), BODY, SIGNED_AT), Err(Rejection::NoMatch));
}

#[test]
fn every_refusal_of_a_header_has_its_name() {
    let long = format!("t={SIGNED_AT},v1={KNOWN},x={}", "y".repeat(5000));
    let v0 = format!("t={SIGNED_AT},v0={KNOWN}");
    let table = [
        ("", Rejection::Empty),
        ("   ", Rejection::Empty),
        ("nonsense", Rejection::Malformed),
        (",", Rejection::Malformed),
        ("t=1793577600,", Rejection::Malformed),
        (&format!("v1={KNOWN}"), Rejection::Malformed),
        (&format!("t=,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t=-1793577600,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t=+1793577600,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t= 1793577600,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t=1.793577600e9,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t=0x6ae7,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t=١٧٩٣,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t=99999999999999999999,v1={KNOWN}"), Rejection::Malformed),
        (&format!("t={SIGNED_AT},t={SIGNED_AT},v1={KNOWN}"), Rejection::Malformed),
        (&long, Rejection::Malformed),
        ("t=1793577600", Rejection::NoSignature),
        (&v0, Rejection::NoSignature),
        (&format!("t={SIGNED_AT},V1={KNOWN}"), Rejection::NoSignature),
        (&format!("t={SIGNED_AT},v1="), Rejection::NoMatch),
        (&format!("t={SIGNED_AT},v1=xyz,v0={KNOWN}"), Rejection::NoMatch),
        (&format!("t={SIGNED_AT},v1={}", &KNOWN[..62]), Rejection::NoMatch),
        (&format!("t={SIGNED_AT},v1={KNOWN}00"), Rejection::NoMatch),
        (&format!("t={SIGNED_AT},v1={WRONG}"), Rejection::NoMatch),
    ];
    for (header, expected) in table {
        assert_eq!(check(header), Err(expected), "{header:?}");
    }
    assert_eq!(verifier(&[SECRET], 300).verify(None, BODY, SIGNED_AT), Err(Rejection::Missing));
}

#[test]
fn age_is_limited_in_both_directions_and_the_limit_itself_passes() {
    let header = format!("t={SIGNED_AT},v1={KNOWN}");
    let at = |now| verifier(&[SECRET], 300).verify(Some(&header), BODY, now);
    assert_eq!(at(SIGNED_AT + 300).map(|verified| verified.skew_seconds), Ok(-300));
    assert_eq!(at(SIGNED_AT + 301), Err(Rejection::TooOld));
    assert_eq!(at(SIGNED_AT - 300).map(|verified| verified.skew_seconds), Ok(300));
    assert_eq!(at(SIGNED_AT - 301), Err(Rejection::TooFarInFuture));
    assert_eq!(at(i64::MAX), Err(Rejection::TooOld));
    assert_eq!(at(i64::MIN), Err(Rejection::TooFarInFuture));
}

#[test]
fn a_tolerance_of_zero_switches_the_age_off() {
    let header = format!("t={SIGNED_AT},v1={KNOWN}");
    let at = |now| verifier(&[SECRET], 0).verify(Some(&header), BODY, now);
    assert!(at(SIGNED_AT + 10_000_000).is_ok());
    assert!(at(0).is_ok());
}

#[test]
fn age_is_judged_only_of_genuine_signatures() {
    let header = format!("t={SIGNED_AT},v1={WRONG}");
    let verdict = verifier(&[SECRET], 300).verify(Some(&header), BODY, SIGNED_AT + 9999);
    assert_eq!(verdict, Err(Rejection::NoMatch));
}

#[test]
fn the_empty_key_signs_nothing() {
    let header = format!("t={SIGNED_AT},v1={}", sign("", "1793577600", BODY));
    for secrets in [&[""][..], &[], &["", SECRET]] {
        let verdict = verifier(secrets, 300).verify(Some(&header), BODY, SIGNED_AT);
        assert_eq!(verdict, Err(Rejection::NoMatch));
    }
}

#[test]
fn names_are_distinct_and_secrets_are_not_shown() {
    let mut names: Vec<_> = Rejection::ALL.iter().map(|reason| reason.as_str()).collect();
    names.dedup();
    assert_eq!(names.len(), Rejection::ALL.len());
    let shown = format!("{:?}", verifier(&[SECRET, OLD_SECRET], 300));
    assert_eq!(shown, "Verifier { secrets: 2, tolerance_seconds: 300 }");
}

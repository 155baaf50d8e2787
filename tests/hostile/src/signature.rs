//! The signature of a webhook, held against an own computation of it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use relink_stripe::signature::{Rejection, Verifier};
use secrecy::SecretString;
use sha2::Sha256;

use crate::seed::EVENTS;
use crate::source::Source;

const SECRETS: [&str; 2] = ["whsec_one", "whsec_two"];
const TOLERANCE: u32 = 300;
const NOW: i64 = 1_790_000_000;

/// What is signed verifies within its time; what verifies was signed.
pub(crate) fn run(source: &mut Source<'_>) {
    let verifier = Verifier::new(SECRETS.map(SecretString::from).into(), TOLERANCE);
    let mut body = source.pick(&EVENTS.bodies).clone();
    let skew = *source.pick(&[0, 1, -1, 299, 300, 301, -300, -301, 1_000_000]);
    let time = (NOW + skew).to_string();
    let secret = *source.pick(&[SECRETS[0], SECRETS[1], "whsec_other", ""]);
    let mut header = format!("t={time},v1={}", digest(secret, &time, &body));
    if source.one_in(2) {
        header = format!("v0=x, {header} ,v1=00,");
        header.pop();
    }
    let tolerance = i64::from(TOLERANCE);
    let verified = verifier.verify(Some(&header), &body, NOW);
    let expected = match (SECRETS.contains(&secret), skew) {
        (false, _) => Err(Rejection::NoMatch),
        (true, skew) if skew > tolerance => Err(Rejection::TooFarInFuture),
        (true, skew) if skew < -tolerance => Err(Rejection::TooOld),
        (true, skew) => Ok(skew),
    };
    assert_eq!(verified.map(|one| one.skew_seconds), expected, "{header}");

    let mut altered = header.clone().into_bytes();
    match source.below(3) {
        0 => source.damage(&mut altered),
        1 => altered = source.text().into_bytes(),
        _ => source.damage(&mut body),
    }
    let altered = String::from_utf8_lossy(&altered);
    let now = if source.one_in(8) { source.number() } else { NOW };
    if verifier.verify(Some(&altered), &body, now).is_ok() {
        assert!(is_signed(&altered, &body), "nobody signed this: {altered}");
    }
}

/// The plain reading of Stripe's documentation: one `t`, any `v1` that is its digest.
fn is_signed(header: &str, body: &[u8]) -> bool {
    let items: Vec<_> = header.split(',').filter_map(|item| item.trim().split_once('=')).collect();
    let times: Vec<_> = items.iter().filter(|(key, _)| *key == "t").collect();
    let [(_, time)] = times[..] else { return false };
    let expected = SECRETS.map(|secret| digest(secret, time, body));
    let mut candidates = items.iter().filter(|(key, _)| *key == "v1");
    candidates.any(|(_, value)| expected.contains(&value.to_ascii_lowercase()))
}

/// What Stripe puts behind `v1=`.
pub(crate) fn digest(secret: &str, time: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.").as_bytes());
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

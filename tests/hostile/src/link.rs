//! Tokens of relink links.

use relink_core::id::{CaseId, Scope};
use relink_core::time::{Second, Time};
use relink_engine::link::{LinkClaims, LinkRefusal, LinkSigner};

use crate::source::Source;

const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];
const NOW: i64 = 1_790_000_000;

/// What is signed is read as it was; anything else is refused.
pub(crate) fn run(source: &mut Source<'_>) {
    let signer = LinkSigner::new(KEYS).unwrap();
    let subject = *source.pick(&["fcauth_1", "fca_9", "x"]);
    let scope = match source.below(3) {
        0 => Scope::own(false),
        1 => Scope::own(true),
        _ => Scope::connected(true, "acct_1"),
    };
    let case = match source.below(3) {
        0 => format!("{scope}:{subject}:case-{}", source.byte()),
        1 => "live:fcauth_other:case-1".to_owned(),
        _ => "c".to_owned(),
    };
    let ahead = *source.pick(&[1, 2, 86_400, 0, -1]);
    let claims = LinkClaims {
        case: CaseId::new(case),
        subject: subject.into(),
        scope,
        expires: Second(NOW + ahead),
    };
    let token = signer.sign(&claims);
    let expected = if ahead > 0 { Ok(claims) } else { Err(LinkRefusal::Expired) };
    assert_eq!(signer.verify(&token, Time(NOW * 1000)), expected);

    let mut altered = token.clone().into_bytes();
    source.damage(&mut altered);
    let altered = if source.one_in(4) { source.text().into_bytes() } else { altered };
    let altered = String::from_utf8_lossy(&altered);
    if altered != token {
        let answer = signer.verify(&altered, Time(NOW * 1000));
        let refused = [Err(LinkRefusal::Malformed), Err(LinkRefusal::Forged)];
        assert!(refused.contains(&answer), "{altered} passes for {token}: {answer:?}");
    }
    // Whatever our clock says, and for another purpose.
    let _ = signer.verify(&token, Time(source.number()));
    assert!(signer.open("completion", &token).is_err());
    let text = source.text();
    assert_eq!(signer.open("completion", &signer.seal("completion", &text)), Ok(text));
}

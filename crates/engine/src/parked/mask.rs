//! A body as a person may see it.

use serde_json::Value;

/// How much of a body that is not JSON is shown, in characters: enough to see what it is.
const TEXT_CHARS_MAX: usize = 2_000;

/// What stands in a secret's place.
const MASK: &str = "•••";

/// Parts of names whose values are secrets, or addresses that are: Stripe's `client_secret` and
/// `hosted_url`, Relink's `relink_url`, and what others may call theirs.
const SECRET_NAMES: [&str; 8] = [
    "secret",
    "password",
    "authorization_code",
    "api_key",
    "access_token",
    "hosted_url",
    "relink_url",
    "return_url",
];

/// How Stripe's keys and secrets begin.
const SECRET_STARTS: [&str; 5] = ["sk_", "rk_", "pk_", "whsec_", "ek_"];

/// What a secret stands behind in a header, in either case (RFC 6750, RFC 9110).
const SCHEME: &str = "bearer";

/// The body with its secrets masked: JSON where it is JSON, else the beginning of its text.
pub fn shown(body: &[u8]) -> Value {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) => {
            mask(&mut value);
            value
        }
        Err(_) => Value::from(text(body)),
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, mut field) in std::mem::take(fields) {
                let lower = name.to_ascii_lowercase();
                let is_named = lower.ends_with("token")
                    || SECRET_NAMES.iter().any(|part| lower.contains(part));
                if is_named && !field.is_null() {
                    field = MASK.into();
                } else {
                    mask(&mut field);
                }
                let name = if is_secret(&name) { MASK.to_owned() } else { name };
                fields.insert(name, field);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::String(text) if is_secret(text) => *text = MASK.into(),
        _ => {}
    }
}

/// Whether a value gives itself away: a key, a client secret (`…_secret_…`), a relink link, an
/// address with a password, what a header authorizes with.
fn is_secret(text: &str) -> bool {
    let is_header = text.split_once(' ').is_some_and(|(scheme, _)| is_scheme(scheme));
    SECRET_STARTS.iter().any(|start| text.starts_with(start))
        || text.contains("_secret_")
        || is_header
        || text.split_once("://").is_some_and(|(_, rest)| {
            let user = rest.split('/').next().and_then(|place| place.rsplit_once('@'));
            rest.contains("/relink/") || user.is_some_and(|(user, _)| user.contains(':'))
        })
}

fn is_scheme(word: &str) -> bool {
    word.eq_ignore_ascii_case(SCHEME)
}

/// Word by word, since there are no names to go by; bytes that are no text become `�`.
fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let begin: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let is_cut = begin.len() < text.len();
    let part = |c: char| c.is_alphanumeric() || "_/-.:@%+~".contains(c);
    let mut masked = String::with_capacity(begin.len());
    let mut rest = begin.as_str();
    let mut is_announced = false;
    while !rest.is_empty() {
        let end = rest.find(|c| !part(c)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let is_hidden = !word.is_empty() && (is_announced || is_secret(word));
        masked.push_str(if is_hidden { MASK } else { word });
        is_announced = is_scheme(word);
        let (gap, further) = behind.split_at(behind.find(part).unwrap_or(behind.len()));
        masked.push_str(gap);
        rest = further;
    }
    if is_cut {
        masked.push('…');
    }
    masked
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_masked_by_name_and_by_form() {
        let body = json!({
            "id": "evt_1", "client_secret": "fcsess_1_secret_x", "nothing_secret": null,
            "list": ["sk_live_1", "active", { "relink_url": "https://r.example/relink/tok" }],
            "elsewhere": "https://r.example/relink/tok", "count": 3, "map": { "sk_live_1": 1 },
            "source": "/relink/worker", "broker": "amqp://user:word@mq/%2f", "plain": "amqp://mq/a@b",
            "token": "abc", "header": "bearer abc", "tokenized": "yes", "said": "a bearer of news",
        });
        let seen = shown(body.to_string().as_bytes());
        let expected = json!({
            "id": "evt_1", "client_secret": MASK, "nothing_secret": null,
            "list": [MASK, "active", { "relink_url": MASK }], "elsewhere": MASK, "count": 3,
            "map": { MASK: 1 }, "source": "/relink/worker", "broker": MASK, "plain": "amqp://mq/a@b",
            "token": MASK, "header": MASK, "tokenized": "yes", "said": "a bearer of news",
        });
        assert_eq!(seen, expected);
    }

    #[test]
    fn what_is_not_json_is_shown_as_text_without_secrets() {
        let seen = shown(b"{\"id\": evt_1, key=sk_live_1; \"fcsess_1_secret_x\"");
        assert_eq!(seen, json!("{\"id\": evt_1, key=•••; \"•••\""));
        let seen = shown(b"Authorization: Bearer a.b+c at amqp://user:word@mq/%2f");
        assert_eq!(seen, json!("Authorization: Bearer ••• at •••"));
        assert_eq!(shown(&[b'{', 0xff]), json!("{\u{fffd}"));
        let long = shown(&vec![b'['; 100_000]);
        assert_eq!(long.as_str().map(|text| text.chars().count()), Some(TEXT_CHARS_MAX + 1));
    }
}

//! A body, and a text about one, as a person may see it.

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

/// What values stand in.
const QUOTES: [char; 3] = ['"', '\'', '`'];

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
                if names_secret(&name) && !field.is_null() {
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

/// Whether what has this name is a secret.
fn names_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.ends_with("token") || SECRET_NAMES.iter().any(|part| lower.contains(part))
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

/// The beginning of a text, masked; bytes that are no text become `�`.
fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let begin: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let end = if begin.len() < text.len() { "…" } else { "" };
    masked(&begin) + end
}

/// A text with its secrets masked: what stands behind the name of one, then word by word what
/// gives itself away.
pub fn masked(text: &str) -> String {
    by_form(&by_name(text))
}

/// Masks what `name: value` and `name=value` say of a secret, in quotes or without. A value of
/// several parts is masked to the end of the text: where it ends is not looked for.
fn by_name(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find([':', '=']) {
        let (before, from) = rest.split_at(at);
        let value = from.trim_start_matches(|c: char| ":=>".contains(c) || c.is_whitespace());
        let (told, _) = rest.split_at(rest.len() - value.len());
        masked.push_str(told);
        rest = value;
        if names_secret(name_at_end(before)) {
            let (opening, secret) = value.split_at(opening(value));
            let end = if opening.is_empty() { bare(secret) } else { quoted(opening, secret) };
            let (secret, further) = secret.split_at(end);
            let is_told = secret.is_empty() || secret == "null" || is_scheme(secret);
            masked.push_str(opening);
            masked.push_str(if is_told { secret } else { MASK });
            rest = further;
        }
    }
    masked + rest
}

/// What a text names last: all that is in quotes, else the last word.
fn name_at_end(text: &str) -> &str {
    let quote = |c: char| QUOTES.contains(&c);
    let text = text.trim_end();
    let bare = text.trim_end_matches(|c| quote(c) || c == '\\');
    let is_quoted = bare.len() < text.len();
    let start = |c: char| if is_quoted { quote(c) } else { !c.is_alphanumeric() && c != '_' };
    bare.rsplit(start).next().unwrap_or_default()
}

/// How many bytes open a value in quotes: the quote, and before it what escapes it where the text
/// itself stands in quotes.
fn opening(value: &str) -> usize {
    let behind = value.trim_start_matches('\\');
    match behind.chars().next() {
        Some(quote) if QUOTES.contains(&quote) => value.len() - behind.len() + quote.len_utf8(),
        _ => 0,
    }
}

/// How many bytes of a secret stand in quotes: up to one that is no more escaped than the first.
fn quoted(opening: &str, secret: &str) -> usize {
    let Some(quote) = opening.chars().last() else { return 0 };
    let outer = opening.len() - quote.len_utf8();
    let mut escapes = 0;
    for (at, c) in secret.char_indices() {
        let closes = if outer == 0 { escapes % 2 == 0 } else { escapes <= outer };
        match c {
            _ if c == quote && closes => return at - escapes.min(outer),
            '\\' => escapes += 1,
            _ => escapes = 0,
        }
    }
    secret.len()
}

/// How many bytes of a secret stand without quotes.
fn bare(secret: &str) -> usize {
    if secret.starts_with(['{', '[']) {
        return secret.len();
    }
    let ends = |c: char| c.is_whitespace() || ",;&)]}<>".contains(c) || QUOTES.contains(&c);
    secret.find(ends).unwrap_or(secret.len())
}

/// Masks what gives itself away, and what is announced by a scheme.
fn by_form(text: &str) -> String {
    let part = |c: char| c.is_alphanumeric() || "_/-.:@%+~".contains(c);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
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
    fn a_secret_behind_its_name_is_masked_in_text_as_well() {
        for (text, expected) in [
            (r#"{"id":"e","password":"hunter2","a":1"#, r#"{"id":"e","password":"•••","a":1"#),
            (r#"{"password" : "hun\"ter 2!", "id": 1"#, r#"{"password" : "•••", "id": 1"#),
            (r#"{"my password hint":"the cat"#, r#"{"my password hint":"•••"#),
            (
                r#"{"body":"{\"apiKey\":1,\"client_secret\":\"a b\",\"c\":2}""#,
                r#"{"body":"{\"apiKey\":1,\"client_secret\":\"•••\",\"c\":2}""#,
            ),
            (r#"{"secrets":{"a":"b"},"c":1"#, r#"{"secrets":•••"#),
            (r#"{"secret":null,"access_token":12,"c"#, r#"{"secret":null,"access_token":•••,"c"#),
            ("id=1&password=hunt%65r2&c=3", "id=1&password=•••&c=3"),
            ("PASSWORD: hunter2\nid: 1", "PASSWORD: •••\nid: 1"),
            ("api_key='a b' token => x, tokens: y", "api_key='•••' token => •••, tokens: y"),
            ("access_token: Bearer a.b, c", "access_token: Bearer •••, c"),
            ("at https://a.example/?x=1:2", "at https://a.example/?x=1:2"),
            ("password", "password"),
            ("password:", "password:"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
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

//! Secrets, from variables or files: what is wrong with them is told by their names, never by
//! their values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Problems;

/// What stands before the secrets of Stripe's endpoints (docs.stripe.com/webhooks) and of
/// Standard Webhooks.
const PREFIX: &str = "whsec_";

/// The shortest key of Standard Webhooks, in bytes (specification 1.0.0: 24 to 64).
const KEY_BYTES_MIN: usize = 24;

impl Problems {
    /// A text from its variable, or from the file that `…_FILE` names; not both.
    pub(crate) fn confidential(
        &mut self,
        name: &str,
        value: Option<String>,
        file: Option<String>,
    ) -> Option<String> {
        let from_file = file.clone();
        let text = match (value.filter(|value| !value.is_empty()), file) {
            (Some(_), Some(_)) => {
                self.add(format!("{name} and {name}_FILE are both set; keep one"));
                return None;
            }
            (Some(value), None) => value,
            (None, Some(file)) => match std::fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) => {
                    self.add(format!("{name}_FILE: {file} cannot be read: {error}"));
                    return None;
                }
            },
            (None, None) => return None,
        };
        // What an editor or `echo` leaves at the end belongs to no secret.
        let text = text.trim();
        if let (true, Some(file)) = (text.is_empty(), from_file) {
            self.add(format!("{name}_FILE: {file} is empty; put the secret there"));
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A key or secret, which is one word.
    pub(crate) fn secret(
        &mut self,
        name: &str,
        value: Option<String>,
        file: Option<String>,
    ) -> Option<String> {
        let text = self.confidential(name, value, file)?;
        self.one_word(name, &text).then_some(text)
    }

    /// Whether a key or secret is one word; if not, it was broken or something was added.
    pub(crate) fn one_word(&mut self, name: &str, text: &str) -> bool {
        let is_word = text.chars().all(|one| !one.is_whitespace() && !one.is_control());
        if !is_word {
            self.add(format!(
                "{name} has a blank or a line break in it; copy it again, in one piece"
            ));
        }
        is_word
    }

    /// The secrets of webhook endpoints, separated by commas; `None` where one cannot be right.
    pub(crate) fn endpoint_secrets(&mut self, name: &str, text: &str) -> Option<Vec<String>> {
        let parts = text.split(',').map(str::trim).filter(|secret| !secret.is_empty());
        let secrets: Vec<String> = parts.map(str::to_owned).collect();
        let mut good = true;
        for (index, secret) in secrets.iter().enumerate() {
            let which = match secrets.len() {
                1 => name.to_owned(),
                _ => format!("{name}, secret {} of {}", index + 1, secrets.len()),
            };
            if !secret.starts_with(PREFIX) {
                self.add(format!(
                    "{which}: an endpoint's secret starts with {PREFIX}; copy the signing secret \
                     of the event destination from Stripe's dashboard"
                ));
                good = false;
            } else {
                good &= self.one_word(&which, secret);
            }
        }
        good.then_some(secrets)
    }

    /// The key of Standard Webhooks that a secret stands for.
    pub(crate) fn signing_key(&mut self, name: &str, secret: &str) -> Option<Vec<u8>> {
        let key = secret.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
        let key = key.filter(|key| key.len() >= KEY_BYTES_MIN);
        if key.is_none() {
            self.add(format!(
                "{name} must be {PREFIX} followed by at least {KEY_BYTES_MIN} bytes in base64, \
                 for instance `echo {PREFIX}$(openssl rand -base64 32)`"
            ));
        }
        key
    }
}

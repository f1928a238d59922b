//! Secrets: a [`Secret`] cannot be printed and is zeroed when dropped; the submodules detect and mask secrets in
//! everything that arcctl prints, logs or writes. Pure: no I/O.

#[cfg(test)]
pub(crate) mod canaries;
mod command;
mod lines;
mod login;
mod markup;
pub(crate) mod name;
mod sentence;
pub(crate) mod shape;
#[cfg(test)]
mod tests_of_lines;
#[cfg(test)]
mod tests_of_shapes;
pub(crate) mod text;
mod told;
pub(crate) mod value;
mod words;

use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

/// A secret text: a token or a private key.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps the text without the white space around it; the second value is whether there was any.
    pub fn trimmed(text: &str) -> (Self, bool) {
        let trimmed = text.trim();
        (Self(trimmed.to_owned().into()), trimmed.len() != text.len())
    }

    /// The plain text, for the one function that sends it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// `text` without this secret: plain, in base64 at any alignment, percent-encoded, and parts of these. For
    /// responses, which may repeat the request.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let forms = self.forms();
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let longest = forms.iter().map(|form| common(form, rest)).max();
            let length = if let Some(length) = longest.filter(|it| *it > 0) {
                shown.push_str("***");
                length
            } else {
                shown.push(next);
                next.len_utf8()
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        shown
    }

    /// The encodings of the secret to search for.
    fn forms(&self) -> Vec<String> {
        let text = self.expose();
        // The common prefix of these tokens is not secret.
        let plain = text.strip_prefix("github_pat_").unwrap_or(text).to_owned();
        let mut encoded = String::new();
        for byte in plain.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.push('%');
                for digit in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(digit.into(), 16).unwrap_or('0');
                    encoded.push(digit.to_ascii_uppercase());
                }
            }
        }
        let mut forms = vec![plain, encoded];
        // The bytes before it change its base64 form; characters that mix both are left out.
        for (before, mixed) in [(0, 0), (1, 2), (2, 3)] {
            let mut bytes = vec![0; before];
            bytes.extend_from_slice(text.as_bytes());
            let standard = STANDARD.encode(bytes);
            let standard = standard.get(mixed..).unwrap_or_default();
            let standard = standard.trim_end_matches('=');
            forms.push(standard.replace('+', "-").replace('/', "_"));
            forms.push(standard.to_owned());
        }
        forms
    }

    /// Whether `text` contains the whole secret in any encoding; never true for a secret that is too short.
    pub fn is_in(&self, text: &str) -> bool {
        // In base64, the next byte changes the last character.
        let whole = |form: &String| text.contains(form.get(..form.len() - 1).unwrap_or(form));
        self.expose().len() >= PIECE && self.forms().iter().any(whole)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

/// The shortest part of a secret that is masked: shorter ones match by chance.
const PIECE: usize = 8;

/// How much of the beginning of `text` occurs in `form`; 0 if shorter than `PIECE`.
fn common(form: &str, text: &str) -> usize {
    let occurs = |length: usize| text.get(..length).is_some_and(|it| form.contains(it));
    if !occurs(PIECE) {
        return 0;
    }
    (PIECE..=form.len())
        .take_while(|length| occurs(*length))
        .last()
        .unwrap_or_default()
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// `text` without the user and password of the URLs in it.
pub fn without_userinfo(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        cleaned.push_str(before);
        cleaned.push_str("://");
        let end = after.find(|it: char| matches!(it, '/' | '"' | '\'' | '`') || it.is_whitespace());
        let (host, tail) = after.split_at(end.unwrap_or(after.len()));
        cleaned.push_str(host.rsplit_once('@').map_or(host, |(_, host)| host));
        rest = tail;
    }
    cleaned.push_str(rest);
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_a_secret_is_cut_out_in_all_its_forms() {
        let token = "ghp_Zq8+canary/71xWv09kLmN3";
        let secret = Secret::trimmed(token).0;
        let basic = STANDARD.encode(format!("user:{token}"));
        let pieces = [
            format!("token {token} is bad"),
            format!("token {}… and …{}", &token[..13], &token[14..]),
            format!("Basic {}", STANDARD.encode(token)),
            format!("Basic {basic}"),
            "?token=ghp_Zq8%2Bcanary%2F71xWv09kLmN3".to_owned(),
        ];
        for text in pieces {
            let shown = secret.redact(&text);
            assert!(shown.contains("***"), "{shown}");
            for hidden in ["canary", "71xWv09k", "%2B", &STANDARD.encode(token)[8..20]] {
                assert!(!shown.contains(hidden), "{shown}");
            }
        }
        let kind = Secret::trimmed("github_pat_11ABC0123456789").0;
        let harmless = "Bad credentials für github_pat_…: € 8";
        assert_eq!(kind.redact(harmless), harmless);
    }

    #[test]
    fn what_has_all_of_a_secret_has_it_in_any_form() {
        let secret = |text: &str| Secret::trimmed(text).0;
        let token = "ghp_Zq8+canary/71xWv09kLmN3";
        for before in ["", "u", "me:", "user:"] {
            let text = format!("{before}{token}\n");
            assert!(secret(token).is_in(&text) && secret(token).is_in(&STANDARD.encode(text)));
        }
        assert!(!secret(token).is_in(&token[4..]));
        assert!(!secret("x").is_in("x") && !secret("").is_in(""));
    }

    #[test]
    fn urls_lose_their_passwords() {
        let text = "proxy \"http://me:pass@proxy:3128\" refused https://host/a@b";
        assert_eq!(
            without_userinfo(text),
            "proxy \"http://proxy:3128\" refused https://host/a@b"
        );
    }

    #[test]
    fn a_secret_does_not_print_itself() {
        let (secret, cut) = Secret::trimmed("ghp_abc\n");
        assert!(cut);
        assert_eq!(secret.expose(), "ghp_abc");
        assert!(!format!("{secret:?}").contains("ghp"));
    }
}

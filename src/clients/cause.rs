//! The cause at the end of an error's chain. Pure: no I/O.
//!
//! Some libraries quote what they have read or started, and that may be a credential. Of their errors only what is wrong, and
//! where, is said.

use std::error::Error;

use kube::{client::AuthError, config::KubeconfigError};
use rustls::pki_types::pem;

use crate::secret::{text::masked, without_userinfo};

/// How many of the last lines of a program's stderr are quoted.
const QUOTED_LINES: usize = 3;

/// How many characters of them are quoted.
const QUOTED: usize = 400;

/// What a client for HTTPS needs beside the profile, for its hint. An image `scratch` has no root certificates.
pub(super) const ENVIRONMENT: &str = "the proxy settings of the environment and the root certificates of this machine (the \
    package `ca-certificates`, or a file that SSL_CERT_FILE names)";

/// The last cause of a chain: the message of the server or of the operating system, without a password in an address.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut current = error;
    loop {
        if let Some(words) = in_words(current) {
            return words;
        }
        match current.source() {
            Some(source) => current = source,
            None => return without_userinfo(&current.to_string()),
        }
    }
}

/// The message for an error whose own message would quote a credential.
fn in_words(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<pem::Error>() {
        let what = fault_of_pem(error);
        return Some(format!("the certificate or key is not valid PEM: {what}"));
    }
    // Its message has the lines around the fault, and in these are the credentials of the file.
    if let Some(KubeconfigError::Parse(error)) = error.downcast_ref::<KubeconfigError>() {
        return Some(format!("it is not a valid kubeconfig: {}", place(error)));
    }
    match error.downcast_ref::<AuthError>()? {
        // Its message has the plugin's arguments, its variables and its stdout, which is for the token.
        AuthError::AuthExecRun { out, .. } => Some(format!(
            "the credential plugin of the kubeconfig failed ({}){}",
            out.status,
            last_lines(&out.stderr)
        )),
        AuthError::AuthExecParse(error) => Some(format!(
            "the credential plugin of the kubeconfig wrote no valid ExecCredential: {}",
            place(error)
        )),
        _ => None,
    }
}

/// What is wrong with a PEM file. The parser's own words have a whole line of it in them, byte by byte: the whole key, where its
/// line breaks are written.
pub(super) const fn fault_of_pem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => {
            "its last line, which begins with `-----END`, is missing"
        }
        pem::Error::IllegalSectionStart { .. } => {
            "its first line, which begins with `-----BEGIN`, goes on after the second `-----`"
        }
        pem::Error::Base64Decode(_) => "what is between its first and its last line is not base64",
        pem::Error::NoItemsFound => "there is none in it",
        _ => "it cannot be read",
    }
}

/// Where a YAML text is wrong.
fn place(error: &serde_saphyr::Error) -> String {
    let what = "is not YAML, or is not of the type that is expected there";
    match error.location() {
        Some(at) => format!(
            "what begins in line {}, column {} {what}",
            at.line(),
            at.column()
        ),
        None => format!("a part of it {what}"),
    }
}

/// The last `most` of the lines that have text, on one line.
pub(super) fn last_of<'a>(lines: impl Iterator<Item = &'a str>, most: usize) -> String {
    let lines: Vec<&str> = lines.map(str::trim).filter(|it| !it.is_empty()).collect();
    let from = lines.len().saturating_sub(most);
    lines[from..].join("; ")
}

/// The last lines of a program's stderr, after a colon.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = masked(&text);
    let last = last_of(text.lines(), QUOTED_LINES);
    // What is wrong is at the end.
    let start = last
        .char_indices()
        .rev()
        .nth(QUOTED - 1)
        .map_or(0, |it| it.0);
    match &last[start..] {
        "" => String::new(),
        shown => format!(": {shown}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::process::ExitStatusExt as _,
        process::{ExitStatus, Output},
    };

    use kube::config::Kubeconfig;
    use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};

    use super::*;

    #[test]
    fn no_byte_of_a_key_is_in_the_error_about_it() {
        let begin = "-----BEGIN RSA PRIVATE";
        let key = format!(r"{begin} KEY-----\nMIIEcanary\n");
        let error = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("45, 45, 45"), "{error}");
        let shown = innermost(&error);
        assert!(!shown.contains("45, "), "{shown}");
        assert!(shown.contains("goes on after the second"), "{shown}");
    }

    #[test]
    fn a_kubeconfig_that_cannot_be_read_is_not_quoted() {
        let text = "users:\n- name: me\n  user:\n    password: correct horse battery\n    token: [canary]\n";
        let error = Kubeconfig::from_yaml(text).unwrap_err();
        assert!(error.to_string().contains("horse battery"), "{error}");
        let shown = innermost(&error);
        assert!(
            !shown.contains("horse") && !shown.contains("canary"),
            "{shown}"
        );
        assert!(shown.contains(" line "), "{shown}");
    }

    #[test]
    fn of_a_credential_plugin_only_its_stderr_is_quoted() {
        let failed = |stderr: &str| {
            let error = AuthError::AuthExecRun {
                cmd: r#"X_PIN="canary-1" "login" "--client-secret" "canary-2""#.into(),
                out: Box::new(Output {
                    status: ExitStatus::from_raw(3 << 8),
                    stdout: b"canary-3".to_vec(),
                    stderr: stderr.as_bytes().to_vec(),
                }),
            };
            innermost(&kube::Error::Auth(error))
        };
        let said = "the credential plugin of the kubeconfig failed (exit status: 3)";
        assert_eq!(failed(""), said);
        assert_eq!(
            failed("1\n2\n\nthe session\nhas ended\npassword=canary-4\n"),
            format!("{said}: the session; has ended; password=***")
        );
        let refreshed = AuthError::AuthExecParse(Box::new(
            serde_saphyr::from_str::<Kubeconfig>("canary-5").unwrap_err(),
        ));
        let shown = innermost(&kube::Error::Service(refreshed.into()));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("no valid ExecCredential"), "{shown}");
    }
}

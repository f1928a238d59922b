//! Reads the shared AWS configuration files for the SDK, and hides GitHub credentials in environment variables from the
//! programs in `credential_process`.
//!
//! The SDK starts these programs with the whole environment and has no setting for it (aws-config, `credential_process`),
//! and arcctl cannot unset its own variables (decision 9). So arcctl reads the files, wraps each command in one that
//! unsets the variables, and passes the text to the SDK. Paths, keys, comments and continuation lines are parsed as in
//! the SDK (aws-runtime, `env_config/{source,parse}.rs`); a test runs the SDK with the result.

use std::path::{Component, Path, PathBuf};

use aws_config::profile::profile_file;

/// The setting. Keys are case-insensitive in the SDK.
const SETTING: &str = "credential_process";

/// The word separators in these files, and the characters that begin a comment.
const BLANK: [char; 2] = [' ', '\t'];
const COMMENT: [char; 2] = ['#', ';'];

/// The SDK's configuration files.
#[derive(Clone, Debug, Default)]
pub struct SharedFiles {
    /// `AWS_CONFIG_FILE`, or `~/.aws/config`.
    pub config: PathBuf,
    /// `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`.
    pub credentials: PathBuf,
    /// The variables that are hidden from programs in these files.
    pub hidden: Vec<String>,
}

impl SharedFiles {
    /// The files from the environment; `~` is expanded as in the SDK: no shell expands it in the `env` of a workflow.
    pub fn named(
        config: Option<&str>,
        credentials: Option<&str>,
        home: Option<&str>,
        hidden: Vec<String>,
    ) -> Self {
        let path = |named: Option<&str>, usual: &str| expanded(named.unwrap_or(usual), home);
        Self {
            config: path(config, "~/.aws/config"),
            credentials: path(credentials, "~/.aws/credentials"),
            hidden,
        }
    }
}

#[expect(
    deprecated,
    reason = "the names that are not deprecated are those of another crate"
)]
impl SharedFiles {
    /// The only files that the SDK reads.
    pub(super) fn rewritten(&self) -> profile_file::ProfileFiles {
        use profile_file::ProfileFileKind as Kind;
        let files = [
            (Kind::Config, &self.config),
            (Kind::Credentials, &self.credentials),
        ];
        let builder = profile_file::Builder::new();
        let builder = files.into_iter().fold(builder, |builder, (kind, path)| {
            // For the SDK too, a missing or unreadable file is empty.
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.is_empty() || text.to_ascii_lowercase().contains(SETTING) {
                builder.with_contents(kind, without(&text, &self.hidden))
            } else {
                // It has no command, and with the path the SDK can report where the file is invalid.
                builder.with_file(kind, path)
            }
        });
        builder.build()
    }
}

/// Expands a leading `~` of a path.
fn expanded(path: &str, home: Option<&str>) -> PathBuf {
    let mut parts = Path::new(path).components();
    let is_home = |first: Component<'_>| first.as_os_str() == "~";
    match (parts.next(), home) {
        (Some(first), Some(home)) if is_home(first) => Path::new(home).join(parts.as_path()),
        _ => path.into(),
    }
}

/// `text` with each command wrapped to run without these variables.
fn without(text: &str, hidden: &[String]) -> String {
    if hidden.is_empty() {
        return text.to_owned();
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut new: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
    let wrapper = wrapper(hidden);
    for (first, line) in lines.iter().enumerate() {
        let Some(command) = command(line) else {
            continue;
        };
        new[first] = format!("{SETTING} = {wrapper} '{}", quoted(command));
        let mut last = first;
        // Its continuation lines; empty lines and comments do not end them.
        for (number, line) in lines.iter().enumerate().skip(first + 1) {
            if line.trim_matches(BLANK).is_empty() || line.starts_with(COMMENT) {
                continue;
            }
            if !line.starts_with(BLANK) {
                break;
            }
            new[number] = format!("  {}", quoted(line.trim_matches(BLANK)));
            last = number;
        }
        new[last].push('\'');
    }
    new.push(String::new());
    new.join("\n")
}

/// The command, where the line has the setting, without a trailing comment.
fn command(line: &str) -> Option<&str> {
    if line.starts_with(BLANK) || line.starts_with(COMMENT) {
        return None;
    }
    let mut before = ' ';
    let comment = line.char_indices().find(|(_, it)| {
        let begins = COMMENT.contains(it) && before.is_whitespace();
        before = *it;
        begins
    });
    let line = comment.map_or(line, |(at, _)| &line[..at]);
    let (key, value) = line.split_once('=')?;
    let is_setting = key.trim_matches(BLANK).eq_ignore_ascii_case(SETTING);
    is_setting.then(|| value.trim_matches(BLANK))
}

/// The prefix that runs a quoted command without these variables. The shell's `unset` is not enough: some shells pass on
/// variables whose names are invalid in the shell, such as GitHub's `INPUT_GITHUB-TOKEN`.
fn wrapper(hidden: &[String]) -> String {
    let mut words = String::from("exec env");
    for name in hidden {
        words.push_str(" -u ");
        words.push_str(&spelled(name));
    }
    words + " sh -c"
}

/// A name as a shell word that is valid in a line of a configuration file.
fn spelled(name: &str) -> String {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
    if name.bytes().all(is_plain) {
        return name.to_owned();
    }
    let bytes: Vec<String> = name.bytes().map(|it| format!("\\{it:03o}")).collect();
    format!("\"$(printf '{}')\"", bytes.concat())
}

/// A text in single quotes for the shell.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}

#[cfg(test)]
mod tests {
    use aws_config::{profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig};
    use aws_credential_types::provider::ProvideCredentials as _;

    use super::*;

    fn hidden(names: &[&str]) -> Vec<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    /// Prints credentials that show whether the program has HOME and PATH.
    const SPY: &str = r#"printf '{"Version": 1, "AccessKeyId": "home:%s", "SecretAccessKey": "path:%s"}' "$HOME" "${PATH:+there}""#;

    /// The credentials that the SDK loads from these files for a profile, with HOME hidden.
    async fn seen(config: &str, credentials: &str, profile: &str) -> (String, String) {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let files = SharedFiles {
            config: path("config", config),
            credentials: path("credentials", credentials),
            hidden: hidden(&["HOME", "INPUT_GITHUB-TOKEN", "A #B; 'C"]),
        };
        let http = ProviderConfig::without_region()
            .with_http_client(crate::clients::aws::http_client(None));
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&http)
            .profile_files(files.rewritten())
            .profile_name(profile)
            .build();
        let found = provider.provide_credentials().await;
        let found = found.unwrap_or_else(|error| {
            let text = without(&format!("{config}{credentials}"), &files.hidden);
            panic!("{config}{credentials}: {error:?}: {text}")
        });
        (
            found.access_key_id().to_owned(),
            found.secret_access_key().to_owned(),
        )
    }

    #[tokio::test]
    async fn in_whichever_form_the_sdk_takes_it_the_program_sees_nothing_hidden() {
        let config = [
            format!("[default]\ncredential_process = {SPY}\n"),
            format!("[default]\nCredential_Process = {SPY}\n"),
            format!("[default]\nCREDENTIAL_PROCESS={SPY}"),
            format!("[profile default]\ncredential_process\t=\t{SPY}\n"),
            format!("[ profile\tdefault ]\r\nregion = x\r\ncredential_process = {SPY}\r\n"),
            format!("[default] ; one\ncredential_process = {SPY} # and a comment\n"),
            format!("[default]\ncredential_process = {SPY} ; it's one\n"),
            format!("[default]\ncredential_process = sh -c \"true 'a;b#c'\" && {SPY}\n"),
            format!("[default]\ncredential_process = true\n# between\n\n  {SPY}\nregion = x\n"),
            format!("[default]\ncredential_process = printf '' '\n\ta;' \"\n  \"\n  {SPY}\n"),
            format!("[default]\ncredential_process =\n  a=b\n  {SPY}; : \"$a=\"\n"),
            format!(
                "[default]\ncredential_process = false\n[default]\ncredential_process = {SPY}\n"
            ),
            format!(
                "[default]\ns3 =\n  region = x\ncredential_process = {SPY}\n[services s]\ns3 =\n  credential_process = false\n"
            ),
        ];
        let as_wanted = ("home:".to_owned(), "path:there".to_owned());
        for config in config {
            assert_eq!(seen(&config, "", "default").await, as_wanted, "{config}");
        }
        let credentials = format!("[work]\nCREDENTIAL_process={SPY}\n");
        let config = "[profile work]\nregion = x\n";
        assert_eq!(seen(config, &credentials, "work").await, as_wanted);
    }

    #[test]
    fn what_is_no_command_stays_line_by_line() {
        let text = "[profile a]\nregion = x\ncredential_process = /opt/get --for \"a b\"\n\n[b]\n# credential_process = c\nx = credential_process = d\ncredential_processes = e\ns3 =\n  credential_process = f\n";
        let new = without(text, &hidden(&["GH_TOKEN", "MINE"]));
        let command =
            "credential_process = exec env -u GH_TOKEN -u MINE sh -c '/opt/get --for \"a b\"'";
        let line = "credential_process = /opt/get --for \"a b\"";
        assert_eq!(new, text.replace(line, command));
        assert_eq!(without(text, &[]), text);
    }

    #[test]
    fn a_file_is_found_where_the_sdk_finds_it() {
        let named = |config, home| SharedFiles::named(config, None, home, Vec::new());
        let home = Some("/home/me");
        for (config, home, path) in [
            (None, home, "/home/me/.aws/config"),
            (Some("~/.aws/config"), home, "/home/me/.aws/config"),
            (Some("~"), home, "/home/me"),
            (Some("~//job/./aws"), home, "/home/me/job/aws"),
            (Some("~me/.aws/config"), home, "~me/.aws/config"),
            (Some("/etc/~/config"), home, "/etc/~/config"),
            (Some("aws/config"), home, "aws/config"),
            (Some(""), home, ""),
            (None, None, "~/.aws/config"),
            (None, Some(""), ".aws/config"),
        ] {
            assert_eq!(named(config, home).config, Path::new(path), "{config:?}");
        }
        let credentials = SharedFiles::named(None, Some("~/c"), home, Vec::new()).credentials;
        assert_eq!(credentials, Path::new("/home/me/c"));
    }
}

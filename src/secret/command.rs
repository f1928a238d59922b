//! Finds secrets in command lines, behind flags that do not name them: `curl -u me:password`, `mysql -ppassword`,
//! `docker login -p password`. For commands in a text and for lists of arguments. Pure: no I/O.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    sentence::{is_harmless, is_sentence},
    text::MASK,
};

/// A program, and which of its arguments are secrets.
struct Program {
    /// Its name, or a prefix of its name that ends in `*`.
    names: &'static [&'static str],
    /// A required subcommand: without it the flags have another meaning (`docker run -p 80:80`).
    word: Option<&'static str>,
    /// Flags whose value is the next word or the rest of the same word; also as the last letter of a group of flags.
    flags: &'static [&'static str],
    /// Flags whose value can only be the rest of the same word.
    glued: &'static [&'static str],
    /// The separator of user and password, where the value may also be a user alone.
    between: Option<char>,
}

/// Sources: the programs' own manuals.
const PROGRAMS: &[Program] = &[
    Program {
        names: &["curl"],
        word: None,
        flags: &["-u", "-U", "--user", "--proxy-user"],
        glued: &[],
        between: Some(':'),
    },
    Program {
        names: &["mysql*", "mariadb*"],
        word: None,
        flags: &[],
        glued: &["-p"],
        between: None,
    },
    Program {
        names: &[
            "docker", "podman", "nerdctl", "buildah", "skopeo", "oras", "crane", "helm", "az",
            "oc", "cf",
        ],
        word: Some("login"),
        flags: &["-p"],
        glued: &[],
        between: None,
    },
    Program {
        names: &["sshpass", "mongo*"],
        word: None,
        flags: &["-p"],
        glued: &[],
        between: None,
    },
    Program {
        names: &["redis-cli"],
        word: None,
        flags: &["-a"],
        glued: &[],
        between: None,
    },
    Program {
        names: &["ldap*"],
        word: None,
        flags: &["-w"],
        glued: &[],
        between: None,
    },
    Program {
        names: &["sqlcmd", "bcp", "zip", "unzip"],
        word: None,
        flags: &["-P"],
        glued: &[],
        between: None,
    },
    Program {
        names: &["7z", "7za"],
        word: None,
        flags: &[],
        glued: &["-p"],
        between: None,
    },
    Program {
        names: &["smbclient", "rpcclient"],
        word: None,
        flags: &["-U"],
        glued: &[],
        between: Some('%'),
    },
    Program {
        names: &["http", "xh"],
        word: None,
        flags: &["-a", "--auth"],
        glued: &[],
        between: Some(':'),
    },
    Program {
        names: &["snmp*"],
        word: None,
        flags: &["-A", "-X"],
        glued: &[],
        between: None,
    },
    Program {
        names: &["openssl"],
        word: Some("enc"),
        flags: &["-k", "-K"],
        glued: &[],
        between: None,
    },
    Program {
        names: &["xfreerdp"],
        word: None,
        flags: &[],
        glued: &["/p:"],
        between: None,
    },
    Program {
        names: &["kubectl", "oc"],
        word: Some("secret"),
        flags: &["--from-literal"],
        glued: &[],
        between: None,
    },
];

/// Finds the programs of the list in a text.
static STARTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?:^|[\s"'`/|;&(\[,])((?:curl|mysql|mariadb|docker|podman|nerdctl|buildah|skopeo|oras|crane|helm|az|oc|cf|sshpass|mongo|redis-cli|ldap|sqlcmd|bcp|zip|unzip|7za?|smbclient|rpcclient|kubectl|http|xh|snmp|openssl|xfreerdp)[a-z0-9-]*)["'\s]"#,
    )
    .ok()
});

impl Program {
    fn is(&self, word: &str) -> bool {
        let word = word.rsplit('/').next().unwrap_or(word);
        self.names.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => word.starts_with(start),
            None => word == *name,
        })
    }
}

/// For each word, the byte at which its secret begins. The words are one command, or end with one.
pub(super) fn secret_parts(words: &[&str]) -> Vec<Option<usize>> {
    let mut parts = vec![None; words.len()];
    for program in PROGRAMS {
        let Some(start) = words.iter().position(|it| program.is(it)) else {
            continue;
        };
        let mut serves = program.word.is_none();
        let mut follows = false;
        for (index, word) in words.iter().enumerate().skip(start + 1) {
            if std::mem::take(&mut follows) {
                parts[index] = after_key(program, word);
                continue;
            }
            serves |= program.word == Some(*word);
            if !serves {
                continue;
            }
            let rest = |flag: &&str| word.strip_prefix(*flag).map(|rest| (flag.len(), rest));
            let glued = program.glued.iter().find_map(rest);
            if let Some((at, _)) = glued.filter(|(_, rest)| !rest.is_empty()) {
                parts[index] = Some(at);
            } else if program.flags.iter().any(|flag| ends_in(word, flag)) {
                follows = true;
            } else if let Some((at, rest)) = program.flags.iter().find_map(rest) {
                let is_long = program
                    .flags
                    .iter()
                    .any(|it| it.starts_with("--") && word.starts_with(it));
                match rest.strip_prefix('=') {
                    Some(value) => parts[index] = after_key(program, value).map(|it| at + 1 + it),
                    None if is_long => {}
                    None => parts[index] = after_key(program, rest).map(|it| at + it),
                }
            }
        }
    }
    for (part, word) in parts.iter_mut().zip(words) {
        // `secret` and `token` are words of sentences, but also common passwords.
        let is_word = |it: &str| is_sentence(it) && !["secret", "token"].contains(&it);
        let is_value = |it: &str| !is_harmless(it) && !is_word(it);
        *part = part.filter(|at| word.get(*at..).is_some_and(is_value));
    }
    parts
}

/// Where the secret begins in a value: after the key, if there is one.
fn after_key(program: &Program, value: &str) -> Option<usize> {
    if program.between.is_some_and(|it| !value.contains(it)) {
        return None;
    }
    if program.flags != ["--from-literal"] {
        return Some(0);
    }
    value.find('=').map(|at| at + 1)
}

/// Whether a word is the flag, or a group of one-letter flags that ends with it: `-fsSu`.
fn ends_in(word: &str, flag: &str) -> bool {
    if word == flag {
        return true;
    }
    let letters = word.strip_prefix('-').unwrap_or_default();
    flag.len() == 2
        && letters.len() > 1
        && letters.bytes().all(|it| it.is_ascii_alphabetic())
        && letters.len() < 6
        && letters.ends_with(&flag[1..])
        // `-user` is not a group.
        && !letters.starts_with(&flag[1..])
}

/// The byte ranges of `text` that are secret, in order.
pub(super) fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let Some(starts) = STARTS.as_ref() else {
        return ranges;
    };
    let mut from = 0;
    while let Some(name) = starts.captures_at(text, from).and_then(|it| it.get(1)) {
        let words = command_words(text, name.start());
        let parts = secret_parts(&words.iter().map(|it| &text[it.clone()]).collect::<Vec<_>>());
        for (word, part) in words.iter().zip(parts) {
            let Some(at) = part else { continue };
            let range = word.start + at..word.end;
            if ranges.last().is_none_or(|it| it.end <= range.start) {
                ranges.push(range);
            }
        }
        from = name.end();
    }
    ranges
}

/// The words of the command that begins at `from`, to the end of its line or the next command.
fn command_words(text: &str, from: usize) -> Vec<Range<usize>> {
    /// Command lines have fewer words; longer text is not a command.
    const MOST: usize = 200;
    let mut words = Vec::new();
    let mut at = from;
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at).filter(|_| words.len() < MOST) {
        match byte {
            // A line continuation.
            b'\\' if bytes.get(at + 1) == Some(&b'\n') => at += 2,
            b'\n' | b'|' | b';' | b'&' | b'`' | b')' => break,
            b' ' | b'\t' | b'\r' | b',' | b'[' | b']' | b'\\' => at += 1,
            quote @ (b'"' | b'\'') => {
                let inside = at + 1;
                let rest = &text[inside..];
                // A quote that closes a word from before the command, or one that is not closed.
                let Some(length) = rest
                    .find(char::from(*quote))
                    .filter(|it| !rest[..*it].contains('\n'))
                else {
                    at += 1;
                    continue;
                };
                // The separator between two words of a list: `"curl", "-u"`.
                if rest[..length].trim_matches([' ', ',']).is_empty() && length > 0 {
                    at += 1;
                    continue;
                }
                words.push(inside..inside + length);
                at = inside + length + 1;
            }
            _ => {
                let rest = &text[at..];
                let end = rest.find(|it: char| it.is_whitespace() || "\"'`|;&)".contains(it));
                let end = end.unwrap_or(rest.len());
                words.push(at..at + end);
                at += end;
            }
        }
    }
    words
}

/// Masks the secrets of commands in `text`; `None` without any.
pub(super) fn masked_commands(text: &str) -> Option<String> {
    let ranges = secret_ranges(text);
    if ranges.is_empty() {
        return None;
    }
    let mut new = String::with_capacity(text.len());
    let mut copied = 0;
    for range in ranges {
        new.push_str(&text[copied..range.start]);
        new.push_str(MASK);
        copied = range.end;
    }
    new.push_str(&text[copied..]);
    Some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expression_is_well_formed() {
        assert!(STARTS.is_some());
    }

    #[test]
    fn what_a_short_flag_takes_is_hidden() {
        for (text, expected) in [
            ("curl -u me:x https://a", "curl -u *** https://a"),
            (
                "curl -fsSu 'me:x y' https://a",
                "curl -fsSu '***' https://a",
            ),
            ("/usr/bin/curl -ume:x a", "/usr/bin/curl -u*** a"),
            ("curl --user=me:x a", "curl --user=*** a"),
            (
                "curl \\\n  -u \\\n  me:x \\\n  a",
                "curl \\\n  -u \\\n  *** \\\n  a",
            ),
            (
                "CMD [\"curl\", \"-u\", \"me:x\", \"a\"]",
                "CMD [\"curl\", \"-u\", \"***\", \"a\"]",
            ),
            ("sh -c 'curl -u me:x a'", "sh -c 'curl -u *** a'"),
            ("mysql -h db -px y", "mysql -h db -p*** y"),
            ("mysqldump -px", "mysqldump -p***"),
            ("docker login r -u me -p x", "docker login r -u me -p ***"),
            ("docker login -p secret r", "docker login -p *** r"),
            ("podman login -px r", "podman login -p*** r"),
            ("helm registry login r -p x", "helm registry login r -p ***"),
            ("sshpass -px ssh a", "sshpass -p*** ssh a"),
            ("redis-cli -a x ping", "redis-cli -a *** ping"),
            ("ldapsearch -x -w x", "ldapsearch -x -w ***"),
            ("smbclient -U me%x //h", "smbclient -U *** //h"),
            (
                "kubectl create secret generic a --from-literal=k=x --from-literal l=y",
                "kubectl create secret generic a --from-literal=k=*** --from-literal l=***",
            ),
        ] {
            assert_eq!(masked_commands(text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_same_flags_of_others_are_shown() {
        for text in [
            "curl -u \"$USER:$TOKEN\" https://a",
            "curl -fsSL https://a",
            "curl -u me https://a",
            "the answer by http -a day later",
            "mysql -p -h db",
            "docker run -p 8080:80 nginx",
            "docker login -u me --password-stdin r.example",
            "docker run -u 1000 -p 80 a; docker login",
            "ssh -p 2222 -u me a",
            "mkdir -p a/b",
            "kubectl create configmap a --from-literal=k=x",
            "helm upgrade -a x",
            "the curl of it is -u",
        ] {
            assert_eq!(masked_commands(text), None, "{text}");
        }
    }
}

//! Masks secrets in texts with one key per line (YAML, INI, TOML, properties, scripts): by the key, by its parent keys,
//! by the name field next to it (`- name: DB_PASSWORD`), with multi-line values. Reads line by line, because many such
//! texts are templates or truncated, and parsers reject them. Pure: no I/O.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{
    name::is_secret,
    sentence::{is_argument, is_harmless, is_remark, is_whole_value},
    text::{MASK, Manner},
    value::{DATA, NAMES, Standing, VALUES, hidden},
};

/// A line with a key: its prefix, the key, the separator, the value.
pub(super) static KEYED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)^
        ([\ \t]*(?:\#+[\ \t]*|;[\ \t]*|//[\ \t]+)?(?:-[\ \t]+)*
            (?:(?:export|set|setx|ENV|ARG|local|readonly|const|let|var|final|val|def)[\ \t]+)?)
        ((?:[^\s=:{}()<>,;]|:[^\s=:])+?(?:\ (?:[^\s=:{}()<>,;])+?){0,2}?)
        ([\ \t]*(?:(?:=>|:=|\?=|\+=|=)[\ \t]*|:(?:[\ \t]+|$)))
        (.*)$",
    )
    .ok()
});

/// A line with a name and a value next to each other: `ENV TOKEN x`, `requirepass x`, `proxy_set_header X-Api-Key "x"`.
pub(super) static BESIDE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)^
        ([\ \t]*(?:(?:ENV|ARG|setx?|env|SetEnv|proxy_set_header|add_header|more_set_headers|fastcgi_param|(?:Request)?[Hh]eader[\ ]+set)[\ \t]+["']?)?)
        ([A-Za-z][A-Za-z0-9_.-]*)(["']?[\ \t]+)
        ("[^"]*"|'[^']*'|\S+)(;?[\ \t]*)$"#,
    )
    .ok()
});

/// A YAML block scalar: the value is on the next lines.
pub(super) static BLOCK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?:[!&]\S*[ \t]+)*[|>][-+0-9]*(?:[ \t]+#.*)?$").ok());

/// A here-document of HCL or a shell: the value ends at a delimiter.
pub(super) static UNTIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^<<[-~]?["']?([A-Za-z_][A-Za-z0-9_]*)["']?$"#).ok());

/// An INI section.
pub(super) static SECTION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\[\[?([^\[\]]+)\]?\]\s*(?:[#;].*)?$").ok());

/// `host:port:database:user:password`: `PostgreSQL`'s password file.
pub(super) static PGPASS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^([A-Za-z0-9_.*-]+:(?:[0-9]{1,5}|\*):[^:\s]+:[^:\s]+:)(\S+)$").ok()
});

/// How many lines to search for a name field, or for the end of an open value.
const NEAR: usize = 200;

/// A line with a key.
struct Keyed<'a> {
    lead: &'a str,
    key: &'a str,
    between: &'a str,
    value: &'a str,
}

impl<'a> Keyed<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let found = KEYED.as_ref()?.captures(line)?;
        let part = |number: usize| found.get(number).map(|it| it.as_str());
        Some(Self {
            lead: part(1)?,
            key: part(2)?,
            between: part(3)?,
            value: part(4)?.trim_end(),
        })
    }

    fn name(&self) -> &'a str {
        self.key
            .trim_matches(|it: char| !it.is_alphanumeric() && !"_.-/".contains(it))
            .trim_start_matches(['-', ' '])
    }

    /// Its indentation, which decides which keys are above it.
    fn column(&self) -> usize {
        self.lead.chars().count()
    }

    /// Whether it may also be the beginning of a sentence.
    fn is_loose(&self) -> bool {
        self.key.contains(' ') || self.lead.contains(['#', ';']) || self.lead.contains("//")
    }

    fn masked(&self) -> String {
        let blank = if self.between.ends_with(':') { " " } else { "" };
        format!("{}{}{}{blank}{MASK}", self.lead, self.key, self.between)
    }
}

/// The following lines that belong to a hidden value.
enum Rest {
    /// Those with a deeper indentation than this column.
    Deeper(usize),
    /// Those up to and including this one.
    Through(String),
    /// Those up to the one with this quote.
    Quote(&'static str),
    /// The next line, as long as each ends in `\`.
    Continued,
}

/// The state of reading a text.
struct Reader<'a> {
    lines: Vec<&'a str>,
    manner: Manner,
    /// The keys that may be parents of the next line, with their columns.
    above: Vec<(usize, Standing)>,
    /// The standing of lines without a parent key: that of the section.
    section: Standing,
    rest: Option<Rest>,
}

/// Masks the secrets in the lines of `text`; `is_long` is whether the text has many lines: there a line that begins
/// with the name of a secret is not a sentence.
pub(super) fn masked_lines(text: Cow<'_, str>, is_long: bool, manner: Manner) -> Cow<'_, str> {
    if !text.contains([':', '=', ' ']) {
        return text;
    }
    let shown: Vec<_> = shown_lines(&text, is_long, manner);
    let new = shown.into_iter().flatten().collect::<Vec<_>>().join("\n");
    if new == text {
        return text;
    }
    Cow::Owned(new)
}

/// Each line, masked; `None` for a line of a hidden value.
pub(super) fn shown_lines(text: &str, is_long: bool, manner: Manner) -> Vec<Option<Cow<'_, str>>> {
    let mut reader = Reader {
        lines: text.split('\n').collect(),
        manner,
        above: Vec::new(),
        section: Standing::Open,
        rest: None,
    };
    (0..reader.lines.len())
        .map(|number| reader.shown(number, is_long))
        .collect()
}

impl<'a> Reader<'a> {
    /// A line, masked; `None` if it belongs to a value hidden above.
    fn shown(&mut self, number: usize, is_long: bool) -> Option<Cow<'a, str>> {
        let line = *self.lines.get(number)?;
        if self.belongs(line, number) {
            return None;
        }
        if line.trim().is_empty() {
            return Some(line.into());
        }
        if let Some(section) = SECTION.as_ref().and_then(|it| it.captures(line)) {
            self.above.clear();
            self.section = if names_secrets(&section[1]) {
                Standing::Named
            } else {
                Standing::Open
            };
            return Some(line.into());
        }
        let Some(keyed) = Keyed::of(line) else {
            return Some(self.bare(line, is_long));
        };
        self.leave(line, keyed.column());
        let named = self.named(number, &keyed);
        let standing = if self.is_sealed(number, &keyed) {
            Standing::Sealed
        } else {
            self.standing().of_entry(keyed.name(), named)
        };
        let shown = if standing.hides() {
            self.hidden(number, &keyed, standing, is_long)
        } else {
            None
        };
        self.above.push((keyed.column(), standing));
        Some(shown.map_or(Cow::Borrowed(line), Cow::Owned))
    }

    /// Whether a line belongs to a hidden value.
    fn belongs(&mut self, line: &str, number: usize) -> bool {
        let Some(rest) = &self.rest else {
            return false;
        };
        let (belongs, ends) = match rest {
            Rest::Deeper(column) => {
                let is_last = number + 1 == self.lines.len();
                let deeper =
                    depth(&line[..indent(line)]) > *column || (line.trim().is_empty() && !is_last);
                (deeper, !deeper)
            }
            Rest::Through(end) => (true, line.trim() == end),
            Rest::Quote(quote) => (true, line.contains(quote)),
            Rest::Continued => (true, !line.trim_end().ends_with('\\')),
        };
        if ends {
            self.rest = None;
        }
        belongs
    }

    /// Drops the keys that are not parents of a line at this column.
    fn leave(&mut self, line: &str, column: usize) {
        let indent = indent(line);
        let is_item = line
            .get(indent..)
            .is_some_and(|it| it.starts_with("- ") || it == "-");
        // List items may have the same indentation as their key.
        let from = if is_item { indent + 1 } else { column };
        while self.above.last().is_some_and(|(above, _)| *above >= from) {
            self.above.pop();
        }
    }

    fn standing(&self) -> Standing {
        self.above.last().map_or(self.section, |(_, it)| *it)
    }

    /// A line without a key: a list item, or a continuation of the value above.
    fn bare(&mut self, line: &'a str, is_long: bool) -> Cow<'a, str> {
        let indent = indent(line);
        self.leave(line, indent);
        let text = line.trim_start_matches([' ', '\t', '-']);
        if self.standing().hides() && !self.above.is_empty() {
            let closes = text
                .trim_end_matches(|it| "}])>,;\"'".contains(it))
                .is_empty();
            return if is_harmless(text.trim_end()) || closes || text.starts_with('#') {
                line.into()
            } else {
                format!("{}{MASK}", &line[..line.len() - text.len()]).into()
            };
        }
        if let Some(found) = PGPASS.as_ref().and_then(|it| it.captures(line)) {
            return format!("{}{MASK}", &found[1]).into();
        }
        let beside = BESIDE.as_ref().filter(|_| is_long);
        if let Some(found) = beside.and_then(|it| it.captures(line)) {
            let is_name = found[2].contains(['_', '-']) || found[1].trim().len() > 2;
            let known = ["requirepass", "masterauth", "password", "passwd"].contains(&&found[2]);
            if (is_name || known) && is_secret(&found[2]) && is_argument(&found[4]) {
                return format!("{}{}{}{MASK}{}", &found[1], &found[2], &found[3], &found[5])
                    .into();
            }
        }
        line.into()
    }

    /// The name field of the entry that a value belongs to: a line of the same item.
    fn named(&self, number: usize, keyed: &Keyed<'_>) -> Option<&'a str> {
        if !VALUES.contains(&keyed.name()) {
            return None;
        }
        self.beside(number, keyed.column(), |it| {
            NAMES.contains(&it.name()).then(|| bare(it.value))
        })
    }

    /// Whether a key belongs to the data of a Secret; then the names in it do not matter.
    fn is_sealed(&self, number: usize, keyed: &Keyed<'_>) -> bool {
        let is_secret = |it: &Keyed<'_>| it.name() == "kind" && bare(it.value) == "Secret";
        let beside = || self.beside(number, keyed.column(), |it| is_secret(it).then_some(()));
        DATA.contains(&keyed.name()) && beside().is_some()
    }

    /// Calls `read` on the lines of the same map: those with a key in the same column, up to the end of the map or list
    /// item.
    fn beside<T>(
        &self,
        number: usize,
        column: usize,
        read: impl Fn(&Keyed<'a>) -> Option<T>,
    ) -> Option<T> {
        let begins_item = |line: &str| line.trim_start().starts_with("- ") && indent(line) < column;
        let is_below = |line: &str| {
            let keyed = Keyed::of(line).map(|it| it.column());
            line.trim().is_empty() || keyed.is_none_or(|it| it >= column)
        };
        let read = |line: &'a str| {
            let keyed = Keyed::of(line).filter(|it| it.column() == column)?;
            read(&keyed)
        };
        let after = self.lines.iter().skip(number + 1).take(NEAR);
        let mut after = after.take_while(|it| is_below(it) && !begins_item(it));
        if let Some(found) = after.find_map(|it| read(it)) {
            return Some(found);
        }
        for line in self.lines.get(..=number)?.iter().rev().take(NEAR) {
            if !is_below(line) {
                return None;
            }
            if let Some(found) = read(line) {
                return Some(found);
            }
            if begins_item(line) {
                return None;
            }
        }
        None
    }

    /// A line with its value masked, if there is one.
    fn hidden(
        &mut self,
        number: usize,
        keyed: &Keyed<'_>,
        standing: Standing,
        is_long: bool,
    ) -> Option<String> {
        let value = keyed.value;
        if value.is_empty() || value.starts_with('#') || is_alias(value) {
            return None;
        }
        if BLOCK.as_ref().is_some_and(|it| it.is_match(value)) {
            self.rest = Some(Rest::Deeper(depth(keyed.lead)));
            return Some(keyed.masked());
        }
        if value.starts_with(['{', '[']) {
            let inside: serde_json::Value = serde_saphyr::from_str(value).ok()?;
            let shown = hidden(&inside, standing, self.manner);
            return (shown != inside).then(|| keyed.masked());
        }
        // After a name field, or below another key, there is no sentence.
        let is_own = is_secret(keyed.name()) && self.standing() == Standing::Open;
        let in_doubt = is_own && (!is_long || keyed.is_loose());
        if (in_doubt && !is_whole_value(keyed.name(), value))
            || (is_own && is_remark(keyed.name(), value))
        {
            return None;
        }
        self.rest = self.rest_of(number, value);
        (self.rest.is_some() || !is_harmless(value)).then(|| keyed.masked())
    }

    /// Where the rest of a value with this beginning is.
    fn rest_of(&self, number: usize, value: &str) -> Option<Rest> {
        if let Some(found) = UNTIL.as_ref().and_then(|it| it.captures(value)) {
            return Some(Rest::Through(found[1].to_owned()));
        }
        if value.ends_with('\\') {
            return Some(Rest::Continued);
        }
        let below = self.lines.get(number + 1..)?.iter().take(NEAR);
        ["\"\"\"", "'''", "\"", "'"].into_iter().find_map(|quote| {
            let inside = value.strip_prefix(quote)?;
            let is_open = !inside.replace("\\\"", "").contains(quote);
            let ends = is_open && below.clone().any(|it| it.contains(quote));
            ends.then_some(Rest::Quote(quote))
        })
    }
}

/// A value without its quotes.
fn bare(value: &str) -> &str {
    value.trim_matches(['"', '\'', ',', ' '])
}

/// The column of a line with this indentation. A broken file may have a tab instead of spaces.
fn depth(lead: &str) -> usize {
    lead.chars().map(|it| if it == '\t' { 8 } else { 1 }).sum()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Whether a value is a YAML alias: `*name`.
fn is_alias(value: &str) -> bool {
    let name = value.strip_prefix('*').unwrap_or_default();
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    !name.is_empty() && name.chars().all(is_part)
}

/// Whether everything in a section is secret: `[secrets]`. Git's `[credential]` is not.
fn names_secrets(section: &str) -> bool {
    let last = section.rsplit(['.', ' ', ':']).next().unwrap_or_default();
    ["secrets", "passwords", "tokens", "credentials"].contains(&last.trim_matches('"'))
}

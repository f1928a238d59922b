//! Texts with a key on each line, without the secrets in them: YAML, INI, TOML, properties, a script's variables; by the
//! key, by the keys it is below, by the name beside it (`- name: DB_PASSWORD`), and with all the lines that a value has.
//! Read line by line and not as what they are: half of them are templates or cut off, and no parser takes those. Pure: no I/O.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{
    name::is_secret,
    sentence::{is_argument, is_harmless, is_remark, is_whole_value},
    text::{MASK, Manner},
    value::{DATA, NAMES, Standing, VALUES, hidden},
};

/// A line with a key: what leads to it, the key, what is between it and its value, the value.
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

/// A line with a name and its value beside each other: `ENV TOKEN x`, `requirepass x`, `proxy_set_header X-Api-Key "x"`.
pub(super) static BESIDE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)^
        ([\ \t]*(?:(?:ENV|ARG|setx?|env|SetEnv|proxy_set_header|add_header|more_set_headers|fastcgi_param|(?:Request)?[Hh]eader[\ ]+set)[\ \t]+["']?)?)
        ([A-Za-z][A-Za-z0-9_.-]*)(["']?[\ \t]+)
        ("[^"]*"|'[^']*'|\S+)(;?[\ \t]*)$"#,
    )
    .ok()
});

/// Where the value of a key is on the lines below it: a block of YAML.
pub(super) static BLOCK: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?:[!&]\S*[ \t]+)*[|>][-+0-9]*(?:[ \t]+#.*)?$").ok());

/// The same until a word of its own: HCL, a shell.
pub(super) static UNTIL: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^<<[-~]?["']?([A-Za-z_][A-Za-z0-9_]*)["']?$"#).ok());

/// A section of INI.
pub(super) static SECTION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^\[\[?([^\[\]]+)\]?\]\s*(?:[#;].*)?$").ok());

/// `host:port:database:user:password`, as `PostgreSQL` keeps it.
pub(super) static PGPASS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^([A-Za-z0-9_.*-]+:(?:[0-9]{1,5}|\*):[^:\s]+:[^:\s]+:)(\S+)$").ok()
});

/// How far the name of a value is looked for, and the end of one that is open.
const NEAR: usize = 200;

/// A line that has a key.
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

    /// Where it begins, by which it is below another.
    fn column(&self) -> usize {
        self.lead.chars().count()
    }

    /// Whether it may as well be the beginning of a sentence.
    fn is_loose(&self) -> bool {
        self.key.contains(' ') || self.lead.contains(['#', ';']) || self.lead.contains("//")
    }

    fn masked(&self) -> String {
        let blank = if self.between.ends_with(':') { " " } else { "" };
        format!("{}{}{}{blank}{MASK}", self.lead, self.key, self.between)
    }
}

/// The lines below that belong to a value which is hidden.
enum Rest {
    /// Those that stand deeper than this column.
    Deeper(usize),
    /// Those up to this one.
    Through(String),
    /// Those up to the one that has this quote.
    Quote(&'static str),
    /// The next, for as long as each ends in `\`.
    Continued,
}

/// What has been read of a text.
struct Reader<'a> {
    lines: Vec<&'a str>,
    manner: Manner,
    /// The keys that the next line may be below, with their columns.
    above: Vec<(usize, Standing)>,
    /// What holds where no key is above: that of the section.
    section: Standing,
    rest: Option<Rest>,
}

/// `text` with what is secret in its lines replaced; `is_long` is whether it is one of many lines, where a line that begins with
/// the name of a secret is no sentence.
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

/// What is shown of each line; nothing of one that belongs to a value which is hidden.
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
    /// What is shown of a line; nothing of one that belongs to a value that was hidden above.
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

    /// Whether a line belongs to a value that is hidden.
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

    /// Leaves the keys that a line which begins there is not below.
    fn leave(&mut self, line: &str, column: usize) {
        let indent = indent(line);
        let is_item = line
            .get(indent..)
            .is_some_and(|it| it.starts_with("- ") || it == "-");
        // The items of a list may stand where its key does.
        let from = if is_item { indent + 1 } else { column };
        while self.above.last().is_some_and(|(above, _)| *above >= from) {
            self.above.pop();
        }
    }

    fn standing(&self) -> Standing {
        self.above.last().map_or(self.section, |(_, it)| *it)
    }

    /// A line without a key: an item, or more of the value above.
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

    /// What the entry that a value belongs to calls it: a line beside it, of the same item.
    fn named(&self, number: usize, keyed: &Keyed<'_>) -> Option<&'a str> {
        if !VALUES.contains(&keyed.name()) {
            return None;
        }
        self.beside(number, keyed.column(), |it| {
            NAMES.contains(&it.name()).then(|| bare(it.value))
        })
    }

    /// Whether a key is that of the data of a Secret, whatever the keys in it are called.
    fn is_sealed(&self, number: usize, keyed: &Keyed<'_>) -> bool {
        let is_secret = |it: &Keyed<'_>| it.name() == "kind" && bare(it.value) == "Secret";
        let beside = || self.beside(number, keyed.column(), |it| is_secret(it).then_some(()));
        DATA.contains(&keyed.name()) && beside().is_some()
    }

    /// What `read` finds in the lines of the same map: those with a key in the same column, up to where the map or the item
    /// of a list that it is ends.
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

    /// A line whose value is hidden, as far as there is one.
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
        // In a name beside the value, and below another key, there is no sentence.
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

    /// Where the rest of a value is that begins so.
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

/// How deep a line stands that begins so. In a broken file there may be a tab for spaces.
fn depth(lead: &str) -> usize {
    lead.chars().map(|it| if it == '\t' { 8 } else { 1 }).sum()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Whether a value is that of another key: `*name`.
fn is_alias(value: &str) -> bool {
    let name = value.strip_prefix('*').unwrap_or_default();
    let is_part = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    !name.is_empty() && name.chars().all(is_part)
}

/// Whether all that is in a section is secret: `[secrets]`. Git's `[credential]` has none.
fn names_secrets(section: &str) -> bool {
    let last = section.rsplit(['.', ' ', ':']).next().unwrap_or_default();
    ["secrets", "passwords", "tokens", "credentials"].contains(&last.trim_matches('"'))
}

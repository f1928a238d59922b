//! Parses YAML events into the tree. Pure.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{
    ErrorKind as Kind, Event, Parser, ScalarStyle, ScanError, Span as Scanned, Tag,
};

use super::{Content, Entry, Malformed, Node, Position, Scalar, Span};

/// The maximum size of a profile including its copies, far above real profiles. Aliases multiply the size, and anchors
/// are copies too, so each copy is counted before it is made.
const MAX_WEIGHT: usize = 200_000;

/// This many characters of text count as one node.
const TEXT: usize = 64;

/// Parses one YAML document; `Ok(None)` if it contains only comments.
pub(crate) fn parse(text: &str) -> Result<Option<Node>, Malformed> {
    let mut builder = Builder::default();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| syntax(&error))?;
        builder.take(event, &span)?;
    }
    Ok(builder.root)
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    weight: usize,
    documents: usize,
    root: Option<Node>,
}

/// A list or map that is not complete yet.
struct Open {
    start: Position,
    anchor: usize,
    content: Content,
    /// The key whose value comes next.
    key: Option<(String, Span)>,
    /// Its size so far.
    weight: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, scanned: &Scanned) -> Result<(), Malformed> {
        let span = place(scanned);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Malformed::new(
                        span.start,
                        "a second document begins here",
                        "keep one profile per file",
                    ));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = self.plain(style, tag.as_deref(), span)?;
                let weight = 1 + text.len() / TEXT;
                let scalar = Content::Scalar(Scalar {
                    text: text.into_owned(),
                    plain,
                    // A text has offsets everywhere; an empty range cannot be edited.
                    bytes: scanned.byte_range().unwrap_or_default(),
                });
                self.add(
                    Node {
                        span,
                        value: scalar,
                    },
                    anchor,
                    weight,
                    1,
                )?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.plain(ScalarStyle::Plain, tag.as_deref(), span)?;
                self.open(span, anchor, Content::List(Vec::new()));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.plain(ScalarStyle::Plain, tag.as_deref(), span)?;
                self.open(span, anchor, Content::Map(Vec::new()));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    let span = Span {
                        start: open.start,
                        end: span.end,
                    };
                    self.add(
                        Node {
                            span,
                            value: open.content,
                        },
                        open.anchor,
                        open.weight,
                        1,
                    )?;
                }
            }
            Event::Alias(id) => self.copy(id, span)?,
            _ => {}
        }
        Ok(())
    }

    /// Inserts a copy of the anchor's node.
    fn copy(&mut self, id: usize, span: Span) -> Result<(), Malformed> {
        let known = self.anchors.get(&id).map(|(_, weight)| *weight);
        let weight = known.ok_or_else(|| {
            Malformed::new(span.start, "an alias inside its own anchor", "write it out")
        })?;
        self.weigh(weight, span)?;
        match self.anchors.get(&id).cloned() {
            Some((node, _)) => self.add(Node { span, ..node }, 0, weight, 0),
            None => Ok(()),
        }
    }

    /// Whether a scalar is plain; an explicit tag may make it text, other tags are ignored.
    #[expect(clippy::unused_self, reason = "reads as one of the steps of `take`")]
    fn plain(&self, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<bool, Malformed> {
        match tag.map(ToString::to_string).as_deref() {
            None => Ok(style == ScalarStyle::Plain),
            Some(tag) if tag.ends_with("str") => Ok(false),
            Some(_) => Err(Malformed::new(
                span.start,
                "a profile has no tags (`!…`)",
                "remove it; a value that begins with `!` goes in quotes",
            )),
        }
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content) {
        self.open.push(Open {
            start: span.start,
            anchor,
            content,
            key: None,
            weight: 1,
        });
    }

    /// Adds to the size; fails above the maximum.
    fn weigh(&mut self, weight: usize, span: Span) -> Result<(), Malformed> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > MAX_WEIGHT {
            return Err(Malformed::new(
                span.start,
                "the profile is too large",
                "use fewer aliases",
            ));
        }
        Ok(())
    }

    /// Adds a node to its parent: `weight` is the size of a copy of it, `made` the part that is new. Text in the file
    /// itself is not counted; only its copies are.
    fn add(
        &mut self,
        node: Node,
        anchor: usize,
        weight: usize,
        made: usize,
    ) -> Result<(), Malformed> {
        self.weigh(made, node.span)?;
        if anchor != 0 {
            self.weigh(weight, node.span)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.weight = open.weight.saturating_add(weight);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map(entries) => match open.key.take() {
                Some((key, key_span)) => entries.push(Entry {
                    key,
                    key_span,
                    node,
                }),
                None => match node.value {
                    Content::Scalar(scalar) => open.key = Some((scalar.text, node.span)),
                    _ => {
                        return Err(Malformed::new(
                            node.span.start,
                            "a key must be text, not a list or a map",
                            "a value that begins with `{` or `[` goes in quotes",
                        ));
                    }
                },
            },
            Content::Scalar(_) => {}
        }
        Ok(())
    }
}

fn place(span: &Scanned) -> Span {
    let position = |line, column| Position { line, column };
    Span {
        start: position(span.start.line(), span.start.col() + 1),
        end: position(span.end.line(), span.end.col() + 1),
    }
}

/// Rewords a scanner error for users.
fn syntax(error: &ScanError) -> Malformed {
    let (message, hint) = match error.kind() {
        Kind::TabNotAllowed | Kind::TabInBlockIndentation | Kind::TabInIndentation => {
            ("a tab where YAML requires spaces", "indent with spaces")
        }
        Kind::UnclosedQuotedScalar => ("a quote that is not closed", "add the closing quote"),
        Kind::UnclosedFlowCollection { open: '[' } | Kind::UnexpectedEofFlowSequence => {
            ("a `[` that is not closed", "add the `]`")
        }
        Kind::UnclosedFlowCollection { .. } | Kind::UnexpectedEofFlowMapping => {
            ("a `{` that is not closed", "add the `}`")
        }
        Kind::MappingValueNotAllowed => (
            "a `key:` is not allowed here",
            "check the indentation; a value that contains `: ` goes in quotes",
        ),
        Kind::UnknownAnchor => (
            "an alias (`*name`) without its anchor (`&name`)",
            "quote a value that begins with `*`",
        ),
        Kind::InvalidIndentation | Kind::ExpectedBlockMappingKey => (
            "the indentation does not match any line above",
            "align it with the keys of the same level",
        ),
        Kind::SimpleKeyExpected => ("a line without `:`", "write `key: value`"),
        Kind::RecursionLimitExceeded => ("too many levels", "a profile has at most a dozen"),
        other => {
            let at = Position {
                line: error.marker().line(),
                column: error.marker().col() + 1,
            };
            return Malformed {
                at,
                message: format!("not YAML: {other}"),
                hint: None,
            };
        }
    };
    let at = Position {
        line: error.marker().line(),
        column: error.marker().col() + 1,
    };
    Malformed::new(at, message, hint)
}

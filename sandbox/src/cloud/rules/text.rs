//! Characters and lengths that AWS allows in names, paths, descriptions and tags. One row per rule, with its source.
//!
//! Pure: no I/O.

use super::{call::Call, refusal::Refusal};

/// What a parameter may be.
struct Constraint {
    service: &'static str,
    /// The parameter, `*` for the number of a list.
    parameter: &'static str,
    allowed: fn(char) -> bool,
    shortest: usize,
    longest: usize,
    code: &'static str,
    /// What AWS says, after the name of the parameter.
    words: &'static str,
    /// Where the rule is written down.
    source: &'static str,
}

const EC2_TEXT: &str = "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*";

/// What EC2 takes in a description.
fn ec2_text(character: char) -> bool {
    character.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(character)
}

/// `[\w+=,.@-]`.
fn iam_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_+=,.@-".contains(character)
}

/// `[\u0021-\u007E]`.
fn printable(character: char) -> bool {
    ('\u{21}'..='\u{7e}').contains(&character)
}

/// `[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]`.
fn iam_text(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}')
}

/// `[\u0009\u000A\u000D\u0020-\u00FF]`.
fn iam_document(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{ff}')
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`.
fn iam_tag(character: char) -> bool {
    character.is_alphanumeric() || character == ' ' || "_.:/=+-@".contains(character)
}

fn anything(_: char) -> bool {
    true
}

const fn ec2(parameter: &'static str) -> Constraint {
    Constraint {
        service: "ec2",
        parameter,
        allowed: ec2_text,
        shortest: 0,
        longest: 255,
        code: "InvalidParameterValue",
        words: "Valid descriptions are strings less than 256 characters from the following set: ",
        source: "EC2 API reference, IpRange.Description; terraform-provider-aws#18874",
    }
}

const fn iam(
    parameter: &'static str,
    allowed: fn(char) -> bool,
    (shortest, longest): (usize, usize),
    source: &'static str,
) -> Constraint {
    Constraint {
        service: "iam",
        parameter,
        allowed,
        shortest,
        longest,
        code: "ValidationError",
        words: "failed to satisfy constraint",
        source,
    }
}

const MODEL: &str = "service model iam 2010-05-08";

const CONSTRAINTS: [Constraint; 18] = [
    ec2("IpPermissions.*.Groups.*.Description"),
    ec2("IpPermissions.*.IpRanges.*.Description"),
    ec2("IpPermissions.*.Ipv6Ranges.*.Description"),
    ec2("IpPermissions.*.PrefixListIds.*.Description"),
    ec2("GroupDescription"),
    ec2("GroupName"),
    Constraint {
        allowed: anything,
        shortest: 1,
        longest: 127,
        words: "Tag keys have at most 127 characters",
        source: "EC2 API reference, Tag",
        ..ec2("TagSpecification.*.Tag.*.Key")
    },
    Constraint {
        allowed: anything,
        longest: 256,
        words: "Tag values have at most 256 characters",
        source: "EC2 API reference, Tag",
        ..ec2("TagSpecification.*.Tag.*.Value")
    },
    iam("RoleName", iam_name, (1, 64), MODEL),
    iam("PolicyName", iam_name, (1, 128), MODEL),
    iam("Path", printable, (1, 512), MODEL),
    iam("Description", iam_text, (0, 1000), MODEL),
    iam("PolicyDocument", iam_document, (1, 131_072), MODEL),
    iam(
        "AssumeRolePolicyDocument",
        iam_document,
        (1, 131_072),
        MODEL,
    ),
    iam("Tags.member.*.Key", iam_tag, (1, 128), MODEL),
    iam("Tags.member.*.Value", iam_tag, (0, 256), MODEL),
    iam("PermissionsBoundary", printable, (20, 2048), MODEL),
    iam("ClientID", printable, (1, 255), MODEL),
];

/// Whether `name` is of the form `pattern`.
fn is_of(name: &str, pattern: &str) -> bool {
    let (mut names, mut patterns) = (name.split('.'), pattern.split('.'));
    loop {
        match (names.next(), patterns.next()) {
            (None, None) => return true,
            (Some(name), Some("*")) if name.parse::<u32>().is_ok() => {}
            (Some(name), Some(pattern)) if name == pattern => {}
            _ => return false,
        }
    }
}

/// The first argument that breaks a rule.
pub(super) fn refused(call: &Call) -> Option<Refusal> {
    let broken = call.arguments.iter().find_map(|(name, value)| {
        let constraint = CONSTRAINTS
            .iter()
            .find(|it| it.service == call.service && is_of(name, it.parameter))?;
        let length = value.chars().count();
        let fits = (constraint.shortest..=constraint.longest).contains(&length);
        (!fits || !value.chars().all(constraint.allowed)).then(|| {
            let Constraint { words, source, .. } = constraint;
            let set = if *words == ec2("").words {
                EC2_TEXT
            } else {
                ""
            };
            let message = format!("Invalid value for {name}: {words}{set} ({source})");
            Refusal::new(400, constraint.code, message)
        })
    });
    broken.or_else(|| shape(call)).or_else(|| reserved(call))
}

/// A path begins and ends with `/` (service model: `(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`); the URL of a provider is
/// https and has no query (API reference, `CreateOpenIDConnectProvider`).
fn shape(call: &Call) -> Option<Refusal> {
    let path = call
        .argument("Path")
        .filter(|_| call.action == "CreateRole");
    if path.is_some_and(|it| !it.starts_with('/') || !it.ends_with('/')) {
        let said = "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.";
        return Some(Refusal::new(400, "ValidationError", said));
    }
    let url = call.argument("Url").filter(|_| call.service == "iam");
    let wrong = |it: &str| !it.starts_with("https://") || it.contains('?') || it.len() > 255;
    url.is_some_and(wrong)
        .then(|| Refusal::new(400, "InvalidInput", "Invalid Open ID Connect Provider URL"))
}

/// Keys that begin with `aws:` are AWS's own (EC2 and IAM user guides, tags); 50 tags at most.
fn reserved(call: &Call) -> Option<Refusal> {
    let keys: Vec<&str> = call
        .arguments
        .iter()
        .filter(|(name, _)| {
            is_of(name, "Tags.member.*.Key") || is_of(name, "TagSpecification.*.Tag.*.Key")
        })
        .map(|(_, value)| value.as_str())
        .collect();
    let code = if call.service == "ec2" {
        "InvalidParameterValue"
    } else {
        "InvalidInput"
    };
    if keys.iter().any(|it| it.to_lowercase().starts_with("aws:")) {
        let said = "Tag keys starting with 'aws:' are reserved for internal use";
        return Some(Refusal::new(400, code, said));
    }
    (keys.len() > 50).then(|| Refusal::new(409, "LimitExceeded", "more than 50 tags"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(service: &str, name: &str, value: &str) -> Call {
        Call {
            service: service.into(),
            action: "CreateRole".into(),
            arguments: vec![(name.into(), value.into())],
            ..Call::default()
        }
    }

    #[test]
    fn what_aws_does_not_take_is_refused_with_its_code() {
        let long = "a".repeat(256);
        for (service, name, value, code) in [
            (
                "ec2",
                "IpPermissions.1.Groups.1.Description",
                "the server's",
                "InvalidParameterValue",
            ),
            (
                "ec2",
                "IpPermissions.1.IpRanges.2.Description",
                "a\nb",
                "InvalidParameterValue",
            ),
            (
                "ec2",
                "IpPermissions.1.Ipv6Ranges.1.Description",
                &long,
                "InvalidParameterValue",
            ),
            ("ec2", "GroupDescription", "über", "InvalidParameterValue"),
            (
                "ec2",
                "TagSpecification.1.Tag.1.Key",
                "aws:x",
                "InvalidParameterValue",
            ),
            ("iam", "RoleName", "a b", "ValidationError"),
            ("iam", "PolicyName", "a/b", "ValidationError"),
            ("iam", "Path", "/a", "ValidationError"),
            ("iam", "Path", "/a b/", "ValidationError"),
            ("iam", "Description", "a — b", "ValidationError"),
            ("iam", "Tags.member.1.Value", "a;b", "ValidationError"),
            ("iam", "Tags.member.1.Key", "AWS:x", "InvalidInput"),
            ("iam", "PermissionsBoundary", "short", "ValidationError"),
            ("iam", "Url", "http://x", "InvalidInput"),
        ] {
            let refused = refused(&call(service, name, value));
            assert_eq!(refused.map(|it| it.code), Some(code), "{name}={value}");
        }
    }

    #[test]
    fn what_it_takes_passes() {
        for (service, name, value) in [
            (
                "ec2",
                "IpPermissions.1.Groups.1.Description",
                "arcctl p: a (b), [c]; {d}!",
            ),
            ("iam", "RoleName", "a+=,.@_-"),
            ("iam", "Path", "/"),
            ("iam", "Path", "/a/b/"),
            ("iam", "Description", "é"),
            ("eks", "RoleName", "a b"),
        ] {
            assert_eq!(refused(&call(service, name, value)), None, "{name}={value}");
        }
    }
}

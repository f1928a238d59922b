//! The characters and lengths that AWS accepts. Texts that arcctl writes are checked before the first write; texts of
//! the profile, when it is read. Pure: no I/O.

/// The limits of a text in AWS.
#[derive(Clone, Copy, Debug)]
pub struct Constraint {
    /// What the text is, for errors.
    pub what: &'static str,
    allowed: fn(char) -> bool,
    /// The allowed characters, for errors.
    set: &'static str,
    shortest: usize,
    longest: usize,
}

/// The description of a security group rule. Source: EC2 API reference, `IpRange.Description`; the console and
/// terraform-provider-aws#18874 show the error that EC2 returns.
pub const RULE_DESCRIPTION: Constraint = Constraint {
    what: "description of a security group rule",
    allowed: |it| it.is_ascii_alphanumeric() || " ._-:/()#,@[]+=;{}!$*".contains(it),
    set: "a-z, A-Z, 0-9, spaces and ._-:/()#,@[]+=;{}!$*",
    shortest: 0,
    longest: 255,
};

/// The value of a tag in EC2 and EKS. Source: EC2 user guide, tag restrictions; all services accept these characters.
pub const TAG: Constraint = Constraint {
    what: "tag value",
    allowed: is_of_tags,
    set: "letters, digits, spaces and _.:/=+-@",
    shortest: 0,
    longest: 256,
};

/// The key of a tag. Source: IAM service model, `tagKeyType`; EC2 accepts 127.
pub const TAG_KEY: Constraint = Constraint {
    what: "tag key",
    shortest: 1,
    longest: 127,
    ..TAG
};

/// The name of a role. Source: IAM service model, `roleNameType`.
pub const ROLE_NAME: Constraint = Constraint {
    what: "name of a role",
    allowed: is_of_names,
    set: "letters, digits and _+=,.@-",
    shortest: 1,
    longest: 64,
};

/// The name of a policy. Source: IAM service model, `policyNameType`.
pub const POLICY_NAME: Constraint = Constraint {
    what: "name of a policy",
    longest: 128,
    ..ROLE_NAME
};

/// The path of a role. Source: IAM service model, `pathType`.
pub const PATH: Constraint = Constraint {
    what: "path of a role",
    allowed: |it| it.is_ascii_graphic(),
    set: "printable ASCII without spaces",
    shortest: 1,
    longest: 512,
};

/// The description of a role. Source: IAM service model, `roleDescriptionType`.
pub const ROLE_DESCRIPTION: Constraint = Constraint {
    what: "description of a role",
    allowed: |it| matches!(it, '\t' | '\n' | '\r' | ' '..='~' | '\u{a1}'..='\u{ff}'),
    set: "printable ASCII and Latin-1",
    shortest: 0,
    longest: 1000,
};

/// The `Sid` of a statement. Source: IAM user guide, "IAM JSON policy elements: Sid".
pub const SID: Constraint = Constraint {
    what: "Sid",
    allowed: |it| it.is_ascii_alphanumeric(),
    set: "letters and digits",
    shortest: 1,
    longest: 128,
};

/// A text that AWS would reject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` cannot be the {what}: {length} characters, {shortest} to {longest} of {set} are allowed"
)]
pub struct Refused {
    text: String,
    what: &'static str,
    set: &'static str,
    length: usize,
    shortest: usize,
    longest: usize,
}

fn is_of_tags(character: char) -> bool {
    character.is_alphanumeric() || " _.:/=+-@".contains(character)
}

fn is_of_names(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_+=,.@-".contains(character)
}

impl Constraint {
    /// Whether AWS accepts `text`.
    pub fn check(&self, text: &str) -> Result<(), Refused> {
        let length = text.chars().count();
        let reserved = self.what == TAG_KEY.what && text.to_lowercase().starts_with("aws:");
        let fits = (self.shortest..=self.longest).contains(&length);
        if fits && !reserved && text.chars().all(self.allowed) {
            return Ok(());
        }
        Err(Refused {
            text: text.to_owned(),
            what: self.what,
            set: self.set,
            length,
            shortest: self.shortest,
            longest: self.longest,
        })
    }

    /// `text` with `_` for each character that AWS rejects, cut to the maximum length: for descriptions only.
    pub fn fitted(&self, text: &str) -> String {
        let one = |it: char| if (self.allowed)(it) { it } else { '_' };
        text.chars().map(one).take(self.longest).collect()
    }
}

/// Whether IAM accepts `path` for a role: it begins and ends with `/`.
pub fn is_path(path: &str) -> bool {
    PATH.check(path).is_ok() && path.starts_with('/') && path.ends_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_does_not_take_is_told() {
        let long = "a".repeat(257);
        for (constraint, text) in [
            (RULE_DESCRIPTION, "the server's"),
            (RULE_DESCRIPTION, "a\tb"),
            (RULE_DESCRIPTION, "é"),
            (RULE_DESCRIPTION, &long),
            (TAG, "a,b"),
            (TAG, &long),
            (TAG_KEY, ""),
            (TAG_KEY, "aws:x"),
            (TAG_KEY, "AWS:x"),
            (ROLE_NAME, ""),
            (ROLE_NAME, "a/b"),
            (ROLE_NAME, &long),
            (POLICY_NAME, "a b"),
            (ROLE_DESCRIPTION, "a — b"),
            (SID, "a-b"),
            (SID, ""),
        ] {
            assert!(
                constraint.check(text).is_err(),
                "{}: {text}",
                constraint.what
            );
        }
        let said = ROLE_NAME.check("a b").unwrap_err().to_string();
        assert_eq!(
            said,
            "`a b` cannot be the name of a role: 3 characters, 1 to 64 of letters, digits and _+=,.@- are allowed"
        );
    }

    #[test]
    fn what_it_takes_passes() {
        for (constraint, text) in [
            (RULE_DESCRIPTION, "arcctl p: a (b), [c]; {d}!"),
            (TAG, "arn:aws:iam::1:policy/a"),
            (TAG_KEY, "arcctl.dev/sid"),
            (ROLE_NAME, "a+=,.@_-"),
            (SID, "Arcctl0"),
        ] {
            constraint.check(text).unwrap();
        }
        assert_eq!(TAG.fitted("a,b!c"), "a_b_c");
        assert_eq!(TAG.fitted(&"a".repeat(300)).len(), 256);
    }

    #[test]
    fn a_path_begins_and_ends_with_a_slash() {
        for (path, expected) in [
            ("/", true),
            ("/a/b/", true),
            ("/a", false),
            ("a/", false),
            ("/a b/", false),
            ("", false),
        ] {
            assert_eq!(is_path(path), expected, "{path}");
        }
    }
}

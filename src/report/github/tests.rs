//! Tests of workflow commands, their limits, and text that must not become a command.

use super::*;
use crate::{
    error::System,
    secret::{Secret, canaries},
};

fn annotation(level: Level, message: &str) -> Annotation {
    Annotation {
        level,
        place: None,
        title: "t".into(),
        message: message.into(),
    }
}

#[test]
fn what_would_end_a_command_or_a_property_is_escaped() {
    let annotation = Annotation {
        level: Level::Error,
        place: Some(("a,b:c%.yaml".into(), 7)),
        title: "x: y, z".into(),
        message: "100%\r\n::error::no, this: stays".into(),
    };
    assert_eq!(
        annotations(&[annotation]),
        [
            "::error file=a%2Cb%3Ac%25.yaml,line=7,title=x%3A y%2C z::100%25%0D%0A::error::no, this: stays"
        ]
    );
    assert_eq!(group("a\nb"), "::group::a%0Ab");
}

#[test]
fn no_secret_is_in_an_annotation_since_its_text_is_escaped() {
    let nested = format!("GET /?to=https%3A%2F%2Fx%3Ftoken%3D{}", canaries::PLAIN);
    for message in canaries::messages().into_iter().chain([nested]) {
        let titled = Annotation {
            title: message.clone(),
            ..annotation(Level::Error, &message)
        };
        let line = annotations(&[titled]).remove(0);
        let found = canaries::forms().into_iter().find(|it| line.contains(it));
        assert_eq!(found, None, "{message}: {line}");
    }
}

#[test]
fn no_text_of_another_side_becomes_a_command() {
    for (text, safe) in [
        ("::add-mask::e", ": :add-mask::e"),
        ("a\r::error::b", "a\r: :error::b"),
        ("a\n \t\u{a0}::error::b\n", "a\n: :error::b\n"),
        ("x ##[add-mask]e", "x ## [add-mask]e"),
        (":::x", ": ::x"),
    ] {
        assert!(is_command(text), "{text:?}");
        assert_eq!(guarded(text), safe);
        assert!(!is_command(&guarded(text)), "{text:?}");
    }
    for harmless in ["a::b", "Foo::new()", "# [x]", "a ::error::", ""] {
        assert_eq!(guarded(harmless), harmless);
    }
    let document = serde_json::json!({"message": "x ##[error]y \\##[z"});
    let text = guarded_json(&serde_json::to_string_pretty(&document).unwrap());
    assert!(!is_command(&text), "{text}");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        document
    );
}

#[test]
fn ten_of_a_level_are_shown_the_worst_first() {
    let many = |count: usize| -> Vec<String> {
        let mut all = vec![annotation(Level::Warning, "w")];
        all.extend((0..count).map(|it| annotation(Level::Error, &it.to_string())));
        annotations(&all)
    };
    assert_eq!(many(10).len(), 11);
    assert!(many(10)[9].ends_with("::9") && many(10)[10].starts_with("::warning"));
    let eleven = many(11);
    assert_eq!(eleven.len(), 11);
    assert!(
        eleven[9].ends_with("::and 2 more: the log has them all"),
        "{eleven:?}"
    );
    // Duplicates are reported once.
    let twice = [annotation(Level::Error, "x"), annotation(Level::Error, "x")];
    assert_eq!(annotations(&twice).len(), 1);
}

#[test]
fn a_message_is_cut_at_its_limit() {
    let of = |length: usize| annotations(&[annotation(Level::Error, &"€".repeat(length))]);
    let message = |lines: Vec<String>| lines[0].rsplit("::").next().unwrap().to_owned();
    assert_eq!(message(of(4096)).chars().count(), 4096);
    let cut = message(of(4097));
    assert_eq!(cut.chars().count(), 4096);
    assert!(cut.ends_with('…'));
}

#[test]
fn a_summary_has_whole_lines_and_says_what_is_left_out() {
    let text = "| one |\n".repeat(1000);
    assert_eq!(summary(&text, SUMMARY), text);
    let short = summary(&text, 480);
    assert!(short.len() <= 480, "{}", short.len());
    assert!(
        short.ends_with("\n… and 950 more lines: the log has them all\n"),
        "{short}"
    );
    assert!(summary(&text, 0).len() < 80);
}

#[test]
fn a_credential_is_masked_line_by_line_and_as_a_secret_holds_it() {
    let token = Credential::Token(Secret::trimmed("ghp_100%secret").0);
    assert_eq!(
        masks(&token),
        [
            "::add-mask::ghp_100%25secret",
            "::add-mask::Z2hwXzEwMCVzZWNyZXQ="
        ]
    );
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKC\nab==\n-----END RSA PRIVATE KEY-----";
    let app = Credential::App {
        id: "1".into(),
        installation_id: "2".into(),
        private_key: Secret::trimmed(key).0,
    };
    let masks = masks(&app);
    assert_eq!(masks.len(), 2, "{}", masks.len());
    assert_eq!(masks[0], "::add-mask::MIIEpAIBAAKC");
}

#[test]
fn an_error_stands_on_the_line_of_its_pool() {
    let place = ProfilePlace {
        file: "arcctl.yaml".into(),
        pools: vec![("basic".into(), 12)],
    };
    let of = |object: &str| {
        let error = Error::failed(System::Kubernetes, "x").object(object);
        of_error(&error, Some(&place)).place
    };
    let line = Some(("arcctl.yaml".to_owned(), 12));
    assert_eq!(of("runner-pods/actions-runner/basic"), line);
    assert_eq!(of("registration/github/basic"), line);
    assert_eq!(of("registration/github/basics"), None);
    assert_eq!(of("namespace/-/basic"), None);
}

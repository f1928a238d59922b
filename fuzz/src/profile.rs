//! A profile: any text is rejected with a line number, or rendered to manifests.

use arcctl::{
    desired::{Facts, lint, render},
    profile::load_with,
};
use jiff::Timestamp;

/// Loads the text; what loads is rendered.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let loaded = match load_with(text, "arcctl.yaml", &lint::lint) {
        Ok(loaded) => loaded,
        Err(errors) => {
            // As YAML counts them: a carriage return alone begins a line too.
            let lines = text.replace("\r\n", "\n").split(['\n', '\r']).count();
            for problem in &errors.problems {
                assert!(
                    (1..=lines).contains(&problem.line),
                    "line {} of {lines}: {}",
                    problem.line,
                    problem.message
                );
            }
            assert!(!errors.problems.is_empty() && !errors.to_string().is_empty());
            return;
        }
    };
    let facts = Facts {
        now: Timestamp::from_second(1_795_000_000).unwrap(),
        ..Facts::default()
    };
    // What is a word of the profile's and still cannot be rendered would have to be refused where it is loaded.
    let rendered = render::files(&loaded.profile, &facts)
        .unwrap_or_else(|error| panic!("a profile that loads is not rendered: {error}"));
    assert!(!rendered.is_empty());
}

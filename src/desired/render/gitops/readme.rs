//! The README of a rendering: what to do with it, in order. Pure: no I/O.

use std::fmt::Write as _;

use super::{
    Options, Tool,
    folder::Files,
    parts::{Hole, Part},
};
use crate::{
    desired::{Desired, manages_secret, names, render::at_aws, resource::Resource},
    profile::Profile,
    templates,
};

/// The text.
pub(super) fn text(
    profile: &Profile,
    resources: &[Desired],
    parts: &[Part],
    holes: &[Hole],
    options: &Options,
    files: &Files<'_>,
) -> String {
    let template = match options.tool {
        Tool::Flux => templates::FLUX_README,
        Tool::ArgoCd => templates::ARGOCD_README,
    };
    let mut order = String::new();
    for (number, part) in (1..).zip(parts) {
        let after = match part.after.as_slice() {
            [] => String::new(),
            parts => format!(", after `{}`", parts.join("`, `")),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            order,
            "{number}. `{}`: {}{after}",
            part.name,
            described(part)
        );
    }
    template.text(&[
        ("PROFILE", &profile.name),
        ("ORDER", order.trim_end()),
        ("HOLES", &by_hand(profile, holes, resources)),
        ("PLACEHOLDERS", &placeholders(files)),
    ])
}

fn described(part: &Part) -> String {
    let count = part.manifests.len();
    let files = match count {
        0 => None,
        1 => Some("1 manifest".to_owned()),
        _ => Some(format!("{count} manifests")),
    };
    let charts = part.releases.iter().map(|release| {
        format!(
            "the chart {} {} as release `{}` in `{}`",
            release.chart.name, release.chart.version, release.name, release.namespace
        )
    });
    let all: Vec<String> = charts.chain(files).collect();
    all.join(", ")
}

/// What no file can do.
fn by_hand(profile: &Profile, holes: &[Hole], resources: &[Desired]) -> String {
    let mut lines: Vec<String> = holes.iter().map(|it| it.title.clone()).collect();
    if profile.has_deployments() && !manages_secret(profile) {
        lines.push(format!(
            "nothing for the Secret `{}` in `{}`: the profile says that someone else manages it",
            names::CONTROLLER_SECRET,
            profile.controller.namespace
        ));
    }
    let aws = resources.iter().filter_map(|it| match &it.resource {
        Resource::Aws(aws) => Some(format!("at AWS: {}", at_aws(aws))),
        _ => None,
    });
    lines.extend(aws);
    if lines.is_empty() {
        return "Nothing.".into();
    }
    let lines: Vec<String> = lines.iter().map(|it| format!("- {it}")).collect();
    lines.join("\n")
}

fn placeholders(files: &Files<'_>) -> String {
    let found = files.placeholders();
    if found.is_empty() {
        return "None: every fact was known.".into();
    }
    let lines: Vec<String> = found
        .iter()
        .map(|it| format!("- `{}`: {}", it.text(), it.meaning))
        .collect();
    format!(
        "Facts that were not known. Render again with `--fact NAME=VALUE` for each, or replace them in the files.\n\n{}",
        lines.join("\n")
    )
}

//! Rules for `monitoring`. Pure.

use super::{Path, Report, metadata};
use crate::profile::Profile;

/// Reserved: the label of owned objects, and the prefix of arcctl's other labels.
const RESERVED: [&str; 2] = ["app.kubernetes.io/managed-by", "arcctl.dev/"];

pub(super) fn check(profile: &Profile, report: &mut Report) {
    let Some(monitoring) = &profile.monitoring else {
        return;
    };
    let path = Path::from(["monitoring"]).key("labels");
    metadata::labels(&monitoring.labels, &path, &RESERVED, report);
}

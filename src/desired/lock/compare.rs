//! What differs from a lock, and the error for it. Pure: no I/O.

use super::{ChartNeed, Lock, LockedChart, LockedImage, Needed, Verification, pins::PLACES};
use crate::{
    error::{Error, ErrorKind, System},
    profile::Profile,
};

/// How something differs from the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The profile needs it, and the lock does not have it.
    NotLocked,
    /// The values that decide which images a chart runs have changed.
    ValuesChanged,
    /// The lock has it for other resources: images that a chart names are pinned only for the releases in the lock.
    OtherResources,
    /// A chart of the same version has another archive, or an image's tag another digest.
    Moved,
    /// The registry has no such tag any more.
    Gone,
    /// A chart has no verified provenance, and the profile wants one.
    Unsigned,
    /// The lock has it, and the profile does not need it.
    NotNeeded,
}

impl Kind {
    /// The word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotLocked => "not-locked",
            Self::ValuesChanged => "values-changed",
            Self::OtherResources => "other-resources",
            Self::Moved => "moved",
            Self::Gone => "gone",
            Self::Unsigned => "unsigned",
            Self::NotNeeded => "not-needed",
        }
    }

    /// Whether the profile has changed since it was locked, and nobody else has changed anything.
    pub const fn is_of_the_profile(self) -> bool {
        matches!(
            self,
            Self::NotLocked | Self::ValuesChanged | Self::OtherResources | Self::NotNeeded
        )
    }
}

/// A chart or an image that differs from the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `chart` or `image`.
    pub of: &'static str,
    /// Its name: of a chart with its version, of an image the reference.
    pub name: String,
    /// How it differs.
    pub kind: Kind,
    /// The digest in the lock.
    pub locked: Option<String>,
    /// The digest that was found.
    pub found: Option<String>,
}

impl Difference {
    fn new(of: &'static str, name: &str, kind: Kind) -> Self {
        Self {
            of,
            name: name.to_owned(),
            kind,
            locked: None,
            found: None,
        }
    }

    fn of_chart(name: &str, version: &str, kind: Kind) -> Self {
        Self::new("chart", &format!("{name} {version}"), kind)
    }

    /// An image whose tag has another digest now, or none.
    pub fn of_image(image: &LockedImage, found: Option<&str>) -> Option<Self> {
        let kind = match found {
            Some(found) if found == image.digest => return None,
            Some(_) => Kind::Moved,
            None => Kind::Gone,
        };
        Some(Self {
            locked: Some(image.digest.clone()),
            found: found.map(str::to_owned),
            ..Self::new("image", &image.image, kind)
        })
    }

    /// It in words.
    pub fn words(&self) -> String {
        let Self { of, name, .. } = self;
        let digest = |it: &Option<String>| it.clone().unwrap_or_default();
        let (locked, found) = (digest(&self.locked), digest(&self.found));
        match (self.kind, *of) {
            (Kind::NotLocked, _) => format!("{of} `{name}` is not in the lock"),
            (Kind::ValuesChanged, _) => {
                format!("the values of {of} `{name}` have changed since it was locked")
            }
            (Kind::OtherResources, "chart") => format!(
                "the images of {of} `{name}` are locked for a release of another name or namespace"
            ),
            (Kind::OtherResources, _) => {
                format!("{of} `{name}` is locked for other resources than those that use it now")
            }
            (Kind::Moved, "chart") => format!(
                "{of} `{name}` was published again with other content: {locked} in the lock, {found} at the repository"
            ),
            (Kind::Moved, _) => format!(
                "the tag of {of} `{name}` has moved: {locked} in the lock, {found} at the registry"
            ),
            (Kind::Gone, _) => {
                format!("{of} `{name}` is no longer at the registry; the lock has {locked}")
            }
            (Kind::Unsigned, _) => {
                format!(
                    "{of} `{name}` has no verified signature, and `provenance.require` requires one"
                )
            }
            (Kind::NotNeeded, _) => format!("{of} `{name}` is in the lock, but no longer needed"),
        }
    }
}

impl Lock {
    /// What of `needed` the lock does not have, of the resources that `is_used` names by their ids.
    pub fn lacks(&self, needed: &Needed, is_used: &dyn Fn(&str) -> bool) -> Vec<Difference> {
        let charts = needed.charts.iter().filter_map(|need| {
            if !need.ids.iter().any(|it| is_used(it.as_str())) {
                return None;
            }
            let chart = &need.chart;
            let known = self.chart(&chart.name, &chart.version);
            let kind = match known.filter(|it| it.repository == need.repository()) {
                None => Kind::NotLocked,
                Some(known) if known.values != need.values => Kind::ValuesChanged,
                Some(_) if self.lacks_images(need, is_used) => Kind::OtherResources,
                Some(_) => return None,
            };
            Some(Difference::of_chart(&chart.name, &chart.version, kind))
        });
        let images = needed.images.iter().filter_map(|(image, ids)| {
            let lacks = self.image(image).is_none() && ids.iter().any(|it| is_used(it.as_str()));
            lacks.then(|| Difference::new("image", image, Kind::NotLocked))
        });
        charts.chain(images).collect()
    }

    /// Whether a used release of a chart that names images itself has none in the lock: each of those charts runs one at
    /// least.
    fn lacks_images(&self, need: &ChartNeed, is_used: &dyn Fn(&str) -> bool) -> bool {
        let names_images = PLACES.iter().any(|it| it.chart == need.chart.name);
        let mut releases = need.ids.iter().filter(|it| it.kind() == "helm-release");
        names_images
            && releases.any(|id| {
                let has_images = self.images.iter().any(|it| it.from.contains(id.as_str()));
                is_used(id.as_str()) && !has_images
            })
    }

    /// The images of the resources that `is_used` names by their ids, as the lock has them or as `needed` does.
    pub fn images_of(&self, needed: &Needed, is_used: &dyn Fn(&str) -> bool) -> Vec<&LockedImage> {
        let is_used = |it: &&LockedImage| {
            let named = needed.images.get(&it.image);
            let mut now = named.into_iter().flatten();
            it.from.iter().any(|id| is_used(id)) || now.any(|id| is_used(id.as_str()))
        };
        self.images.iter().filter(is_used).collect()
    }

    /// What a lock made now has that this one does not, and the other way round.
    pub fn against(&self, now: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        for chart in &now.charts {
            found.extend(self.chart_against(chart));
        }
        for chart in &self.charts {
            if now.chart(&chart.name, &chart.version).is_none() {
                let kind = Kind::NotNeeded;
                found.push(Difference::of_chart(&chart.name, &chart.version, kind));
            }
        }
        for image in &now.images {
            match self.image(&image.image) {
                Some(known) if known.digest == image.digest && known.from != image.from => {
                    found.push(Difference::new("image", &image.image, Kind::OtherResources));
                }
                Some(known) => found.extend(Difference::of_image(known, Some(&image.digest))),
                None => found.push(Difference::new("image", &image.image, Kind::NotLocked)),
            }
        }
        for image in &self.images {
            if now.image(&image.image).is_none() {
                found.push(Difference::new("image", &image.image, Kind::NotNeeded));
            }
        }
        found
    }

    fn chart_against(&self, now: &LockedChart) -> Option<Difference> {
        let of = |kind| Difference::of_chart(&now.name, &now.version, kind);
        let known = self.chart(&now.name, &now.version);
        let Some(known) = known.filter(|it| it.repository == now.repository) else {
            return Some(of(Kind::NotLocked));
        };
        if known.archive != now.archive || known.manifest != now.manifest {
            let digest = |it: &LockedChart| {
                let is_same = known.archive == now.archive;
                let manifest = it.manifest.clone().filter(|_| is_same);
                manifest.unwrap_or_else(|| it.archive.clone())
            };
            return Some(Difference {
                locked: Some(digest(known)),
                found: Some(digest(now)),
                ..of(Kind::Moved)
            });
        }
        (known.values != now.values).then(|| of(Kind::ValuesChanged))
    }
}

/// The charts of a lock that have no verified provenance although the profile wants one.
pub fn unsigned(profile: &Profile, lock: &Lock) -> Vec<Difference> {
    let wanted = profile.provenance.iter().flat_map(|it| &it.require);
    wanted
        .flat_map(|name| {
            let charts = lock
                .charts
                .iter()
                .filter(move |it| it.name == name.as_str());
            charts.filter(|it| !matches!(it.provenance, Verification::Verified { .. }))
        })
        .map(|it| Difference::of_chart(&it.name, &it.version, Kind::Unsigned))
        .collect()
}

/// The error for what differs from the lock in `file`.
pub fn refusal(differences: &[Difference], file: &str) -> Option<Error> {
    let first = differences.first()?;
    let is_newer = differences.iter().all(|it| it.kind.is_of_the_profile());
    let message = if is_newer {
        format!("the lock `{file}` is older than the profile")
    } else if differences.iter().all(|it| it.kind == Kind::Unsigned) {
        "a chart does not have the signature that the profile requires".to_owned()
    } else {
        format!("something differs from the lock `{file}`")
    };
    let hint = if is_newer {
        "run `arcctl lock`, look at what changes in the file, and commit it".to_owned()
    } else if differences.iter().any(|it| it.kind == Kind::Unsigned) {
        "set `provenance.keyring` to a file with the publisher's keys and run `arcctl lock`, or remove the chart from `provenance.require`".to_owned()
    } else {
        format!(
            "find out who changed {} `{}`, and why; `arcctl lock` accepts what is there now",
            first.of, first.name
        )
    };
    let error = Error::new(ErrorKind::Refused, System::Local, message).object(file);
    let error = differences
        .iter()
        .fold(error, |error, it| error.cause(it.words()));
    Some(error.hint(hint))
}

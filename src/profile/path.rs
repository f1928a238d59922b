//! Paths in a profile, such as `pools[0].scaling.metrics[1].type`. Pure.

use std::{fmt, sync::Arc};

/// A path in the profile. Longer paths share their parent's segments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Path(Option<Arc<Link>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Link {
    before: Path,
    segment: Segment,
}

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A key of a map.
    Key(String),
    /// An index in a list, from 0.
    Index(usize),
}

impl Path {
    /// The whole profile.
    pub const fn root() -> Self {
        Self(None)
    }

    /// The key `name` in it.
    #[must_use]
    pub fn key(&self, name: &str) -> Self {
        self.with(Segment::Key(name.to_owned()))
    }

    /// The item `index` in it.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        Self(Some(Arc::new(Link {
            before: self.clone(),
            segment,
        })))
    }

    /// Whether it is the whole profile.
    pub const fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// Its segments, last one first.
    fn backwards(&self) -> impl Iterator<Item = &Segment> {
        std::iter::successors(self.0.as_ref(), |link| link.before.0.as_ref())
            .map(|link| &link.segment)
    }

    /// Its segments.
    pub fn segments(&self) -> Vec<&Segment> {
        let mut segments: Vec<_> = self.backwards().collect();
        segments.reverse();
        segments
    }

    /// The key it ends with, if it ends with one.
    pub fn last_key(&self) -> Option<&str> {
        match self.backwards().next()? {
            Segment::Key(name) => Some(name),
            Segment::Index(_) => None,
        }
    }

    /// Whether the path contains the key `name`.
    pub fn through(&self, name: &str) -> bool {
        self.backwards()
            .any(|segment| matches!(segment, Segment::Key(key) if key == name))
    }

    /// Whether it equals the other path or is below it.
    pub fn is_in(&self, other: &Self) -> bool {
        self.segments().starts_with(&other.segments())
    }
}

/// The path `one.two` from its keys.
impl<const COUNT: usize> From<[&str; COUNT]> for Path {
    fn from(keys: [&str; COUNT]) -> Self {
        keys.iter().fold(Self::root(), |path, key| path.key(key))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.segments().into_iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Key(key) if key.contains(['.', '[']) => write!(formatter, "[{key:?}]")?,
                Segment::Key(key) if position == 0 => formatter.write_str(key)?,
                Segment::Key(key) => write!(formatter, ".{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_the_profile() {
        let path = Path::from(["pools"])
            .index(0)
            .key("nodeSelector")
            .key("karpenter.sh/pool");
        assert_eq!(
            path.to_string(),
            r#"pools[0].nodeSelector["karpenter.sh/pool"]"#
        );
        assert!(path.through("nodeSelector"));
        assert!(path.is_in(&Path::from(["pools"])) && path.is_in(&path));
        assert!(
            !Path::from(["pools"]).is_in(&path) && !path.is_in(&Path::from(["pools"]).index(1))
        );
    }
}

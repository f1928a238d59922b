//! The text of the profile with one pool more or less, checked like any profile. Pure: no I/O.

use std::fmt::Display;

use crate::{
    desired,
    error::{Error, ErrorKind, Result, System},
    profile::{
        Pool, Profile, load_with,
        pool_text::{entry, with_pool, without_pool},
    },
};

/// A profile's file.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// What is in it.
    pub text: &'a str,
}

impl File<'_> {
    /// What the text says.
    fn profile(&self) -> Result<Profile> {
        loaded(self.text, self.name).map_err(|why| self.unchanged(&why, "correct it"))
    }

    /// The text with `pool` behind the pool called `after`. Fails where the rules for profiles refuse the new pool: it has keys
    /// without a counterpart in its mode.
    pub fn with(&self, after: &str, pool: &Pool) -> Result<String> {
        let mut wanted = self.profile()?;
        let index = self.index(&wanted, after)?;
        wanted.pools.insert(index + 1, pool.clone());
        let by_hand = || {
            let entry = entry(pool).unwrap_or_default();
            format!(
                "add it under `pools` by hand, and run the same command again:\n{}",
                indented(&entry)
            )
        };
        let text =
            with_pool(self.text, index, pool).map_err(|why| self.unchanged(&why, &by_hand()))?;
        let found = loaded(&text, self.name).map_err(|why| self.refused(pool, &why))?;
        self.same(&found, &wanted, text, &by_hand())
    }

    /// The text without the pool called `name`.
    pub fn without(&self, name: &str) -> Result<String> {
        let mut wanted = self.profile()?;
        let index = self.index(&wanted, name)?;
        wanted.pools.remove(index);
        let by_hand = format!("remove pool `{name}` by hand, and run the same command again");
        let text = without_pool(self.text, index).map_err(|why| self.unchanged(&why, &by_hand))?;
        let found = loaded(&text, self.name).map_err(|why| self.unchanged(&why, &by_hand))?;
        self.same(&found, &wanted, text, &by_hand)
    }

    fn index(&self, profile: &Profile, name: &str) -> Result<usize> {
        let index = profile.pools.iter().position(|it| it.name == name);
        index.ok_or_else(|| self.unchanged(&format!("it has no pool `{name}`"), "correct it"))
    }

    /// `text`, if it says what it is to say: an alias may stand where nobody looked.
    fn same(&self, found: &Profile, wanted: &Profile, text: String, hint: &str) -> Result<String> {
        if found == wanted {
            Ok(text)
        } else {
            Err(self.unchanged(&"other values would change with it", hint))
        }
    }

    fn unchanged(&self, why: &dyn Display, hint: &str) -> Error {
        Error::failed(System::Profile, format!("`{}` was not changed", self.name))
            .object(self.name)
            .cause(why)
            .hint(hint)
    }

    fn refused(&self, pool: &Pool, why: &str) -> Error {
        Error::new(
            ErrorKind::InvalidProfile,
            System::Profile,
            format!(
                "`{}` was not changed: the new pool `{}` would not work",
                self.name, pool.name
            ),
        )
        .object(self.name)
        .cause(why)
        .hint(format!(
            "change the keys of the old pool that the other mode does not support; or add pool `{}` to the profile yourself, and run the same command again (docs/scale-sets.md lists the differences)",
            pool.name
        ))
    }
}

/// What a text says, or its problems.
fn loaded(text: &str, name: &str) -> Result<Profile, String> {
    match load_with(text, name, &desired::lint::lint) {
        Ok(loaded) => Ok(loaded.profile),
        Err(errors) => Err(errors.to_string().trim_end().to_owned()),
    }
}

fn indented(entry: &str) -> String {
    let lines = entry.lines().enumerate().map(|(number, line)| {
        let begin = if number == 0 { "  - " } else { "    " };
        format!("{begin}{line}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

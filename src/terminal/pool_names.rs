//! Validates the pools of a command line: they must be pools of the profile.

use crate::{
    error::{Error, ErrorKind, Result, System},
    profile::Profile,
    units::listed::first_of,
};

/// How many pools a hint lists.
const NAMED: usize = 20;

/// Fails at the first of `names` that is not a pool of `profile`.
pub(crate) fn check<'a>(
    profile: &Profile,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<()> {
    let is_there = |name: &str| profile.pools.iter().any(|it| it.name == name);
    let Some(unknown) = names.into_iter().find(|name| !is_there(name)) else {
        return Ok(());
    };
    let there = profile.pools.iter().map(|it| format!("`{}`", it.name));
    Err(Error::new(
        ErrorKind::Usage,
        System::Local,
        format!("unknown pool `{unknown}`"),
    )
    .hint(format!(
        "profile `{}` has {}",
        profile.name,
        first_of(there, NAMED, [", "; 2])
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn profile(pools: usize) -> Profile {
        let pool =
            |number| json!({"name": format!("p{number}"), "image": "r:1", "min": 0, "max": 1});
        let pools: Vec<_> = (1..=pools).map(pool).collect();
        serde_json::from_value(json!({
            "apiVersion": "arcctl.dev/v1", "name": "x", "cluster": {"context": "c"},
            "github": {"repository": "o/r", "token": {"env": "T"}}, "pools": pools,
        }))
        .unwrap()
    }

    #[test]
    fn an_unknown_pool_is_told_with_those_that_are_there() {
        let names = ["p1".to_owned(), "q".to_owned()];
        assert!(check(&profile(2), &names[..1]).is_ok());
        let error = check(&profile(2), &names).unwrap_err();
        assert_eq!(error.kind.exit_code(), 64);
        assert_eq!(error.message, "unknown pool `q`");
        assert_eq!(error.hint.unwrap(), "profile `x` has `p1`, `p2`");
        let hint = check(&profile(22), &names).unwrap_err().hint.unwrap();
        assert!(hint.ends_with("`p20`, and 2 more"), "{hint}");
    }
}

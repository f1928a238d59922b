//! `arcctl images update`: the newest image of the same flavour for each pool.

use std::path::Path;

use clap::Args;
use jiff::Timestamp;

use crate::{
    desired::{self, pool::runner_version::day},
    error::{Error, ErrorKind, Result, System},
    profile::{
        Pool,
        edit::{Change, edited},
        load_to_change_images, path,
    },
    report::images::{Found, Images, PoolImage},
    session::{image_updates, lock},
    terminal::{
        args::GlobalArgs,
        deadline::RunLimit,
        output::Output,
        pool_names,
        profile_file::{self, ProfileFile},
        profile_write::write,
    },
};

/// Show the newest image of the same flavour for each pool; `--write` puts it into the profile
///
/// Reads the tags of each pool's image from its registry, or from the mirror in `images.registry`. Tags have the same flavour if
/// they differ only in the runner's version, and in the commit or day of the build where it is at the end. It needs neither a
/// cluster nor GitHub. It uses the logins of `docker login`, else the pull secrets of the profile, which it reads from the
/// cluster. `--write` changes only the images in the profile: comments, quotes and order stay. docs/ci.md has a job that opens a
/// pull request with the newer images.
#[derive(Args)]
pub(super) struct UpdateArgs {
    /// Write the newer images into the profile
    #[arg(long)]
    write: bool,
    /// Only this pool; can be repeated
    #[arg(long, value_name = "NAME")]
    pool: Vec<String>,
    /// Exit with 2 if there is a newer image, written or not
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Shows the newer images, and writes them if asked to.
pub(super) async fn run(args: &UpdateArgs, global: &GlobalArgs, output: Output) -> Result<u8> {
    if args.write && global.file == Path::new("-") {
        return Err(Error::new(
            ErrorKind::Usage,
            System::Local,
            "`--write` changes the profile's file, and `-f -` has none",
        )
        .hint("name the file with -f"));
    }
    let (file, text) = profile_file::read_to_change_images(global, output)?;
    pool_names::check(&file.profile, &args.pool)?;
    let wanted = |it: &&Pool| args.pool.is_empty() || args.pool.contains(&it.name);
    let pools: Vec<&Pool> = file.profile.pools.iter().filter(wanted).collect();
    let reading = image_updates::find(&file.profile, &pools, global, output);
    let found = RunLimit::reading(output)
        .within("reading the tags at the registries", reading)
        .await?;
    let mut images = Images {
        profile: file.profile.name.clone(),
        file: file.name.clone(),
        written: false,
        today: day(Timestamp::now()),
        pools: found,
    };
    let newer = images.newer().count();
    if args.write && newer > 0 {
        put(&file, &text, &images.pools, &global.file)?;
        images.written = true;
    }
    tell(&images, global, output);
    Ok(if args.detailed_exitcode && newer > 0 {
        2
    } else {
        0
    })
}

/// Writes the newer images into the file.
fn put(file: &ProfileFile, text: &str, found: &[PoolImage], path: &Path) -> Result<()> {
    let pools = path::Path::root().key("pools");
    let mut changes = Vec::new();
    for it in found {
        let Found::Newer(newer) = &it.found else {
            continue;
        };
        let all = file.profile.pools.iter().enumerate();
        let same = all.filter(|(_, pool)| pool.name == it.pool && pool.image == it.image);
        changes.extend(same.map(|(index, _)| Change {
            path: pools.index(index).key("image"),
            to: newer.clone(),
        }));
    }
    let not_written = |why: &dyn std::fmt::Display| {
        Error::new(
            ErrorKind::Failed,
            System::Profile,
            format!("`{}` was not changed", file.name),
        )
        .object(&file.name)
        .cause(why)
        .hint("without `--write`, `arcctl images update` shows the images: put them into the profile by hand, or choose pools with `--pool`")
    };
    let new = edited(text, &changes).map_err(|it| not_written(&it))?;
    // What is written must load as what was read did.
    load_to_change_images(&new, &file.name, &desired::lint::lint)
        .map_err(|it| not_written(&it.to_string().trim_end()))?;
    write(path, text, &new)
}

/// Whether there is a lock beside the profile.
fn is_locked(global: &GlobalArgs) -> bool {
    lock::path(global).is_some_and(|it| it.exists())
}

fn tell(images: &Images, global: &GlobalArgs, output: Output) {
    global.actions.set("images-newer", images.newer().count());
    if let Some(summary) = images.summary() {
        global.actions.summarize(&summary);
    }
    if output.is_json() {
        output.document(&images.document(None));
        return;
    }
    output.result(&images.text());
    if images.newer().next().is_some() {
        output.note(match (images.written, is_locked(global)) {
            // Nothing runs with the lock until it has the new images.
            (true, true) => {
                "the lock still has the old images: run `arcctl lock`, then `arcctl plan` and `arcctl up`"
            }
            (true, false) => "`arcctl plan` shows what the new images change, `arcctl up` does it",
            (false, _) => "`arcctl images update --write` puts them into the profile",
        });
    }
}

//! Finds newer images of the pools: the tags of their repositories, with the logins that docker or the cluster has.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};

use super::connection::Connection;
use crate::{
    clients::{
        kube::{Kube, Target},
        registry::{
            Address, Repository,
            login::{Login, Logins, in_turn},
        },
    },
    desired::pool::image::mirrored,
    error::{Error, ErrorKind, Result, System},
    profile::{Pool, Profile},
    report::images::{Found, PoolImage},
    terminal::{
        args::GlobalArgs,
        environment::{docker_config, registries},
        output::Output,
    },
    units::{
        image::Image,
        runner::{Flavour, newest},
    },
};

/// How many repositories are read at a time.
const CONCURRENT: usize = 4;

/// The key of a pull secret's configuration.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// A pool whose image can be compared.
struct Comparable<'a> {
    pool: &'a Pool,
    tag: &'a str,
    /// Whether the image is pinned by its digest.
    pinned: bool,
    address: Address,
}

/// The newest image of each of `pools`, of the same flavour.
pub(crate) async fn find(
    profile: &Profile,
    pools: &[&Pool],
    global: &GlobalArgs,
    output: Output,
) -> Result<Vec<PoolImage>> {
    let compared: Vec<_> = pools.iter().map(|it| comparable(profile, it)).collect();
    let addresses: BTreeSet<Address> = compared
        .iter()
        .filter_map(|it| Some(it.as_ref().ok()?.address.clone()))
        .collect();
    let logins = logins(profile, pools, &addresses, global, output).await?;
    let repositories: BTreeMap<Address, Repository<'_>> = addresses
        .into_iter()
        .map(|it| Ok((it.clone(), Repository::new(it.clone(), logins.of(&it))?)))
        .collect::<Result<_>>()?;
    let logins = &logins;
    let tags: BTreeMap<&Address, Vec<String>> = stream::iter(&repositories)
        .map(|(address, repository)| async move {
            let tags = repository.tags().await;
            Ok((address, tags.map_err(|it| logins.advised(it, address))?))
        })
        .buffer_unordered(CONCURRENT)
        .try_collect::<BTreeMap<_, _>>()
        .await?;
    let mut found = Vec::new();
    for (pool, compared) in pools.iter().zip(compared) {
        let (repository, newest) = match compared {
            Err(why) => (None, Found::Unknown(why.to_owned())),
            Ok(it) => {
                let all = tags.get(&it.address).into_iter().flatten();
                let newest = newest(it.tag, all.map(String::as_str));
                let found = match newest.zip(repositories.get(&it.address)) {
                    Some((tag, repository)) => Found::Newer(it.with(tag, repository).await?),
                    None => Found::Newest,
                };
                (Some(it.address.to_string()), found)
            }
        };
        found.push(PoolImage {
            pool: pool.name.clone(),
            image: pool.image.clone(),
            repository,
            found: newest,
        });
    }
    Ok(found)
}

/// The parts of a pool's image, or why it cannot be compared. The mirror of the profile is asked: it is what is pulled from.
fn comparable<'a>(profile: &Profile, pool: &'a Pool) -> Result<Comparable<'a>, &'static str> {
    let image = Image::parse(&pool.image).ok_or("it is not an image reference")?;
    let tag = image.tag.ok_or("it has no tag")?;
    Flavour::of(tag).ok_or("its tag names no version of the runner")?;
    let pulled = mirrored(profile.images.as_ref(), &pool.image);
    let pulled = Image::parse(&pulled).ok_or("its mirror is not an image reference")?;
    Ok(Comparable {
        pool,
        tag,
        pinned: image.digest.is_some(),
        address: Address::of(&pulled),
    })
}

impl Comparable<'_> {
    /// The image with another tag, and with its digest if it had one.
    async fn with(&self, tag: &str, repository: &Repository<'_>) -> Result<String> {
        let (name, _) = self
            .pool
            .image
            .split_once('@')
            .unwrap_or((&self.pool.image, ""));
        let name = name.strip_suffix(self.tag).unwrap_or(name);
        if self.pinned {
            return Ok(format!("{name}{tag}@{}", repository.digest(tag).await?));
        }
        Ok(format!("{name}{tag}"))
    }
}

/// The logins that are known.
pub(super) struct Known {
    /// Docker's and helm's on this machine.
    of_machine: Vec<Logins>,
    /// Those to try for each repository.
    by_address: BTreeMap<Address, Vec<Login>>,
}

impl Known {
    /// The logins to try for a repository.
    pub(super) fn of(&self, address: &Address) -> Vec<&Login> {
        self.by_address.get(address).into_iter().flatten().collect()
    }

    /// The error with what to do where there is a login, but not for arcctl.
    pub(super) fn advised(&self, error: Error, address: &Address) -> Error {
        let helper = self.of_machine.iter().find_map(|it| it.helper(address));
        match helper.filter(|_| self.of(address).is_empty()) {
            Some(program) if error.kind == ErrorKind::Unauthorized => error.hint(format!(
                "docker's login for `{}` is with the credential helper `docker-credential-{program}`, and arcctl starts no credential helper: name a Secret in `images.pullSecrets` of the profile, or name a directory in DOCKER_CONFIG whose config.json has the login itself in `auths`",
                address.host
            )),
            _ => error,
        }
    }
}

/// The logins for each repository: docker's on this machine, else helm's, else those of the pull secrets of the profile.
pub(super) async fn logins(
    profile: &Profile,
    pools: &[&Pool],
    addresses: &BTreeSet<Address>,
    global: &GlobalArgs,
    output: Output,
) -> Result<Known> {
    let mut of_machine = Vec::new();
    for file in [docker_config(), registries()].into_iter().flatten() {
        of_machine.push(of_docker(&file)?);
    }
    let mut by_address = BTreeMap::new();
    let mut missing = Vec::new();
    for address in addresses {
        match of_machine.iter().find_map(|it| it.find(address)) {
            Some(login) => drop(by_address.insert(address.clone(), vec![login.clone()])),
            None => missing.push(address),
        }
    }
    let secrets = pull_secrets(profile, pools);
    if !missing.is_empty() && !secrets.is_empty() {
        let all = of_cluster(profile, &secrets, global, output).await;
        for address in missing {
            let logins = in_turn(&all, address).into_iter().cloned().collect();
            by_address.insert(address.clone(), logins);
        }
    }
    Ok(Known {
        of_machine,
        by_address,
    })
}

/// The logins of `docker login` or `helm registry login`; a file that is not there has none.
fn of_docker(path: &Path) -> Result<Logins> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Error::failed(System::Local, "cannot read docker's logins")
            .object(path.display())
            .cause(cause)
            .hint("correct the file, or name another directory in DOCKER_CONFIG")
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Logins::parse(&text).ok_or_else(|| wrong(&"it is not docker's JSON")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Logins::default()),
        Err(error) => Err(wrong(&error)),
    }
}

/// The pull secrets of the pools, as namespace and name.
fn pull_secrets(profile: &Profile, pools: &[&Pool]) -> BTreeSet<(String, String)> {
    let of_profile = profile.images.iter().flat_map(|it| &it.pull_secrets);
    pools
        .iter()
        .flat_map(|pool| {
            let names = of_profile.clone().chain(&pool.image_pull_secrets);
            names.map(|name| (pool.namespace.clone(), name.clone()))
        })
        .collect()
}

/// The logins of the Secrets. Without the cluster, or one of the Secrets, a repository may still be open to everybody, or to the
/// logins of the others.
async fn of_cluster(
    profile: &Profile,
    secrets: &BTreeSet<(String, String)>,
    global: &GlobalArgs,
    output: Output,
) -> Vec<Logins> {
    let kube = match Box::pin(Connection::open(global, profile)).await {
        Ok(connection) => connection.kube,
        Err(error) => {
            output.note(format!(
                "advice: the pull secrets of the profile could not be read, so registries are asked without them: {}",
                error.document().message
            ));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (namespace, name) in secrets {
        match of_secret(&kube, namespace, name).await {
            Ok(logins) => found.push(logins),
            Err(why) => output.note(format!(
                "advice: the pull secret `{namespace}/{name}` is not used: {why}"
            )),
        }
    }
    found
}

/// The logins of a Secret, or why it has none.
async fn of_secret(kube: &Kube, namespace: &str, name: &str) -> Result<Logins, String> {
    let target = Target::namespaced("v1", "Secret", namespace, name);
    let secret = kube.get(&target).await;
    let secret = secret.map_err(|it| it.document().message)?;
    let secret = secret.ok_or("it does not exist")?;
    let encoded = secret["data"][DOCKER_CONFIG].as_str();
    let encoded = encoded.ok_or_else(|| format!("it has no key `{DOCKER_CONFIG}`"))?;
    let bytes = STANDARD.decode(encoded).ok();
    let text = bytes.and_then(|it| String::from_utf8(it).ok());
    let logins = text.and_then(|it| Logins::parse(&it));
    logins.ok_or_else(|| format!("its `{DOCKER_CONFIG}` is not docker's configuration"))
}

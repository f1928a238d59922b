//! Finds newer images of the pools: the tags of their repositories, with the logins that docker or the cluster has.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

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
        listed::first_of,
        runner::{Flavour, Later, newest},
    },
};

/// How many repositories are read at a time.
const CONCURRENT: usize = 4;

/// How many tags are told.
const TOLD: usize = 4;

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
    let addresses: BTreeSet<&Address> = compared
        .iter()
        .filter_map(|it| Some(&it.as_ref().ok()?.address))
        .collect();
    let logins = &logins(profile, pools, global, output)?;
    let tags: BTreeMap<&Address, Vec<String>> = stream::iter(addresses)
        .map(|address| async move {
            let reading = async |it: &Repository<'_>| it.tags().await;
            Ok::<_, Error>((address, logins.reading(address, reading).await?))
        })
        .buffer_unordered(CONCURRENT)
        .try_collect()
        .await?;
    let mut found = Vec::new();
    for (pool, compared) in pools.iter().zip(&compared) {
        let (repository, newest) = match compared {
            Err(why) => (None, Found::Unknown((*why).to_owned())),
            Ok(it) => {
                let all = tags.get(&it.address).into_iter().flatten();
                let found = match newest(it.tag, all.map(String::as_str)) {
                    Later::Nothing => Found::Newest,
                    Later::Tag(tag) => Found::Newer(it.with(tag, logins).await?),
                    Later::Builds(tags) => Found::Several(several_builds(&tags)),
                    Later::SameVersion => Found::SameVersion,
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

/// Why none of the builds of a newer version can be chosen.
fn several_builds(tags: &[&str]) -> String {
    let tags = first_of(tags, TOLD, [", ", " "]);
    format!(
        "there is a newer version in several builds, and their tags do not tell which is the newest: {tags}; write one of them into the profile"
    )
}

/// The parts of a pool's image, or why it cannot be compared. The mirror of the profile is asked: it is what is pulled from.
fn comparable<'a>(profile: &Profile, pool: &'a Pool) -> Result<Comparable<'a>, &'static str> {
    let image = Image::parse(&pool.image).ok_or("it is not an image reference")?;
    let tag = image.tag.ok_or("it has no tag")?;
    Flavour::of(tag).ok_or("its tag contains no runner version")?;
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
    async fn with(&self, tag: &str, logins: &Known<'_>) -> Result<String> {
        let (name, _) = self
            .pool
            .image
            .split_once('@')
            .unwrap_or((&self.pool.image, ""));
        let name = name.strip_suffix(self.tag).unwrap_or(name);
        if self.pinned {
            let reading = async |it: &Repository<'_>| it.digest(tag).await;
            let digest = logins.reading(&self.address, reading).await?;
            return Ok(format!("{name}{tag}@{digest}"));
        }
        Ok(format!("{name}{tag}"))
    }
}

/// The logins that are known, or can be.
pub(super) struct Known<'a> {
    /// Docker's and helm's on this machine.
    of_machine: Vec<Logins>,
    /// The pull secrets of the pools, as namespace and name, and their logins, which are read once, and only if needed.
    secrets: BTreeSet<(String, String)>,
    of_cluster: OnceCell<Vec<Logins>>,
    profile: &'a Profile,
    global: &'a GlobalArgs,
    output: Output,
    /// Whether repositories are opened to write into them.
    writes: bool,
}

impl Known<'_> {
    /// The same, to write into repositories.
    #[must_use]
    pub(super) fn for_writing(self) -> Self {
        Self {
            writes: true,
            ..self
        }
    }

    /// Reads from a repository, with the logins for it.
    pub(super) async fn reading<T>(
        &self,
        address: &Address,
        read: impl AsyncFn(&Repository<'_>) -> Result<T>,
    ) -> Result<T> {
        let opened = self.opened(address, address, read).await;
        opened.map(|(_, found)| found)
    }

    /// The repository at `address`, and what is read `first` of it: with docker's and helm's logins for `logins` in turn, and
    /// where there is none, or the registry takes none of them or shows them nothing, with those of the pull secrets too.
    pub(super) async fn opened<T>(
        &self,
        address: &Address,
        logins: &Address,
        first: impl AsyncFn(&Repository<'_>) -> Result<T>,
    ) -> Result<(Repository<'_>, T)> {
        let mut known = in_turn(&self.of_machine, logins);
        let mut before = None;
        if !known.is_empty() {
            let repository = self.repository(address, known.clone())?;
            let found = first(&repository).await;
            if self.secrets.is_empty() || !self.is_kept_out(&repository, &found) {
                return Ok((repository, found?));
            }
            before = Some((repository, found));
        }
        let of_cluster = in_turn(self.of_cluster().await, logins);
        if of_cluster.is_empty()
            && let Some((repository, found)) = before
        {
            return Ok((repository, found?));
        }
        known.extend(of_cluster);
        let is_unknown = known.is_empty();
        let repository = self.repository(address, known)?;
        match first(&repository).await {
            Ok(found) => Ok((repository, found)),
            Err(error) if is_unknown => Err(self.advised(error, address)),
            Err(error) => Err(error),
        }
    }

    fn repository<'a>(
        &'a self,
        address: &Address,
        logins: Vec<&'a Login>,
    ) -> Result<Repository<'a>> {
        let repository = Repository::new(address.clone(), logins)?;
        Ok(if self.writes {
            repository.for_writing()
        } else {
            repository
        })
    }

    /// Whether another login may get more. What is to be written is rarely there before, and that says nothing.
    fn is_kept_out<T>(&self, repository: &Repository<'_>, found: &Result<T>) -> bool {
        let is_refused = |it: &Error| it.kind == ErrorKind::Unauthorized;
        found.as_ref().is_err_and(is_refused) || (!self.writes && repository.may_be_hidden())
    }

    async fn of_cluster(&self) -> &[Logins] {
        let reading = || async {
            if self.secrets.is_empty() {
                return Vec::new();
            }
            let (profile, secrets) = (self.profile, &self.secrets);
            Box::pin(of_cluster(profile, secrets, self.global, self.output)).await
        };
        self.of_cluster.get_or_init(reading).await.as_slice()
    }

    /// The error with what to do where there is a login, but not for arcctl.
    pub(super) fn advised(&self, error: Error, address: &Address) -> Error {
        match self.of_machine.iter().find_map(|it| it.helper(address)) {
            Some(program) if error.kind == ErrorKind::Unauthorized => error.hint(format!(
                "docker keeps the login for `{}` in the credential helper `docker-credential-{program}`, which arcctl does not run: name a Secret in `images.pullSecrets` of the profile, or set DOCKER_CONFIG to a directory whose config.json has the login in `auths`",
                address.host
            )),
            _ => error,
        }
    }
}

/// The logins: docker's on this machine, then helm's, then those of the pull secrets of the profile.
pub(super) fn logins<'a>(
    profile: &'a Profile,
    pools: &[&Pool],
    global: &'a GlobalArgs,
    output: Output,
) -> Result<Known<'a>> {
    let files = [("docker", docker_config()), ("helm", registries())];
    let of_machine = files
        .into_iter()
        .filter_map(|(whose, file)| Some(of_machine(whose, &file?)))
        .collect::<Result<_>>()?;
    Ok(Known {
        of_machine,
        secrets: pull_secrets(profile, pools),
        of_cluster: OnceCell::new(),
        profile,
        global,
        output,
        writes: false,
    })
}

/// The logins of `docker login` or `helm registry login`; a file that is not there has none.
fn of_machine(whose: &str, path: &Path) -> Result<Logins> {
    let wrong = |cause: &dyn std::fmt::Display| {
        let another = match whose {
            "helm" => "file in HELM_REGISTRY_CONFIG",
            _ => "directory in DOCKER_CONFIG",
        };
        Error::failed(System::Local, format!("cannot read {whose}'s logins"))
            .object(path.display())
            .cause(cause)
            .hint(format!("correct the file, or name another {another}"))
    };
    match std::fs::read_to_string(path) {
        Ok(text) => Logins::parse(&text).ok_or_else(|| wrong(&"it is not JSON with logins")),
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

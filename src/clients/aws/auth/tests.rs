//! Tests of the token renewal, with a simulated clock.

use std::{
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use aws_credential_types::{
    Credentials,
    provider::{error::CredentialsError, future},
};

use super::*;

/// Test credentials that can expire or be removed; counts their uses.
#[derive(Clone, Debug, Default)]
struct Provider {
    asked: Arc<AtomicU64>,
    gone: Arc<AtomicBool>,
    expiry: Option<SystemTime>,
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = if self.gone.load(Ordering::SeqCst) {
            Err(CredentialsError::provider_error(
                "the SSO token has expired",
            ))
        } else {
            Ok(Credentials::new("KEY", "secret", None, self.expiry, "test"))
        };
        future::ProvideCredentials::ready(found)
    }
}

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(490_896)
}

struct Clocked {
    login: Login,
    minutes: Arc<AtomicU64>,
}

async fn login(provider: Provider) -> Clocked {
    login_as(provider, "arn:aws:iam::111122223333:user/me", true).await
}

/// `access_entries`: whether the cluster has them.
async fn login_as(provider: Provider, arn: &str, access_entries: bool) -> Clocked {
    let cluster = EksCluster {
        name: "runners".into(),
        region: "ap-northeast-2".into(),
        account: "111122223333".into(),
        partition: "aws".into(),
        endpoint: "https://127.0.0.1:1".into(),
        authority: String::new(),
        issuer: None,
        security_group: None,
        other_groups: Vec::new(),
        subnets: Vec::new(),
        vpc: None,
        reach: Reach::Private,
        auto_mode: false,
        access_entries,
        ipv6: false,
    };
    let caller = Caller {
        account: "111122223333".into(),
        arn: arn.into(),
    };
    let minutes = Arc::new(AtomicU64::new(0));
    let now = Arc::clone(&minutes);
    let clock = move || start() + Duration::from_mins(now.load(Ordering::SeqCst));
    let provider = SharedCredentialsProvider::new(provider);
    let login = Login::new(cluster, caller, Some(provider), clock)
        .await
        .unwrap();
    Clocked { login, minutes }
}

impl Clocked {
    async fn at(&self, minutes: u64) -> Result<String> {
        self.minutes.store(minutes, Ordering::SeqCst);
        self.login.renew().await?;
        Ok(std::fs::read_to_string(self.login.token_file()).unwrap())
    }
}

#[tokio::test]
async fn a_token_never_reaches_its_fourteenth_minute() {
    let clocked = login(Provider::default()).await;
    let mut made = 0;
    let mut last = clocked.at(0).await.unwrap();
    for minute in 1..=240 {
        let token = clocked.at(minute).await.unwrap();
        if token == last {
            assert!(
                minute - made + 1 < 14,
                "used at minute {minute}, made at {made}"
            );
        } else {
            (last, made) = (token, minute);
        }
    }
    assert!(made > 220, "the last one is of minute {made}");
}

#[tokio::test]
async fn credentials_that_end_sooner_are_asked_for_sooner() {
    let provider = Provider {
        expiry: Some(start() + Duration::from_mins(5)),
        ..Provider::default()
    };
    let clocked = login(provider.clone()).await;
    clocked.at(3).await.unwrap();
    assert_eq!(provider.asked.load(Ordering::SeqCst), 1);
    clocked.at(4).await.unwrap();
    assert_eq!(provider.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_session_that_expired_ends_the_run_when_the_token_does() {
    let provider = Provider::default();
    let clocked = login(provider.clone()).await;
    let first = clocked.at(0).await.unwrap();
    provider.gone.store(true, Ordering::SeqCst);
    assert_eq!(clocked.at(10).await.unwrap(), first);
    let error = clocked.at(13).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unauthorized);
    assert!(error.hint.unwrap().contains("aws sso login"));
}

/// EKS refuses `create-access-entry` for a cluster of the mode `CONFIG_MAP` (EKS user guide, "Change authentication mode to
/// use access entries").
#[tokio::test]
async fn how_an_unknown_identity_gets_in_depends_on_the_cluster() {
    let user = "arn:aws:iam::111122223333:user/me";
    let role = "arn:aws:sts::111122223333:assumed-role/ops/me";
    for (arn, entries, words, other) in [
        (user, true, "create-access-entry", "aws-auth"),
        (user, false, "under `mapUsers`", "create-access-entry"),
        (role, false, "under `mapRoles`", "create-access-entry"),
    ] {
        let clocked = login_as(Provider::default(), arn, entries).await;
        let hint = clocked.login.unknown();
        assert!(hint.contains(words) && !hint.contains(other), "{hint}");
    }
}

/// The credentials of a CI job are variables with a session token, often for an hour, and nothing renews them.
#[tokio::test]
async fn an_identity_that_was_accepted_before_lacks_no_access_entry() {
    let role = "arn:aws:sts::111122223333:assumed-role/ops/me";
    let clocked = login_as(Provider::default(), role, true).await;
    clocked.login.accept();
    let hint = clocked.login.unknown();
    assert!(hint.contains("have probably expired"), "{hint}");
    assert!(!hint.contains("create-access-entry"), "{hint}");
}

#[tokio::test]
async fn the_files_are_this_user_s_alone_and_the_kubeconfig_holds_no_token() {
    let clocked = login(Provider::default()).await;
    let token = clocked.at(0).await.unwrap();
    for path in [clocked.login.kubeconfig(), clocked.login.token_file()] {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let kubeconfig = std::fs::read_to_string(clocked.login.kubeconfig()).unwrap();
    assert!(!kubeconfig.contains(&token));
    assert!(!format!("{:?}", clocked.login).contains(&token));
}

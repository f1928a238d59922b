//! GitHub Apps: JWTs and installation tokens.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::super::apps::is_signed;
use super::*;

/// The public half of a key made for this test (PKCS #1), and what its private half, thrown away since, made of
/// `header.claims` with RS256.
const PUBLIC_KEY: &str = concat!(
    "MIIBCgKCAQEAs1Sx5TW0W/0v0Q2Oc5ducFebayX7BwOgBD3MHkJeAoFvl8pi/9jnQhcnEqi/Gr+zuHJdD+FOTKSc",
    "j8CEuQ8hdSEFuRPIp+Q6M1qq3BHbX2ujTRaQRz8uNErvSktb1SLOcneNBYr7IWECULoPsFD9Jj6gEY8mkqlHQw6V",
    "I+XHG6ZcKi6O1kHl91ZjXUQCZZSl6BteRiymkUIAVeK8VH9o+QzbJecm3IYlIXvyT5dSHtDGdgkynZUDQx7oWBof",
    "+iY2Jc+LFOLVv9ugEl6D4wvM45eVjIH0D2jN3uCXxl8fchBxIo1U0WYqn4ua12+om64RqZKzK4m0bzw25/ISpav1",
    "4QIDAQAB",
);
const SIGNATURE: &str = concat!(
    "SYtJmHW2KpTosJ9TVSFXQkBYNnshRF5XDjt7F5J7SWY337Nn98XMz3tkE_TfBEFaCcQ8rnxWIdTJZnzryiwJYLiJ",
    "z8xyVYQ6pYFH23OxFC3VbIeMBGkU6H8eJdwPVCrHrVSuWz6052BejxpFXO-pyDK_i7JuihUfxqS-7WiZ7BqREu-G",
    "zBSfSDCm7jcSYZDf4CbUtOzU4Wz19oyWlp_DkqvZV0CMC30ckybicdy9enXEa_4Xt9XNa3rAZH4dlT3_exmAUTqF",
    "Nr9HjxFDmAzbE7d5lb1cnQ3IaFeijBjropOc-LfRORkVKeLSfMPMwoV7nhJV15-3dDzvS7jsEq2U6w",
);

#[test]
fn only_the_keys_own_signature_of_this_message_holds() {
    let key = STANDARD.decode(PUBLIC_KEY).unwrap();
    assert!(!is_signed(&key, b"header.other", SIGNATURE));
    assert!(!is_signed(
        &key,
        b"header.claims",
        &SIGNATURE.replace('A', "B")
    ));
    assert!(!is_signed(&key, b"header.claims", "not base64!"));
    assert!(!is_signed(&key[1..], b"header.claims", SIGNATURE));
    assert!(is_signed(&key, b"header.claims", SIGNATURE));
}

fn jwt(algorithm: &str, app: u64, issued: i64, ends: i64) -> String {
    let now = Timestamp::now().as_second();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": app.to_string(), "iat": now + issued, "exp": now + ends});
    format!(
        "{}.{}.{SIGNATURE}",
        part(json!({"alg": algorithm, "typ": "JWT"})),
        part(claims)
    )
}

fn app(id: u64, public_key: Option<Vec<u8>>) -> App {
    let permission = (
        "organization_self_hosted_runners".to_owned(),
        "write".to_owned(),
    );
    let owners = BTreeSet::from([Owner::organization("dogecompany")]);
    let permissions = BTreeMap::from([permission]);
    let installations = vec![Installation {
        id: 77,
        owners,
        permissions,
    }];
    App {
        id,
        slug: "arc".to_owned(),
        public_key,
        installations,
    }
}

#[tokio::test]
async fn a_jwt_that_does_not_hold_is_401() {
    let github = start().await;
    github.add_app(app(5, None));
    github.add_app(app(6, Some(STANDARD.decode(PUBLIC_KEY).unwrap())));
    let not_decoded = "A JSON web token could not be decoded";
    let late = "'Expiration time' claim ('exp') is too far in the future";
    for (jwt, message) in [
        ("abc".to_owned(), not_decoded),
        (jwt("HS256", 5, -60, 300), not_decoded),
        (jwt("RS256", 5, -60, 3600), late),
        (jwt("RS256", 6, -60, 300), not_decoded),
    ] {
        refused(&call(&github, &jwt, "GET", "/app").await, 401, message);
    }
    let ended = call(&github, &jwt("RS256", 5, -600, -60), "GET", "/app").await;
    assert_eq!(ended.status, 401);
    refused(
        &call(&github, &jwt("RS256", 9, -60, 300), "GET", "/app").await,
        404,
        "Not Found",
    );
    refused(&get(&github, "/app").await, 401, not_decoded);
    assert_eq!(github.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_installation_token_reaches_what_the_app_is_installed_on() {
    let github = start().await;
    github.add_app(app(5, None));
    let jwt = jwt("RS256", 5, -60, 300);
    assert_eq!(
        call(&github, &jwt, "GET", "/app").await.json()["slug"],
        "arc"
    );
    let missing = call(&github, &jwt, "POST", "/app/installations/78/access_tokens").await;
    refused(&missing, 404, "Not Found");
    let answer = call(&github, &jwt, "POST", "/app/installations/77/access_tokens").await;
    assert_eq!(answer.status, 201);
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(
        registration(&github, &token, ORGANIZATION).await.status,
        201
    );
    let refusal = "Resource not accessible by integration";
    refused(
        &registration(&github, &token, REPOSITORY).await,
        403,
        refusal,
    );
    refused(
        &registration(&github, &token, ENTERPRISE).await,
        403,
        refusal,
    );
    assert_eq!(github.violations(), Vec::<String>::new());
}

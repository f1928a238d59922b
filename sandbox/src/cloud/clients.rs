//! The clients of an OIDC provider, to which moto cannot add one: the proxy before moto makes the provider anew with one
//! more.

use super::api::{Api, texts};

/// Adds what the form `arguments` of `AddClientIDToOpenIDConnectProvider` asks for; the answer's status and body.
pub(crate) async fn add(moto: &Api, arguments: &[(String, String)]) -> (u16, String) {
    match added(moto, arguments).await {
        Ok(()) => (200, "<AddClientIDToOpenIDConnectProviderResponse/>".into()),
        Err(error) => (
            404,
            format!(
                "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>{error:#}</Message></Error></ErrorResponse>"
            ),
        ),
    }
}

async fn added(moto: &Api, arguments: &[(String, String)]) -> anyhow::Result<()> {
    let argument = |name: &str| {
        let found = arguments.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    };
    let (arn, client) = (argument("OpenIDConnectProviderArn"), argument("ClientID"));
    let named = [("OpenIDConnectProviderArn", arn)];
    let there = moto.iam("GetOpenIDConnectProvider", &named).await?;
    let part = |name: &str| {
        let rest = there.split(&format!("<{name}>")).nth(1).unwrap_or_default();
        rest.split(&format!("</{name}>"))
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let url = format!("https://{}", part("Url").trim_start_matches("https://"));
    let mut given = vec![("Url".to_owned(), url)];
    let mut list = |name: &str, values: Vec<String>| {
        let numbered = (1..).zip(values);
        given.extend(numbered.map(|(index, it)| (format!("{name}.member.{index}"), it)));
    };
    let mut clients: Vec<String> = texts(&part("ClientIDList"), "member").collect();
    clients.push(client.to_owned());
    list("ClientIDList", clients);
    list(
        "ThumbprintList",
        texts(&part("ThumbprintList"), "member").collect(),
    );
    let tags = part("Tags");
    for (index, (key, value)) in (1..).zip(texts(&tags, "Key").zip(texts(&tags, "Value"))) {
        given.push((format!("Tags.member.{index}.Key"), key));
        given.push((format!("Tags.member.{index}.Value"), value));
    }
    moto.iam("DeleteOpenIDConnectProvider", &named).await?;
    let given: Vec<(&str, &str)> = given
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    moto.iam("CreateOpenIDConnectProvider", &given)
        .await
        .map(|_| ())
}

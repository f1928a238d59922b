//! The client ids of an OIDC provider, which moto can neither add nor remove: the proxy before moto creates the provider
//! again with other client ids.

use super::api::{Api, texts};

/// What is done with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is added.
    Add,
    /// It is taken away.
    Remove,
}

impl Change {
    /// What an action of IAM does.
    pub(crate) fn of(action: &str) -> Option<Self> {
        match action {
            "AddClientIDToOpenIDConnectProvider" => Some(Self::Add),
            "RemoveClientIDFromOpenIDConnectProvider" => Some(Self::Remove),
            _ => None,
        }
    }
}

/// Does what the form `arguments` asks for; the answer's status and body.
pub(crate) async fn change(
    moto: &Api,
    change: Change,
    arguments: &[(String, String)],
) -> (u16, String) {
    match changed(moto, change, arguments).await {
        Ok(()) if change == Change::Remove => (
            200,
            "<RemoveClientIDFromOpenIDConnectProviderResponse/>".into(),
        ),
        Ok(()) => (200, "<AddClientIDToOpenIDConnectProviderResponse/>".into()),
        Err(error) => (
            404,
            format!(
                "<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>{error:#}</Message></Error></ErrorResponse>"
            ),
        ),
    }
}

async fn changed(moto: &Api, change: Change, arguments: &[(String, String)]) -> anyhow::Result<()> {
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
    clients.retain(|it| it != client);
    if change == Change::Add {
        clients.push(client.to_owned());
    }
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

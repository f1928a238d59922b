//! Calls to moto, which needs service and region, and verifies no signature.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::moto::REGION;

/// moto, as a client sees it.
pub struct Api {
    url: String,
    client: reqwest::Client,
}

/// The header by which moto knows which service is meant.
pub(crate) fn authorization(service: &str, key: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20260101/{REGION}/{service}/aws4_request, \
         SignedHeaders=host, Signature=unsigned"
    )
}

impl Api {
    pub(crate) fn new(url: &str) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(30))
            .build()?;
        Ok(Self {
            url: url.to_owned(),
            client,
        })
    }

    /// An action of EC2; its answer is XML.
    pub(super) async fn ec2(&self, action: &str, arguments: &[(&str, &str)]) -> Result<String> {
        self.act("ec2", "2016-11-15", action, arguments).await
    }

    /// An action of IAM; its answer is XML.
    pub(super) async fn iam(&self, action: &str, arguments: &[(&str, &str)]) -> Result<String> {
        self.act("iam", "2010-05-08", action, arguments).await
    }

    /// What a form is answered with, whatever that is: status and body.
    pub(super) async fn reading(
        &self,
        service: &str,
        form: &[(&'static str, String)],
    ) -> Result<(u16, Vec<u8>)> {
        let mut form: Vec<(&str, &str)> =
            form.iter().map(|(name, it)| (*name, it.as_str())).collect();
        form.push(("Version", "2010-05-08"));
        let answer = self
            .client
            .post(&self.url)
            .query(&form)
            .header("authorization", authorization(service, "sandbox"))
            .send()
            .await?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await?.to_vec()))
    }

    /// The policy of a bucket, or that it has none: status and body.
    pub(super) async fn bucket_policy(&self, bucket: &str) -> Result<(u16, Vec<u8>)> {
        let answer = self
            .client
            .get(format!("{}/{bucket}?policy", self.url))
            .header("authorization", authorization("s3", "sandbox"))
            .send()
            .await?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await?.to_vec()))
    }

    async fn act(
        &self,
        service: &str,
        version: &str,
        action: &str,
        arguments: &[(&str, &str)],
    ) -> Result<String> {
        let mut query = vec![("Action", action), ("Version", version)];
        query.extend(arguments);
        let request = self.client.post(&self.url).query(&query);
        self.send(request, service, action).await
    }

    /// A call of EKS that creates something.
    pub(super) async fn eks(&self, path: &str, body: &Value) -> Result<String> {
        let request = self.client.post(format!("{}{path}", self.url)).json(body);
        self.send(request, "eks", path).await
    }

    /// Makes a bucket.
    pub(super) async fn bucket(&self, name: &str) -> Result<()> {
        let place = format!(
            "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        );
        let request = self.client.put(format!("{}/{name}", self.url)).body(place);
        self.send(request, "s3", "CreateBucket").await.map(drop)
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        service: &str,
        what: &str,
    ) -> Result<String> {
        let answer = request
            .header("authorization", authorization(service, "sandbox"))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("moto answers {status} to {what}: {text}");
        }
        Ok(text)
    }
}

/// The text of the first element `name`.
pub(crate) fn text(xml: &str, name: &str) -> Result<String> {
    texts(xml, name)
        .next()
        .with_context(|| format!("moto's answer has no `{name}`: {xml}"))
}

/// The texts of all elements `name` that hold nothing but text.
pub(crate) fn texts<'a>(xml: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let opening = format!("<{name}>");
    let pieces: Vec<&str> = xml.split(opening.as_str()).skip(1).collect();
    pieces
        .into_iter()
        .filter_map(|it| it.split_once('<').map(|(text, _)| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_the_element_is_said() {
        let error = text("<a><b>1</b></a>", "c").unwrap_err().to_string();
        assert!(error.contains("has no `c`"), "{error}");
    }

    #[test]
    fn elements_are_found_in_order() {
        let found: Vec<_> = texts("<a><b>1</b><b>2</b></a>", "b").collect();
        assert_eq!(found, ["1", "2"]);
    }
}

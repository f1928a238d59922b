//! Our statements in the policy of a bucket of the own account.

use aws_sdk_s3::error::ProvideErrorMetadata;

use super::{
    BucketPolicy, not_yet, shared,
    writes::{Verdict, Writes},
};
use crate::{
    clients::aws::{Aws, failure::Asked},
    error::{Error, Result, System},
    policy::{BUCKET_POLICY_LIMIT, Document, TooLarge, differences, merged, without},
    resource::{
        observed::{Observed, Ownership, Present, Readiness},
        removal::ours,
    },
};

impl BucketPolicy {
    fn asked<'a>(&'a self, what: &'a str, action: &'a str) -> Asked<'a> {
        Asked {
            what,
            action,
            resource: &self.bucket,
        }
    }

    /// The policy's text; empty where the bucket has none, and where there is no bucket any more if that is `fine`.
    async fn live(&self, aws: &Aws, fine: bool) -> Result<String> {
        let request = aws
            .s3()
            .get_bucket_policy()
            .bucket(&self.bucket)
            .expected_bucket_owner(&self.account);
        match request.send().await {
            Ok(output) => Ok(output.policy.unwrap_or_default()),
            Err(error) if error.code() == Some("NoSuchBucketPolicy") => Ok(String::new()),
            Err(error) if fine && error.code() == Some("NoSuchBucket") => Ok(String::new()),
            Err(error) => {
                let what = format!("read the policy of the bucket `{}`", self.bucket);
                Err(self.asked(&what, "s3:GetBucketPolicy").failed(&error))
            }
        }
    }

    fn document(&self, text: &str) -> Result<Document> {
        if text.is_empty() {
            return Ok(Document::empty());
        }
        Document::parse(text).map_err(|error| {
            Error::failed(
                System::Aws,
                format!("cannot read the policy of the bucket `{}`", self.bucket),
            )
            .object(&self.bucket)
            .cause(error)
            .hint("look at it with `aws s3api get-bucket-policy`, and correct it")
        })
    }

    /// Compares our statements with what is wanted.
    pub(super) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws, false).await?;
        let found = differences(
            "policy",
            &self.document(&live)?,
            &self.sid,
            &self.statements,
        );
        if let Verdict::NotYet(reason) =
            writes.judge_document(&self.bucket, &live, found.is_empty())
        {
            return Ok(not_yet(reason));
        }
        Ok(Observed::Present(Present {
            differences: found,
            readiness: Readiness::Ready,
            ownership: Ownership::Ours,
        }))
    }

    /// Puts our statements in, and leaves those of others.
    pub(super) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let live = self.live(aws, false).await?;
        let Some(document) = merged(&self.document(&live)?, &self.sid, &self.statements) else {
            return Ok(());
        };
        TooLarge::check(document.text().len(), BUCKET_POLICY_LIMIT).map_err(|error| {
            Error::failed(
                System::Aws,
                format!("the policy of the bucket `{}` has no room for the runners' statements; nothing was written", self.bucket),
            )
            .object(&self.bucket)
            .cause(error)
            .hint("take out statements that nobody needs any more")
        })?;
        writes.record(&self.bucket, &live);
        self.put(aws, &document).await
    }

    async fn put(&self, aws: &Aws, document: &Document) -> Result<()> {
        let what = format!("write the policy of the bucket `{}`", self.bucket);
        aws.s3()
            .put_bucket_policy()
            .bucket(&self.bucket)
            .expected_bucket_owner(&self.account)
            .policy(document.text())
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                // S3 refuses a principal that it does not know yet: the role may be a moment old.
                let late = error.code() == Some("MalformedPolicy");
                let failed = self.asked(&what, "s3:PutBucketPolicy").failed(&error);
                if late { failed.passing(true) } else { failed }
            })
    }

    /// What is left of our statements.
    pub(super) async fn remains(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws, true).await?;
        let document = self.document(&live)?;
        let own = differences("policy", &document, &self.sid, &[]);
        if let Verdict::NotYet(reason) = writes.judge_document(&self.bucket, &live, own.is_empty())
        {
            return Ok(ours(Readiness::progressing(reason)));
        }
        Ok(match without(&document, &self.sid) {
            None => Observed::Absent,
            Some(rest) if rest.statements.is_empty() => ours(Readiness::Ready),
            Some(_) => shared(own, "others have statements in it"),
        })
    }

    /// Takes our statements out, and the policy where nothing else is in it.
    pub(super) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let live = self.live(aws, true).await?;
        let Some(rest) = without(&self.document(&live)?, &self.sid) else {
            return Ok(());
        };
        writes.record(&self.bucket, &live);
        if !rest.statements.is_empty() {
            return self.put(aws, &rest).await;
        }
        let what = format!("delete the policy of the bucket `{}`", self.bucket);
        aws.s3()
            .delete_bucket_policy()
            .bucket(&self.bucket)
            .expected_bucket_owner(&self.account)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.asked(&what, "s3:DeleteBucketPolicy").failed(&error))
    }
}

//! arcctl's statements in the policy of a bucket in the same account.

use aws_config::Region;
use aws_sdk_s3::error::ProvideErrorMetadata;
use serde_json::Value;
use tokio::time::Instant;

use super::{
    consistency::{Verdict, Writes},
    documents::{FRESH, Lateness, READINGS, Shared},
    iam::trust_policy::TrustPolicy,
    not_yet, shared,
};
use crate::{
    clients::aws::{Aws, buckets::in_region, error::Asked},
    desired::resource::aws::BucketPolicy,
    error::{Error, Result, System},
    policy::{
        BUCKET_POLICY_LIMIT, Document, TooLarge, differences, is_granted, merged, orphans, without,
    },
    resource::{
        deletion::{ours, stays},
        observed::{Observed, Ownership, Present, Readiness},
    },
    units::Arn,
};

/// How many seconds after its creation a role may be unknown to S3.
const NEW: i64 = 120;

impl BucketPolicy {
    fn asked<'a>(&'a self, what: &'a str, action: &'a str) -> Asked<'a> {
        Asked {
            what,
            action,
            resource: &self.bucket,
        }
    }

    /// The key of its writes in [`Writes`]: a role can have the bucket's name.
    pub(super) fn key(&self) -> String {
        format!("s3://{}", self.bucket)
    }

    /// The policy, a document that other tools write too.
    pub(super) fn shared<'a>(&'a self, key: &'a str) -> Shared<'a> {
        let bucket = &self.bucket;
        Shared {
            key,
            object: bucket,
            sid: &self.sid,
            what: format!("the policy of the bucket `{bucket}`"),
            shows: format!("aws s3api get-bucket-policy --bucket {bucket}"),
            writes: format!("aws s3api put-bucket-policy --bucket {bucket} --policy file://…"),
            lateness: Lateness::S3,
        }
    }

    /// The policy's text; empty where the bucket has none, and where the bucket does not exist if that is `fine`.
    async fn live(&self, aws: &Aws, fine: bool) -> Result<String> {
        let read = |region: Option<Region>| {
            aws.s3()
                .get_bucket_policy()
                .bucket(&self.bucket)
                .expected_bucket_owner(&self.account)
                .customize()
                .config_override(in_region(region))
                .send()
        };
        match aws.at_bucket(&self.bucket, read).await {
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
            .hint(format!(
                "look at it with `aws s3api get-bucket-policy --bucket {}`, and correct it",
                self.bucket
            ))
        })
    }

    /// Compares our statements with the wanted ones.
    pub(super) async fn observe(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws, false).await?;
        let document = self.document(&live)?;
        let found = if is_granted(&document, &self.sid, &self.statements) {
            Vec::new()
        } else {
            differences("policy", &document, &self.sid, &self.statements)
        };
        let key = self.key();
        let shared = self.shared(&key);
        let verdict = writes.judge_document(&shared, &live, found.is_empty());
        if let Verdict::NotYet(reason) = verdict {
            return Ok(not_yet(reason));
        }
        // The plan reports a document that is too long or invalid, before any write.
        let wanted = merged(&document, &self.sid, &self.statements).filter(|_| !found.is_empty());
        if let Some(wanted) = wanted {
            self.check(&wanted)?;
            // The first of the reads that must agree before the write.
            writes.agrees(&shared, &live);
        }
        Ok(Observed::Present(Present {
            differences: found,
            readiness: verdict.readiness(),
            ownership: Ownership::Ours,
        }))
    }

    /// Rejects a document that S3 would not accept.
    fn check(&self, document: &Document) -> Result<()> {
        TooLarge::check(document.text().len(), BUCKET_POLICY_LIMIT).map_err(|error| {
            Error::failed(
                System::Aws,
                format!("the policy of the bucket `{}` has no room for the runners' statements; nothing was written", self.bucket),
            )
            .object(&self.bucket)
            .cause(error)
            .hint("take out statements that nobody needs any more")
        })?;
        let Some(orphan) = orphans(document, &self.sid).into_iter().next() else {
            return Ok(());
        };
        Err(self.shared(&self.key()).orphaned(&orphan))
    }

    /// Writes our statements, and keeps those of other tools.
    pub(super) async fn apply(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        self.write(aws, &self.statements, writes).await
    }

    /// Removes our statements, and the policy where nothing else is in it.
    pub(super) async fn delete(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        self.write(aws, &[], writes).await
    }

    /// Replaces our statements with `own`, and keeps those of other tools. Writes nothing where nothing changes.
    async fn write(&self, aws: &Aws, own: &[Value], writes: &Writes) -> Result<()> {
        let key = self.key();
        let shared = self.shared(&key);
        for _ in 0..READINGS {
            let read = Instant::now();
            let live = self.live(aws, own.is_empty()).await?;
            let document = self.document(&live)?;
            if is_granted(&document, &self.sid, own) {
                return Ok(());
            }
            let Some(document) = merged(&document, &self.sid, own) else {
                return Ok(());
            };
            if !own.is_empty() {
                self.check(&document)?;
            } else if !orphans(&document, &self.sid).is_empty() {
                // S3 would reject the remaining statements: the policy is left unchanged.
                return Ok(());
            }
            if !writes.agrees(&shared, &live) {
                return Err(shared.disagrees());
            }
            if read.elapsed() > FRESH {
                continue;
            }
            // Before the call: a call that returns an error may have succeeded.
            writes.record_document(&shared, &live);
            return if document.statements.is_empty() {
                self.delete_whole(aws, writes).await
            } else {
                self.put(aws, &document.text(), writes).await
            };
        }
        Err(shared.too_slow())
    }

    async fn put(&self, aws: &Aws, text: &str, writes: &Writes) -> Result<()> {
        let what = format!("write the policy of the bucket `{}`", self.bucket);
        let put = |region: Option<Region>| {
            aws.s3()
                .put_bucket_policy()
                .bucket(&self.bucket)
                .expected_bucket_owner(&self.account)
                .policy(text)
                .customize()
                .config_override(in_region(region))
                .send()
        };
        let answer = aws.at_bucket(&self.bucket, put).await;
        let Err(error) = writes.answered(&self.key(), answer) else {
            return Ok(());
        };
        let failed = self.asked(&what, "s3:PutBucketPolicy").failed(&error);
        if error.code() != Some("MalformedPolicy") {
            return Err(failed);
        }
        // S3 rejects a principal that it does not know yet: the role may be new.
        if self.is_role_new(aws).await? {
            return Err(failed.passing(true));
        }
        Err(failed.hint(format!(
            "look for the statement that S3 does not take: `aws s3api get-bucket-policy --bucket {}` shows those of others, `arcctl render DIR` writes the ones of this profile",
            self.bucket
        )))
    }

    /// Whether the role of the statements is so new that S3 may not know it.
    async fn is_role_new(&self, aws: &Aws) -> Result<bool> {
        let arn = self
            .statements
            .first()
            .and_then(|it| it["Principal"]["AWS"].as_str());
        let Some(arn) = arn.and_then(Arn::parse) else {
            return Ok(false);
        };
        let role = TrustPolicy {
            iam: aws.iam(),
            role: arn.name(),
            sid: &self.sid,
        };
        // IAM also shows a new role late.
        Ok(role.role().await?.is_none_or(|it| {
            let age = jiff::Timestamp::now().as_second() - it.create_date().secs();
            age < NEW
        }))
    }

    /// Our remaining statements.
    pub(super) async fn remains(&self, aws: &Aws, writes: &Writes) -> Result<Observed> {
        let live = self.live(aws, true).await?;
        let document = self.document(&live)?;
        let own = differences("policy", &document, &self.sid, &[]);
        let key = self.key();
        let shared_document = self.shared(&key);
        let verdict = writes.judge_document(&shared_document, &live, own.is_empty());
        if let Some(reason) = verdict.reason() {
            return Ok(ours(Readiness::progressing(reason)));
        }
        if !own.is_empty() {
            // The first of the reads that must agree before the write.
            writes.agrees(&shared_document, &live);
        }
        Ok(match without(&document, &self.sid) {
            None => Observed::Absent,
            Some(rest) if rest.statements.is_empty() => ours(Readiness::Ready),
            Some(rest) => match orphans(&rest, &self.sid).into_iter().next() {
                None => shared(own, "others have statements in it"),
                Some(orphan) => stays(format!(
                    "S3 refuses a policy that names a deleted user or role: remove `{}` from {}, and run the same command again",
                    orphan.principal, orphan.statement
                )),
            },
        })
    }

    async fn delete_whole(&self, aws: &Aws, writes: &Writes) -> Result<()> {
        let what = format!("delete the policy of the bucket `{}`", self.bucket);
        let delete = |region: Option<Region>| {
            aws.s3()
                .delete_bucket_policy()
                .bucket(&self.bucket)
                .expected_bucket_owner(&self.account)
                .customize()
                .config_override(in_region(region))
                .send()
        };
        let answer = aws.at_bucket(&self.bucket, delete).await;
        writes
            .answered(&self.key(), answer)
            .map(drop)
            .map_err(|error| self.asked(&what, "s3:DeleteBucketPolicy").failed(&error))
    }
}

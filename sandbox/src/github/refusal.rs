//! The ways GitHub says no, word for word where they are known.
//!
//! Pure: no I/O.

use http::StatusCode;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No credentials where some are needed.
    NoCredentials,
    /// An unknown, revoked or expired token.
    BadCredentials,
    /// The request names no client.
    NoUserAgent,
    /// A classic token without a scope the operation needs.
    MissingScope,
    /// An App's token where it is not accepted or lacks the permission.
    NotForIntegrations,
    /// A fine-grained token where it is not accepted or lacks the permission.
    NotForFineGrainedTokens,
    /// The token is not authorized for the organization's single sign-on.
    SingleSignOn { organization: String },
    /// The primary rate limit is used up.
    RateLimit { login: String },
    /// The secondary rate limit, for this many seconds.
    SecondaryLimit { seconds: u64 },
    /// Nothing there, or nothing this token may know of.
    NotFound,
    /// `GET /rate_limit` where rate limiting is off.
    RateLimitingOff,
    /// A JWT that does not hold.
    BadJwt(&'static str),
    /// What is asked does not go with what is there.
    Conflict(String),
    /// The request is understood and cannot be done.
    Unprocessable(String),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NoCredentials | Self::BadCredentials | Self::BadJwt(_) => {
                StatusCode::UNAUTHORIZED
            }
            Self::NoUserAgent
            | Self::MissingScope
            | Self::NotForIntegrations
            | Self::NotForFineGrainedTokens
            | Self::SingleSignOn { .. }
            | Self::RateLimit { .. }
            | Self::SecondaryLimit { .. } => StatusCode::FORBIDDEN,
            Self::NotFound | Self::RateLimitingOff => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    pub(super) fn message(&self) -> String {
        match self {
            Self::NoCredentials => "Requires authentication",
            Self::BadCredentials => "Bad credentials",
            Self::NoUserAgent => {
                "Request forbidden by administrative rules. Please make sure your request has a \
                 User-Agent header"
            }
            // GitHub says "Repository" of organizations and enterprises too.
            Self::MissingScope => "Must have admin rights to Repository.",
            Self::NotForIntegrations => "Resource not accessible by integration",
            Self::NotForFineGrainedTokens => "Resource not accessible by personal access token",
            Self::SingleSignOn { .. } => {
                "Resource protected by organization SAML enforcement. You must grant your Personal \
                 Access token access to this organization."
            }
            Self::RateLimit { login } => {
                return format!("API rate limit exceeded for user {login}.");
            }
            Self::SecondaryLimit { .. } => {
                "You have exceeded a secondary rate limit. Please wait a few minutes before you \
                 try again."
            }
            Self::NotFound => "Not Found",
            Self::RateLimitingOff => "Rate limiting is not enabled.",
            Self::BadJwt(message) => message,
            Self::Conflict(message) | Self::Unprocessable(message) => return message.clone(),
        }
        .to_owned()
    }

    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::SingleSignOn { organization } => {
                let request = super::token::random(20);
                let url = format!("https://github.com/orgs/{organization}/sso");
                let value = format!("required; url={url}?authorization_request={request}");
                vec![("x-github-sso", value)]
            }
            Self::SecondaryLimit { seconds } => vec![("retry-after", seconds.to_string())],
            _ => Vec::new(),
        }
    }
}

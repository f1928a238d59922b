//! GitHub's error responses, word for word if known.
//!
//! Sources of the words: docs.github.com; for those without headers or body hub4j/github-api#1805 and #2267,
//! app-sre/github-mirror#62; nedbat/watchgha#23 (maintenance); aquasecurity/trivy#10567 (addresses); NixOS/org#247 (lifetimes
//! of tokens).
//!
//! Pure: no I/O.

use http::StatusCode;
use serde_json::json;

use super::call::Answer;

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
    /// What GitHub does whatever is asked, by somebody else's doing.
    Told(Told),
    /// What is asked does not go with what is there.
    Conflict(String),
    /// The request is understood and cannot be done.
    Unprocessable(String),
}

/// Refusals that a test or a person asks for: they depend on nothing that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The secondary limit as a 403 without `retry-after`.
    SecondaryLimit,
    /// The same as a 429.
    SecondaryLimit429,
    /// The words of the secondary limit of old.
    Abuse,
    /// The limit told only by the address of its description.
    OnlyDescribed,
    /// A 403 with neither body nor headers of GitHub's.
    Empty,
    /// A 429 with neither.
    Empty429,
    /// A 403 in JSON that tells nothing.
    Wordless,
    /// Too many attempts to log in with wrong tokens.
    LoginAttempts,
    /// The address is not on the list of allowed ones.
    AddressNotAllowed,
    /// Single sign-on, without the header that names its page.
    SamlWithoutHeader,
    /// The installation of an App is suspended.
    InstallationSuspended,
    /// The account is suspended.
    AccountSuspended,
    /// The organization takes no classic tokens.
    NoClassicTokens,
    /// It takes no fine-grained tokens that live so long.
    LongLivedToken,
    /// It takes no tokens of unknown OAuth apps.
    OAuthAppRestricted,
    /// The account belongs to another enterprise.
    ManagedUser,
    /// A page of a server in maintenance mode.
    Maintenance,
    /// A page of a firewall before the server.
    FirewallPage,
}

impl Told {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::SecondaryLimit,
        Self::SecondaryLimit429,
        Self::Abuse,
        Self::OnlyDescribed,
        Self::Empty,
        Self::Empty429,
        Self::Wordless,
        Self::LoginAttempts,
        Self::AddressNotAllowed,
        Self::SamlWithoutHeader,
        Self::InstallationSuspended,
        Self::AccountSuspended,
        Self::NoClassicTokens,
        Self::LongLivedToken,
        Self::OAuthAppRestricted,
        Self::ManagedUser,
        Self::Maintenance,
        Self::FirewallPage,
    ];

    fn status(self) -> StatusCode {
        match self {
            Self::SecondaryLimit429 | Self::Empty429 => StatusCode::TOO_MANY_REQUESTS,
            Self::Maintenance => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::FORBIDDEN,
        }
    }

    /// The message; none where the body is a page, or there is none.
    fn message(self) -> Option<&'static str> {
        Some(match self {
            Self::SecondaryLimit | Self::SecondaryLimit429 => {
                "You have exceeded a secondary rate limit. Please wait a few minutes before you \
                 try again. If you reach out to GitHub Support for help, please include the \
                 request ID 0000:FAULT."
            }
            Self::Abuse => {
                "You have triggered an abuse detection mechanism. Please wait a few minutes before \
                 you try again."
            }
            Self::OnlyDescribed | Self::Wordless => "Forbidden",
            Self::LoginAttempts => {
                "Maximum number of login attempts exceeded. Please try again later."
            }
            Self::AddressNotAllowed => {
                "Although you appear to have the correct authorization credentials, the \
                 `dogecompany` organization has an IP allow list enabled, and your IP address is \
                 not permitted to access this resource."
            }
            Self::SamlWithoutHeader => {
                "Resource protected by organization SAML enforcement. You must grant your OAuth \
                 token access to this organization."
            }
            Self::InstallationSuspended => "This installation has been suspended",
            Self::AccountSuspended => "Sorry. Your account was suspended.",
            Self::NoClassicTokens => {
                "`dogecompany` forbids access via a personal access token (classic). Please use a \
                 GitHub App, OAuth App, or a personal access token with fine-grained permissions."
            }
            Self::LongLivedToken => {
                "The 'dogecompany' organization forbids access via a fine-grained personal access \
                 tokens if the token's lifetime is greater than 366 days. Please adjust your \
                 token's lifetime at the following URL: \
                 https://github.com/settings/personal-access-tokens/7"
            }
            Self::OAuthAppRestricted => {
                "Although you appear to have the correct authorization credentials, the \
                 `dogecompany` organization has enabled OAuth App access restrictions, meaning \
                 that data access to third-parties is limited."
            }
            Self::ManagedUser => {
                "Unauthorized: As an Enterprise Managed User, you cannot access this content"
            }
            Self::Empty | Self::Empty429 | Self::Maintenance | Self::FirewallPage => return None,
        })
    }

    fn description(self) -> &'static str {
        match self {
            Self::SecondaryLimit | Self::SecondaryLimit429 | Self::OnlyDescribed => {
                "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
            }
            Self::Abuse => "https://developer.github.com/v3/#abuse-rate-limits",
            _ => "https://docs.github.com/rest",
        }
    }

    /// The page, where the body is one.
    pub(super) fn page(self) -> Option<&'static str> {
        match self {
            Self::Maintenance => Some(
                "<html><head><title>GitHub Enterprise is currently down for maintenance</title>\
                 </head><body><h1>Down for maintenance</h1></body></html>",
            ),
            Self::FirewallPage => Some("<html><body>Request blocked</body></html>"),
            _ => None,
        }
    }

    /// Whether GitHub's own headers are missing: the answer comes from something before the API.
    pub(super) fn is_bare(self) -> bool {
        self.message().is_none()
    }

    /// Its answer.
    pub(super) fn answer(self) -> Answer {
        let body = self.message().map(|message| {
            json!({
                "message": message,
                "documentation_url": self.description(),
                "status": self.status().as_str(),
            })
        });
        Answer {
            status: self.status(),
            body,
            headers: Vec::new(),
        }
    }
}

/// Refusals that come whatever is asked, for calls whose path has something in it.
#[derive(Clone, Debug)]
pub struct Refusing {
    /// What is told.
    pub told: Told,
    /// What the path has in it.
    pub path: String,
    /// How many such calls succeed before.
    pub after: u64,
    /// How many are refused then; all, where there is no number.
    pub times: Option<u64>,
}

impl Refusing {
    /// Whether the next such call is refused; it is counted.
    pub(super) fn refuses(&mut self, path: &str) -> bool {
        if !path.contains(&self.path) {
            return false;
        }
        if let Some(left) = self.after.checked_sub(1) {
            self.after = left;
            return false;
        }
        match &mut self.times {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Told(told) => told.status(),
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
            Self::Told(told) => told.message().unwrap_or_default(),
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

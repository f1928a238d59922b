//! One attempt of a call, and what the headers of its response say: how long to pause, and the API server's clock.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU32, Ordering},
};

use http::{
    HeaderMap,
    header::{DATE, HeaderName, RETRY_AFTER},
};
use jiff::Timestamp;
use kube::core::response::StatusDetails;

tokio::task_local! {
    /// The attempt that is in progress. Watches are none.
    pub(super) static ATTEMPT: Attempt;
}

/// How far this machine's clock is ahead of the API server's, in seconds; 0 until a response has told it.
pub(super) type Ahead = Arc<AtomicI64>;

/// An attempt, shared with the layer that sees its response.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Its number, from 1.
    pub(super) number: u32,
    /// The pause that the response asks for, in seconds; 0 without one.
    pause: Arc<AtomicU32>,
    /// That of the connection.
    ahead: Ahead,
}

impl Attempt {
    pub(super) fn new(number: u32, ahead: &Ahead) -> Self {
        Self {
            number,
            pause: Arc::default(),
            ahead: Arc::clone(ahead),
        }
    }

    /// Keeps what the headers of the response say.
    pub(super) fn read(&self, headers: &HeaderMap) {
        let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
        let pause = text(RETRY_AFTER).and_then(|it| it.trim().parse::<u32>().ok());
        self.pause
            .store(pause.unwrap_or_default(), Ordering::Relaxed);
        let server = text(DATE).and_then(|it| jiff::fmt::rfc2822::parse(it).ok());
        if let Some(server) = server {
            let ahead = Timestamp::now().duration_since(server.timestamp());
            self.ahead.store(ahead.as_secs(), Ordering::Relaxed);
        }
    }

    /// The error with the pause of the header where its Status has none. Kubernetes answers with a text and this header, and no
    /// Status, where it limits requests (`tooManyRequests` of its API server) and while it shuts down (`WithRetryAfter`).
    pub(super) fn with_pause(&self, mut error: kube::Error) -> kube::Error {
        let pause = self.pause.load(Ordering::Relaxed);
        if pause > 0
            && let kube::Error::Api(status) = &mut error
        {
            let details = status.details.get_or_insert_with(|| StatusDetails {
                name: String::new(),
                group: String::new(),
                kind: String::new(),
                uid: String::new(),
                causes: Vec::new(),
                retry_after_seconds: 0,
            });
            if details.retry_after_seconds == 0 {
                details.retry_after_seconds = pause;
            }
        }
        error
    }
}

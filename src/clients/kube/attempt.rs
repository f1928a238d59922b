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

/// An attempt, shared with the layer that sees its response.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// Its number, from 1.
    pub(super) number: u32,
    heard: Arc<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// The pause that the response asks for, in seconds; 0 without one.
    pause: AtomicU32,
    /// How far this machine's clock is ahead of the API server's, in seconds; 0 if that is unknown.
    ahead: AtomicI64,
}

impl Attempt {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            heard: Arc::default(),
        }
    }

    /// Keeps what the headers of the response say.
    pub(super) fn hear(&self, headers: &HeaderMap) {
        let text = |name: HeaderName| headers.get(name).and_then(|it| it.to_str().ok());
        let pause = text(RETRY_AFTER).and_then(|it| it.trim().parse::<u32>().ok());
        let pause = pause.unwrap_or_default();
        self.heard.pause.store(pause, Ordering::Relaxed);
        let server = text(DATE).and_then(|it| jiff::fmt::rfc2822::parse(it).ok());
        let ahead = server.map(|it| Timestamp::now().duration_since(it.timestamp()).as_secs());
        let ahead = ahead.unwrap_or_default();
        self.heard.ahead.store(ahead, Ordering::Relaxed);
    }

    /// How far this machine's clock is ahead of the API server's, in seconds; 0 if that is unknown.
    pub(super) fn clock_ahead(&self) -> i64 {
        self.heard.ahead.load(Ordering::Relaxed)
    }

    /// The error with the pause of the header where its Status has none. Kubernetes answers with a text and this header, and no
    /// Status, where it limits requests (`tooManyRequests` of its API server) and while it shuts down (`WithRetryAfter`).
    pub(super) fn with_pause(&self, mut error: kube::Error) -> kube::Error {
        let pause = self.heard.pause.load(Ordering::Relaxed);
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

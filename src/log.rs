//! The log of a run: decisions (`-v`), requests and helm's arguments (`-vv`), retries and watch events (`-vvv`). One
//! tracing layer writes each line to stderr and to the file in `ARCCTL_LOG`, with secrets masked.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::{
    Event, Level, Metadata, Span, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::{LookupSpan, Registry},
};

use crate::{
    error::{Error, Result, System},
    secret::{Secret, text::masked},
};

/// The environment variable with the path of the log file.
pub const VARIABLE: &str = "ARCCTL_LOG";

/// The credentials of this process: masked in every line.
static HIDDEN: Mutex<Vec<Secret>> = Mutex::new(Vec::new());

/// Masks `secret` in all following lines.
pub fn hide(secret: &Secret) {
    let mut hidden = HIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
    hidden.push(secret.clone());
}

/// The span of a step or a check, for the lines within it.
pub fn step(id: &impl std::fmt::Display) -> Span {
    tracing::info_span!("step", %id)
}

/// Logs one request: `action` is an HTTP method and path or the name of an operation; `outcome` is a status, or the
/// reason why there is none; `attempt` counts from 1.
pub(crate) fn request(
    system: &str,
    action: impl std::fmt::Display,
    outcome: impl std::fmt::Display,
    began: Instant,
    attempt: u32,
) {
    let ms = began.elapsed().as_millis();
    if attempt > 1 {
        tracing::debug!("{system} {action}: {outcome}, {ms} ms, attempt {attempt}");
    } else {
        tracing::debug!("{system} {action}: {outcome}, {ms} ms");
    }
}

/// Logs a request and its status, or the reason why there is none.
pub(crate) fn answered(
    system: &str,
    action: impl std::fmt::Display,
    status: std::result::Result<u16, impl std::fmt::Display>,
    began: Instant,
    attempt: u32,
) {
    match status {
        Ok(status) => request(system, action, status, began, attempt),
        Err(why) => request(system, action, why, began, attempt),
    }
}

/// Logs that a request is retried, and why.
pub(crate) fn again(system: &str, why: impl std::fmt::Display, pause: Duration) {
    let ms = pause.as_millis();
    tracing::trace!("{system}: again in {ms} ms, since {why}");
}

/// Opens the file in `ARCCTL_LOG` to append lines. A new one is readable by its owner only.
pub fn open(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| {
            Error::failed(
                System::Local,
                format!("cannot write the log file `{}`", path.display()),
            )
            .object(path.display())
            .cause(error)
            .hint(format!(
                "set {VARIABLE} to a file that can be written, or unset it"
            ))
        })
}

/// Starts the log of this process: on stderr up to `verbosity` (1: `-v`), in `file` everything. Without both it logs
/// nothing.
pub fn start(verbosity: i8, file: Option<File>, screen: impl Fn(&str) + Send + Sync + 'static) {
    let lines = Lines::new(verbosity, file, screen);
    if lines.most() > LevelFilter::OFF {
        // A second call in one process has no effect: the first subscriber is kept.
        let _first = tracing::subscriber::set_global_default(Registry::default().with(lines));
    }
}

/// The tracing layer that writes the lines.
struct Lines<F> {
    on_screen: LevelFilter,
    screen: F,
    file: Option<Mutex<File>>,
}

/// The id of a step, stored in its span.
struct StepId(String);

impl<F: Fn(&str)> Lines<F> {
    fn new(verbosity: i8, file: Option<File>, screen: F) -> Self {
        let on_screen = match verbosity {
            ..=0 => LevelFilter::OFF,
            1 => LevelFilter::INFO,
            2 => LevelFilter::DEBUG,
            3.. => LevelFilter::TRACE,
        };
        Self {
            on_screen,
            screen,
            file: file.map(Mutex::new),
        }
    }

    /// The most detailed level of all outputs.
    fn most(&self) -> LevelFilter {
        if self.file.is_some() {
            LevelFilter::TRACE
        } else {
            self.on_screen
        }
    }

    /// Skips the events of libraries: they may contain bodies and headers with secrets.
    fn is_ours(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let ours = target == "arcctl" || target.starts_with("arcctl::");
        ours && *metadata.level() <= self.most()
    }
}

impl<S, F> Layer<S> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: Fn(&str) + Send + Sync + 'static,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.is_ours(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        self.is_ours(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most())
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut step = Named::new("id");
        attributes.record(&mut step);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(StepId(step.value));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut message = Named::new("message");
        event.record(&mut message);
        let innermost = context.event_span(event);
        let step = innermost.as_ref().and_then(|it| {
            let extensions = it.extensions();
            extensions.get::<StepId>().map(|it| it.0.clone())
        });
        let level = *event.metadata().level();
        let line = line(Timestamp::now(), level, step.as_deref(), &message.value);
        if level <= self.on_screen {
            (self.screen)(&line);
        }
        if let Some(file) = &self.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk must not end the run; stderr and the result still report it.
            drop(writeln!(file, "{line}"));
        }
    }
}

/// The value of one field.
struct Named {
    name: &'static str,
    value: String,
}

impl Named {
    const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: String::new(),
        }
    }
}

impl Visit for Named {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == self.name {
            self.value = format!("{value:?}");
        }
    }
}

/// Formats one line, with secrets masked and control characters removed: a line break would start another line, and
/// escape sequences change the terminal.
fn line(at: Timestamp, level: Level, step: Option<&str>, message: &str) -> String {
    let message = masked(message);
    let hidden = HIDDEN.lock().unwrap_or_else(PoisonError::into_inner);
    let message = hidden
        .iter()
        .fold(message.into_owned(), |text, secret| secret.redact(&text));
    let message = message.replace(char::is_control, " ");
    let level = match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info ",
        Level::WARN => "warn ",
        Level::ERROR => "error",
    };
    let step = step.map(|it| format!("[{it}] ")).unwrap_or_default();
    format!("{at:.3} {level} {step}{message}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The lines that `what` logs to stderr at this verbosity.
    fn lines(verbosity: i8, what: impl FnOnce()) -> Vec<String> {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&shown);
        let screen = move |line: &str| {
            // The text after the time.
            let (_, rest) = line.split_once(' ').unwrap();
            kept.lock().unwrap().push(rest.to_owned());
        };
        let subscriber = Registry::default().with(Lines::new(verbosity, None, screen));
        tracing::subscriber::with_default(subscriber, what);
        std::mem::take(&mut *shown.lock().unwrap())
    }

    fn everything() {
        let _entered = step(&"namespace/-/a").entered();
        tracing::info!("unchanged");
        request(
            "kubernetes",
            "GET /api/v1/namespaces/a",
            200,
            Instant::now(),
            1,
        );
        again("kubernetes", "it is busy", Duration::from_millis(250));
        tracing::debug!(target: "hyper::client", "authorization: Bearer abc");
    }

    #[test]
    fn each_v_adds_a_level_and_libraries_stay_out() {
        let words = |lines: &[String]| -> Vec<String> {
            let word = |it: &String| it.split(' ').next().unwrap().to_owned();
            lines.iter().map(word).collect()
        };
        assert_eq!(lines(0, everything), [""; 0]);
        assert_eq!(words(&lines(1, everything)), ["info"]);
        assert_eq!(words(&lines(2, everything)), ["info", "debug"]);
        let all = lines(3, everything);
        assert_eq!(words(&all), ["info", "debug", "trace"]);
        assert!(
            all.iter().all(|it| it.contains("[namespace/-/a] ")),
            "{all:?}"
        );
        assert!(all[1].contains("kubernetes GET /api/v1/namespaces/a: 200, "));
    }

    #[test]
    fn no_line_has_a_secret() {
        hide(&Secret::trimmed("canary-of-no-known-shape-81").0);
        let shown = lines(3, || {
            tracing::info!("helm said canary-of-no-known-shape-81\nand more");
            tracing::debug!("password=hunter2hunter2 of the proxy");
            tracing::trace!("answer: ghp_0123456789abcdefghij0123456789abcdef");
            tracing::info!("a\rb\tc\u{1b}[2Kd\u{7}e\u{9b}f\u{7f}g\0h");
        });
        let shown = shown.join("\n");
        for canary in ["canary-of-no", "hunter2", "ghp_0123456789"] {
            assert!(!shown.contains(canary), "{shown}");
        }
        assert!(shown.contains("helm said *** and more"), "{shown}");
        assert!(shown.ends_with("a b c [2Kd e f g h"), "{shown}");
    }

    #[test]
    fn the_file_has_everything_and_is_its_owners() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for _ in 0..2 {
            let lines = Lines::new(0, Some(open(&path).unwrap()), |_: &str| panic!("quiet"));
            tracing::subscriber::with_default(Registry::default().with(lines), everything);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 6);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = open(&directory.path().join("none/log")).unwrap_err();
        assert!(error.hint.is_some_and(|it| it.contains(VARIABLE)));
    }
}

//! Signal handling: the first signal stops the run so that it can be resumed, the second one ends it immediately.

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::second_signal;
use crate::execute::Stop;

/// How a run is stopped.
pub(crate) type StopSender = watch::Sender<Option<Stop>>;

/// The signals that stop a run, and those that end it immediately; each with the exit code of shells.
const ASKING: [(SignalKind, Stop); 3] = [
    (SignalKind::interrupt(), Stop::Interrupted),
    (SignalKind::terminate(), Stop::Terminated),
    (SignalKind::hangup(), Stop::HungUp),
];

/// The exit code of a process that Ctrl-\\ ended.
const QUIT: u8 = 131;

/// SIGINT, SIGTERM and SIGHUP request a stop. The second one, and SIGQUIT, end the process immediately. A process that
/// ignores SIGHUP (`nohup`) continues without its terminal.
pub(crate) fn stop_on_signals() -> StopSender {
    let stop = watch::Sender::new(None);
    let set = stop.clone();
    let ignores_hangup = ignores(SignalKind::hangup());
    let asking = ASKING
        .into_iter()
        .filter(|(_, stop)| *stop != Stop::HungUp || !ignores_hangup);
    for (kind, reason) in asking {
        let Ok(mut asked) = signal(kind) else {
            continue;
        };
        let set: StopSender = set.clone();
        tokio::spawn(async move {
            while asked.recv().await.is_some() {
                let again = !set.send_if_modified(|stop| {
                    let first = !matches!(
                        stop,
                        Some(Stop::Interrupted | Stop::Terminated | Stop::HungUp)
                    );
                    if first {
                        *stop = Some(reason);
                    }
                    first
                });
                if again {
                    let code = reason.signal().map_or(1, |(kind, _)| kind.exit_code());
                    second_signal::end(reason, code);
                }
            }
        });
    }
    if let Ok(quit) = signal(SignalKind::quit()) {
        tokio::spawn(end_on(quit));
    }
    stop
}

async fn end_on(mut quit: Signal) {
    if quit.recv().await.is_some() {
        second_signal::end(Stop::Interrupted, QUIT);
    }
}

/// Whether this process was started with a signal ignored. If unknown, it was not.
fn ignores(kind: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    is_ignored(&status, kind.as_raw_value())
}

/// Whether the mask of ignored signals in `/proc/self/status` has this one (proc(5): `SigIgn`, hexadecimal).
fn is_ignored(status: &str, number: i32) -> bool {
    let mask = status.lines().find_map(|it| it.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    let bit = u32::try_from(number - 1).ok();
    mask.zip(bit)
        .is_some_and(|(mask, bit)| mask.checked_shr(bit).is_some_and(|it| it & 1 == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ignores_hangups_is_seen() {
        let status = |mask: &str| format!("Name:\ta\nSigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(is_ignored(&status("0000000000000001"), 1));
        assert!(is_ignored(&status("0000000000001003"), 1));
        assert!(!is_ignored(&status("0000000000001000"), 1));
        assert!(!is_ignored("", 1));
        assert!(!is_ignored(&status("x"), 1));
    }
}

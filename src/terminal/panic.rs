//! The panic handler: reports a panic as an error without its payload, which may hold a token, and disables core dumps.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook},
    sync::{Mutex, PoisonError},
};

#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::output::Output;
use crate::error::{Error, System};

/// The error of the first panic.
static FAULT: Mutex<Option<Error>> = Mutex::new(None);

/// Disables core dumps of this process and of helm, and prevents other processes of this user from reading its memory or
/// its environment. Neither call can be denied: both only drop rights.
pub(crate) fn keep_memory() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _gives_up = setrlimit(Resource::Core, nothing);
    // The limit does not apply to core dumps that are piped to a program; this does.
    #[cfg(target_os = "linux")]
    let _gives_up = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Reports a panic of any thread on stderr.
pub(crate) fn tell_panics(output: Output) {
    set_hook(Box::new(move |panic| {
        let error = as_error(panic);
        output.print_error(&error);
        let mut fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
        fault.get_or_insert(error);
    }));
}

/// The result of `work`, or the panic that ended it, which is already reported.
pub(crate) fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_payload| {
        let fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone().unwrap_or_else(|| error("a place unknown"))
    })
}

fn as_error(panic: &PanicHookInfo<'_>) -> Error {
    let place = panic
        .location()
        .map_or_else(|| "a place unknown".to_owned(), ToString::to_string);
    error(&place).cause(words(panic.payload()))
}

fn error(place: &str) -> Error {
    Error::failed(
        System::Local,
        format!("internal error in arcctl, at {place}"),
    )
    .hint(
        "report it with these lines, what `arcctl --version` says and the command; run `arcctl plan` to see what is left to do",
    )
}

/// The message of a panic, if it is a constant of the program. A formatted message contains values, and one of these may
/// be a token.
fn words(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("what it says of itself is not shown, since that could have a secret in it")
}

/// Panics for tests, selected by the variable `ARCCTL_FAULT`, where a credential is loaded. Not part of a release build.
#[cfg(debug_assertions)]
pub(crate) async fn provoked(credential: &crate::clients::credential::Credential) {
    /// Panics while another panic is on its way, which aborts the process.
    struct Twice(String);
    impl Drop for Twice {
        fn drop(&mut self) {
            assert!(self.0.is_empty(), "once more: {}", self.0);
        }
    }
    let data = credential.secret_data().into_iter();
    let secret: String = data.map(|(_, value)| value).collect();
    match super::environment::variable("ARCCTL_FAULT").as_deref() {
        Some("panic") => panic!("the token is {secret}"),
        Some("words") => panic!("words of the program"),
        Some("task") => drop(tokio::spawn(async move { panic!("{secret}") }).await),
        Some("abort") => {
            let twice = Twice(secret);
            panic!("the token is {}", twice.0);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_of_the_program_is_repeated() {
        assert_eq!(words(&"it is not there"), "it is not there");
        let put_together: Box<dyn Any + Send> = Box::new("the token is x".to_owned());
        assert!(!words(put_together.as_ref()).contains('x'));
    }
}

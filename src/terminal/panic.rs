//! A fault of arcctl's own, in a process that holds tokens: a panic is told as an error like any other, without the values
//! in it, and no core of the process is written.

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

/// What the first panic was told as.
static FAULT: Mutex<Option<Error>> = Mutex::new(None);

/// Has no core written of this process and of helm, and lets no other process of this user read its memory or its
/// environment. Neither can be refused: both only give something up.
pub(crate) fn keep_memory() {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _gives_up = setrlimit(Resource::Core, nothing);
    // The limit does not hold for a core that is piped to a program; this does.
    #[cfg(target_os = "linux")]
    let _gives_up = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Tells a panic of any thread on stderr.
pub(crate) fn tell_panics(output: Output) {
    set_hook(Box::new(move |panic| {
        let error = told(panic);
        output.print_error(&error);
        let mut fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
        fault.get_or_insert(error);
    }));
}

/// What `work` gives, or the panic that ended it, which is told already.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_payload| {
        let fault = FAULT.lock().unwrap_or_else(PoisonError::into_inner);
        fault.clone().unwrap_or_else(|| error("a place unknown"))
    })
}

fn told(panic: &PanicHookInfo<'_>) -> Error {
    let place = panic
        .location()
        .map_or_else(|| "a place unknown".to_owned(), ToString::to_string);
    error(&place).cause(words(panic.payload()))
}

fn error(place: &str) -> Error {
    Error::failed(
        System::Local,
        format!("arcctl has a fault of its own, at {place}"),
    )
    .hint(
        "report it with these lines, what `arcctl --version` says and the command; run `arcctl plan` to see what is left to do",
    )
}

/// What a panic says of itself, where that is a text of the program. One that was put together has values in it, and one
/// of these may be a token.
fn words(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("what it says of itself is not shown, since that could have a secret in it")
}

/// The panics that tests ask for, by the variable `ARCCTL_FAULT`, where a credential is at hand. A release has none of it.
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

//! What a call came to, and in words.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

use super::names::facts_in_c;
use crate::{Error, ErrorCode, Facts};

/// What a call came to. The numbers stay what they are; new ones may be added.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum fleming_status {
    /// Done; results are written.
    Ok = 0,
    /// An image, video, volume or file that cannot be read as asked.
    Input = 1,
    /// A request that cannot be carried out: options that contradict, a prompt that does not fit.
    Request = 2,
    /// A package that is incomplete, altered or not what this version reads.
    Package = 3,
    /// ONNX Runtime, an execution provider or a graph that does not load or run.
    Runtime = 4,
    /// More requests are waiting than the engine was set up to hold: try again later.
    Busy = 5,
    /// Cancelled before there was anything to return.
    Cancelled = 6,
    /// The time was up before there was anything to return.
    TimedOut = 7,
    /// An argument breaks the rules at the top: NULL where it is forbidden, no UTF-8, a wrong struct_size.
    Argument = 100,
    /// A defect of this library. The engine stays usable; please report the message.
    Panic = 101,
    /// Not complete yet: no failure.
    Pending = 102,
}

impl fleming_status {
    /// All of them, each with its name, which JSON has too, and what it means.
    pub(super) const ALL: [(Self, &CStr, &CStr); 11] = [
        (Self::Ok, c"ok", c"Done."),
        (Self::Input, c"input", c"An image, video, volume or file cannot be read as asked."),
        (Self::Request, c"request", c"The request cannot be carried out."),
        (Self::Package, c"package", c"The package is incomplete, altered or not what this version reads."),
        (Self::Runtime, c"runtime", c"ONNX Runtime, an execution provider or a graph does not load or run."),
        (Self::Busy, c"busy", c"Too many requests are under way: try again later."),
        (Self::Cancelled, c"cancelled", c"Cancelled before there was anything to return."),
        (Self::TimedOut, c"timed-out", c"The time was up before there was anything to return."),
        (Self::Argument, c"argument", c"An argument breaks the rules of fleming.h."),
        (Self::Panic, c"panic", c"A defect of the library."),
        (Self::Pending, c"pending", c"Not complete yet: no failure."),
    ];
}

impl From<ErrorCode> for fleming_status {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::Input => fleming_status::Input,
            ErrorCode::Request => fleming_status::Request,
            ErrorCode::Package => fleming_status::Package,
            ErrorCode::Runtime => fleming_status::Runtime,
            ErrorCode::Busy => fleming_status::Busy,
            ErrorCode::Cancelled => fleming_status::Cancelled,
            ErrorCode::TimedOut => fleming_status::TimedOut,
        }
    }
}

/// Why a call failed.
#[derive(Debug)]
pub(super) struct Failure {
    status: fleming_status,
    message: String,
    facts: Box<Facts>,
}

/// The last failure of a thread, for C.
#[derive(Default)]
pub(super) struct LastFailure {
    /// 0 before the first.
    pub(super) status: i32,
    pub(super) message: CString,
    pub(super) hint: CString,
    pub(super) thing: CString,
    pub(super) wanted: CString,
    pub(super) got: CString,
}

/// A text for C, which cannot hold a NUL: U+FFFD stands in its place.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// What reports a panic.
pub(super) type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

pub(super) type CallResult<T> = std::result::Result<T, Failure>;

impl Failure {
    /// An argument that breaks the rules of the header.
    pub(super) fn argument(name: &str, wanted: &str, got: &str) -> Self {
        let hint = "the top of fleming.h has the rules for arguments".into();
        let facts = Box::new(Facts { thing: name.into(), wanted: wanted.into(), got: got.into(), hint });
        Self {
            status: fleming_status::Argument,
            message: format!("{name}: wanted {wanted}, got {got}"),
            facts,
        }
    }
}

impl Failure {
    /// Something that the system does not give.
    pub(super) fn of_system(thing: &str, wanted: &str, error: &std::io::Error, hint: &str) -> Self {
        let got = error.to_string();
        let facts = Box::new(Facts { thing: thing.into(), wanted: wanted.into(), got, hint: hint.into() });
        Self { status: fleming_status::Runtime, message: facts.sentence(), facts }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let facts = facts_in_c(&error);
        Self { status: error.code().into(), message: facts.sentence(), facts: Box::new(facts) }
    }
}

thread_local! {
    static LAST: RefCell<LastFailure> = RefCell::default();
    /// How many calls into the library this thread is in, a callback's own code not counted.
    static CALLS: Cell<usize> = const { Cell::new(0) };
    /// What the last panic within a call said.
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs the body of a function: its failure is kept for this thread, and a panic is a failure.
pub(super) fn guard(body: impl FnOnce() -> CallResult<fleming_status>) -> fleming_status {
    match caught(body) {
        Ok(Ok(status)) => status,
        Ok(Err(failure)) => keep(&failure),
        Err(payload) => {
            let message = words(&*payload);
            let hint = "this is a defect of the library: report it; the engine stays usable".into();
            let (thing, wanted) = ("fleming".into(), "no panic".into());
            let facts = Box::new(Facts { thing, wanted, got: message.clone(), hint });
            keep(&Failure { status: fleming_status::Panic, message, facts })
        }
    }
}

/// What a panic said; from the hook, which knows the place, or where the host has put another in its place, from itself.
fn words(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no message");
    match PANIC.with_borrow_mut(std::mem::take) {
        told if told.is_empty() => format!("a panic: {text}"),
        told => told,
    }
}

/// Runs the body of a function that has no status: to free what is broken is to free it.
pub(super) fn guard_free(body: impl FnOnce()) {
    // The caller has no status to read.
    let _ = caught(body);
}

fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| panic::set_hook(quiet(panic::take_hook())));
    PANIC.with_borrow_mut(String::clear);
    CALLS.set(CALLS.get() + 1);
    // What a panic may have left half done are locks, which are taken over, and values of this call, which are dropped.
    let outcome = panic::catch_unwind(AssertUnwindSafe(body));
    CALLS.set(CALLS.get() - 1);
    outcome
}

/// Runs the host's code within a call: what it does is not ours to keep quiet about.
pub(super) fn outside<T>(callback: impl FnOnce() -> T) -> T {
    struct Back(usize);
    impl Drop for Back {
        fn drop(&mut self) {
            CALLS.set(self.0);
        }
    }
    let _back = Back(CALLS.replace(0));
    callback()
}

/// A panic in a call becomes a status and is not printed. The hook is put in once and hands on every other panic to the
/// one that was there: were it exchanged around each call, threads would take one another's away.
pub(super) fn quiet(before: Hook) -> Hook {
    Box::new(move |panic| match CALLS.try_with(Cell::get) {
        Ok(1..) => {
            let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
            let words = panic.payload_as_str().unwrap_or("no message");
            let text = format!("a panic at {}: {words}", place.as_deref().unwrap_or("an unknown place"));
            // Where the thread is ending there is no place left for it.
            let _ = PANIC.try_with(|last| last.replace(text));
        }
        _ => before(panic),
    })
}

fn keep(failure: &Failure) -> fleming_status {
    let Facts { thing, wanted, got, hint } = &*failure.facts;
    let [message, hint, thing, wanted, got] =
        [&failure.message, hint, thing, wanted, got].map(|text| c_text(text));
    let status = failure.status as i32;
    LAST.with_borrow_mut(|last| *last = LastFailure { status, message, hint, thing, wanted, got });
    failure.status
}

/// Looks at the last failure of this thread.
pub(super) fn last<T>(look: impl FnOnce(&LastFailure) -> T) -> T {
    LAST.with_borrow(look)
}

/// What went wrong in the last call of this thread that failed, in one sentence; empty if none did. It stands until the
/// next call of this thread that fails.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_last_error_message() -> *const c_char {
    last(|last| last.message.as_ptr())
}

/// What to do about it; may be empty. It stands as long as the message.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_last_error_hint() -> *const c_char {
    last(|last| last.hint.as_ptr())
}

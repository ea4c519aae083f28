//! A panic on the way through a function, which no program in C can make.

use std::ffi::{CStr, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{panic, ptr, thread};

use super::arguments::zeroed;
use super::asking::{fleming_engine_ask, fleming_engine_submit};
use super::engine::{fleming_engine_free, fleming_engine_open};
use super::event::fleming_event;
use super::options::fleming_ask_options;
use super::pending::{fleming_pending_free, fleming_pending_wait};
use super::reply::fleming_reply_free;
use super::request::{fleming_request_free, fleming_request_new};
use super::status::{
    fleming_last_error_hint, fleming_last_error_message, fleming_status, guard, outside, quiet,
};

/// The hook is the process's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn message() -> String {
    // SAFETY: both end with a NUL and stand until the next failure of this thread.
    let [message, hint] =
        [fleming_last_error_message(), fleming_last_error_hint()].map(|text| unsafe { CStr::from_ptr(text) });
    assert!(!hint.is_empty());
    message.to_str().unwrap().to_owned()
}

unsafe extern "C-unwind" fn panicking(_: *mut c_void, _: *const fleming_event) -> i32 {
    panic!("in the callback")
}

#[test]
fn a_panic_is_a_status_and_the_engine_stays_usable() {
    let _alone = alone();
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    let package = super::status::c_text(package.to_str().unwrap());
    let (mut engine, mut request) = (ptr::null_mut(), ptr::null_mut());
    let (mut reply, mut pending) = (ptr::null_mut(), ptr::null_mut());
    let calm =
        fleming_ask_options { struct_size: size_of::<fleming_ask_options>(), max_new_tokens: 2, ..zeroed() };
    let wild = fleming_ask_options { on_event: Some(panicking), ..calm };
    // SAFETY: the pointers are good, and freed once.
    unsafe {
        assert_eq!(fleming_engine_open(package.as_ptr(), ptr::null(), &mut engine), fleming_status::Ok);
        assert_eq!(fleming_request_new(c"Why?".as_ptr(), &mut request), fleming_status::Ok);
        assert_eq!(fleming_engine_ask(engine, request, &wild, &mut reply), fleming_status::Panic);
        assert!(reply.is_null());
        // The callback is the host's: its panic went to the host's hook.
        assert_eq!(fleming_engine_ask(engine, request, &calm, &mut reply), fleming_status::Ok);
        fleming_reply_free(reply);
        reply = ptr::null_mut();
        assert_eq!(fleming_engine_submit(engine, request, &wild, &mut pending), fleming_status::Ok);
        assert_eq!(fleming_pending_wait(pending, -1, &mut reply), fleming_status::Panic);
        fleming_pending_free(pending);
        assert_eq!(fleming_engine_ask(engine, request, &calm, &mut reply), fleming_status::Ok);
        fleming_reply_free(reply);
        fleming_request_free(request);
        fleming_engine_free(engine);
    }
}

#[test]
fn only_panics_of_the_library_are_kept_from_the_hosts_hook() {
    let _alone = alone();
    assert_eq!(guard(|| Ok(fleming_status::Ok)), fleming_status::Ok);
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let (ours, here) = (panic::take_hook(), thread::current().id());
    panic::set_hook(quiet(Box::new(move |_| {
        // Other tests may panic meanwhile.
        if thread::current().id() == here {
            count.fetch_add(1, Ordering::Relaxed);
        }
    })));
    let times = || heard.load(Ordering::Relaxed);
    assert_eq!(guard(|| panic!("number {}", 7)), fleming_status::Panic);
    assert!(message().ends_with(": number 7") && message().contains("tests.rs"), "{}", message());
    assert_eq!(times(), 0);
    assert!(panic::catch_unwind(|| panic!("the host's")).is_err());
    assert_eq!(times(), 1);
    // A callback's panic is the host's too, though it ends the call.
    assert_eq!(guard(|| outside(|| panic!("in a callback"))), fleming_status::Panic);
    assert_eq!((times(), message().as_str()), (2, "a panic: in a callback"));
    panic::set_hook(ours);
}

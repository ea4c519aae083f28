//! Tests through the real doors: the spawned binary and the public API.
//!
//! They use the synthetic package and inputs that `make test` writes; the numbers are checked in `tests/reference`.

mod ask;
mod batch;
mod bench;
mod bindings;
mod c_hosts;
mod capi;
mod chat;
#[cfg(target_arch = "x86_64")]
mod cuda;
mod demo;
mod device;
mod doctor;
mod engine;
mod eval;
mod first_edition;
mod header;
mod hostile;
mod house;
mod inspect;
mod library;
mod load;
mod memory;
mod preview;
mod providers;
mod reading;
mod readme;
mod requests;
mod sampling;
mod speculation;
mod support;
mod warm;

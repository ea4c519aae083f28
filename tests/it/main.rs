//! Tests through the real doors: the spawned binary and the public API.

mod house;

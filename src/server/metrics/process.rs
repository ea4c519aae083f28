//! The process, in the names that Prometheus' own libraries use.

use std::fs;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::engine::kept;

/// Memory and age of the process.
pub(super) struct Process {
    resident: Gauge,
}

impl Process {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let start = kept(
            registry,
            "process_start_time_seconds",
            "When the server started, in seconds since 1970",
            Gauge::<f64, AtomicU64>::default(),
        );
        start.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        let resident =
            kept(registry, "process_resident_memory_bytes", "Memory of the process", Gauge::default());
        Self { resident }
    }

    /// Takes over how things are. Where the system does not say, the last value stays.
    pub(super) fn take(&self) {
        if let Some(bytes) = resident() {
            self.resident.set(bytes);
        }
    }
}

/// Bytes of the process in memory: the second number of `/proc/self/statm`, in pages.
fn resident() -> Option<i64> {
    let numbers = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: i64 = numbers.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(i64::try_from(rustix::param::page_size()).ok()?)
}

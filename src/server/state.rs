//! What all requests share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::audit::{Audit, Keeps};
use super::fault::Fault;
use super::keys::{Keys, Scope};
use super::metrics::{Build, Metrics, Now};
use super::settings::ServerSettings;
use super::slices::Slices;
use super::store::Store;
use crate::engine::Engine;
use crate::error::{Facts, Result, shortened};
use crate::package::Package;

/// What all requests share, in each of their hands.
pub(super) type Shared = Arc<App>;

pub(super) struct App {
    pub(super) settings: ServerSettings,
    pub(super) keys: Keys,
    pub(super) metrics: Metrics,
    pub(super) audit: Option<Audit>,
    engine: OnceLock<Loaded>,
    phase: watch::Sender<Phase>,
    /// Whether the engine stood still when it was last looked at.
    stalled: watch::Sender<bool>,
    /// In [`UNIT`]s.
    bodies: Arc<Semaphore>,
    under_way: AtomicUsize,
    /// The files that clients uploaded.
    pub(super) store: Store,
    /// What was read of them for people who leaf through them.
    pub(super) slices: Slices,
    readers: Arc<Semaphore>,
}

/// A loaded package.
pub(super) struct Loaded {
    pub(super) engine: Engine,
    /// Seconds since 1970 at which it was loaded.
    pub(super) created: u64,
}

/// How far the server has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub(super) enum Phase {
    Running,
    /// What is under way may end; nothing new begins.
    Draining,
    /// What is under way ends now.
    Ending,
}

/// Whether the server can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    Loading,
    Ready,
    Stalled,
    Draining,
}

/// Uploaded studies that are read at a time. Each may take as much memory as the reading budget allows.
const READERS: usize = 2;
/// Bytes of bodies are counted in these.
const UNIT: u64 = 1 << 10;

/// Who sent a request, in its extensions.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) scope: Scope,
}

/// A request that keeps the server from ending.
pub(super) struct UnderWay(Shared);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl App {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// Those of [`Keys::open`], [`Package::open`], [`Store::open`] and [`Audit::open`].
    pub(super) fn new(mut settings: ServerSettings) -> Result<Self> {
        let keys = Keys::open(settings.keys.as_deref())?;
        let package = Package::open(&settings.model)?;
        let folder = settings.model.file_name().and_then(|name| name.to_str());
        let name = folder.unwrap_or(&package.manifest().name);
        if settings.names.is_empty() {
            settings.names.push(name.to_owned());
        }
        let metrics = Metrics::new(settings.names.first().map_or(name, String::as_str));
        let keeps = if settings.audit_content { Keeps::Content } else { Keeps::NoContent };
        let audit =
            settings.audit.as_ref().map(|file| Audit::open(file, keeps, metrics.audit_lost())).transpose()?;
        let store = Store::open(&settings.files)?;
        let permits =
            (settings.max_bodies.max(settings.max_body) / UNIT + 1).min(Semaphore::MAX_PERMITS as u64);
        Ok(Self {
            settings,
            keys,
            metrics,
            audit,
            engine: OnceLock::new(),
            phase: watch::Sender::new(Phase::Running),
            stalled: watch::Sender::new(false),
            bodies: Arc::new(Semaphore::new(permits as usize)),
            under_way: AtomicUsize::new(0),
            store,
            slices: Slices::default(),
            readers: Arc::new(Semaphore::new(READERS)),
        })
    }

    /// The package is loaded.
    pub(super) fn loaded(&self, engine: Engine) {
        self.metrics.loaded(&Build {
            package: &engine.package().manifest().name,
            digest: engine.package().digest(),
            provider: &self.settings.engine.provider,
            slots: self.settings.engine.slots,
            context: engine.context(),
        });
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // A server loads once.
        let _ = self.engine.set(Loaded { engine, created });
    }

    pub(super) fn readiness(&self) -> Readiness {
        if *self.phase.borrow() > Phase::Running {
            return Readiness::Draining;
        }
        match self.engine.get() {
            None => Readiness::Loading,
            Some(loaded) if self.is_stalled(&loaded.engine) => Readiness::Stalled,
            Some(_) => Readiness::Ready,
        }
    }

    /// Whether the engine broke down, or has had work for long without ending a round. All who wait for it hear of a change.
    fn is_stalled(&self, engine: &Engine) -> bool {
        let counts = engine.counts();
        let since = counts.last_round.map(|last| Instant::now().saturating_duration_since(last));
        let is_slow = counts.active > 0 && since.is_some_and(|since| since > self.settings.stall);
        let is_stalled = is_slow || !engine.is_alive();
        self.stalled.send_if_modified(|before| std::mem::replace(before, is_stalled) != is_stalled);
        is_stalled
    }

    /// The loaded package, if the server takes requests.
    ///
    /// # Errors
    /// Status 503 while it loads, stands still or is about to end.
    pub(super) fn ready(&self) -> std::result::Result<&Loaded, Fault> {
        match (self.readiness(), self.engine.get()) {
            (Readiness::Ready, Some(loaded)) => Ok(loaded),
            (Readiness::Draining, _) => Err(Fault::unavailable("one that is about to end", "draining")),
            (Readiness::Stalled, _) => Err(stalled()),
            (Readiness::Loading | Readiness::Ready, _) => {
                Err(Fault::unavailable("one that loads its model", "loading"))
            }
        }
    }

    /// Whether a request that waits should give up, and why. It takes no lock of the engine's: somebody else looks.
    pub(super) fn gives_up(&self) -> Option<Fault> {
        if *self.phase.borrow() == Phase::Ending {
            return Some(Fault::unavailable("one that is about to end", "draining"));
        }
        self.stalled.borrow().then(stalled)
    }

    /// How things are, for the metrics.
    pub(super) fn now(&self) -> Now {
        let (loaded, stored) = (self.engine.get(), self.store.usage());
        Now {
            counts: loaded.map(|loaded| loaded.engine.counts()),
            ready: self.readiness() == Readiness::Ready,
            slots: self.settings.engine.slots,
            context: loaded.map_or(0, |loaded| loaded.engine.context()),
            files: stored.files,
            file_bytes: stored.bytes,
        }
    }

    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn stall(&self) -> watch::Receiver<bool> {
        self.stalled.subscribe()
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Counts a request as under way for as long as the result lives.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Counts a request as under way, unless the server is about to end. It may be one that needs no model.
    ///
    /// # Errors
    /// Status 503.
    pub(super) fn enters(self: &Arc<Self>) -> std::result::Result<UnderWay, Fault> {
        match *self.phase.borrow() > Phase::Running {
            true => Err(Fault::unavailable("one that is about to end", "draining")),
            false => Ok(self.begin()),
        }
    }

    /// Waits for a turn to read an uploaded study.
    ///
    /// # Errors
    /// Status 500; there are always turns.
    pub(super) async fn readers(&self) -> std::result::Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.readers).acquire_owned().await.map_err(|_| Fault::internal())
    }

    /// Deletes uploaded files that have expired, and what was read of files that are gone.
    pub(super) fn sweep(&self) {
        let gone = self.store.sweep();
        self.slices.retain(|id| !gone.iter().any(|gone| gone == id) && self.store.is_there(id));
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Takes room for so many bytes of a body.
    ///
    /// # Errors
    /// Status 429 if other requests have it.
    pub(super) fn room(&self, bytes: u64) -> std::result::Result<OwnedSemaphorePermit, Fault> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        Arc::clone(&self.bodies).try_acquire_many_owned(units).map_err(|_| {
            let wanted = format!("bodies of at most {} bytes at once", self.settings.max_bodies);
            Fault::new(axum::http::StatusCode::TOO_MANY_REQUESTS, Facts::new("request", wanted, "more"))
                .code("too_many_bytes")
                .retry_after(2)
                .hint("send it again later")
        })
    }

    /// What keeps the memory of one key's requests apart from that of others; none if they share it.
    pub(super) fn reuse_scope(&self, caller: &Caller) -> Option<Arc<[u8]>> {
        let is_shared = self.settings.share_reuse || !self.keys.are_needed();
        (!is_shared).then(|| Arc::clone(&caller.scope))
    }

    /// Names of the model for clients, the first in replies.
    pub(super) fn names(&self) -> &[String] {
        &self.settings.names
    }

    /// The name that a client used, if it is one of the model's; the first without one.
    ///
    /// # Errors
    /// Status 404 for another name.
    pub(super) fn known(&self, name: Option<&str>) -> std::result::Result<&str, Fault> {
        let names = self.names();
        let found = match name {
            None => names.first(),
            Some(name) => names.iter().find(|known| **known == name),
        };
        found.map(String::as_str).ok_or_else(|| {
            let mut fault =
                Fault::not_found("model", names.join(" or ")).code("model_not_found").param("model");
            fault.facts.got = shortened(name.unwrap_or_default(), 100);
            fault.hint("GET /v1/models lists the names")
        })
    }
}

fn stalled() -> Fault {
    Fault::unavailable("one whose engine stands still", "stalled").hint("its operator must look at it")
}

//! The server from its start to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::routes::router;
use super::settings::ServerSettings;
use super::state::{App, Phase, Shared};
use super::tls::Tls;
use super::{allocator, listen};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// How long connections may take to send their last bytes.
const LAST_BYTES: Duration = Duration::from_secs(3);
/// How often a server that is about to end looks whether anything is under way.
const GLANCE: Duration = Duration::from_millis(50);
/// How often somebody looks whether the engine stands still.
const STALL: Duration = Duration::from_secs(1);
/// How often it is looked for uploaded files that have expired. Nobody finds them from then on in any case.
const SWEEP: Duration = Duration::from_secs(15);
/// Threads that wait for answers or read uploads, beside one for each answer.
const SPARE_THREADS: usize = 64;
/// Answers that have a thread each, at most.
const MOST_THREADS: usize = 4096;

/// Runs a server until it gets SIGTERM or SIGINT. `on_listening` is told where it listens before the package is loaded.
/// SIGHUP has it read keys and certificates again, and open the audit's file anew.
///
/// # Errors
/// [`Error::Request`] for settings that cannot be met, such as an address that other machines reach without keys, and what
/// [`Engine::open`] may return. A second signal ends the process at once.
pub fn serve(settings: ServerSettings, on_listening: impl FnOnce(SocketAddr)) -> Result<()> {
    check(&settings)?;
    allocator::return_large_blocks();
    let runtime = runtime(&settings)?;
    let ended = runtime.block_on(run(settings, on_listening));
    // A reader that does not look at its switch must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

fn runtime(settings: &ServerSettings) -> Result<Runtime> {
    let answers = settings.engine.slots.saturating_add(settings.engine.queue).min(MOST_THREADS);
    Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(answers + SPARE_THREADS)
        .thread_name("fleming-server")
        .enable_all()
        .build()
        .map_err(|error| Error::runtime("server", "threads", error).hint("raise the limit on threads"))
}

fn check(settings: &ServerSettings) -> Result<()> {
    if settings.keys.is_none() && !settings.address.ip().is_loopback() {
        let got = format!("{}, and no keys", settings.address.ip());
        return Err(Error::request("--host", "an address of this machine alone, or keys", got)
            .hint("name a file of keys with --keys, or leave --host out"));
    }
    Ok(())
}

async fn run(settings: ServerSettings, on_listening: impl FnOnce(SocketAddr)) -> Result<()> {
    let tls = settings.tls.as_ref().map(Tls::open).transpose()?.map(Arc::new);
    let app = Arc::new(App::new(settings)?);
    let mut signals = Signals::new()?;
    let address = app.settings.address;
    let refuse = |error: std::io::Error| {
        Error::request("--port", format!("{address} to listen at"), error).hint("choose another port")
    };
    let listener = TcpListener::bind(address).await.map_err(refuse)?;
    on_listening(listener.local_addr().map_err(refuse)?);
    let mut serving = tokio::spawn(listen::serve(app.clone(), listener, router(app.clone()), tls.clone()));

    tokio::spawn(sweep(app.clone()));
    tokio::spawn(watch(app.clone()));
    let opening = app.clone();
    let mut loading = spawn_blocking(move || open(&opening));
    let mut loaded = false;
    loop {
        tokio::select! {
            opened = &mut loading, if !loaded => {
                opened.map_err(|error| Error::runtime("engine", "to load", error).hint("look at the log before it"))??;
                loaded = true;
            }
            asked = signals.next() => match asked {
                Asked::Reload => reload(&app, tls.as_deref()),
                Asked::End => break,
            },
        }
    }
    app.enter(Phase::Draining);
    tracing::info!(target: "fleming::server", under_way = app.under_way(), "draining");
    tokio::select! {
        () = drained(&app) => {}
        () = sleep(app.settings.drain) => {}
        () = signals.end() => {}
    }
    app.enter(Phase::Ending);
    let _ = timeout(LAST_BYTES, &mut serving).await;
    Ok(())
}

/// Deletes uploaded files when they have expired.
async fn sweep(app: Shared) {
    loop {
        sleep(SWEEP).await;
        let app = app.clone();
        if spawn_blocking(move || app.sweep()).await.is_err() {
            tracing::error!(target: "fleming::server", "expired files could not be deleted");
        }
    }
}

/// Looks whether the engine stands still, once for all requests.
async fn watch(app: Shared) {
    loop {
        sleep(STALL).await;
        app.readiness();
    }
}

fn open(app: &App) -> Result<()> {
    let engine = Engine::open(&app.settings.model, &app.settings.engine)?;
    tracing::info!(target: "fleming::server", "ready");
    app.loaded(engine);
    Ok(())
}

/// Waits until nothing is under way.
async fn drained(app: &Shared) {
    while app.under_way() > 0 {
        sleep(GLANCE).await;
    }
}

/// Reads again what may have changed. What cannot be read stays as it was.
fn reload(app: &App, tls: Option<&Tls>) {
    if let Some(audit) = &app.audit {
        audit.reopen();
    }
    let read = [("keys", app.keys.reload()), ("certificate", tls.map_or(Ok(()), Tls::reload))];
    for (what, read) in read {
        match read {
            Ok(()) => tracing::info!(target: "fleming::server", what, "read again"),
            Err(error) => tracing::error!(target: "fleming::server", what, %error, "kept as it was"),
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Reload,
    End,
}

impl Signals {
    fn new() -> Result<Self> {
        let of = |kind| {
            signal(kind).map_err(|error| {
                Error::runtime("signals", "to be heard", error).hint("look at the system's log")
            })
        };
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hang_up: of(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// The next that asks the server to end.
    async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}

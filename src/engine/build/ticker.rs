//! The log of a build, which takes minutes.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::engine::threads;

/// The log's target, by which the command line shows it.
pub(super) const LOG: &str = "fleming::build";
/// How often a line is logged.
const INTERVAL: Duration = Duration::from_secs(10);

/// Logs every few seconds that a plan is being built, until it is dropped.
pub(super) struct Ticker {
    graph: String,
    started: Instant,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts to log.
    pub(super) fn start(graph: &str) -> Self {
        Self::every(INTERVAL, graph)
    }

    fn every(interval: Duration, graph: &str) -> Self {
        tracing::info!(target: LOG, graph, "building its plan, which takes minutes");
        let (stop, stopped) = mpsc::channel();
        let (started, name) = (Instant::now(), graph.to_owned());
        let tick = move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                tracing::info!(target: LOG, graph = name, seconds = started.elapsed().as_secs(), "still building");
            }
        };
        let thread = threads::start("fleming-build", tick).ok();
        Self { graph: graph.into(), started, stop: Some(stop), thread }
    }

    /// Logs that the plan is built.
    pub(super) fn done(mut self) {
        self.end();
        let (graph, seconds) = (self.graph.as_str(), self.started.elapsed().as_secs_f64());
        tracing::info!(target: LOG, graph, seconds, "built");
    }

    fn end(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::dispatcher;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged while `act` runs, as the command line shows it. `act` can read it meanwhile.
    fn logged(act: impl FnOnce(&Lines)) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        // with a single subscriber, tracing caches that nobody listens to what other tests log first
        let _other = dispatcher::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
        dispatcher::with_default(&log.into(), || act(&lines));
        lines.text()
    }

    #[test]
    fn a_build_is_logged_while_it_lasts() {
        let log = logged(|lines| {
            let ticker = Ticker::every(Duration::from_millis(1), "vision.onnx");
            while lines.text().lines().count() < 3 {
                std::thread::yield_now();
            }
            ticker.done();
        });
        let lines: Vec<_> = log.lines().collect();
        assert!(lines.iter().all(|line| line.contains("INFO fleming::build: ")), "{log}");
        assert!(lines[0].contains("which takes minutes") && lines[0].contains("vision.onnx"), "{log}");
        assert!(lines[1].contains("still building"), "{log}");
        assert!(lines[lines.len() - 1].contains("built graph=\"vision.onnx\" seconds="), "{log}");
        // a build that fails is not logged as built
        let log = logged(|_| drop(Ticker::every(Duration::from_secs(60), "vision.onnx")));
        assert_eq!(log.lines().count(), 1, "{log}");
    }
}

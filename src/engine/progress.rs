//! That something takes minutes is told while it lasts.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::logging::logged_here;

/// What the log of it is called, so that the command line can show it.
pub(super) const LOG: &str = "fleming::build";
/// How often it is told.
const TELL: Duration = Duration::from_secs(10);

/// Tells every few seconds that an engine is being built, until it goes.
pub(super) struct Progress {
    graph: String,
    started: Instant,
    stop: Option<Sender<()>>,
    teller: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to tell.
    pub(super) fn start(graph: &str) -> Self {
        Self::telling(graph, TELL)
    }

    fn telling(graph: &str, every: Duration) -> Self {
        tracing::info!(target: LOG, graph, "building its engines, which takes minutes");
        let (stop, stopped) = mpsc::channel();
        let (started, name) = (Instant::now(), graph.to_owned());
        let tell = move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                tracing::info!(target: LOG, graph = name, seconds = started.elapsed().as_secs(), "still building");
            }
        };
        let teller = thread::Builder::new().name("fleming-build".into()).spawn(logged_here(tell)).ok();
        Self { graph: graph.into(), started, stop: Some(stop), teller }
    }

    /// It is built.
    pub(super) fn done(mut self) {
        self.end();
        let (graph, seconds) = (self.graph.as_str(), self.started.elapsed().as_secs_f64());
        tracing::info!(target: LOG, graph, seconds, "built");
    }

    fn end(&mut self) {
        self.stop.take();
        if let Some(teller) = self.teller.take() {
            let _ = teller.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(all(test, feature = "cli"))]
mod tests {
    use tracing::dispatcher;

    use super::*;

    /// What is logged while `act` runs, as the command line shows it.
    fn logged(act: impl FnOnce()) -> String {
        use std::io::{self, Write};
        use std::sync::{Arc, Mutex};

        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        // with one alone, tracing takes for nobody's what other tests log first
        let _other = dispatcher::Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish());
        dispatcher::with_default(&log.into(), act);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_build_is_told_while_it_lasts() {
        let said = logged(|| {
            let progress = Progress::telling("vision.onnx", Duration::from_millis(20));
            thread::sleep(Duration::from_millis(200));
            progress.done();
        });
        let lines: Vec<_> = said.lines().collect();
        assert!(
            lines.len() >= 3 && lines.iter().all(|line| line.contains("INFO fleming::build: ")),
            "{said}"
        );
        assert!(lines[0].contains("which takes minutes") && lines[0].contains("vision.onnx"), "{said}");
        assert!(lines[1].contains("still building") && lines[1].contains("seconds=0"), "{said}");
        assert!(lines[lines.len() - 1].contains("built graph=\"vision.onnx\" seconds="), "{said}");
        // one that fails is not told to be built, and no longer to be building
        let said = logged(|| drop(Progress::telling("vision.onnx", Duration::from_secs(60))));
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

//! The thread that writes the audit. A slow or full disk costs lines, never an answer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;
use serde_json::json;

use super::entry::{Entry, Keeps, time_of};
use super::file::LineFile;
use super::line::line;
use crate::error::{Error, Result};

/// Lines that may wait for the disk.
const WAITING: usize = 4096;

/// Where requests are written down.
pub(crate) struct Audit {
    keeps: Keeps,
    /// Gone when the server ends.
    lines: Option<SyncSender<Work>>,
    reopen: Arc<AtomicBool>,
    lost: Counter,
    thread: Option<JoinHandle<()>>,
}

enum Work {
    Line(String),
    /// Look at what was asked for.
    Wake,
}

impl Audit {
    /// Opens the file and starts the thread that writes. `lost` counts the lines that could not be written.
    ///
    /// # Errors
    /// [`Error::Input`] if the file cannot be opened, [`Error::Runtime`] if no thread starts.
    pub(crate) fn open(path: &Path, keeps: Keeps, lost: Counter) -> Result<Self> {
        let file = LineFile::open(path).map_err(|error| {
            Error::input(path.display(), "a file that lines can be appended to", error)
                .hint("name another with --audit, or let this user write to it")
        })?;
        let (lines, work) = mpsc::sync_channel(WAITING);
        let reopen = Arc::new(AtomicBool::new(false));
        let writer = Writer { file, reopen: Arc::clone(&reopen), lost: lost.clone(), missing: 0 };
        let thread = thread::Builder::new()
            .name("fleming-audit".into())
            .spawn(move || writer.run(&work))
            .map_err(|error| {
                Error::runtime("audit", "a thread to write it", error).hint("raise the limit on threads")
            })?;
        Ok(Self { keeps, lines: Some(lines), reopen, lost, thread: Some(thread) })
    }

    /// Whether questions and answers are written too, so that nobody gathers them in vain.
    pub(crate) fn keeps(&self) -> Keeps {
        self.keeps
    }

    /// Writes a request down. It never waits: where the disk is that far behind, the line is lost and counted.
    pub(crate) fn write(&self, entry: &Entry) {
        let line = entry.line(SystemTime::now(), self.keeps);
        let sent = line
            .ok()
            .zip(self.lines.as_ref())
            .is_some_and(|(line, lines)| lines.try_send(Work::Line(line)).is_ok());
        if !sent {
            self.lost.inc();
        }
    }

    /// Has the file opened anew, because the system has renamed it.
    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        // A thread that has lines to write looks by itself.
        let _ = self.lines.as_ref().map(|lines| lines.try_send(Work::Wake));
    }
}

/// What was handed in is written before the end.
impl Drop for Audit {
    fn drop(&mut self) {
        drop(self.lines.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
struct Writer {
    file: LineFile,
    reopen: Arc<AtomicBool>,
    lost: Counter,
    /// Lines that could not be written since the last one that was.
    missing: u64,
}

impl Writer {
    fn run(mut self, work: &Receiver<Work>) {
        for work in work {
            if self.reopen.swap(false, Ordering::AcqRel) {
                self.reopen();
            }
            if let Work::Line(line) = work {
                self.write(&line);
            }
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.file.reopen() {
            let file = self.file.path().display();
            tracing::error!(%file, %error, "the audit file cannot be opened anew; the old one is written on");
        }
    }

    /// Appends a line. After a gap, a line before it says how many are missing.
    fn write(&mut self, text: &str) {
        let gap = match self.missing {
            0 => String::new(),
            missing => {
                let gap = json!({"time": time_of(SystemTime::now()), "lost": missing});
                line(&gap).unwrap_or_default()
            }
        };
        let file = self.file.path().display().to_string();
        match self.file.append(&(gap + text)) {
            Ok(()) if self.missing > 0 => {
                tracing::warn!(%file, lost = self.missing, "the audit file can be written again");
                self.missing = 0;
            }
            Ok(()) => {}
            Err(error) => {
                // Said once for each gap: a full disk would otherwise fill with it.
                if self.missing == 0 {
                    tracing::error!(%file, %error, "the audit file cannot be written: lines are lost");
                }
                self.missing += 1;
                self.lost.inc();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use serde_json::Value;

    use super::*;

    fn entry(request: &str) -> Entry {
        Entry { request: request.into(), ..Entry::default() }
    }

    fn requests(path: &Path) -> Vec<String> {
        let read =
            |line: &str| serde_json::from_str::<Value>(line).unwrap()["request"].as_str().unwrap().to_owned();
        fs::read_to_string(path).unwrap().lines().map(read).collect()
    }

    #[test]
    fn lines_are_appended_in_order_and_only_the_owner_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for names in [["a", "b"], ["c", "d"]] {
            let audit = Audit::open(&path, Keeps::NoContent, Counter::default()).unwrap();
            names.iter().for_each(|name| audit.write(&entry(name)));
        }
        assert_eq!(requests(&path), ["a", "b", "c", "d"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_renamed_file_is_left_when_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("audit"), folder.path().join("audit.1"));
        let audit = Audit::open(&path, Keeps::NoContent, Counter::default()).unwrap();
        audit.write(&entry("a"));
        // Until it is written; no test asserts how long that takes.
        while fs::read_to_string(&path).unwrap().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        fs::rename(&path, &old).unwrap();
        audit.reopen();
        audit.write(&entry("b"));
        drop(audit);
        assert_eq!((requests(&old), requests(&path)), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let error = Audit::open(folder.path(), Keeps::NoContent, Counter::default()).err().unwrap();
        assert!(error.to_string().contains("a file that lines can be appended to"), "{error}");
    }

    /// Linux' device on which every write fails as on a full disk.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_costs_lines_that_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (path, free) = (folder.path().join("audit"), folder.path().join("free"));
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let lost = Counter::<u64>::default();
        let audit = Audit::open(&path, Keeps::NoContent, lost.clone()).unwrap();
        audit.write(&entry("a"));
        audit.write(&entry("b"));
        while lost.get() < 2 {
            thread::sleep(Duration::from_millis(1));
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&free, &path).unwrap();
        audit.reopen();
        audit.write(&entry("c"));
        drop(audit);
        let lines = fs::read_to_string(&free).unwrap();
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((lines.len(), &lines[0]["lost"], &lines[1]["request"]), (2, &json!(2), &json!("c")));
        assert_eq!(lost.get(), 2);
    }
}

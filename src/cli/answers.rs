//! The file of answers that a batch appends to, one JSON object a line.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Result;
use fleming::wire::FORM_CUT_OFF;
use serde_json::Value;

use super::files;
use super::output::note;
use super::refusal::{unusable, unwritable};

/// The open file. While it is open no other run may write it.
pub(super) struct Answers {
    file: File,
    name: String,
    /// How often an id stands in the file.
    done: HashMap<String, usize>,
    /// Digest of the package that gave the answers, if there are any.
    package: Option<String>,
    /// Failures among what is done.
    pub(super) failed: usize,
    /// Answers among it that were cut off before they had the form that was asked for.
    pub(super) cut: usize,
}

impl Answers {
    /// Opens or creates the file and reads what is in it. The last line of a run that was killed while it wrote is
    /// dropped.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let mut file = files::append(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                return Err(unusable(
                    &name,
                    "a file of this run alone",
                    &"one that another run is writing",
                    "wait for the other run, or name another file",
                ));
            }
            locked => locked.map_err(|error| {
                unusable(&name, "a file that can be locked", &error, "name a file on another disk")
            })?,
        }
        let mut bytes = Vec::new();
        // What an earlier run wrote is in a file: a device or a pipe would be read without end.
        let is_file = file.metadata().is_ok_and(|facts| facts.is_file());
        Read::by_ref(&mut file).take(if is_file { u64::MAX } else { 0 }).read_to_end(&mut bytes).map_err(
            |error| unusable(&name, "a readable file", &error, "check the file and its permissions"),
        )?;
        let mut answers = Self { file, name, done: HashMap::new(), package: None, failed: 0, cut: 0 };
        answers.read(&bytes)?;
        Ok(answers)
    }

    fn read(&mut self, bytes: &[u8]) -> Result<()> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for (number, line) in (1..).zip(bytes[..whole].split(|byte| *byte == b'\n')) {
            if !line.is_empty() {
                self.count(number, line)?;
            }
        }
        let torn = &bytes[whole..];
        if torn.is_empty() {
            return Ok(());
        }
        if !torn.starts_with(b"{") {
            return Err(self.foreign("its last line", "something else"));
        }
        note(format_args!(
            "warning: {}: its last line was cut short, as by a run that was killed, and is dropped",
            self.name
        ));
        let cut = self.file.set_len(whole as u64).and_then(|()| self.file.seek(SeekFrom::End(0)));
        cut.map(drop).map_err(|error| self.unwritable(&error))
    }

    fn count(&mut self, number: usize, line: &[u8]) -> Result<()> {
        let place = format!("line {number}");
        let answer: Value =
            serde_json::from_slice(line).map_err(|error| self.foreign(&place, &error.to_string()))?;
        let Some(id) = answer.get("id") else { return Err(self.foreign(&place, "no id")) };
        if answer.get("error").is_some() {
            self.failed += 1;
        } else if let Some(digest) = answer["package"]["digest"].as_str() {
            match &self.package {
                Some(other) if other != digest => {
                    return Err(self.foreign(&place, "an answer of another package"));
                }
                _ => self.package = Some(digest.to_owned()),
            }
        }
        self.cut += usize::from(answer["form"] == FORM_CUT_OFF);
        *self.done.entry(id.to_string()).or_default() += 1;
        Ok(())
    }

    fn unwritable(&self, error: &std::io::Error) -> anyhow::Error {
        unwritable(Path::new(&self.name), error)
    }

    fn foreign(&self, place: &str, got: &str) -> anyhow::Error {
        let thing = format!("{}, {place}", self.name);
        unusable(&thing, "an answer as 'fleming batch' writes it", &got, "name another file for the answers")
    }

    /// Refuses to go on with another package than the one that gave the answers so far.
    pub(super) fn expect_package(&self, digest: &str) -> Result<()> {
        match &self.package {
            Some(other) if other != digest => Err(unusable(
                &self.name,
                &format!("answers of the package {digest}"),
                &format!("answers of {other}"),
                "name another file for this package's answers",
            )),
            _ => Ok(()),
        }
    }

    /// Whether one more line of this id is done. Lines of the same id are told apart by their order.
    pub(super) fn take(&mut self, id: &Value) -> bool {
        match self.done.get_mut(&id.to_string()) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }

    /// Appends a line with one write, so that a run that is killed tears at most the last one.
    pub(super) fn append(&mut self, answer: &Value) -> Result<()> {
        let line = format!("{answer}\n");
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.flush())
            .map_err(|error| self.unwritable(&error))?;
        self.failed += usize::from(answer.get("error").is_some());
        self.cut += usize::from(answer["form"] == FORM_CUT_OFF);
        Ok(())
    }
}

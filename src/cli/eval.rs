//! `fleming eval`: how many of a file of questions are answered right.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use fleming::{AskOptions, Finish, Reply, Tracing};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Value, json};

use super::json::Report;
use super::lines::{self, Line};
use super::options::{GenerationArguments, INTERRUPTED, RuntimeArguments, cancel_on_interrupt, unusable};
use super::studies::Selection;
use super::{emit, trace};

/// Ask the questions of a file and count the right answers, by kind.
///
/// An answer is right if it is the expected one after case, punctuation and white space are evened out. A case that
/// cannot be asked counts as wrong, and its error goes into the output file.
#[derive(Args)]
pub(super) struct Eval {
    /// Cases, one JSON object a line: id, kind, question, answer; image(s), volume(s), video(s) relative to the file; history
    #[arg(value_name = "CASES.jsonl")]
    cases: PathBuf,
    /// Write what came of each case here, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Write the tensors of every stage of each case into a numbered folder in this one
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    generation: GenerationArguments,
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Print the table as one JSON object
    #[arg(long)]
    json: bool,
}

/// One question with the answer that is expected. Other fields of the line are its maker's own.
#[derive(Deserialize)]
struct Case {
    kind: String,
    answer: String,
    #[serde(flatten)]
    line: Line,
}

/// What is counted for one kind of case.
#[derive(Default)]
struct Count {
    cases: usize,
    right: usize,
    errors: usize,
}

impl Eval {
    pub(super) fn run(self) -> Result<ExitCode> {
        let cases = cases(&self.cases)?;
        let cancel = cancel_on_interrupt()?;
        let tracing = if self.trace.is_some() { Tracing::Tensors } else { Tracing::Off };
        let options = AskOptions { tracing, ..self.generation.options(cancel)? };
        let mut output = self.output.as_deref().map(create).transpose()?;
        let started = Instant::now();
        let engine = self.runtime.open(1)?;
        let (load, package) = (started.elapsed(), engine.package());
        let folder = self.cases.parent().unwrap_or(Path::new(""));
        let bar =
            if stderr().is_terminal() { ProgressBar::new(cases.len() as u64) } else { ProgressBar::hidden() };

        let selection = Selection::default();
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        for (number, case) in (1..).zip(&cases) {
            let request = case.line.request(package.manifest().placeholder(), folder, &selection);
            let reply = engine.ask(&request, &options, &mut |_event| {});
            if matches!(&reply, Ok(Reply { finish: Finish::Cancelled, .. })) {
                return Ok(ExitCode::from(INTERRUPTED));
            }
            if let (Some(folder), Ok(reply)) = (&self.trace, &reply) {
                let report = Report { reply, load, name: &package.manifest().name, digest: package.digest() };
                trace::write(&folder.join(format!("{number:04}")), &report)?;
            }
            let right = counts.entry(&case.kind).or_default().add(case, &reply);
            if let Some(output) = &mut output {
                writeln!(output, "{}", case.outcome(&reply, right)).context("output file")?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        emit(if self.json { format!("{}\n", to_json(&counts)) } else { to_table(&counts) });
        Ok(ExitCode::SUCCESS)
    }
}

impl Case {
    /// The line of the output file.
    fn outcome(&self, reply: &fleming::Result<Reply>, right: Right) -> Value {
        let mut line = json!({"id": self.line.id, "kind": self.kind, "expected": self.answer, "right": right == Right::Yes});
        match reply {
            Ok(reply) => {
                line["answer"] = reply.answer.as_str().into();
                line["text"] = reply.text.as_str().into();
            }
            Err(error) => line["error"] = error.to_string().into(),
        }
        line
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Right {
    Yes,
    No,
}

impl Count {
    fn add(&mut self, case: &Case, reply: &fleming::Result<Reply>) -> Right {
        self.cases += 1;
        match reply {
            Ok(reply) if normalised(&reply.answer) == normalised(&case.answer) => {
                self.right += 1;
                return Right::Yes;
            }
            Ok(_) => {}
            Err(_) => self.errors += 1,
        }
        Right::No
    }

    fn accuracy(&self) -> f64 {
        self.right as f64 / self.cases as f64
    }
}

/// Words in lower case with single spaces between them; what is neither letter nor digit parts words.
fn normalised(answer: &str) -> String {
    let lower = answer.to_lowercase();
    let words: Vec<_> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn to_json(counts: &BTreeMap<&str, Count>) -> Value {
    let kind = |(kind, count): (&&str, &Count)| {
        let facts = json!({"accuracy": count.accuracy(), "count": count.cases, "errors": count.errors});
        ((*kind).to_owned(), facts)
    };
    json!({"kinds": counts.iter().map(kind).collect::<serde_json::Map<_, _>>()})
}

fn to_table(counts: &BTreeMap<&str, Count>) -> String {
    let row = |(kind, count): (&&str, &Count)| {
        format!("{kind:<12} {:>8.1} % {:>8} {:>8}\n", 100.0 * count.accuracy(), count.cases, count.errors)
    };
    let rows: String = counts.iter().map(row).collect();
    format!("{:<12} {:>10} {:>8} {:>8}\n{rows}", "kind", "accuracy", "cases", "errors")
}

fn cases(path: &Path) -> Result<Vec<Case>> {
    let name = path.display().to_string();
    let read = |(number, line): (usize, Vec<u8>)| {
        let place = format!("{name}, line {number}");
        serde_json::from_slice(&line).map_err(|error| unusable(&place, "a case as a JSON object", &error))
    };
    let cases: Vec<Case> = lines::read(path)?.into_iter().map(read).collect::<Result<_>>()?;
    if cases.is_empty() {
        return Err(unusable(&name, "at least one case", &"none"));
    }
    Ok(cases)
}

fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_evened_out() {
        for (answer, same) in
            [("B. CT scan.", "b ct scan"), ("  Left  chest-wall!", "LEFT CHEST WALL"), ("2,5 mm", "2.5 mm")]
        {
            assert_eq!(normalised(answer), normalised(same));
        }
        assert_ne!(normalised("left"), normalised("right"));
    }
}

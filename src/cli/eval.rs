//! `fleming eval`: how many of a file of questions are answered right.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use fleming::wire::{self, Case, Chosen, Files, Report, counted};
use fleming::{AskOptions, Cancel, Engine, Modality, Reply, Tracing};
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::arguments::{Asking, Given};
use super::exit::{INTERRUPTED, cancel_on_interrupt};
use super::lines::{self, Line};
use super::options::RuntimeArguments;
use super::output::note;
use super::refusal::{unusable, unwritable};
use super::studies::add_kinds;
use super::{cut, emit, files, trace};

/// Ask the questions of a file and count the right answers, by kind.
///
/// An answer is right if it is the expected one after case, punctuation and white space are evened out. A case that
/// cannot be asked counts as wrong, and its error goes into the output file.
#[derive(Args)]
pub(super) struct Eval {
    /// Cases, one JSON object a line: id, kind, answer, and what a line of 'fleming batch' has
    #[arg(value_name = "CASES.jsonl")]
    cases: PathBuf,
    /// Write what came of each case here, one JSON object a line
    #[arg(long, value_name = "FILE.jsonl")]
    output: Option<PathBuf>,
    /// Write the tensors of every stage of each case into a numbered folder in this one
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    given: Given<Asking>,
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Print the table as one JSON object
    #[arg(long)]
    json: bool,
}

/// One question with the answer that is expected.
struct Expected {
    id: Value,
    kind: String,
    answer: String,
    /// The whole line.
    fields: Map<String, Value>,
}

/// What is counted for one kind of case.
#[derive(Default)]
struct Count {
    cases: usize,
    right: usize,
    errors: usize,
}

/// What every case is asked with.
struct Examiner<'a> {
    engine: &'a Engine,
    given: Chosen,
    folder: &'a Path,
    tracing: Tracing,
    cancel: Cancel,
    /// Fields that were not read, and in how many cases.
    unread: BTreeMap<String, usize>,
    /// Replies that were cut off.
    cut: usize,
    /// Of what was looked at, each once.
    kinds: Vec<Modality>,
}

/// What came of a case.
struct Asked {
    reply: Reply,
    form: Option<&'static str>,
}

impl Eval {
    pub(super) fn run(self) -> Result<ExitCode> {
        let cases = cases(&self.cases)?;
        let cancel = cancel_on_interrupt()?;
        let given = self.given.chosen()?;
        given.options()?.ask.check()?;
        self.trace.as_deref().map(trace::make).transpose()?;
        let mut output = self.output.as_deref().map(files::create).transpose()?;
        let started = Instant::now();
        let engine = self.runtime.open(1)?;
        let (load, package) = (started.elapsed(), engine.package());
        let folder = self.cases.parent().unwrap_or(Path::new(""));
        let tracing = if self.trace.is_some() { Tracing::Tensors } else { Tracing::Off };
        let (unread, cut, kinds) = (BTreeMap::new(), 0, Vec::new());
        let mut examiner = Examiner { engine: &engine, given, folder, tracing, cancel, unread, cut, kinds };
        let bar =
            if stderr().is_terminal() { ProgressBar::new(cases.len() as u64) } else { ProgressBar::hidden() };
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        for (number, case) in (1..).zip(&cases) {
            let asked = examiner.ask(case);
            if examiner.cancel.is_cancelled() {
                return Ok(ExitCode::from(INTERRUPTED));
            }
            if let (Some(folder), Ok(Asked { reply, .. })) = (&self.trace, &asked) {
                let report = Report { reply, package, load };
                trace::write(&folder.join(format!("{number:04}")), &report)?;
            }
            let right = counts.entry(&case.kind).or_default().add(case, &asked);
            if let (Some(output), Some(path)) = (&mut output, &self.output) {
                writeln!(output, "{}", case.outcome(&asked, right))
                    .map_err(|error| unwritable(path, &error))?;
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        for (field, count) in &examiner.unread {
            note(format_args!(
                "warning: the field {field} of {} is unknown and was not used",
                counted(*count, "case")
            ));
        }
        // A case that failed may have had studies of other kinds.
        let all_asked = counts.values().all(|count| count.errors == 0);
        if let (Err(unused), true) = (examiner.given.fit(&examiner.kinds), all_asked) {
            note(format_args!("warning: {unused}"));
        }
        if examiner.cut > 0 {
            note(format_args!("warning: replies that were cut off: {}", examiner.cut));
        }
        emit(if self.json { format!("{}\n", to_json(&counts)) } else { to_table(&counts) });
        Ok(ExitCode::SUCCESS)
    }
}

impl Examiner<'_> {
    fn ask(&mut self, expected: &Expected) -> fleming::Result<Asked> {
        let case = Case::read(&expected.fields, &self.given, Files::Read(self.folder))?;
        for field in &case.unread {
            *self.unread.entry(field.clone()).or_default() += 1;
        }
        let request = case.request(self.engine.package().manifest().placeholder());
        let (tracing, cancel) = (self.tracing, self.cancel.clone());
        let options = AskOptions { tracing, cancel, ..case.options.ask };
        let reply = self.engine.ask(&request, &options, &mut |_event| {})?;
        self.cut += usize::from(cut::remark(&reply, &options).is_some());
        add_kinds(&mut self.kinds, &reply);
        Ok(Asked { form: wire::form(&reply, &options), reply })
    }
}

impl Expected {
    /// The line of the output file.
    fn outcome(&self, asked: &fleming::Result<Asked>, right: Right) -> Value {
        let mut line =
            json!({"id": self.id, "kind": self.kind, "expected": self.answer, "right": right == Right::Yes});
        match asked {
            Ok(Asked { reply, form }) => {
                let mut object = wire::reply(reply);
                for field in ["answer", "text", "finish", "truncated"] {
                    line[field] = object[field].take();
                }
                if let Some(form) = form {
                    line["form"] = (*form).into();
                }
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
    fn add(&mut self, case: &Expected, asked: &fleming::Result<Asked>) -> Right {
        self.cases += 1;
        match asked {
            Ok(Asked { reply, .. }) if normalised(&reply.answer) == normalised(&case.answer) => {
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

fn cases(path: &Path) -> Result<Vec<Expected>> {
    let name = path.display().to_string();
    let read = |Line { number, text }: Line| {
        let expected = text.map_err(|error| error.facts().got.clone()).and_then(|text| expected(&text));
        expected.map_err(|got| {
            let wanted = "a case as a JSON object with id, kind, question and answer, in UTF-8";
            unusable(&format!("{name}, line {number}"), wanted, &got, "correct the line")
        })
    };
    let cases: Vec<_> = lines::read(path)?.into_iter().map(read).collect::<Result<_>>()?;
    if cases.is_empty() {
        return Err(unusable(&name, "at least one case", &"none", "write one on a line"));
    }
    Ok(cases)
}

/// A line as a case, or what stands there instead.
fn expected(line: &str) -> Result<Expected, String> {
    let fields = wire::json_object(line).map_err(|error| error.to_string())?;
    let field = |name: &str| fields.get(name).ok_or_else(|| format!("no {name}"));
    let text = |name: &str| {
        let value = field(name)?;
        value.as_str().map(str::to_owned).ok_or_else(|| format!("the {name} {value}"))
    };
    let (id, kind, answer) = (field("id")?.clone(), text("kind")?, text("answer")?);
    field("question")?;
    Ok(Expected { id, kind, answer, fields })
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

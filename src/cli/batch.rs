//! `fleming batch`: a file of questions to a file of answers.

use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use anyhow::Result;
use clap::Args;
use fleming::wire::{self, Case, Chosen, Files, Whole, counted};
use fleming::{AskOptions, Cancel, Engine, Finish, Modality};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::answers::Answers;
use super::arguments::{Asking, Given};
use super::exit::{CUT_OFF, INTERRUPTED, SOME_FAILED, cancel_on_interrupt};
use super::lines::{self, Line};
use super::options::RuntimeArguments;
use super::output::note;
use super::refusal::{failure, unusable};
use super::studies::add_kinds;

/// Ask the questions of a file and append the answers to another, in the same order.
///
/// A line is a JSON object: id and question; image(s), volume(s), video(s) or file(s), relative to the file of questions, or
/// studies, a list such as [{"volume": FILE, "slices": 5}, {"image": FILE}] for an order and options of their own; history; and
/// any option below by its name, such as "max_new_tokens": 64, "prompt": "direct", which then holds instead of the command line's. Lines whose id is
/// in the file of answers are skipped, failed ones too: a run that was stopped goes on where it was.
#[derive(Args)]
pub(super) struct Batch {
    /// The questions, one JSON object a line
    #[arg(value_name = "IN.jsonl")]
    input: PathBuf,
    /// The answers, one JSON object a line; appended to
    #[arg(value_name = "OUT.jsonl")]
    output: PathBuf,
    /// Questions asked at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    concurrency: usize,
    /// Only the i-th of n equal parts, from 1/n to n/n; each part needs a file of answers of its own
    #[arg(long, value_name = "i/n", default_value = "1/1")]
    shard: Shard,
    #[command(flatten)]
    given: Given<Asking>,
    #[command(flatten)]
    runtime: RuntimeArguments,
}

#[derive(Clone, Copy)]
struct Shard {
    part: usize,
    parts: usize,
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((part, parts)) if part >= 1 && part <= parts => Ok(Self { part, parts }),
            _ => Err("wanted i/n with i from 1 to n, such as 1/4"),
        }
    }
}

/// Whole numbers of JSON are exact below this one, 2⁵³.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A line that is to be answered.
struct Task {
    number: usize,
    id: Value,
    /// The line, or why it cannot be asked.
    asked: Result<String, Value>,
}

/// What every worker has.
struct Work<'a> {
    engine: &'a Engine,
    given: &'a Chosen,
    folder: &'a Path,
    tasks: &'a [Task],
    next: AtomicUsize,
    cancel: Cancel,
    /// Kinds of studies that were looked at.
    kinds: Mutex<Vec<Modality>>,
}

impl Batch {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.check()?;
        let given = self.given.chosen()?;
        given.options()?.ask.check()?;
        let lines = lines::read(&self.input)?;
        let mut answers = Answers::open(&self.output)?;
        let all = tasks(lines, self.shard);
        let total = all.len();
        let tasks: Vec<Task> = all.into_iter().filter(|task| !answers.take(&task.id)).collect();
        let cancel = cancel_on_interrupt()?;
        if !tasks.is_empty() {
            let engine = self.runtime.open(self.concurrency)?;
            answers.expect_package(engine.package().digest())?;
            let work = Work {
                engine: &engine,
                given: &given,
                folder: self.input.parent().unwrap_or(Path::new("")),
                tasks: &tasks,
                next: AtomicUsize::new(0),
                cancel: cancel.clone(),
                kinds: Mutex::default(),
            };
            work.answer_all(self.concurrency, &mut answers, &progress(total, total - tasks.len()))?;
            // What was asked before, or failed, may have had studies of other kinds.
            let kinds = work.kinds.into_inner().unwrap_or_default();
            if let (Err(unused), true) = (given.fit(&kinds), answers.failed == 0 && tasks.len() == total) {
                note(format_args!("warning: {unused}"));
            }
        }
        if cancel.is_cancelled() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        let cut = match answers.cut {
            0 => String::new(),
            count => format!(", {count} cut off without the form that was asked for"),
        };
        note(format_args!(
            "{}, {} of them asked now, {} failed{cut}",
            counted(total, "line"),
            tasks.len(),
            answers.failed
        ));
        Ok(match (answers.failed, answers.cut) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::from(CUT_OFF),
            _ => ExitCode::from(SOME_FAILED),
        })
    }

    fn check(&self) -> Result<()> {
        Whole::new(1, 1024).check("--concurrency", self.concurrency)?;
        let same =
            self.input.canonicalize().ok().is_some_and(|path| self.output.canonicalize().ok() == Some(path));
        match same {
            true => Err(unusable(
                &self.output.display().to_string(),
                "another file than the questions'",
                &"the same",
                "name another file for the answers",
            )),
            false => Ok(()),
        }
    }
}

/// The lines of a shard, each with its id. A line whose id was there before is refused when its turn comes.
fn tasks(lines: Vec<Line>, shard: Shard) -> Vec<Task> {
    let mut first = HashMap::new();
    let mut tasks = Vec::new();
    for (place, Line { number, text }) in lines.into_iter().enumerate() {
        let identified = text.map_err(anyhow::Error::from).and_then(|text| Ok((id(number, &text)?, text)));
        let (id, asked) = match identified {
            Ok((id, text)) => {
                let other = *first.entry(id.to_string()).or_insert(number);
                let asked = if other == number { Ok(text) } else { Err(twice(&id, [other, number])) };
                (id, asked)
            }
            Err(refusal) => (Value::Null, Err(refusal)),
        };
        if place % shard.parts == shard.part - 1 {
            tasks.push(Task { number, id, asked: asked.map_err(|refusal| failure(&refusal)) });
        }
    }
    tasks
}

/// The id of a line.
fn id(number: usize, line: &str) -> Result<Value> {
    let refuse = |got: String| {
        let wanted = "a JSON object with an id that is a text or a number";
        unusable(&format!("line {number}"), wanted, &got, "write {\"id\": 1, \"question\": …} on one line")
    };
    let object = wire::json(line).map_err(|error| refuse(error.to_string()))?;
    match object.get("id") {
        // Two ids of many digits would become one number.
        Some(id) if id.as_f64().is_some_and(|number| id.is_f64() && number.abs() >= MOST_EXACT) => {
            Err(refuse(format!("an id of so many digits that it becomes {id}: put it in quotes")))
        }
        Some(id) if id.is_string() || id.is_number() => Ok(id.clone()),
        Some(id) => Err(refuse(format!("the id {id}"))),
        None => Err(refuse("no id".into())),
    }
}

/// The refusal of an id that two lines have.
fn twice(id: &Value, [first, second]: [usize; 2]) -> anyhow::Error {
    let got = format!("lines {first} and {second}");
    unusable(&format!("id {id}"), "one line with it", &got, "give one of them another id")
}

fn progress(total: usize, done: usize) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64).with_position(done as u64);
    match ProgressStyle::with_template("{bar:30} {pos}/{len} lines  {elapsed}, {eta} to go  {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

impl Work<'_> {
    /// Asks from several threads and writes from this one.
    fn answer_all(&self, threads: usize, answers: &mut Answers, bar: &ProgressBar) -> Result<()> {
        let (sender, receiver) = mpsc::channel();
        let written = thread::scope(|scope| {
            for _ in 0..threads.min(self.tasks.len()) {
                let sender = sender.clone();
                scope.spawn(move || self.answer_some(&sender));
            }
            drop(sender);
            let written = write_in_order(&receiver, answers, bar);
            if written.is_err() {
                self.cancel.cancel();
            }
            written
        });
        bar.finish_and_clear();
        written
    }

    fn answer_some(&self, sender: &Sender<(usize, Value)>) {
        while !self.cancel.is_cancelled() {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = self.tasks.get(place) else { return };
            let mut line = json!({"id": task.id, "line": task.number});
            let answer = match &task.asked {
                Ok(asked) => self.answer(task.number, asked).map_err(|error| failure(&error)),
                Err(refusal) => Err(refusal.clone()),
            };
            match answer {
                Ok(Some(reply)) => reply.into_iter().for_each(|(field, value)| line[field] = value),
                // What was stopped is asked again by the next run.
                Ok(None) => return,
                Err(error) => line["error"] = error,
            }
            if sender.send((place, line)).is_err() {
                return;
            }
        }
    }

    /// The fields of a reply; none if it was stopped.
    fn answer(&self, number: usize, line: &str) -> Result<Option<Map<String, Value>>> {
        let fields = wire::json_object(line).map_err(|error| {
            let wanted = "a question as a JSON object with id and question";
            unusable(&format!("line {number}"), wanted, &error, "docs/cli.md lists the fields")
        })?;
        let case = Case::read(&fields, self.given, Files::Read(self.folder))?;
        let package = self.engine.package();
        let request = case.request(package.manifest().placeholder());
        let options = AskOptions { cancel: self.cancel.clone(), ..case.options.ask.clone() };
        let reply = self.engine.ask(&request, &options, &mut |_event| {});
        if self.cancel.is_cancelled()
            && reply.as_ref().map_or(true, |reply| reply.finish == Finish::Cancelled)
        {
            return Ok(None);
        }
        let mut reply = reply?;
        if let Ok(mut kinds) = self.kinds.lock() {
            add_kinds(&mut kinds, &reply);
        }
        reply.warnings.extend(case.warnings());
        let mut object = wire::reply(&reply);
        object["package"] = wire::package(package);
        if let Some(form) = wire::form(&reply, &options) {
            object["form"] = form.into();
        }
        Ok(object.as_object().cloned())
    }
}

/// Writes each answer when all before it are written.
fn write_in_order(
    receiver: &Receiver<(usize, Value)>,
    answers: &mut Answers,
    bar: &ProgressBar,
) -> Result<()> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (place, line) in receiver {
        early.insert(place, line);
        while let Some(line) = early.remove(&next) {
            answers.append(&line)?;
            next += 1;
            bar.inc(1);
            if answers.failed > 0 {
                bar.set_message(format!("{} failed", answers.failed));
            }
        }
    }
    Ok(())
}

//! `fleming bench`: how fast this machine runs this package.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime};

use anyhow::Result;
use clap::Args;
use fleming::wire::{
    self, Real, Round, Whole, gain, kernels, machine, noise, onnxruntime, overhead, round, summary,
};
use fleming::{AskOptions, Engine, EngineOptions, Instruction, Modality, Request, StopRule, Turn};
use serde_json::{Value, json};

use super::arguments::{Given, Looking};
use super::emit;
use super::exit::SLOWER;
use super::kept::{Kept, slower};
use super::measured::{difference, slow, table};
use super::options::RuntimeArguments;
use super::output::note;
use super::refusal::unusable;
use super::studies::{Studies, measurable};

/// Measure the stages of an answer: vision, prefill, decoding, time to first token, peak memory.
///
/// Without inputs of your own, each request has noise to look at and words to read, new ones each time, so that nothing is
/// kept from the one before. Numbers are medians over all rounds, with the lowest and the highest.
#[derive(Args)]
pub(super) struct Bench {
    #[command(flatten)]
    studies: Studies,
    #[command(flatten)]
    looking: Given<Looking>,
    /// Noise pictures of one tile each in every request
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with_all = ["file", "image", "video", "volume"])]
    tiles: usize,
    /// Tokens of text in every prompt, about
    #[arg(long, value_name = "N", default_value_t = 64)]
    prompt_tokens: usize,
    /// Tokens in every reply
    #[arg(long, value_name = "N", default_value_t = 32)]
    new_tokens: usize,
    /// Rounds, after one that is not counted
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: usize,
    /// Requests asked at once; several numbers make several measurements
    #[arg(long, value_name = "N,…", default_value = "1", value_delimiter = ',')]
    streams: Vec<usize>,
    /// Ask everything a second time with up to N tokens guessed ahead, and compare
    #[arg(long, value_name = "N")]
    speculation: Option<usize>,
    /// Ask the lines of this file one after the other about the same studies, instead of rounds
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,
    /// Hold this run against a kept one: a file with what 'fleming bench --json' printed
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Exit with code 5 if a median is slower than RATIO times that of the kept run, such as 0.95
    #[arg(long, value_name = "RATIO", requires = "compare")]
    fail_under: Option<f64>,
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode> {
        let inputs = self.check()?;
        let questions = self.questions.as_deref().map(wire::read_text).transpose()?;
        let kept = self.compare.as_deref().map(Kept::read).transpose()?;
        if let Some(kept) = &kept {
            kept.check(questions.is_none().then_some(&self.streams))?;
        }
        if cfg!(debug_assertions) {
            note(format_args!("warning: this build is not optimised: measure with cargo build --release"));
        }
        let started = Instant::now();
        let slots = self.streams.iter().copied().max().unwrap_or(1);
        let engine = self.runtime.open(slots)?;
        let load_ms = started.elapsed().as_secs_f64() * 1e3;
        let mut report = facts(&engine, &self.runtime.options(slots)?);
        report["load_ms"] = load_ms.into();
        report["loaded_memory_bytes"] = peak_memory();
        match questions {
            Some(text) => report["questions"] = self.ask_in_turn(&engine, &text)?,
            None => {
                let prompt_tokens = self.text_tokens(&engine, 0)?;
                let ms = started.elapsed().as_secs_f64() * 1e3;
                report["first_token"] = json!({"ms": ms, "prompt_tokens": prompt_tokens});
                report["streams"] = self.ask_at_once(&engine, self.words(&engine, prompt_tokens)?)?;
            }
        }
        report["peak_memory_bytes"] = peak_memory();
        report["workload"] = self.workload(&engine, &inputs)?;
        let slow = self.hold(&mut report, kept.as_ref());
        emit(if self.json { format!("{report}\n") } else { table(&report) });
        slow.iter().for_each(note);
        Ok(if slow.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SLOWER) })
    }

    /// Puts the comparison with the kept run into the report. Returns a line for each median that was too slow.
    fn hold(&self, report: &mut Value, kept: Option<&Kept>) -> Vec<String> {
        let Some(kept) = kept else { return Vec::new() };
        let mut compared = kept.compared(report);
        if self.json {
            // The table has them too, but what reads JSON may not look.
            let differences = compared["differences"].as_array().into_iter().flatten();
            differences
                .for_each(|found| note(format_args!("warning: the runs differ: {}", difference(found))));
        }
        let lines = self.fail_under.map_or(Vec::new(), |least| {
            let found = slower(&compared, least);
            let lines = found.iter().map(|found| slow(found, least)).collect();
            compared["fail_under"] = least.into();
            compared["slower"] = found.into();
            lines
        });
        report["compared"] = compared;
        lines
    }

    /// What was asked: two runs that differ in it measured different things.
    fn workload(&self, engine: &Engine, inputs: &[Modality]) -> Result<Value> {
        let (noise, in_turn) = (self.studies.is_empty(), self.questions.is_some());
        let image_tokens = match noise {
            true => None,
            false => {
                Some(engine.count_tokens(&self.request(engine, 1, 0)?, &self.options(1, None))?.image_tokens)
            }
        };
        let inputs = inputs.iter().map(|kind| kind.name()).collect::<Vec<_>>();
        Ok(json!({
            "inputs": if noise { Value::from("noise") } else { inputs.into() },
            "tiles": noise.then_some(self.tiles),
            "image_tokens": image_tokens,
            "prompt_tokens": (!in_turn).then_some(self.prompt_tokens),
            "new_tokens": self.new_tokens,
            "speculation": self.speculation,
            "streams": (!in_turn).then_some(&self.streams),
            "repeat": (!in_turn).then_some(self.repeat),
        }))
    }

    /// Refuses what cannot be measured, before anything that takes long. Returns the kind of each input.
    fn check(&self) -> Result<Vec<Modality>> {
        for (option, range, number) in [
            ("--tiles", Whole::new(0, 4096), self.tiles),
            ("--prompt-tokens", Whole::new(0, 1 << 24), self.prompt_tokens),
            ("--new-tokens", Whole::new(2, 1 << 24), self.new_tokens),
            ("--repeat", Whole::new(1, 10_000), self.repeat),
        ] {
            range.check(option, number)?;
        }
        self.streams.iter().try_for_each(|&streams| Whole::new(1, 1024).check("--streams", streams))?;
        if let Some(least) = self.fail_under {
            FAIL_UNDER.check("--fail-under", least)?;
        }
        self.options(1, self.speculation).check()?;
        let chosen = self.looking.chosen()?;
        let look = chosen.options()?.look;
        look.check()?;
        let budget = self.runtime.options(1)?.budget;
        let studies = self.studies.inputs(&look);
        let kinds = measurable(&studies, &self.options(1, None), budget)?;
        chosen.fit(&kinds)?;
        Ok(kinds)
    }

    fn ask_at_once(&self, engine: &Engine, words: usize) -> Result<Value> {
        let mut seed = 0;
        let mut request = || {
            seed += 1;
            self.request(engine, seed, words)
        };
        round(engine, &[request()?], &self.options(2, None))?;
        let mut rows = Vec::new();
        for &streams in &self.streams {
            let before = engine.counts();
            let rounds = (0..self.repeat).map(|_| {
                let requests = (0..streams).map(|_| request()).collect::<Result<Vec<_>>>()?;
                self.with_and_without(engine, &requests)
            });
            let rounds: Vec<_> = rounds.collect::<Result<_>>()?;
            let mut row = summary(&rounds.iter().map(|(without, _)| without).collect::<Vec<_>>());
            row["streams"] = streams.into();
            row["new_tokens"] = self.new_tokens.into();
            let after = engine.counts();
            if after.image_misses == before.image_misses {
                // What came from memory says nothing about the vision tower.
                row["vision_ms_per_tile"] = Value::Null;
            }
            row["overhead"] = overhead(&before, &after);
            row["peak_memory_bytes"] = peak_memory();
            row["speculation"] = self.gain(rounds);
            rows.push(row);
        }
        Ok(rows.into())
    }

    /// A round, and the same one with tokens guessed ahead if that was asked for.
    fn with_and_without(&self, engine: &Engine, requests: &[Request]) -> Result<(Round, Option<Round>)> {
        let plain = round(engine, requests, &self.options(self.new_tokens, None))?;
        let guessing = self
            .speculation
            .map(|length| round(engine, requests, &self.options(self.new_tokens, Some(length))));
        Ok((plain, guessing.transpose()?))
    }

    /// What guessing ahead gained, if it was asked for.
    fn gain(&self, rounds: Vec<(Round, Option<Round>)>) -> Value {
        let pairs: Vec<_> =
            rounds.into_iter().filter_map(|(plain, guessing)| Some((plain, guessing?))).collect();
        match self.speculation {
            Some(length) => json!({"length": length, "gain": gain(&pairs)}),
            None => Value::Null,
        }
    }

    /// Replies of exactly this many tokens.
    fn options(&self, new_tokens: usize, speculation: Option<usize>) -> AskOptions {
        AskOptions {
            max_new_tokens: Some(new_tokens),
            stop: StopRule::LengthOnly,
            speculation,
            ..AskOptions::default()
        }
    }

    fn ask_in_turn(&self, engine: &Engine, text: &str) -> Result<Value> {
        let studied = self.request(engine, 1, 0)?;
        let mut rows = Vec::new();
        for question in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let request = Request { turns: vec![Turn::user([question.into()])], ..studied.clone() };
            let rounds = self.with_and_without(engine, &[request])?;
            let Some(mut row) = rounds.0.first().map(|sample| sample.to_json()) else { continue };
            row["speculation"] = self.gain(vec![rounds]);
            rows.push(row);
        }
        match rows.is_empty() {
            true => Err(unusable(
                "--questions",
                "a file with a question on each line",
                &"an empty one",
                "write a question into it",
            )),
            false => Ok(rows.into()),
        }
    }

    /// A request that shares no picture and no question with one of another seed.
    fn request(&self, engine: &Engine, seed: u64, words: usize) -> Result<Request> {
        let studies = match self.studies.is_empty() {
            true => {
                let size = engine.package().manifest().tile_size();
                (0..self.tiles as u64)
                    .map(|tile| noise(size, seed << 20 | tile))
                    .collect::<fleming::Result<_>>()?
            }
            false => self.studies.inputs(&self.looking.look()?),
        };
        let question = format!("{seed}{}", WORD.repeat(words));
        Ok(Request { instruction: Instruction::Direct, ..Request::about(studies, question) })
    }

    /// How many words make up the text that was asked for, found out by asking; `none` are the tokens without words.
    fn words(&self, engine: &Engine, none: usize) -> Result<usize> {
        const PROBE: usize = 64;
        let some = self.text_tokens(engine, PROBE)?;
        Ok(self.prompt_tokens.saturating_sub(none) * PROBE / some.saturating_sub(none).max(1))
    }

    /// The tokens of a prompt with so many words and no picture; its reply is a single token.
    fn text_tokens(&self, engine: &Engine, words: usize) -> Result<usize> {
        let question = format!("1{}", WORD.repeat(words));
        let request = Request { instruction: Instruction::Direct, ..Request::about(Vec::new(), question) };
        let round = round(engine, &[request], &self.options(1, None))?;
        Ok(round.first().map_or(0, |sample| sample.text_tokens()))
    }
}

const WORD: &str = " the";

/// Ratios of speeds: a thousand times as fast is another machine.
const FAIL_UNDER: Real = Real::above(0.0, 1000.0);

/// What the figures are of.
fn facts(engine: &Engine, set: &EngineOptions) -> Value {
    let (needs, provider_options) = (engine.memory(), set.provider_options.iter().cloned());
    json!({
        "fleming": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "date": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        "package": package(engine),
        "machine": machine(set),
        "kernels": kernels(engine.package(), set),
        "provider_options": provider_options.collect::<BTreeMap<_, _>>(),
        "slots": set.slots,
        "context": set.context,
        "chunk": set.chunk,
        "memory_bytes": {
            "weights": needs.weights,
            "slots": needs.slots,
            "vision_cache": needs.vision_cache,
            "work": needs.work,
            "total": needs.total(),
        },
        "onnxruntime": onnxruntime(),
    })
}

fn package(engine: &Engine) -> Value {
    let manifest = engine.package().manifest();
    json!({
        "name": manifest.name,
        "digest": engine.package().digest(),
        "precision": manifest.precision,
        "target": manifest.target,
    })
}

/// Most memory this process ever had, where the system tells.
fn peak_memory() -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
    kibibytes.map_or(Value::Null, |kibibytes: u64| (kibibytes * 1024).into())
}

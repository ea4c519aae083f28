//! `fleming bench`: how fast this machine runs this package.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use fleming::wire::{self, Round, Whole, gain, machine, noise, onnxruntime, overhead, round, summary};
use fleming::{AskOptions, Engine, Instruction, Request, StopRule, Turn};
use serde_json::{Value, json};

use super::arguments::{Given, Looking};
use super::emit;
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
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode> {
        self.check()?;
        let questions = self.questions.as_deref().map(wire::read_text).transpose()?;
        if cfg!(debug_assertions) {
            note(format_args!("warning: this build is not optimised: measure with cargo build --release"));
        }
        let started = Instant::now();
        let slots = self.streams.iter().copied().max().unwrap_or(1);
        let engine = self.runtime.open(slots)?;
        let (set, needs) = (self.runtime.options(slots)?, engine.memory());
        let load_ms = started.elapsed().as_secs_f64() * 1e3;
        let mut report = json!({
            "fleming": env!("CARGO_PKG_VERSION"),
            "package": package(&engine),
            "machine": machine(&set),
            "slots": set.slots,
            "chunk": set.chunk,
            "memory_bytes": {
                "weights": needs.weights,
                "slots": needs.slots,
                "vision_cache": needs.vision_cache,
                "work": needs.work,
                "total": needs.total(),
            },
            "onnxruntime": onnxruntime(),
            "load_ms": load_ms,
            "loaded_memory_bytes": peak_memory(),
        });
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
        emit(if self.json { format!("{report}\n") } else { table(&report) });
        Ok(ExitCode::SUCCESS)
    }

    /// Refuses what cannot be measured, before anything that takes long.
    fn check(&self) -> Result<()> {
        for (option, range, number) in [
            ("--tiles", Whole::new(0, 4096), self.tiles),
            ("--prompt-tokens", Whole::new(0, 1 << 24), self.prompt_tokens),
            ("--new-tokens", Whole::new(2, 1 << 24), self.new_tokens),
            ("--repeat", Whole::new(1, 10_000), self.repeat),
        ] {
            range.check(option, number)?;
        }
        self.streams.iter().try_for_each(|&streams| Whole::new(1, 1024).check("--streams", streams))?;
        self.options(1, self.speculation).check()?;
        let chosen = self.looking.chosen()?;
        let look = chosen.options()?.look;
        look.check()?;
        let budget = self.runtime.options(1)?.budget;
        let studies = self.studies.inputs(&look);
        Ok(chosen.fit(&measurable(&studies, &self.options(1, None), budget)?)?)
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
            row["overhead"] = overhead(&before, &engine.counts());
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

fn table(report: &Value) -> String {
    let streams = report["streams"].as_array().into_iter().flatten().flat_map(stages);
    let questions = report["questions"].as_array().map_or(&[][..], Vec::as_slice);
    let lines: Vec<String> = heading(report).into_iter().chain(streams).chain(rows(questions)).collect();
    lines.join("\n") + "\n"
}

fn heading(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let mebibytes =
        |value: &Value| value.as_f64().map_or("?".into(), |bytes| format!("{:.0} MiB", bytes / 1048576.0));
    let (package, machine) = (&report["package"], &report["machine"]);
    let [name, precision, digest] = ["name", "precision", "digest"].map(|field| text(&package[field]));
    let [cpu, cores] = ["cpu", "cores"].map(|field| text(&machine[field]));
    let [loaded, peak] = ["loaded_memory_bytes", "peak_memory_bytes"].map(|field| mebibytes(&report[field]));
    let first = report["first_token"]["ms"].as_f64();
    let first = first.map_or(String::new(), |ms| format!(", first token after {ms:.0} ms"));
    vec![
        format!("{name} ({precision}), {digest}"),
        format!("{cpu}, {cores} cores, {}", text(&report["onnxruntime"]["library"])),
        format!(
            "loaded in {:.0} ms{first}; most memory {loaded} then, {peak} at the end",
            number(&report["load_ms"])
        ),
        String::new(),
    ]
}

/// The lines of one number of streams.
fn stages(row: &Value) -> Vec<String> {
    let head = format!("{} at once", row["streams"]);
    let mut lines = vec![format!("{head:<34}{:>12}{:>12}{:>12}", "median", "lowest", "highest")];
    lines.extend(STAGES.iter().filter(|(_, field)| row[field].is_object()).map(|(name, field)| {
        let [median, low, high] = ["median", "min", "max"].map(|kind| number(&row[field][kind]));
        format!("  {name:<32}{median:>12.1}{low:>12.1}{high:>12.1}")
    }));
    if let Some(overhead) = row["overhead"].as_f64() {
        lines.push(format!("  {:<32}{:>12.1}", "outside ONNX Runtime, % of a step", 100.0 * overhead));
    }
    lines.extend(gained(row));
    lines
}

/// What guessing ahead gained.
fn gained(row: &Value) -> Option<String> {
    let (length, gain) = (&row["speculation"]["length"], &row["speculation"]["gain"]);
    let [drafted, accepted] = ["drafted_tokens", "accepted_tokens"].map(|field| number(&gain[field]));
    let same = if gain["same_replies"] == true { "the same replies" } else { "other replies" };
    length.is_u64().then(|| {
        let ratio = number(&gain["decode_ratio"]["median"]);
        format!("  guessing {length} ahead: {ratio:.2} times the tokens/s, {accepted} of {drafted} guesses right, {same}")
    })
}

fn rows(questions: &[Value]) -> Vec<String> {
    if questions.is_empty() {
        return Vec::new();
    }
    let fields = ["ttft_ms", "prefill_tokens", "cached_tokens", "new_tokens", "decode_tokens_per_s"];
    let mut lines = vec![format!(
        "question{:>12}{:>10}{:>10}{:>8}{:>12}",
        "ttft ms", "prefill", "cached", "new", "tokens/s"
    )];
    lines.extend((1..).zip(questions).map(|(place, row): (usize, _)| {
        let [ttft, prefill, cached, new, rate] = fields.map(|field| number(&row[field]));
        let line = format!("{place:>8}{ttft:>12.1}{prefill:>10}{cached:>10}{new:>8}{rate:>12.1}");
        [Some(line), gained(row)].into_iter().flatten().collect::<Vec<_>>().join("\n")
    }));
    lines
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

const STAGES: [(&str, &str); 8] = [
    ("vision, ms a tile", "vision_ms_per_tile"),
    ("prefill, tokens/s", "prefill_tokens_per_s"),
    ("decoding, tokens/s a stream", "decode_tokens_per_s"),
    ("decoding, tokens/s in all", "total_decode_tokens_per_s"),
    ("time to first token, ms", "ttft_ms"),
    ("round, ms", "wall_ms"),
    ("prompt, tokens", "prompt_tokens"),
    ("of them cached", "cached_tokens"),
];

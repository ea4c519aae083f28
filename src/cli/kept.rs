//! A run of `fleming bench` that was kept, to hold another one against.

use std::path::Path;

use anyhow::Result;
use fleming::wire;
use serde_json::{Map, Value, json};

use super::figures::{ANSWERS, Figure, GUESSES, OVERHEAD, RUN, STAGES};
use super::refusal::unusable;

/// A report that was printed earlier.
pub(super) struct Kept {
    name: String,
    report: Value,
}

/// What a run consists of, beside its figures.
const FACTS: [(&str, &str); 18] = [
    ("package digest", "/package/digest"),
    ("precision", "/package/precision"),
    ("target", "/package/target"),
    ("provider", "/machine/provider"),
    ("provider options", "/provider_options"),
    ("threads", "/machine/threads"),
    ("slots", "/slots"),
    ("context", "/context"),
    ("chunk", "/chunk"),
    ("kernels", "/kernels"),
    ("build", "/build"),
    ("inputs", "/workload/inputs"),
    ("image tokens", "/workload/image_tokens"),
    ("tiles", "/workload/tiles"),
    ("prompt tokens", "/workload/prompt_tokens"),
    ("new tokens", "/workload/new_tokens"),
    ("guesses ahead", "/workload/speculation"),
    ("streams", "/workload/streams"),
];

/// What of a question makes its figures others.
const OF_A_QUESTION: [(&str, &str); 3] =
    [("prompt tokens", "/prompt_tokens"), ("cached tokens", "/cached_tokens"), ("new tokens", "/new_tokens")];

/// What a report holds that is none of the facts of its run.
const MEASURED: [&str; 4] = ["streams", "questions", "memory_bytes", "compared"];

const WANTED: &str = "a report that 'fleming bench --json' printed";
const HINT: &str = "keep one with 'fleming bench --json > FILE'";

impl Kept {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = wire::read_text(path)?;
        let report = wire::json(&text).map_err(|error| error.to_string()).and_then(checked);
        let report = report.map_err(|got| unusable(&name, WANTED, &got, HINT))?;
        Ok(Self { name, report })
    }

    /// Refuses a run that has nothing to hold these numbers of streams against, or questions where there are no numbers.
    pub(super) fn check(&self, streams: Option<&[usize]>) -> Result<()> {
        let (wanted, found) = match streams {
            None => ("a run with --questions".to_owned(), !rows(&self.report, "questions").is_empty()),
            Some(streams) => {
                let found = streams.iter().any(|streams| !self.streams(&(*streams).into()).is_null());
                (format!("a run with --streams {}", list(streams)), found)
            }
        };
        if found {
            return Ok(());
        }
        let got: Vec<_> = rows(&self.report, "streams").iter().map(|row| &row["streams"]).collect();
        let got = match got.is_empty() {
            true => "one with --questions".to_owned(),
            false => format!("one with --streams {}", list(&got)),
        };
        Err(unusable(&self.name, &wanted, &got, "measure as the kept run did, or name another file"))
    }

    /// The row with so many streams; null if there is none.
    fn streams(&self, streams: &Value) -> &Value {
        rows(&self.report, "streams").iter().find(|row| row["streams"] == *streams).unwrap_or(&Value::Null)
    }

    /// What the kept run was, what differs, and the figures of both where the report has them, with their ratio.
    pub(super) fn compared(&self, report: &Value) -> Value {
        let mut facts = self.report.clone();
        if let Some(facts) = facts.as_object_mut() {
            facts.retain(|field, _| {
                !MEASURED.contains(&field.as_str()) && RUN.iter().all(|figure| figure.field() != field)
            });
        }
        let mut all = pairs(&RUN, report, &self.report);
        all.insert("kept".into(), facts);
        all.insert("differences".into(), self.differences(report).into());
        for kind in ["streams", "questions"].into_iter().filter(|kind| report[*kind].is_array()) {
            let row = |(place, row): (usize, &Value)| match kind {
                "streams" => {
                    let mut pairs = row_pairs(&STAGES, row, self.streams(&row["streams"]));
                    pairs.insert("streams".into(), row["streams"].clone());
                    pairs
                }
                _ => row_pairs(&ANSWERS, row, &self.report[kind][place]),
            };
            all.insert(kind.into(), rows(report, kind).iter().enumerate().map(row).collect());
        }
        all.into()
    }

    /// What makes figures of the two incomparable, an object each. What a report does not record has no field.
    fn differences(&self, report: &Value) -> Vec<Value> {
        let of_run = FACTS.iter().filter_map(|(name, place)| {
            difference(name, [report.pointer(place), self.report.pointer(place)])
        });
        let [now, kept] = [report, &self.report].map(|report| rows(report, "questions"));
        let of_questions = (1..).zip(now.iter().zip(kept)).flat_map(|(number, (now, kept)): (usize, _)| {
            OF_A_QUESTION.iter().filter_map(move |(name, place)| {
                difference(&format!("{name} of question {number}"), [now.pointer(place), kept.pointer(place)])
            })
        });
        let [asked, once] = [now, kept].map(|rows| Value::from(rows.len()));
        of_run.chain(difference("questions", [Some(&asked), Some(&once)])).chain(of_questions).collect()
    }
}

/// The medians that were slower than so many times those of the kept run.
pub(super) fn slower(compared: &Value, least: f64) -> Vec<Value> {
    let streams =
        rows(compared, "streams").iter().map(|row| (json!({"streams": row["streams"]}), row, &STAGES[..]));
    let questions = rows(compared, "questions").iter().zip(1_usize..);
    let questions = questions.map(|(row, number)| (json!({"question": number}), row, &ANSWERS[..]));
    let all = streams.chain(questions).flat_map(|(of, row, figures)| {
        figures.iter().filter_map(move |figure| {
            let ratio = row[figure.field()]["ratio"].as_f64().filter(|ratio| *ratio < least)?;
            let mut slow = of.clone();
            slow["figure"] = figure.field().into();
            slow["name"] = figure.name.into();
            slow["ratio"] = ratio.into();
            Some(slow)
        })
    });
    all.collect()
}

/// A report, or what is there instead.
fn checked(report: Value) -> Result<Value, String> {
    for fact in ["/fleming", "/package/digest", "/package/precision", "/machine/provider"] {
        if !report.pointer(fact).is_some_and(Value::is_string) {
            return Err(format!("JSON without {}", fact.trim_start_matches('/').replace('/', ".")));
        }
    }
    let (streams, questions) = (rows(&report, "streams"), rows(&report, "questions"));
    if streams.is_empty() && questions.is_empty() {
        return Err("a report in which nothing was measured".into());
    }
    if let Some(row) = streams.iter().find(|row| !row["streams"].is_u64()) {
        return Err(format!("a row of {} streams", row["streams"]));
    }
    check_figures(&RUN, &report, "the run")?;
    for row in streams {
        check_figures(&STAGES, row, &format!("{} streams", row["streams"]))?;
    }
    (1..).zip(questions).try_for_each(|(number, row): (usize, _)| {
        check_figures(&ANSWERS, row, &format!("question {number}"))
    })?;
    Ok(report)
}

/// Refuses a row without a time to the first token, and figures that are none.
fn check_figures(figures: &[Figure], row: &Value, of: &str) -> Result<(), String> {
    for figure in figures {
        let field = &row[figure.field()];
        let always = figure.field() == "ttft_ms";
        // Nothing was looked at, or no system said how much memory there is.
        let absent = field.is_null() && !always;
        let sound = figure.of(row).is_some_and(|number| if always { number > 0.0 } else { number >= 0.0 });
        if !absent && !sound {
            return Err(format!("{} of {of} as {field}", figure.field()));
        }
    }
    Ok(())
}

/// The figures of a row in both runs, with those beside its stages.
fn row_pairs(figures: &[Figure], now: &Value, kept: &Value) -> Map<String, Value> {
    pairs(figures.iter().chain([&OVERHEAD, &GUESSES]), now, kept)
}

/// The figures in both runs, by their fields. One that neither has is left out.
fn pairs<'a>(figures: impl IntoIterator<Item = &'a Figure>, now: &Value, kept: &Value) -> Map<String, Value> {
    let pair = |figure: &Figure| {
        let (now, kept) = (figure.of(now), figure.of(kept));
        let ratio = now.zip(kept).and_then(|(now, kept)| figure.ratio(now, kept));
        let pair = json!({"now": now, "kept": kept, "ratio": ratio});
        now.or(kept).map(|_| (figure.field().to_owned(), pair))
    };
    figures.into_iter().filter_map(pair).collect()
}

fn difference(name: &str, [now, kept]: [Option<&Value>; 2]) -> Option<Value> {
    let mut difference = json!({"name": name});
    for (run, value) in [("now", now), ("kept", kept)] {
        if let Some(value) = value {
            difference[run] = value.clone();
        }
    }
    (now != kept).then_some(difference)
}

fn rows<'a>(report: &'a Value, kind: &str) -> &'a [Value] {
    report[kind].as_array().map_or(&[], Vec::as_slice)
}

fn list<T: ToString>(numbers: &[T]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

//! What `fleming bench` measured, told as text.

use fleming::wire;
use serde_json::Value;

use super::figures::{ANSWERS, Figure, GUESSES, OVERHEAD, RUN, STAGES};

/// The report in lines. Where it was compared with a kept run, each figure has the kept one and their ratio beside it.
pub(super) fn table(report: &Value) -> String {
    let compared = &report["compared"];
    let beside = if compared.is_object() { against(compared) } else { Vec::new() };
    let streams = (0..).zip(list(&report["streams"]));
    let streams = streams.flat_map(|(place, row): (usize, _)| stages(row, &compared["streams"][place]));
    let questions = questions(list(&report["questions"]), &compared["questions"]);
    let lines = heading(report).into_iter().chain(beside).chain([String::new()]);
    let shown = |line: String| wire::printable(line.trim_end()).into_owned();
    let lines: Vec<_> = lines.chain(streams).chain(questions).map(shown).collect();
    lines.join("\n") + "\n"
}

/// A line about a median that was slower than it may be.
pub(super) fn slow(slow: &Value, least: f64) -> String {
    let of = match slow["streams"].as_u64() {
        Some(streams) => at_once(&streams.into()),
        None => format!("question {}", slow["question"]),
    };
    let ratio = number(&slow["ratio"]);
    format!("slower than {least} of the kept run: {of}, {}: {ratio:.3}", plain(&slow["name"]))
}

/// A line about what differs from the kept run.
pub(super) fn difference(difference: &Value) -> String {
    let [now, kept] = ["now", "kept"].map(|run| difference.get(run).map_or("not recorded".into(), plain));
    format!("{}: {now} now, {kept} in the kept run", plain(&difference["name"]))
}

fn heading(report: &Value) -> Vec<String> {
    let [loaded, peak] = [2, 3].map(|place| {
        RUN[place].of(report).map_or("?".into(), |bytes| format!("{:.0} MiB", RUN[place].shown(bytes)))
    });
    let first = RUN[1].of(report).map_or(String::new(), |ms| format!(", first token after {ms:.0} ms"));
    let mut lines = facts(report);
    lines.push(format!(
        "loaded in {:.0} ms{first}; most memory {loaded} then, {peak} at the end",
        number(&report["load_ms"])
    ));
    lines
}

/// Package and machine of a run.
fn facts(report: &Value) -> Vec<String> {
    let (package, machine) = (&report["package"], &report["machine"]);
    let [name, precision, digest] = ["name", "precision", "digest"].map(|field| plain(&package[field]));
    let [cpu, cores] = ["cpu", "cores"].map(|field| plain(&machine[field]));
    vec![
        format!("{name} ({precision}), {digest}"),
        format!("{cpu}, {cores} cores, {}", plain(&report["onnxruntime"]["library"])),
    ]
}

/// The kept run, what differs, and what either has once.
fn against(compared: &Value) -> Vec<String> {
    let kept = &compared["kept"];
    let date =
        kept["date"].as_str().map_or("at a time that it does not say".into(), |date| format!("at {date}"));
    let mut lines = vec![String::new(), format!("kept run of fleming {}, {date}:", plain(&kept["fleming"]))];
    lines.extend(facts(kept));
    let differences = list(&compared["differences"]).iter();
    lines.extend(differences.map(|found| format!("differs: {}", difference(found))));
    lines.extend([
        "A ratio above 1 means better now than in the kept run: faster, or less memory.".into(),
        String::new(),
        format!("{:<34}{:>12}{:>12}{:>10}", "the run", "now", "kept", "ratio"),
    ]);
    lines.extend(RUN.iter().filter(|figure| compared[figure.field()].is_object()).map(|figure| {
        let pair = &compared[figure.field()];
        format!("  {:<32}{:>12}{}", figure.name, shown(figure, &pair["now"]), beside(figure, pair))
    }));
    lines
}

/// The lines of one number of streams, each beside its pair of both runs if there is one.
fn stages(row: &Value, pairs: &Value) -> Vec<String> {
    let more = if pairs.is_object() { format!("{:>12}{:>10}", "kept", "ratio") } else { String::new() };
    let head = at_once(&row["streams"]);
    let mut lines = vec![format!("{head:<34}{:>12}{:>12}{:>12}{more}", "median", "lowest", "highest")];
    let is_there = |figure: &&Figure| row[figure.field()].is_object() || pairs[figure.field()].is_object();
    lines.extend(STAGES.iter().filter(is_there).map(|figure| {
        let field = figure.field();
        let [median, low, high] = ["median", "min", "max"].map(|kind| shown(figure, &row[field][kind]));
        format!("  {:<32}{median:>12}{low:>12}{high:>12}{}", figure.name, beside(figure, &pairs[field]))
    }));
    let field = OVERHEAD.field();
    if row[field].is_number() || pairs[field].is_object() {
        let (name, now) = (OVERHEAD.name, shown(&OVERHEAD, &row[field]));
        let gap = if pairs.is_object() { " ".repeat(24) } else { String::new() };
        lines.push(format!("  {name:<32}{now:>12}{gap}{}", beside(&OVERHEAD, &pairs[field])));
    }
    lines.extend(gained(row, pairs));
    lines
}

/// What guessing ahead gained.
fn gained(row: &Value, pairs: &Value) -> Option<String> {
    let (length, gain) = (&row["speculation"]["length"], &row["speculation"]["gain"]);
    let [drafted, accepted] = ["drafted_tokens", "accepted_tokens"].map(|field| number(&gain[field]));
    let same = if gain["same_replies"] == true { "the same replies" } else { "other replies" };
    let pair = &pairs[GUESSES.field()];
    let kept = match (pair["kept"].as_f64(), pair["ratio"].as_f64()) {
        (Some(kept), Some(ratio)) => format!("; {kept:.2} in the kept run, ratio {ratio:.2}"),
        _ => String::new(),
    };
    length.is_u64().then(|| {
        let ratio = number(&gain["decode_ratio"]["median"]);
        format!("  guessing {length} ahead: {ratio:.2} times the tokens/s, {accepted} of {drafted} guesses right, {same}{kept}")
    })
}

fn questions(questions: &[Value], pairs: &Value) -> Vec<String> {
    if questions.is_empty() {
        return Vec::new();
    }
    let fields = ["ttft_ms", "prefill_tokens", "cached_tokens", "new_tokens", "decode_tokens_per_s"];
    let more = match pairs.is_array() {
        true => format!("{:>12}{:>10}", "kept", "ratio").repeat(2),
        false => String::new(),
    };
    let mut lines = vec![format!(
        "question{:>12}{:>10}{:>10}{:>8}{:>12}{more}",
        "ttft ms", "prefill", "cached", "new", "tokens/s"
    )];
    lines.extend((1..).zip(questions).flat_map(|(place, row): (usize, _)| {
        let [ttft, prefill, cached, new, rate] = fields.map(|field| number(&row[field]));
        let pairs = &pairs[place - 1];
        let more: String = ANSWERS.iter().map(|figure| beside(figure, &pairs[figure.field()])).collect();
        let line = format!("{place:>8}{ttft:>12.1}{prefill:>10}{cached:>10}{new:>8}{rate:>12.1}{more}");
        std::iter::once(line).chain(gained(row, pairs))
    }));
    lines
}

/// The kept figure and the ratio, in columns; nothing where there is no kept run.
fn beside(figure: &Figure, pair: &Value) -> String {
    if !pair.is_object() {
        return String::new();
    }
    let ratio = match (pair["ratio"].as_f64(), figure.better) {
        (Some(ratio), _) => format!("{ratio:.2}"),
        (None, Some(_)) => ABSENT.into(),
        (None, None) => String::new(),
    };
    format!("{:>12}{ratio:>10}", shown(figure, &pair["kept"]))
}

fn shown(figure: &Figure, number: &Value) -> String {
    number.as_f64().map_or(ABSENT.into(), |number| format!("{:.1}", figure.shown(number)))
}

fn at_once(streams: &Value) -> String {
    format!("{streams} at once")
}

/// A value as a person writes it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "unset".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        _ => value.to_string(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

const ABSENT: &str = "-";

//! The self-test of a package, told as text.

use serde_json::Value;

/// A line for each answer on record.
pub(super) fn lines(agreement: &Value) -> Vec<String> {
    let cases = agreement["cases"].as_array().into_iter().flatten();
    cases.flat_map(|case| list(&case["runs"]).map(move |run| line(case, run))).collect()
}

fn line(case: &Value, run: &Value) -> String {
    let same = |equal: &Value, what: &str| match equal.as_bool() {
        Some(true) => Some(format!("{what} the same")),
        Some(false) => Some(format!("{what} NOT the same")),
        None => None,
    };
    let tokens = match run["equal_tokens"] == run["tokens"] {
        true => format!("all {} tokens the same", run["tokens"]),
        false => format!("the first {} of {} tokens the same", run["equal_tokens"], run["tokens"]),
    };
    let stages = [
        same(&case["pixels_equal"], "pixels"),
        same(&case["ids_equal"], "ids"),
        error(&run["embeddings"], "embeddings"),
        error(&run["logits"], "first logits"),
        Some(tokens),
    ];
    let stages: Vec<_> = stages.into_iter().flatten().collect();
    let [name, by, precision] =
        [&case["name"], &run["by"], &run["precision"]].map(|text| text.as_str().unwrap_or_default());
    format!("{name}, beside {by} in {precision}: {}", stages.join(", "))
}

fn error(near: &Value, what: &str) -> Option<String> {
    let number = |field: &str| near[field].as_f64().unwrap_or(f64::NAN);
    let (error, bound) = match near["bounded"] == "max_error" {
        true => (format!("{:.1e}", number("max_error")), format!("{:.0e}", number("bound"))),
        false => {
            let percent = |field| format!("{:.2} %", 100.0 * number(field));
            (percent("relative_error"), percent("bound"))
        }
    };
    let outside = if near["within"] == true { "" } else { ", OUTSIDE" };
    near.is_object().then(|| format!("{what} off by {error} (at most {bound}{outside})"))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The last line of the report.
pub(super) fn verdict(report: &Value) -> &'static str {
    let loaded = report["self_test"].is_object();
    match (report["ok"] == true, report["agreement"]["within"].as_bool()) {
        (true, Some(true)) => "it runs, and answers as on record",
        (true, _) if loaded => {
            "it runs; whether it answers as exported cannot be told: the package has no self-test"
        }
        (true, _) => "it runs",
        (false, _) if loaded => "it runs, but does not answer as on record",
        (false, _) => "it does not run",
    }
}

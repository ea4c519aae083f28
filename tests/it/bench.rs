//! `fleming bench`: that it measures what it says, not how fast anything is.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Scratch, fleming, input, refusal, reply, stderr};

#[test]
fn streams_are_measured_stage_by_stage() {
    let mut command = fleming("bench");
    command.args([
        "--streams",
        "1,3",
        "--repeat",
        "2",
        "--tiles",
        "2",
        "--prompt-tokens",
        "90",
        "--new-tokens",
        "9",
        "--speculation",
        "3",
    ]);
    let report = reply(&mut command);
    for (row, streams) in report["streams"].as_array().unwrap().iter().zip([1, 3]) {
        assert_eq!(row["streams"], streams);
        for stage in [
            "vision_ms_per_tile",
            "prefill_tokens_per_s",
            "decode_tokens_per_s",
            "total_decode_tokens_per_s",
            "ttft_ms",
            "wall_ms",
        ] {
            let [low, median, high] = ["min", "median", "max"].map(|kind| row[stage][kind].as_f64().unwrap());
            assert!(0.0 < low && low <= median && median <= high, "{stage}: {}", row[stage]);
        }
        // 2 tiles of 256 tokens with a start and an end each, and the text
        let text = row["prompt_tokens"]["median"].as_f64().unwrap() - 512.0;
        assert!((80.0..=100.0).contains(&text), "{text}");
    }
    assert_eq!(report["streams"].as_array().unwrap().len(), 2);
    for row in report["streams"].as_array().unwrap() {
        let overhead = row["overhead"].as_f64().unwrap();
        assert!(0.0 < overhead && overhead < 1.0, "{overhead}");
        let (speculation, gain) = (&row["speculation"], &row["speculation"]["gain"]);
        assert_eq!((&speculation["length"], &gain["same_replies"]), (&3.into(), &true.into()));
        assert!(gain["decode_ratio"]["median"].as_f64() > Some(0.0));
        assert!(gain["accepted_tokens"].as_u64() <= gain["drafted_tokens"].as_u64());
    }
    assert!(report["peak_memory_bytes"].as_u64() >= report["loaded_memory_bytes"].as_u64());
    // a question without words: only what the template puts around it
    let (first, loaded) = (&report["first_token"], report["load_ms"].as_f64());
    assert!((1..80).contains(&first["prompt_tokens"].as_u64().unwrap()) && first["ms"].as_f64() > loaded);
    assert!(report["onnxruntime"]["library"].as_str().unwrap().contains("onnxruntime"));
    assert_eq!((&report["slots"], &report["chunk"]), (&3.into(), &512.into()));
    assert!(report["memory_bytes"]["total"].as_u64() > report["memory_bytes"]["slots"].as_u64());
    assert_eq!(report["package"]["precision"], "f32");
    assert_eq!(report["package"]["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn questions_are_asked_in_turn_about_the_same_study() {
    let scratch = Scratch::new();
    let questions = scratch.file("questions.txt", b"What is shown?\n\nIs there a device?\nWhy?\n");
    let mut command = fleming("bench");
    command.arg("--questions").arg(questions).args(["--new-tokens", "3", "--slices", "2", "--volume"]);
    let report = reply(command.arg(input("volume_f32.npy")));
    let rows: Vec<&Value> = report["questions"].as_array().unwrap().iter().collect();
    assert_eq!(rows.len(), 3);
    for (place, row) in rows.into_iter().enumerate() {
        let number = |field: &str| row[field].as_u64().unwrap();
        assert!(number("prompt_tokens") > 512);
        assert_eq!(number("prefill_tokens") + number("cached_tokens"), number("prompt_tokens"));
        assert_eq!(number("new_tokens"), 3);
        assert!(row["speculation"].is_null());
        // Two slices of 256 tokens are read once; the questions after the first pay for their own words.
        let own = number("prefill_tokens");
        assert!(if place == 0 { own > 512 } else { own < 40 }, "question {place}: {own} tokens");
        assert!(row["ttft_ms"].as_f64().unwrap() > 0.0 && row["decode_tokens_per_s"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn the_table_has_a_line_for_every_stage() {
    let mut command = fleming("bench");
    command.args(["--tiles", "0", "--repeat", "1", "--new-tokens", "4", "--speculation", "2"]);
    let output = command.output().unwrap();
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    for stage in [
        "prefill, tokens/s",
        "decoding, tokens/s in all",
        "time to first token",
        "% of a step",
        "guessing 2 ahead",
    ] {
        assert!(table.contains(stage), "{table}");
    }
    assert!(!table.contains("vision"), "nothing was looked at: {table}");
}

/// A short measurement.
fn short(options: &[&str]) -> Command {
    let mut command = fleming("bench");
    command
        .args(["--repeat", "1", "--prompt-tokens", "8", "--new-tokens", "3", "--threads", "1"])
        .args(options);
    command
}

/// Medians that are better the higher they are, and those that are better the lower.
const MEDIANS: [(&[&str], f64); 2] = [
    (&["prefill_tokens_per_s", "decode_tokens_per_s", "total_decode_tokens_per_s"], 1.0),
    (&["vision_ms_per_tile", "ttft_ms", "wall_ms"], -1.0),
];

/// The run as if the machine had been so many times as fast.
fn faster(report: &Value, times: f64) -> Value {
    let mut report = report.clone();
    for row in report["streams"].as_array_mut().unwrap() {
        for (fields, power) in MEDIANS {
            for field in fields {
                let median = row[*field]["median"].as_f64().unwrap();
                row[*field]["median"] = (median * times.powf(power)).into();
            }
        }
    }
    for place in ["/load_ms", "/first_token/ms"] {
        let figure = report.pointer_mut(place).unwrap();
        *figure = (figure.as_f64().unwrap() / times).into();
    }
    report
}

#[test]
fn a_run_is_held_against_a_kept_one() {
    const FAR: f64 = 1e6;
    let scratch = Scratch::new();
    let keep =
        |name: &str, report: &Value| scratch.file(name, report.to_string().as_bytes()).display().to_string();
    let report = reply(&mut short(&["--streams", "1,2"]));
    assert!(report["date"].as_str().unwrap().ends_with('Z'), "{}", report["date"]);

    // A machine that is much faster than the one of the kept run, in every figure.
    let slow = keep("slow.json", &faster(&report, 1.0 / FAR));
    let held = reply(&mut short(&["--streams", "2,3", "--compare", &slow, "--fail-under", "1"]));
    let compared = &held["compared"];
    assert_eq!(compared["kept"]["package"], report["package"]);
    for fact in ["date", "machine", "fleming", "workload"] {
        assert_eq!(compared["kept"][fact], report[fact], "{fact}");
    }
    assert!(compared["kept"]["streams"].is_null() && compared["kept"]["load_ms"].is_null());
    // Only the numbers of streams are others, and what follows from them.
    let names: Vec<_> = compared["differences"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["slots", "streams"]);
    for (fields, power) in MEDIANS {
        for field in fields {
            let (pair, now) = (&compared["streams"][0][*field], &held["streams"][0][*field]["median"]);
            let kept = report["streams"][1][*field]["median"].as_f64().unwrap() * FAR.powf(-power);
            let [now, ratio] = [now, &pair["ratio"]].map(|number| number.as_f64().unwrap());
            assert!((pair["kept"].as_f64().unwrap() / kept - 1.0).abs() < 1e-9, "{field}: {pair}");
            assert!((ratio / (now / kept).powf(power) - 1.0).abs() < 1e-9 && ratio > 1.0, "{field}: {pair}");
            let alone = &compared["streams"][1][*field];
            assert!(
                alone["now"].is_number() && alone["kept"].is_null() && alone["ratio"].is_null(),
                "{alone}"
            );
        }
    }
    assert!(
        compared["load_ms"]["ratio"].as_f64() > Some(1.0)
            && compared["first_token"]["ratio"].as_f64() > Some(1.0)
    );
    assert_eq!((&compared["fail_under"], &compared["slower"]), (&1.0.into(), &json!([])));

    // One that is much slower, measured in another way.
    let mut fast = faster(&report, FAR);
    fast["package"]["digest"] = "0".repeat(64).into();
    fast["machine"]["threads"] = 7.into();
    fast["kernels"] = "others".into();
    fast["workload"].as_object_mut().unwrap().remove("prompt_tokens");
    let fast = keep("fast.json", &fast);
    let kernels = report["kernels"].as_str().unwrap();
    assert!(
        ["fleming for attention", "onnxruntime"].iter().any(|whose| kernels.starts_with(whose)),
        "{kernels}"
    );
    let differences = [
        "package digest: ",
        "threads: 1 now, 7 in",
        &format!("kernels: {kernels} now, others in"),
        "prompt tokens: 8 now, not recorded in",
    ];
    let output = short(&["--streams", "1,2", "--compare", &fast, "--fail-under", "0.5"]).output().unwrap();
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(
        table.lines().filter(|line| line.starts_with("differs: ")).count(),
        differences.len(),
        "{table}"
    );
    for difference in differences {
        assert!(table.contains(&format!("differs: {difference}")), "{table}");
    }
    // Six medians of each number of streams.
    let slower: Vec<_> = stderr(&output)
        .lines()
        .filter(|line| line.starts_with("slower than 0.5 "))
        .map(String::from)
        .collect();
    assert_eq!(slower.len(), 12, "{slower:?}");
    assert!(slower[0].contains("1 at once, vision, ms a tile: 0.000"), "{slower:?}");

    // No figure is too slow where nothing is asked of it, and what reads JSON is warned.
    let output = short(&["--streams", "1,2", "--compare", &fast, "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    for difference in differences {
        assert!(
            stderr(&output).contains(&format!("warning: the runs differ: {difference}")),
            "{}",
            stderr(&output)
        );
    }
    let held: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(held["compared"]["slower"].is_null());
    assert!(held["compared"]["streams"][0]["ttft_ms"]["ratio"].as_f64() < Some(1.0));
}

#[test]
fn what_is_looked_at_again_says_nothing_about_the_vision_tower() {
    let report = reply(short(&["--slices", "2", "--volume"]).arg(input("volume_f32.npy")));
    let (row, workload) = (&report["streams"][0], &report["workload"]);
    assert!(row["vision_ms_per_tile"].is_null() && row["ttft_ms"].is_object(), "{row}");
    assert_eq!((&workload["inputs"], &workload["image_tokens"]), (&json!(["volume"]), &512.into()));
}

#[test]
fn questions_are_held_against_those_of_a_kept_run() {
    let scratch = Scratch::new();
    let questions = scratch.file("questions.txt", b"What is CT?\nWhy?\n").display().to_string();
    let asked = ["--tiles", "0", "--questions", &questions];
    let mut kept = reply(&mut short(&asked));
    let [ttft, rate] =
        ["ttft_ms", "decode_tokens_per_s"].map(|field| kept["questions"][1][field].as_f64().unwrap());
    kept["questions"][1]["ttft_ms"] = (ttft * 1e6).into();
    kept["questions"][1]["decode_tokens_per_s"] = (rate * 1e6).into();
    kept["questions"][0]["prompt_tokens"] = 1.into();
    let kept = scratch.file("kept.json", kept.to_string().as_bytes()).display().to_string();
    let output = short(&asked).args(["--compare", &kept, "--fail-under", "1e-3"]).output().unwrap();
    let table = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let differs: Vec<_> = table.lines().filter(|line| line.starts_with("differs: ")).collect();
    assert!(matches!(differs[..], [one] if one.contains("prompt tokens of question 1: ")), "{table}");
    let slower = stderr(&output)
        .lines()
        .filter(|line| line.starts_with("slower than 0.001 "))
        .map(String::from)
        .collect::<Vec<_>>();
    assert!(
        matches!(&slower[..], [one] if one.contains("question 2, decoding, tokens/s: 0.000")),
        "{slower:?}"
    );
    let other = refusal(short(&["--streams", "2", "--compare", &kept]).arg("--tiles=0"), 2);
    assert!(other.contains("wanted a run with --streams 2, got one with --questions"), "{other}");
}

#[test]
fn what_is_no_kept_run_is_refused_before_the_package_is_loaded() {
    let scratch = Scratch::new();
    let row = json!({"streams": 2, "ttft_ms": {"median": 5.0}});
    let run = |streams: Value| {
        json!({
            "fleming": "0.1.0",
            "package": {"digest": "d", "precision": "f32"},
            "machine": {"provider": "cpu"},
            "streams": streams,
        })
    };
    let with = |field: &str, value: Value| {
        let mut row = row.clone();
        row[field] = value;
        run(json!([row])).to_string()
    };
    for (kept, got) in [
        (String::new(), "EOF"),
        ("[]".into(), "got JSON without fleming"),
        ("{\"fleming\": \"0.1.0\"}".into(), "got JSON without package.digest"),
        (run(json!([])).to_string(), "got a report in which nothing was measured"),
        (run(json!([{"streams": 2}])).to_string(), "got ttft_ms of 2 streams as null"),
        (with("streams", json!("two")), "got a row of \"two\" streams"),
        (with("wall_ms", json!({"median": -1})), "got wall_ms of 2 streams as {\"median\":-1}"),
        (with("prefill_tokens_per_s", json!(12.5)), "got prefill_tokens_per_s of 2 streams as 12.5"),
        (run(json!([row])).to_string(), "wanted a run with --streams 1, got one with --streams 2"),
    ] {
        let kept = scratch.file("kept.json", kept.as_bytes()).display().to_string();
        // A library that is not there is found as soon as anything loads.
        let message = refusal(short(&["--compare", &kept]).args(["--onnxruntime", "/nowhere"]), 2);
        assert!(message.contains("kept.json: wanted a r") && message.contains(got), "{got}: {message}");
    }
    let message = refusal(&mut short(&["--compare", "/nowhere/kept.json"]), 2);
    assert!(message.contains("/nowhere/kept.json"), "{message}");
    for ratio in ["0", "-1", "NaN", "1e9"] {
        let message = refusal(&mut short(&["--compare", "Cargo.toml", &format!("--fail-under={ratio}")]), 2);
        assert!(message.contains("--fail-under: wanted above 0, at most 1000"), "{message}");
    }
    let message = refusal(&mut short(&["--fail-under", "0.9"]), 2);
    assert!(message.contains("--compare <FILE>"), "{message}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for options in [["--new-tokens", "1"], ["--repeat", "0"], ["--streams", "1,0"], ["--speculation", "0"]] {
        let message = refusal(fleming("bench").args(options), 2);
        assert!(message.contains(options[0].trim_start_matches('-')), "{message}");
    }
    let message = refusal(fleming("bench").args(["--questions", "/nowhere/questions.txt"]), 2);
    assert!(message.contains("/nowhere/questions.txt"), "{message}");
    let both = fleming("bench").args(["--tiles", "2", "--image", "x.png"]).output().unwrap();
    assert_eq!(both.status.code(), Some(2));
}

//! `fleming bench`: that it measures what it says, not how fast anything is.

use serde_json::Value;

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

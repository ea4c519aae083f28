//! How tokens are chosen, through the command line.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Scratch, ask, ask_long, package, refusal, reply};

const CT: [&str; 4] = ["-q", "What is CT?", "--prompt", "direct"];

fn long(tokens: usize, options: &[&str]) -> Command {
    let mut command = ask_long(&package(), tokens);
    command.args(options);
    command
}

fn ids(options: &[&str]) -> Value {
    reply(long(12, &CT).arg("--ignore-eos").args(options))["completion_ids"].clone()
}

#[test]
fn the_same_seed_gives_the_same_tokens_and_another_gives_others() {
    let drawn = |seed: &str| ids(&["--temperature", "1", "--seed", seed]);
    assert_eq!(drawn("7"), drawn("7"));
    assert_ne!(drawn("7"), drawn("8"));
    assert_ne!(drawn("7"), ids(&[]));
}

#[test]
fn options_that_leave_one_token_are_greedy() {
    let greedy = ids(&[]);
    for one in [["--top-k", "1"], ["--top-p", "0.00001"], ["--min-p", "1"]] {
        assert_eq!(ids(&[&["--temperature", "2"], &one[..]].concat()), greedy, "{one:?}");
    }
}

#[test]
fn bias_and_penalties_change_the_reply() {
    let greedy = ids(&[]);
    let first = greedy[0].as_u64().unwrap();
    let banned = ids(&["--logit-bias", &format!("{first}=-100")]);
    assert!(!banned.as_array().unwrap().contains(&greedy[0]), "{banned}");
    let wanted = ids(&["--logit-bias", "65=100"]);
    assert!(wanted.as_array().unwrap().iter().all(|id| *id == 65), "{wanted}");
    let all = ids(&["--logit-bias", "65=50", "--logit-bias", "66=50", "--presence-penalty", "2"]);
    assert_ne!(all, ids(&["--logit-bias", "65=50", "--logit-bias", "66=50"]));
}

#[test]
fn logprobs_are_one_a_token() {
    let reply = reply(ask(&CT).args(["--ignore-eos", "--logprobs", "3"]));
    let all = reply["logprobs"].as_array().unwrap();
    assert_eq!(all.len(), 4);
    for (token, id) in all.iter().zip(reply["completion_ids"].as_array().unwrap()) {
        assert_eq!((&token["id"], &token["top"][0]["id"]), (id, id));
        assert_eq!(token["logprob"], token["top"][0]["logprob"]);
        let top: Vec<f64> =
            token["top"].as_array().unwrap().iter().map(|top| top["logprob"].as_f64().unwrap()).collect();
        assert!(top.len() == 3 && top.is_sorted_by(|a, b| a >= b) && top[0] < 0.0, "{top:?}");
    }
}

#[test]
fn guesses_ahead_are_counted_and_change_nothing() {
    let usage = |reply: &Value| {
        ["drafted_tokens", "accepted_tokens"].map(|field| reply["usage"][field].as_u64().unwrap())
    };
    let (plain, guessed) = (
        reply(long(90, &CT).arg("--ignore-eos")),
        reply(long(90, &CT).args(["--ignore-eos", "--speculation", "6"])),
    );
    assert_eq!(guessed["completion_ids"], plain["completion_ids"]);
    let [drafted, accepted] = usage(&guessed);
    assert!(drafted >= accepted && drafted > 0, "{}", guessed["usage"]);
    assert_eq!(usage(&plain), [0, 0]);
}

#[test]
fn a_stop_string_cuts_the_reply() {
    let whole = reply(long(40, &CT).arg("--ignore-eos"));
    let text = whole["text"].as_str().unwrap();
    // Some letters from its middle, across the border of tokens or not.
    let letters: Vec<char> = text.chars().collect();
    let stop: String = letters[letters.len() / 2..].iter().take(3).collect();
    let cut = reply(long(40, &CT).args(["--stop", &stop]));
    assert_eq!(cut["text"].as_str().unwrap(), text[..text.find(&stop).unwrap()].trim());
    assert_eq!((&cut["finish"], &cut["truncated"]), (&json!("stop"), &Value::Null));
    assert!(cut["completion_ids"].as_array().unwrap().len() < 40);
}

#[test]
fn a_choice_is_made() {
    for (prompt, options) in [
        ("direct", &[][..]),
        ("direct", &["--temperature", "2", "--seed", "5"]),
        ("reasoning", &["--max-thinking-tokens", "5"]),
        ("reasoning", &["--max-thinking-tokens", "0", "--temperature", "2"]),
    ] {
        let mut command = long(80, &["-q", "Is it?", "--prompt", prompt]);
        command.args(["--choice", "A. Yes", "--choice", "B. No", "--choice", "C. Not known"]).args(options);
        let reply = reply(&mut command);
        let answer = reply["answer"].as_str().unwrap();
        assert!(["A. Yes", "B. No", "C. Not known"].contains(&answer), "{prompt} {options:?}: {reply}");
        assert_eq!((&reply["finish"], &reply["truncated"]), (&json!("stop"), &Value::Null), "{reply}");
        assert_eq!(reply["thought"].is_string(), prompt == "reasoning", "{reply}");
    }
}

#[test]
fn a_thought_is_as_long_as_it_may_be() {
    let mut command = long(60, &["-q", "x", "--ignore-eos", "--max-thinking-tokens", "5"]);
    let reply = reply(&mut command);
    let text = reply["text"].as_str().unwrap();
    assert!(text.contains("</think><answer>"), "{text}");
    assert!(!reply["thought"].is_null() && !reply["answer"].as_str().unwrap().is_empty(), "{reply}");
}

#[test]
fn an_answer_is_json_under_the_schema() {
    let schema = json!({
        "type": "object",
        "properties": {
            "finding": {"enum": ["effusion", "mass", "none"]},
            "side": {"type": ["string", "null"], "maxLength": 5},
            "size_mm": {"type": "integer", "minimum": 0, "maximum": 300},
        },
        "required": ["finding", "side", "size_mm"],
        "additionalProperties": false,
    });
    let scratch = Scratch::new();
    let file = scratch.file("schema.json", schema.to_string().as_bytes());
    for given in [schema.to_string(), file.display().to_string()] {
        for prompt in ["direct", "reasoning"] {
            let mut command = long(300, &["-q", "x", "--prompt", prompt, "--max-thinking-tokens", "4"]);
            command.args(["--json-schema", &given]);
            let reply = reply(&mut command);
            let answer: Value = serde_json::from_str(reply["answer"].as_str().unwrap()).unwrap();
            assert!(jsonschema::is_valid(&schema, &answer), "{answer}");
        }
    }
}

#[test]
fn an_answer_matches_an_expression_or_a_grammar() {
    let scratch = Scratch::new();
    let grammar = scratch.file("grammar.lark", b"start: size (\" x \" size)?\nsize: /[0-9]{1,2}/ \" mm\"\n");
    let grammar = grammar.display().to_string();
    for options in [["--regex", "[0-9]{1,2} mm( x [0-9]{1,2} mm)?"], ["--grammar", &grammar]] {
        for prompt in ["direct", "reasoning"] {
            let mut command = long(80, &["-q", "x", "--prompt", prompt, "--max-thinking-tokens", "4"]);
            let reply = reply(command.args(options));
            let answer = reply["answer"].as_str().unwrap();
            assert_eq!(reply["finish"], "stop", "{reply}");
            for size in answer.split(" x ") {
                let number = size.strip_suffix(" mm").unwrap_or_else(|| panic!("{answer}"));
                assert!(number.len() <= 2 && number.parse::<u8>().is_ok(), "{answer}");
            }
        }
    }
}

#[test]
fn what_cannot_be_met_is_refused_by_name() {
    for (options, wanted) in [
        (&["--temperature", "-1"][..], "--temperature"),
        (&["--temperature", "NaN"], "--temperature"),
        (&["--top-p", "0"], "--top-p"),
        (&["--min-p", "2"], "--min-p"),
        (&["--top-k", "0"], "--top-k"),
        (&["--repetition-penalty", "0"], "--repetition-penalty"),
        (&["--presence-penalty", "3"], "--presence-penalty"),
        (&["--frequency-penalty", "-3"], "--frequency-penalty"),
        (&["--logit-bias", "x"], "--logit-bias"),
        (&["--logit-bias", "999999=1"], "logit-bias"),
        (&["--logprobs", "21"], "--logprobs"),
        (&["--speculation", "33"], "--speculation"),
        (&["--stop", ""], "stop"),
        (&["--stop", "x", "--ignore-eos"], "ignore-eos"),
        (&["--choice", "x", "--ignore-eos"], "ignore-eos"),
        (&["--choice", ""], "choice"),
        (&["--regex", "("], "regex"),
        (&["--json-schema", "nowhere.json"], "--json-schema"),
        (&["--json-schema", "{"], "json-schema"),
        (&["--grammar", "nowhere.lark"], "--grammar"),
    ] {
        let message = refusal(ask(&CT).args(options), 2);
        assert!(message.starts_with(&format!("error: {wanted}: wanted ")), "{options:?}: {message}");
    }
    // What needs no package to be seen is seen before it loads.
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.args(["ask", "--model", "nowhere", "-q", "Why?", "--choice", ""]);
    let message = refusal(&mut command, 2);
    assert!(message.starts_with("error: choice: wanted texts, got an empty one"), "{message}");
}

use proptest::prelude::*;
use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use super::*;
use crate::answer::Splitter;
use crate::request::{Constraint, Sampling};
use crate::tokenizer::Characters;

/// Tokens that cross the borders of tags, and words.
const WORDS: &[&str] = &[
    "</",
    "think",
    "><",
    "answer",
    ">Y",
    "> ",
    "Yes",
    "No",
    " Yes",
    "\"}",
    "}</",
    ".</",
    "<think>",
    "</answer>",
];

fn prompt() -> PromptTemplate {
    serde_json::from_value(serde_json::json!({
        "system": "S", "system_start": "[s]", "user_start": "[u]", "assistant_start": "[a]", "turn_end": "|",
        "stop": "<|end|>", "placeholder": "<image>", "image_start": "<", "image_context": "#", "image_end": ">",
        "instructions": {"reasoning": "<think> first, then <answer>"},
        "thought": ["<think>", "</think>"], "answer": ["<answer>", "</answer>"],
    }))
    .unwrap()
}

/// An engine without a model.
struct Bench {
    prompt: PromptTemplate,
    tokenizer: Tokenizer,
    grammars: Grammars,
}

/// A reply as its reader gets it.
#[derive(Debug)]
struct Said {
    text: String,
    thought: Option<String>,
    answer: String,
    ended: bool,
}

impl Bench {
    fn new() -> Self {
        Self { prompt: prompt(), tokenizer: Tokenizer::of_bytes(WORDS), grammars: Grammars::default() }
    }

    fn guide(&self, instruction: &Instruction, options: &AskOptions) -> Result<Guide> {
        let common = GuideContext {
            prompt: &self.prompt,
            vocabulary: self.tokenizer.size(),
            tokenizer: &self.tokenizer,
            grammars: &self.grammars,
        };
        Guide::new(common, instruction, options, &[])
    }

    /// Logits that want this text said, byte by byte, and then the end of the turn.
    fn wants(&self, text: &str, at: usize) -> Vec<f32> {
        let mut logits = vec![0.0; self.tokenizer.size()];
        let wanted = text.as_bytes().get(at).map_or(self.tokenizer.eos(), |&byte| byte.into());
        logits[wanted as usize] = 5.0;
        logits
    }

    fn say(&self, mut guide: Guide, limit: usize, mut logits: impl FnMut(&[u32]) -> Vec<f32>) -> Said {
        let mut splitter = match guide.is_untagged() {
            true => Splitter::untagged(Tags::from(&self.prompt)),
            false => Splitter::new(Tags::from(&self.prompt)),
        };
        let (mut ids, mut characters, mut text) = (Vec::new(), Characters::default(), String::new());
        while ids.len() < limit && ids.last() != Some(&self.tokenizer.eos()) {
            let chosen = guide.choose(&self.tokenizer, &logits(&ids), None).unwrap().unwrap();
            ids.push(chosen.id);
            text += &characters.push(self.tokenizer.bytes(chosen.id));
        }
        splitter.push(&text, |_, _| ());
        let parts = splitter.finish(|_, _| ());
        let ended = ids.last() == Some(&self.tokenizer.eos());
        Said { text, thought: parts.thought, answer: parts.answer, ended }
    }

    /// A walk by chance, with a liking for what ends things.
    fn wander(&self, instruction: &Instruction, options: &AskOptions, seed: u64) -> Said {
        let mut random = Pcg64::seed_from_u64(seed);
        self.say(self.guide(instruction, options).unwrap(), 3000, |_| {
            let mut logits: Vec<f32> =
                (0..self.tokenizer.size()).map(|_| (random.next_u32() >> 16) as f32 / 6553.6).collect();
            b"\"}]".iter().for_each(|&byte| logits[byte as usize] += 4.0);
            logits
        })
    }
}

fn constrained(constraint: Constraint) -> AskOptions {
    AskOptions { constraint: Some(constraint), ..AskOptions::default() }
}

fn choice(texts: &[&str]) -> Constraint {
    Constraint::Choice(texts.iter().map(|text| (*text).into()).collect())
}

#[test]
fn thought_is_closed_when_its_tokens_are_spent() {
    let bench = Bench::new();
    let say = |instruction: &Instruction, limit, text: &str| {
        let options = AskOptions { max_thinking_tokens: Some(limit), ..AskOptions::default() };
        let guide = bench.guide(instruction, &options).unwrap();
        bench.say(guide, 60, |ids| bench.wants(text, ids.len())).text
    };
    let direct = &Instruction::Direct;
    let reasoning = &Instruction::Reasoning;
    for (instruction, limit, text, wanted) in [
        (reasoning, 0, "x", "<think></think><answer>"),
        (reasoning, 9, "<think>abcdefghijklmnopqrstuvwxyz", "<think>ab</think><answer>hijklmnopqrstuvwxyz"),
        (reasoning, 3, "abcdefghijklmnopqrstuvwxyz", "abc</think><answer>ijklmnopqrstuvwxyz"),
        // the limit falls into a tag
        (reasoning, 10, "<think>a</", "<think>a</think><answer>"),
        // and into a character
        (reasoning, 8, "<think>\u{20ac}.......", "<think>\u{20ac}</think><answer>.."),
        // what is no thought is not limited
        (reasoning, 20, "<answer>abcdefghijklmnopqrstuvwxyz", "<answer>abcdefghijklmnopqrstuvwxyz"),
        (reasoning, 99, "<think>a</think><answer>b</answer>", "<think>a</think><answer>b</answer>"),
        (direct, 3, "abcdefg", "abcdefg"),
        (direct, 1, "<think>abcdefghijklmnopq", "<think>a</think><answer>ghijklmnopq"),
    ] {
        assert_eq!(say(instruction, limit, text), wanted, "{limit} {text}");
    }
}

#[test]
fn the_answer_keeps_to_the_constraint_and_the_thought_is_free() {
    let bench = Bench::new();
    let say = |instruction: &Instruction, text: &str| {
        let guide = bench.guide(instruction, &constrained(choice(&["Yes", "No", "Not so"]))).unwrap();
        let said = bench.say(guide, 200, |ids| bench.wants(text, ids.len()));
        assert!(said.ended, "{said:?}");
        (said.thought, said.answer)
    };
    for (text, thought, answer) in [
        ("<think>Maybe.</think><answer>No</answer>", Some("Maybe."), "No"),
        ("<think>Maybe.</think><answer> No </answer>", Some("Maybe."), "No"),
        // a turn that would end without an answer
        ("<think>Maybe.", Some("Maybe."), "No"),
        ("", Some(""), "No"),
        ("Maybe.", Some("Maybe."), "No"),
        ("<think>Maybe.</think>", Some("Maybe."), "No"),
    ] {
        let (said_thought, said_answer) = say(&Instruction::Reasoning, text);
        assert_eq!(said_thought.as_deref(), thought, "{text}");
        assert!(["Yes", "No", "Not so"].contains(&said_answer.as_str()), "{text}: {said_answer}");
        if text.contains("No") {
            assert_eq!(said_answer, answer, "{text}");
        }
    }
    assert_eq!(say(&Instruction::Direct, "No"), (None, "No".into()));
    assert_eq!(say(&Instruction::Direct, "Not so"), (None, "Not so".into()));
    assert_eq!(say(&Instruction::Custom("Be brief.".into()), "No"), (None, "No".into()));
    let tagged = Instruction::Custom("Write <answer>.".into());
    assert_eq!(say(&tagged, "hm</think><answer>No</answer>"), (Some("hm".into()), "No".into()));
}

#[test]
fn a_token_that_holds_the_answers_first_letter_is_not_taken() {
    let bench = Bench::new();
    let token = |word: &str| 256 + WORDS.iter().position(|other| *other == word).unwrap() as u32;
    let script = [token("<think>"), token("</"), token("think"), token("><"), token("answer"), token(">Y")];
    let guide = bench.guide(&Instruction::Reasoning, &constrained(choice(&["Yes", "No"]))).unwrap();
    let said = bench.say(guide, 40, |ids| {
        let mut logits = vec![0.0; bench.tokenizer.size()];
        logits[*script.get(ids.len()).unwrap_or(&token("No")) as usize] = 5.0;
        logits
    });
    assert_eq!((said.answer.as_str(), said.ended), ("No", true), "{said:?}");
}

#[test]
fn a_closing_tag_within_the_answer_ends_it_only_where_it_is_whole() {
    let bench = Bench::new();
    let schema = r#"{"type": "object", "properties": {"a": {"type": "string", "maxLength": 40}},
        "required": ["a"], "additionalProperties": false}"#;
    let options = constrained(Constraint::JsonSchema(schema.into()));
    let text = r#"<think></think><answer>{"a":"</answer>"}</answer>"#;
    let guide = bench.guide(&Instruction::Reasoning, &options).unwrap();
    let said = bench.say(guide, 400, |ids| match text.as_bytes().get(ids.len()) {
        Some(_) => bench.wants(text, ids.len()),
        None => {
            let mut logits = vec![0.0; bench.tokenizer.size()];
            b"\"}".iter().for_each(|&byte| logits[byte as usize] = 5.0);
            logits
        }
    });
    assert!(said.ended && serde_json::from_str::<serde_json::Value>(&said.answer).is_ok(), "{said:?}");
    // Without tags around it, the same text is an answer like any other.
    let guide = bench.guide(&Instruction::Direct, &options).unwrap();
    let text = r#"{"a":"</answer><think>"}"#;
    let said = bench.say(guide, 400, |ids| bench.wants(text, ids.len()));
    assert_eq!(said.answer, text);
}

#[test]
fn a_guide_may_move_to_another_thread() {
    fn moves<T: Send>() {}
    moves::<Guide>();
}

#[test]
fn what_is_forced_is_drafted() {
    let bench = Bench::new();
    let options = AskOptions { max_thinking_tokens: Some(1), ..AskOptions::default() };
    let mut guide = bench.guide(&Instruction::Reasoning, &options).unwrap();
    let mut history = Vec::new();
    for _ in 0..2 {
        history.push(guide.choose(&bench.tokenizer, &bench.wants("a", 0), None).unwrap().unwrap().id);
    }
    let guess = guide.draft(&history, 99);
    assert!(guess.len() > 2, "{guess:?}");
    for id in guess {
        assert_eq!(guide.choose(&bench.tokenizer, &bench.wants("a", 0), None).unwrap().unwrap().id, id);
    }
    assert_eq!(guide.draft(&[1, 2, 3, 1, 2], 1), [3]);
}

#[test]
fn what_is_in_doubt_changes_nothing() {
    let bench = Bench::new();
    let options = constrained(Constraint::Choice(vec!["Yes".into(), "No".into()]));
    for (instruction, options) in
        [(Instruction::Direct, &AskOptions::default()), (Instruction::Reasoning, &options)]
    {
        let [mut asked, mut plain] = [0, 1].map(|_| bench.guide(&instruction, options).unwrap());
        for step in 0..30 {
            let mut logits = bench.wants("<think>a</think>", step);
            let end = bench.tokenizer.eos() as usize;
            // The end of the turn, which opens an answer where there must be one, is close behind.
            logits[end] = logits.iter().copied().fold(0.0, f32::max) - 0.25;
            let wanted = plain.choose(&bench.tokenizer, &logits, None).unwrap().unwrap();
            if wanted.margin <= 0.5 {
                assert_eq!(asked.choose(&bench.tokenizer, &logits, Some(0.5)).unwrap(), None);
            }
            let doubt = (wanted.margin > 0.1).then_some(0.1);
            assert_eq!(asked.choose(&bench.tokenizer, &logits, doubt).unwrap(), Some(wanted));
        }
    }
}

#[test]
fn a_constraint_that_cannot_be_kept_to_is_refused_with_the_reason() {
    let bench = Bench::new();
    let deep = format!("start: {}\"a\"{}", "(".repeat(20_000), ")".repeat(20_000));
    let deep_regex = format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000));
    let deep_schema = format!("{}{{}}{}", r#"{"items":"#.repeat(5_000), "}".repeat(5_000));
    let table: Vec<(Constraint, &str, &str)> = vec![
        (Constraint::JsonSchema("{".into()), "json-schema", "EOF"),
        (Constraint::JsonSchema(String::new()), "json-schema", "0"),
        (Constraint::JsonSchema(r#"{"type": "strin"}"#.into()), "json-schema", "strin"),
        (Constraint::JsonSchema("3".into()), "json-schema", ""),
        (Constraint::JsonSchema(r#"{"$ref": "http://example.com/x"}"#.into()), "json-schema", "ref"),
        (
            Constraint::JsonSchema(r#"{"type":"string","uniqueItems":true,"not":{}}"#.into()),
            "json-schema",
            "",
        ),
        (Constraint::JsonSchema(deep_schema), "json-schema", "recursion"),
        (Constraint::Regex("a(".into()), "regex", ""),
        (Constraint::Regex("(?=a)b".into()), "regex", ""),
        (Constraint::Regex("[a&&b]".into()), "regex", ""),
        (Constraint::Regex(deep_regex), "regex", ""),
        (Constraint::Choice(vec![]), "choice", "0"),
        (choice(&["a", ""]), "choice", "empty"),
        (choice(&["a"; 10_001]), "choice", "10001"),
        (Constraint::Lark("start: nowhere".into()), "grammar", "nowhere"),
        (Constraint::Lark(deep), "grammar", ""),
        (Constraint::Lark("start: \"a\"".to_owned() + &" ".repeat(300_000)), "grammar", "300010"),
        (Constraint::Regex("a?".repeat(9000)), "regex", "18000"),
        (Constraint::Lark(format!("start: /{}/", "a?".repeat(9000))), "grammar", "18009"),
        (
            Constraint::JsonSchema(format!(r#"{{"type":"string","pattern":"{}"}}"#, "a?".repeat(9000))),
            "json-schema",
            "18000",
        ),
    ];
    for (constraint, name, reason) in table {
        for instruction in [Instruction::Direct, Instruction::Reasoning] {
            let error = bench.guide(&instruction, &constrained(constraint.clone())).err();
            let error = error.unwrap_or_else(|| panic!("taken: {constraint:?}"));
            assert_eq!((error.code(), error.facts().thing.as_str()), (crate::ErrorCode::Request, name));
            let got = &error.facts().got;
            assert!(got.contains(reason) && !got.contains("panic") && got.len() < 500, "{name}: {got}");
        }
    }
}

/// A schema with bounds on everything, and no contradiction in it.
fn any_schema() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        (-50i32..50, 0i32..100)
            .prop_map(|(low, span)| { json!({"type": "integer", "minimum": low, "maximum": low + span}) }),
        (0usize..4, 0usize..6)
            .prop_map(|(low, span)| { json!({"type": "string", "minLength": low, "maxLength": low + span}) }),
        Just(json!({"type": "string", "pattern": "^[A-D]{1,3}$"})),
        proptest::collection::vec("[a-z\"\\\\ é]{0,5}", 1..4).prop_map(|texts| json!({"enum": texts})),
        Just(json!({"const": {"a": [1, null, "x"]}})),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let fields = proptest::collection::btree_map("[a-z ]{1,4}", (inner.clone(), any::<bool>()), 0..4);
        prop_oneof![
            (inner.clone(), 0usize..2, 0usize..3).prop_map(|(items, low, span)| {
                json!({"type": "array", "items": items, "minItems": low, "maxItems": low + span})
            }),
            proptest::collection::vec(inner, 1..3).prop_map(|schemas| json!({"anyOf": schemas})),
            fields.prop_map(|fields| {
                let required: Vec<_> = fields.iter().filter(|(_, (_, needed))| *needed).map(|(name, _)| name).collect();
                let properties: serde_json::Map<String, Value> =
                    fields.iter().map(|(name, (schema, _))| (name.clone(), schema.clone())).collect();
                json!({
                    "type": "object", "properties": properties, "required": required, "additionalProperties": false
                })
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_the_logits_the_answer_is_valid(schema in any_schema(), seed in any::<u64>(), tagged in any::<bool>()) {
        let bench = Bench::new();
        let instruction = if tagged { Instruction::Reasoning } else { Instruction::Direct };
        let options = AskOptions {
            max_thinking_tokens: Some(20),
            sampling: Sampling { temperature: 0.7, seed, ..Sampling::default() },
            ..constrained(Constraint::JsonSchema(schema.to_string()))
        };
        let said = bench.wander(&instruction, &options, seed);
        prop_assert!(said.ended, "{:?}", said);
        let answer: serde_json::Value = serde_json::from_str(&said.answer)
            .map_err(|error| TestCaseError::fail(format!("{error}: {:?}", said.text)))?;
        prop_assert!(jsonschema::is_valid(&schema, &answer), "{}: {}", schema, answer);
    }

    #[test]
    fn whatever_the_logits_the_answer_is_one_of_the_choices(
        texts in proptest::collection::vec("[a-zé.*(\\\\</ \n]{1,6}", 1..6),
        seed in any::<u64>(),
        tagged in any::<bool>(),
    ) {
        let bench = Bench::new();
        let instruction = if tagged { Instruction::Reasoning } else { Instruction::Direct };
        let options = AskOptions {
            max_thinking_tokens: Some(20),
            ..constrained(Constraint::Choice(texts.clone()))
        };
        let said = bench.wander(&instruction, &options, seed);
        prop_assert!(said.ended, "{:?}", said);
        // Within tags the answer may have a space on either side; without them it is the choice to the letter.
        let as_said = |text: &String| match tagged {
            true => crate::answer::strip(text) == said.answer,
            false => *text == said.answer,
        };
        prop_assert!(texts.iter().any(as_said), "{:?}", said);
    }

    #[test]
    fn no_text_of_a_constraint_harms_the_process(
        regex in "[ab()|*+?{}\\[\\]^$.0-9,\\\\&~-]{0,24}",
        grammar in "start: ([ab] |\"x\" |/[a-z.*(]{1,4}/ |[(|)*+?]|\n[ab]: |%ignore |@a |%json \\{\\}|<\\[3\\]>|~|\\{2\\}){0,10}",
        (key, value) in (
            "type|items|\\$ref|allOf|oneOf|not|pattern|minimum|maxLength|properties|required|format|if|x-guidance",
            "\"#\"|\"string\"|\"\\[\\(\"|-1|1e99|\\[\\]|\\{\\}|true|null|\\{\"\\$ref\":\"#\"\\}|\\[\\{\"\\$ref\":\"#\"\\}\\]",
        ),
        seed in any::<u64>(),
    ) {
        let bench = Bench::new();
        let schema = format!("{{\"{key}\": {value}}}");
        for constraint in [Constraint::Regex(regex), Constraint::Lark(grammar), Constraint::JsonSchema(schema)] {
            let mut random = Pcg64::seed_from_u64(seed);
            let Ok(mut guide) = bench.guide(&Instruction::Direct, &constrained(constraint)) else { continue };
            for _ in 0..12 {
                let logits: Vec<f32> = (0..bench.tokenizer.size()).map(|_| random.next_u32() as f32).collect();
                match guide.choose(&bench.tokenizer, &logits, None) {
                    Ok(Some(chosen)) if chosen.id != bench.tokenizer.eos() => {}
                    Ok(_) => break,
                    Err(error) => {
                        prop_assert!(!error.facts().got.contains("panic"), "{}", error);
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn without_options_a_guide_is_greedy(seed in any::<u64>()) {
        let bench = Bench::new();
        let mut random = Pcg64::seed_from_u64(seed);
        let mut guide = bench.guide(&Instruction::Reasoning, &AskOptions::default()).unwrap();
        for _ in 0..20 {
            let logits: Vec<f32> = (0..bench.tokenizer.size()).map(|_| random.next_u32() as f32).collect();
            let largest = (0..logits.len()).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
            prop_assert_eq!(guide.choose(&bench.tokenizer, &logits, None).unwrap().unwrap().id as usize, largest);
        }
    }
}

#[test]
fn rules_that_name_one_another_need_no_large_stack_of_who_compiles_them() {
    let link = |number: usize| format!("r{number}: r{}\n", number + 1);
    let rules: String = (0..15_000).map(link).collect();
    let definition = |number: usize| {
        format!(r##""a{number}":{{"type":"array","items":{{"$ref":"#/$defs/a{}"}}}}"##, number + 1)
    };
    let definitions: Vec<_> = (0..4000).map(definition).collect();
    let schema = format!(
        r##"{{"$defs":{{{},"a4000":{{"type":"null"}}}},"$ref":"#/$defs/a0"}}"##,
        definitions.join(",")
    );
    for constraint in
        [Constraint::Lark(format!("start: r0\n{rules}r15000: \"a\"")), Constraint::JsonSchema(schema)]
    {
        let options = AskOptions { constraint: Some(constraint), ..AskOptions::default() };
        // Taken or refused: a stack that overflows would end the process.
        drop(Bench::new().guide(&Instruction::Direct, &options));
    }
}

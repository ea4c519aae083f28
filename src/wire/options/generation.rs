//! How an answer is made, but for the choice of its tokens.

use std::time::Duration;

use super::row::{Form, Row, number};
use crate::limits::Subject;
use crate::request::{AskOptions, StopRule};
use crate::study::Preprocessing;

const fn row(name: &'static str, value: &'static str, form: Form, help: &'static str) -> Row {
    Row::new(Subject::Generation.option(name), value, form, help)
}

const REFERENCE: &str = "reference";
const CLINICAL: &str = "clinical";

pub(super) static GENERATION: [Row; 9] = [
    number!(AskOptions::MAX_NEW_TOKENS, ask.max_new_tokens as Option<usize>, "N", "Most tokens to generate")
        .absent("the package's"),
    Row::new(
        AskOptions::IGNORE_EOS,
        "",
        Form::Switch(|o| o.ask.stop = StopRule::LengthOnly, |o| o.ask.stop == StopRule::LengthOnly),
        "Do not stop at the end of the model's turn",
    ),
    row(
        "preprocessing",
        "HOW",
        Form::Word(
            &[REFERENCE, CLINICAL],
            |o, word| {
                o.ask.preprocessing = match word {
                    REFERENCE => Preprocessing::Reference,
                    _ => Preprocessing::Clinical,
                }
            },
            |o| match o.ask.preprocessing {
                Preprocessing::Reference => Some(REFERENCE),
                Preprocessing::Clinical => Some(CLINICAL),
            },
        ),
        "How inputs are prepared: clinical corrects the defects of the reference script, with a warning for each",
    ),
    number!(
        AskOptions::MAX_TILES,
        ask.max_tiles as Option<usize>,
        "N",
        "Cut an image into up to N tiles of its own aspect ratio, plus a thumbnail"
    ),
    number!(
        AskOptions::MAX_THINKING_TOKENS,
        ask.max_thinking_tokens as Option<usize>,
        "N",
        "Most tokens of thought; then the thought is closed and the answer opened"
    ),
    number!(
        AskOptions::LOGPROBS,
        ask.logprobs as Option<usize>,
        "N",
        "Report each token's log-probability and those of the N likeliest, with --json"
    ),
    Row::new(
        AskOptions::STOP,
        "TEXT",
        Form::Texts(|o, texts| o.ask.stop_strings = texts, |o| o.ask.stop_strings.clone()),
        "End the reply before this text; may be repeated",
    ),
    number!(
        AskOptions::SPECULATION,
        ask.speculation as Option<usize>,
        "N",
        "Guess up to N tokens ahead by prompt lookup, and verify them in one run"
    ),
    AskOptions::TIMEOUT.row(
        "SECONDS",
        |o, seconds| o.ask.timeout = Some(Duration::from_secs_f64(seconds)),
        |o| o.ask.timeout.map(|timeout| timeout.as_secs_f64()),
        "End the reply after this many seconds, with the text so far",
    ),
];

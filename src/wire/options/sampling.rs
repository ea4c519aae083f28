//! How tokens are chosen, and what the answer must look like.

use super::row::{Document, Form, Row, Spelling, number};
use crate::limits::Subject;
use crate::request::{Constraint, Sampling};

const fn row(name: &'static str, value: &'static str, form: Form, help: &'static str) -> Row {
    Row::new(Subject::Generation.option(name), value, form, help)
}

pub(super) static SAMPLING: [Row; 9] = [
    number!(
        Sampling::TEMPERATURE,
        ask.sampling.temperature as f32,
        "T",
        "Draw tokens at random, more evenly the higher it is; 0 always takes the likeliest"
    ),
    number!(
        Sampling::TOP_K,
        ask.sampling.top_k as Option<usize>,
        "K",
        "Draw only from the K likeliest tokens"
    ),
    number!(
        Sampling::TOP_P,
        ask.sampling.top_p as f32,
        "P",
        "Draw only from the likeliest tokens that together have this probability"
    ),
    number!(
        Sampling::MIN_P,
        ask.sampling.min_p as f32,
        "P",
        "Draw only from tokens with at least this share of the likeliest token's probability"
    ),
    number!(
        Sampling::REPETITION_PENALTY,
        ask.sampling.repetition_penalty as f32,
        "X",
        "Above 1, make tokens of the prompt and the reply less likely to come again"
    ),
    number!(
        Sampling::PRESENCE_PENALTY,
        ask.sampling.presence_penalty as f32,
        "X",
        "Above 0, make tokens of the reply less likely to come again"
    ),
    number!(
        Sampling::FREQUENCY_PENALTY,
        ask.sampling.frequency_penalty as f32,
        "X",
        "Above 0, make tokens of the reply less likely each time they come"
    ),
    number!(
        Sampling::SEED,
        ask.sampling.seed as u64,
        "N",
        "Where the random numbers start: the same seed draws the same reply"
    ),
    Row::new(
        Sampling::LOGIT_BIAS.option,
        "ID=X",
        Form::Pairs("ID=X, a token id and a number from -100 to 100", |o, id, bias| {
            let bias =
                bias.parse::<f32>().ok().filter(|bias| Sampling::LOGIT_BIAS.range.contains(f64::from(*bias)));
            let pair = id.parse::<u32>().ok().zip(bias);
            o.ask.sampling.logit_bias.extend(pair);
            pair.is_some()
        }),
        "Add this, from -100 to 100, to the logit of a token; may be repeated",
    ),
];

/// At most one of them.
pub(super) static CONSTRAINT: [Row; 4] = [
    row(
        "choice",
        "TEXT",
        Form::Texts(
            |o, texts| o.ask.constraint = Some(Constraint::Choice(texts)),
            |o| match &o.ask.constraint {
                Some(Constraint::Choice(texts)) => texts.clone(),
                _ => Vec::new(),
            },
        ),
        "The answer is one of these texts; repeat the option for each",
    )
    .excludes(&["json_schema", "regex", "grammar"]),
    row(
        "json_schema",
        "FILE|TEXT",
        Form::Document(
            |text| match text.trim_start().starts_with('{') {
                true => Spelling::Itself,
                false => Spelling::File(0),
            },
            |o, schema| o.ask.constraint = Some(Constraint::JsonSchema(schema.into_text())),
        ),
        "The answer is JSON under this schema: a file, or the schema itself, which begins with {",
    )
    .excludes(&["choice", "regex", "grammar"]),
    row(
        "regex",
        "REGEX",
        Form::Text(
            |o, regex| o.ask.constraint = Some(Constraint::Regex(regex)),
            |o| match &o.ask.constraint {
                Some(Constraint::Regex(regex)) => Some(regex.clone()),
                _ => None,
            },
        ),
        "The answer is a match of this regular expression",
    )
    .excludes(&["choice", "json_schema", "grammar"]),
    row(
        "grammar",
        "FILE",
        Form::Document(
            |_| Spelling::File(0),
            |o, grammar| o.ask.constraint = Some(Constraint::Lark(grammar.into_text())),
        ),
        "The answer is a text of the Lark grammar in this file",
    )
    .excludes(&["choice", "json_schema", "regex"]),
];

impl Document {
    fn into_text(self) -> String {
        let (Document::Word(text) | Document::Text(text) | Document::File(text)) = self;
        text
    }
}

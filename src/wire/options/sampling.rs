//! How tokens are chosen, and what the answer must look like.

use super::row::{Document, Form, Row, Spelling, Subject, number};
use crate::limits;
use crate::request::Constraint;

const fn row(name: &'static str, value: &'static str, form: Form, help: &'static str) -> Row {
    Row::new(Subject::Generation, name, value, form, help)
}

pub(super) static SAMPLING: [Row; 9] = [
    row(
        "temperature",
        "T",
        number!(Real, limits::TEMPERATURE, ask.sampling.temperature as f32),
        "Draw tokens at random, more evenly the higher it is; 0 always takes the likeliest",
    ),
    row(
        "top_k",
        "K",
        number!(Whole, limits::TOP_K, ask.sampling.top_k as Option<usize>),
        "Draw only from the K likeliest tokens",
    ),
    row(
        "top_p",
        "P",
        number!(Real, limits::TOP_P, ask.sampling.top_p as f32),
        "Draw only from the likeliest tokens that together have this probability",
    ),
    row(
        "min_p",
        "P",
        number!(Real, limits::MIN_P, ask.sampling.min_p as f32),
        "Draw only from tokens with at least this share of the likeliest token's probability",
    ),
    row(
        "repetition_penalty",
        "X",
        number!(Real, limits::REPETITION_PENALTY, ask.sampling.repetition_penalty as f32),
        "Above 1, make tokens of the prompt and the reply less likely to come again",
    ),
    row(
        "presence_penalty",
        "X",
        number!(Real, limits::PENALTY, ask.sampling.presence_penalty as f32),
        "Above 0, make tokens of the reply less likely to come again",
    ),
    row(
        "frequency_penalty",
        "X",
        number!(Real, limits::PENALTY, ask.sampling.frequency_penalty as f32),
        "Above 0, make tokens of the reply less likely each time they come",
    ),
    row(
        "seed",
        "N",
        number!(Whole, limits::SEED, ask.sampling.seed as u64),
        "Where the random numbers start: the same seed draws the same reply",
    ),
    row(
        "logit_bias",
        "ID=X",
        Form::Pairs("ID=X, a token id and a number from -100 to 100", |o, id, bias| {
            let bias = bias.parse::<f32>().ok().filter(|bias| limits::LOGIT_BIAS.contains(f64::from(*bias)));
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

//! Options that say how tokens are chosen and what the answer must look like.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use clap::Args;
use fleming::{Constraint, Sampling};

use super::options::unusable;

#[derive(Args)]
pub(super) struct SamplingArguments {
    /// Draw tokens by chance, the more so the higher; 0 always takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 0.0, allow_negative_numbers = true)]
    temperature: f32,
    /// Draw only from the K likeliest tokens
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw only from the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_negative_numbers = true)]
    top_p: f32,
    /// Draw only from tokens with at least this share of the likeliest token's probability
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    min_p: f32,
    /// Above 1, make tokens of the prompt and the reply less likely to come again
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true)]
    repetition_penalty: f32,
    /// Above 0, make tokens of the reply less likely to come again
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    presence_penalty: f32,
    /// Above 0, make tokens of the reply less likely each time they come
    #[arg(long, value_name = "X", default_value_t = 0.0, allow_negative_numbers = true)]
    frequency_penalty: f32,
    /// Where the random numbers start: the same seed draws the same reply
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Add this to the logit of a token, -100 to 100; may be repeated
    #[arg(long, value_name = "ID=X")]
    logit_bias: Vec<String>,
}

#[derive(Args)]
pub(super) struct ConstraintArguments {
    /// The answer is one of the texts so named; repeat it for each
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["json_schema", "regex", "grammar"])]
    choice: Vec<String>,
    /// The answer is JSON under this schema: a file, or the schema itself, which begins with {
    #[arg(long, value_name = "FILE|TEXT", conflicts_with_all = ["regex", "grammar"])]
    json_schema: Option<String>,
    /// The answer is a match of this regular expression
    #[arg(long, value_name = "REGEX", conflicts_with = "grammar")]
    regex: Option<String>,
    /// The answer is a text of the Lark grammar in this file
    #[arg(long, value_name = "FILE")]
    grammar: Option<String>,
}

impl SamplingArguments {
    pub(super) fn sampling(&self) -> Result<Sampling> {
        Ok(Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            presence_penalty: self.presence_penalty,
            frequency_penalty: self.frequency_penalty,
            seed: self.seed,
            logit_bias: self.logit_bias.iter().map(|text| bias(text)).collect::<Result<BTreeMap<_, _>>>()?,
        })
    }
}

fn bias(text: &str) -> Result<(u32, f32)> {
    let parsed = text.split_once('=').and_then(|(id, bias)| Some((id.parse().ok()?, bias.parse().ok()?)));
    parsed.ok_or_else(|| unusable("--logit-bias", "ID=X, a token id and a number", &text))
}

impl ConstraintArguments {
    pub(super) fn constraint(&self) -> Result<Option<Constraint>> {
        if !self.choice.is_empty() {
            return Ok(Some(Constraint::Choice(self.choice.clone())));
        }
        Ok(match (&self.json_schema, &self.regex, &self.grammar) {
            (Some(schema), ..) if schema.trim_start().starts_with('{') => {
                Some(Constraint::JsonSchema(schema.clone()))
            }
            (Some(path), ..) => Some(Constraint::JsonSchema(text_of("--json-schema", path)?)),
            (_, Some(regex), _) => Some(Constraint::Regex(regex.clone())),
            (.., Some(path)) => Some(Constraint::Lark(text_of("--grammar", path)?)),
            _ => None,
        })
    }
}

fn text_of(option: &str, path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(|error| unusable(option, &format!("a text file at {path}"), &error))
}

//! Fields of a request to options, by the one table of them.

use serde_json::{Map, Number, Value};

use super::body::{ChatBody, ResponseFormat};
use crate::error::Error;
use crate::limits::Whole;
use crate::request::AskOptions;
use crate::server::fault::Fault;
use crate::study::Look;
use crate::wire::{self, Chosen, Files, Form, Options, Row, Subject, option};

/// OpenAI's fields (and vLLM's), each with its row of the table.
pub(in crate::server) const FIELDS: [(&str, &str); 14] = [
    ("max_tokens", "max_new_tokens"),
    ("max_completion_tokens", "max_new_tokens"),
    ("thinking_token_budget", "max_thinking_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("min_p", "min_p"),
    ("repetition_penalty", "repetition_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("seed", "seed"),
    ("stop", "stop"),
    ("logit_bias", "logit_bias"),
    ("ignore_eos", "ignore_eos"),
];

/// Fields that clients send and that change no answer.
pub(in crate::server) const HARMLESS: [&str; 10] = [
    "user",
    "metadata",
    "store",
    "service_tier",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "verbosity",
    "cache_control",
];

/// How much a client may ask for thought. All but the first have the model think.
pub(in crate::server) const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Fields that say nothing with these values.
const NEUTRAL: [(&str, &str); 8] = [
    ("top_k", "-1"),
    ("tools", "[]"),
    ("functions", "[]"),
    ("tool_choice", "\"none\""),
    ("tool_choice", "\"auto\""),
    ("function_call", "\"none\""),
    ("modalities", "[\"text\"]"),
    ("include_reasoning", "true"),
];

/// Options of generation that stand in OpenAI's fields, and not in ours.
const OPENAI_ONLY: [&str; 5] = ["logprobs", "json_schema", "system", "session", "max_new_tokens"];
/// Not in the table: whether a stream tells of progress.
const PROGRESS: &str = "progress";

/// What the options of a study come to.
pub(super) struct StudyOptions {
    chosen: Chosen,
    /// Whether there are several studies, so that an option may be meant for another.
    is_shared: bool,
}

impl StudyOptions {
    /// The options of one study, its own over those of the request.
    ///
    /// # Errors
    /// Status 400 naming the option.
    pub(super) fn look(&self, at: &str, own: &Map<String, Value>) -> Result<Look, Fault> {
        let of_study = |row: &Row| matches!(row.subject, Subject::Look(_));
        let mut chosen = self.chosen.clone();
        for (name, value) in own {
            let param = format!("{at}.{name}");
            let row = option(name).filter(|row| of_study(row)).ok_or_else(|| unknown(&param))?;
            chosen = chosen.under(&read(row, &param, value)?);
        }
        let look = chosen.options().map_err(|error| Fault::from(error).param(at))?.look;
        Ok(if self.is_shared { look.shared() } else { look })
    }
}

/// The options of a request, but for its messages.
pub(super) struct Read {
    pub(super) options: Options,
    pub(super) studies: StudyOptions,
    /// Whether a number of tiles was asked for.
    pub(super) has_tiles: bool,
    pub(super) progress: bool,
    /// The options that were given, as they were.
    pub(super) given: Map<String, Value>,
}

/// Reads all fields but the messages.
///
/// # Errors
/// Status 400 naming a field that is unknown, out of range or contradicts another.
pub(super) fn read_all(body: &ChatBody, studies: usize) -> Result<Read, Fault> {
    let mut chosen = openai_fields(&body.others)?;
    let (ours, progress) = our_fields(body.fleming.as_ref())?;
    if let Some(row) = ours.rows().find(|row| chosen.has(row.name)) {
        return Err(twice(row.name));
    }
    chosen = chosen.under(&ours);
    let fields = body.others.iter().filter(|(name, _)| FIELDS.iter().any(|(field, _)| field == name));
    let given = fields
        .chain(body.fleming.iter().flatten())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut options = chosen.options().map_err(with_param)?;
    answers(body, &mut options)?;
    wording(body, &chosen, &mut options)?;
    if let Some(format) = &body.response_format {
        form(format, &mut options)?;
    }
    options.ask.check().map_err(with_param)?;
    options.look.check().map_err(with_param)?;
    let is_shared = studies > 1 && chosen.rows().any(|row| matches!(row.subject, Subject::Look(_)));
    Ok(Read {
        options,
        has_tiles: chosen.has("max_tiles"),
        studies: StudyOptions { chosen, is_shared },
        progress,
        given,
    })
}

/// Number of answers, and the log-probabilities of their tokens.
fn answers(body: &ChatBody, options: &mut Options) -> Result<(), Fault> {
    options.ask.answers = body.n.as_ref().map(|n| whole("n", AskOptions::ANSWERS.range, n)).transpose()?;
    let top = body
        .top_logprobs
        .as_ref()
        .map(|top| whole("top_logprobs", AskOptions::LOGPROBS.range, top))
        .transpose()?;
    options.ask.logprobs = match (body.logprobs.unwrap_or_default(), top) {
        (true, top) => Some(top.unwrap_or_default()),
        (false, None | Some(0)) => None,
        (false, Some(top)) => {
            return Err(
                Fault::field("top_logprobs", "logprobs: true beside it", top).hint("set logprobs to true")
            );
        }
    };
    Ok(())
}

/// Whether the model is asked to think first.
fn wording(body: &ChatBody, chosen: &Chosen, options: &mut Options) -> Result<(), Fault> {
    let effort = match body.reasoning_effort.as_deref() {
        None => None,
        Some("none") => Some(false),
        Some(word) if EFFORTS.contains(&word) => Some(true),
        Some(other) => {
            return Err(Fault::field("reasoning_effort", EFFORTS.join(" or "), other)
                .hint("leave it out to have the model think"));
        }
    };
    let enabled = body.chat_template_kwargs.as_ref().and_then(|template| template.enable_thinking);
    let thinks = match (effort, enabled) {
        (Some(one), Some(other)) if one != other => {
            return Err(twice("chat_template_kwargs.enable_thinking"));
        }
        (one, other) => one.or(other),
    };
    match thinks {
        Some(_) if chosen.has("prompt") => Err(twice("fleming.prompt")),
        Some(false) => {
            options.instruction = crate::request::Instruction::Direct;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What the answer must look like, in OpenAI's words.
fn form(format: &ResponseFormat, options: &mut Options) -> Result<(), Fault> {
    let schema = match (format.r#type.as_str(), &format.json_schema) {
        ("text", _) => return Ok(()),
        ("json_object", _) => r#"{"type":"object"}"#.to_owned(),
        ("json_schema", Some(named)) => Value::Object(named.schema.clone()).to_string(),
        ("json_schema", None) => {
            return Err(Fault::field("response_format.json_schema", "a schema", "none").hint("add it"));
        }
        (other, _) => {
            return Err(Fault::field("response_format.type", "text, json_object or json_schema", other)
                .hint("fleming.choice, fleming.regex and fleming.grammar hold answers to other forms"));
        }
    };
    match options.ask.constraint.replace(crate::request::Constraint::JsonSchema(schema)) {
        None => Ok(()),
        Some(_) => Err(twice("response_format")),
    }
}

/// The options among OpenAI's fields. Those that change nothing are passed over.
fn openai_fields(fields: &Map<String, Value>) -> Result<Chosen, Fault> {
    let mut chosen = Chosen::default();
    for (name, value) in fields {
        let text = value.to_string();
        let is_neutral = value.is_null()
            || HARMLESS.contains(&name.as_str())
            || NEUTRAL.iter().any(|(field, neutral)| *field == name && *neutral == text);
        if is_neutral {
            continue;
        }
        let row = FIELDS.iter().find(|(field, _)| field == name).and_then(|(_, row)| option(row));
        let row = row.ok_or_else(|| unknown(name))?;
        if chosen.has(row.name) {
            return Err(twice(name));
        }
        chosen = chosen.under(&read(row, name, value)?);
    }
    Ok(chosen)
}

/// The options among our own fields, and whether progress is asked for.
fn our_fields(fields: Option<&Map<String, Value>>) -> Result<(Chosen, bool), Fault> {
    let (mut chosen, mut progress) = (Chosen::default(), false);
    for (name, value) in fields.into_iter().flatten() {
        let param = format!("fleming.{name}");
        if name == PROGRESS {
            let refuse = || Fault::field(&param, "true or false", value).hint("leave it out");
            progress = value.as_bool().ok_or_else(refuse)?;
            continue;
        }
        let row = option(name).filter(|row| is_ours(row)).ok_or_else(|| unknown(&param))?;
        chosen = chosen.under(&read(row, &param, value)?);
    }
    Ok((chosen, progress))
}

/// Whether an option is a field of `fleming`.
pub(in crate::server) fn is_ours(row: &Row) -> bool {
    row.subject != Subject::Engine && !OPENAI_ONLY.contains(&row.name)
}

/// Reads one option from JSON of the right type.
fn read(row: &'static Row, param: &str, value: &Value) -> Result<Chosen, Fault> {
    let fits = value.is_null()
        || match &row.form {
            Form::Whole(..) | Form::Real(..) => value.is_number(),
            Form::Switch(..) => value.is_boolean(),
            Form::Pairs(..) => value.as_object().is_some_and(|pairs| pairs.values().all(Value::is_number)),
            Form::Texts(..) => {
                value.is_string() || value.as_array().is_some_and(|texts| texts.iter().all(Value::is_string))
            }
            Form::Document(..) => value.is_string() || value.is_object(),
            Form::Word(..) | Form::Text(_, _) | Form::Parsed(..) => value.is_string(),
            Form::Path(..) => false,
        };
    if !fits {
        let wanted = row
            .may_be()
            .map_or_else(|| kind(&row.form).to_owned(), |values| format!("{}, {values}", kind(&row.form)));
        return Err(
            Fault::field(param, wanted, crate::error::shortened(&value.to_string(), 100)).hint(row.help)
        );
    }
    let fields = Map::from_iter([(row.name.to_owned(), value.clone())]);
    match Chosen::of(&fields, |_| true, Files::Refused) {
        Ok((chosen, _)) => Ok(chosen),
        Err(error) => {
            let mut fault = Fault::from(error).param(param);
            fault.facts.thing = param.to_owned();
            Err(fault)
        }
    }
}

/// What a value is in JSON.
fn kind(form: &Form) -> &'static str {
    match form {
        Form::Whole(..) => "a whole number",
        Form::Real(..) => "a number",
        Form::Switch(..) => "true or false",
        Form::Pairs(..) => "an object of numbers",
        Form::Texts(..) => "a text or a list of texts",
        Form::Document(..) => "a text or an object",
        Form::Word(..) | Form::Text(..) | Form::Parsed(..) | Form::Path(..) => "a text",
    }
}

fn whole(param: &str, range: Whole, number: &Number) -> Result<usize, Fault> {
    let within = wire::whole(number).filter(|number| range.contains(*number));
    within.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
        Fault::field(param, format!("a whole number, {range}"), number).hint("correct it, or leave it out")
    })
}

/// Refuses fields that nobody reads, but for those that are known to be harmless.
///
/// # Errors
/// Status 400 naming the first.
pub(super) fn no_others(at: &str, others: &Map<String, Value>, harmless: &[&str]) -> Result<(), Fault> {
    let meant = |(name, value): &(&String, &Value)| !value.is_null() && !harmless.contains(&name.as_str());
    match others.iter().find(meant) {
        Some((name, _)) => Err(unknown(&format!("{at}.{name}"))),
        None => Ok(()),
    }
}

fn unknown(param: &str) -> Fault {
    Fault::field(param, "a field of this server", "an unknown one")
        .code("unknown_parameter")
        .hint("leave it out; docs/server.md lists the fields")
}

fn twice(param: &str) -> Fault {
    Fault::field(param, "one field that says so", "two").hint("leave one of them out")
}

/// An error of the library, with the field that it names.
pub(in crate::server) fn with_param(error: Error) -> Fault {
    let name = error.facts().thing.trim_start_matches("--").replace('-', "_");
    let is_too_long = name == "prompt" && error.facts().wanted.contains("context");
    let mut fault = Fault::from(error);
    if is_too_long {
        fault = fault.code("context_length_exceeded");
    }
    let openai = FIELDS.iter().find(|(_, row)| *row == name).map(|(field, _)| (*field).to_owned());
    let param = match name.as_str() {
        "answers" => Some("n".to_owned()),
        // The whole of it, and not the option of this name.
        "question" | "prompt" => Some("messages".to_owned()),
        "json_schema" => Some("response_format".to_owned()),
        "logprobs" => Some("top_logprobs".to_owned()),
        "stop texts" => Some("stop".to_owned()),
        _ => openai.or_else(|| option(&name).map(|row| format!("fleming.{}", row.name))),
    };
    match (param, fault.status.is_client_error()) {
        (Some(param), true) => fault.param(param),
        _ => fault,
    }
}

//! Studies as JSON: `{"image": FILE}`, `{"video": FILE}`, `{"volume": FILE}`, or `{"file": FILE}`, whose content says what it
//! is; each with the options that say what of it is looked at.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::json::json_object;
use super::options::{Chosen, Files, Form, Options, options};
use crate::error::{Error, Result, shortened};
use crate::frame::Modality;
use crate::input::{Fact, FactValue, StudyFacts};
use crate::limits::Subject;
use crate::study::{Look, Source, StudyInput};

/// What a file is named as. `file` takes what its content is.
pub(super) const KINDS: [(&str, Option<Modality>); 4] = [
    ("image", Some(Modality::Image)),
    ("volume", Some(Modality::Volume)),
    ("video", Some(Modality::Video)),
    (FILE, None),
];

const FILE: &str = "file";
/// Says that options which do not fit the study are for others.
const SHARED: &str = "shared";

/// The study in a file of this machine; none of a kind takes what its content is.
pub(super) fn study_of(modality: Option<Modality>, path: PathBuf, look: &Look) -> StudyInput {
    StudyInput::File { source: path.into(), modality, look: look.clone() }
}

/// A study as an object of its kind, its file and the options that it was named with; none if it is not in one file.
pub fn study(input: &StudyInput) -> Option<Value> {
    let StudyInput::File { source: Source::Path(path), modality, look } = input else { return None };
    let mut object = Map::new();
    object.insert(modality.map_or(FILE, Modality::name).into(), path.to_str()?.into());
    let set = Options { look: look.clone(), ..Options::default() };
    let looks = |subject| match modality {
        Some(modality) => subject == Subject::Look(*modality),
        None => matches!(subject, Subject::Look(_)),
    };
    for row in options().filter(|row| looks(row.subject)) {
        let value = match &row.form {
            Form::Whole(_, _, get) => get(&set).map(Value::from),
            Form::Real(_, _, get) => get(&set).map(Value::from),
            Form::Text(_, get) | Form::Parsed(_, _, get) => get(&set).map(Value::from),
            Form::Word(_, _, get) => get(&set).map(Value::from),
            Form::Switch(_, get) => get(&set).then_some(true).map(Value::from),
            _ => None,
        };
        object.extend(value.map(|value| (row.name.to_owned(), value)));
    }
    if modality.is_none() && look.is_shared() {
        object.insert(SHARED.into(), true.into());
    }
    Some(object.into())
}

/// The beginning and the end of a value, for messages.
pub(super) fn brief(value: &Value) -> String {
    const MOST: usize = 100;
    shortened(&value.to_string(), MOST)
}

/// The study of such an object. `shared` are the options that hold where it does not say otherwise.
///
/// # Errors
/// [`Error::Request`] if it names no file or an option that its kind does not have.
pub fn read_study(value: &Value, shared: &Chosen, files: Files) -> Result<StudyInput> {
    let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
    let wanted = format!("an object with a file as {}, and options", names.join(" or "));
    let refuse =
        || Error::request("study", &wanted, brief(value)).hint("write it as {\"image\": FILE}, for example");
    let fields = value.as_object().ok_or_else(refuse)?;
    let mut kinds = KINDS.iter().filter(|(name, _)| fields.contains_key(*name));
    let (Some((name, kind)), None) = (kinds.next(), kinds.next()) else { return Err(refuse()) };
    let own: Map<String, Value> =
        fields.iter().filter(|(field, _)| field != name).map(|(f, v)| (f.clone(), v.clone())).collect();
    let (chosen, others) = Chosen::of(&own, |subject| matches!(subject, Subject::Look(_)), files)?;
    if let Some(other) = others.iter().find(|other| *other != SHARED) {
        return Err(
            Error::request("study", &wanted, format!("the field {other}")).hint("leave the field out")
        );
    }
    if let Some(kind) = kind {
        let misplaced = chosen.rows().find(|row| row.subject != Subject::Look(*kind));
        misplaced.map_or(Ok(()), |row| {
            Err(Error::request("study", format!("options of {}", kind.with_article()), row.name)
                .hint(format!("leave {} out for this study", row.name)))
        })?;
    }
    let path = fields[*name].as_str().ok_or_else(refuse)?;
    let look = shared.under(&chosen).options()?.look;
    let all_fit = shared.rows().count() == 0 && fields.get(SHARED) != Some(&Value::Bool(true));
    let look = if all_fit { look } else { look.shared() };
    Ok(study_of(*kind, files.path(path)?, &look))
}

/// What of a study is looked at, by the options in a JSON object: `{"plane": "coronal", "slices": 5}`.
///
/// # Errors
/// [`Error::Request`] if it is none, or naming an option that is none of these or may not have its value.
pub fn look(text: &str) -> Result<Look> {
    let refuse = |got: &str| {
        let error = Error::request("options", "a JSON object of the options of a study", got);
        error.hint("write it as {\"slices\": 5}, for example")
    };
    let fields: Map<String, Value> = json_object(text).map_err(|_| refuse(text))?;
    let (chosen, others) =
        Chosen::of(&fields, |subject| matches!(subject, Subject::Look(_)), Files::Refused)?;
    match others.first() {
        Some(other) => Err(refuse(&format!("the field {other}"))),
        None => Ok(chosen.options()?.look),
    }
}

/// What is in a study: `source`, `format`, `modality`, `contents`, and what would be looked at as `chosen`: `frames`, `size`, of
/// how many in all as `count`, and why.
pub fn facts(study: &StudyFacts) -> Value {
    let object = |facts: &[Fact]| -> Map<String, Value> {
        let value = |fact: &Fact| match &fact.value {
            FactValue::Text(text) => text.as_str().into(),
            FactValue::Texts(texts) => texts.clone().into(),
            FactValue::Numbers(numbers) => numbers.clone().into(),
        };
        facts.iter().map(|fact| (fact.name.to_owned(), value(fact))).collect()
    };
    let mut chosen = object(&study.chosen);
    chosen.insert("frames".into(), study.measured.sizes.len().into());
    chosen.insert("size".into(), json!(study.measured.sizes.first()));
    chosen.insert("count".into(), study.measured.count.into());
    json!({
        "source": study.source,
        "format": study.format,
        "modality": study.measured.modality.name(),
        "contents": object(&study.contents),
        "chosen": chosen,
    })
}

//! Values of options, from the words of a command line and from JSON.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Number, Value};

use super::row::{Document, Form, Options, Row, Spelling};
use crate::error::{Error, Result, shortened};
use crate::input::scheme;
use crate::wire::text::read_text;
use crate::words::counted;

/// Whether JSON may name files of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files<'a> {
    /// It may: whoever asks may read them anyway. Studies lie relative to this folder, texts to the working folder.
    Read(&'a Path),
    /// It may not: whoever asks sits at another machine.
    Refused,
}

impl Files<'_> {
    /// The path of a study.
    ///
    /// # Errors
    /// [`Error::Request`] if none may be named.
    pub(in crate::wire) fn path(self, path: &str) -> Result<PathBuf> {
        match self {
            // A URL lies in no folder; its reader says what it is.
            Files::Read(folder) if scheme(path).is_some() && !folder.join(path).exists() => Ok(path.into()),
            Files::Read(folder) => Ok(folder.join(path)),
            Files::Refused => {
                Err(Error::request("study", "its content", "the name of a file").hint("send its bytes"))
            }
        }
    }
}

/// A value that was read and checked, ready to be set.
pub(super) type Setter = Arc<dyn Fn(&mut Options) + Send + Sync>;

/// A value as it was given.
pub(super) enum Given<'a> {
    /// The values on a command line; a switch has none.
    Words(&'a [OsString]),
    /// The value of a field, and whether it may name files.
    Json(&'a Value, Files<'a>),
}

impl Given<'_> {
    /// The name as whoever gave the value knows it.
    pub(super) fn name(&self, row: &Row) -> String {
        match self {
            Given::Words(_) => format!("--{}", row.long()),
            Given::Json(..) => row.name.to_owned(),
        }
    }

    /// The one text that was given. A number in JSON is read like a text that holds it.
    fn text(&self) -> std::result::Result<String, String> {
        match self {
            Given::Words([word]) => utf8(word),
            Given::Words(words) => Err(counted(words.len(), "value")),
            Given::Json(Value::String(text), _) => Ok(text.clone()),
            Given::Json(Value::Number(number), _) => Ok(number.to_string()),
            Given::Json(other, _) => Err(other.to_string()),
        }
    }

    fn texts(&self) -> std::result::Result<Vec<String>, String> {
        match self {
            Given::Words(words) => words.iter().map(utf8).collect(),
            Given::Json(Value::Array(values), files) => {
                values.iter().map(|value| Given::Json(value, *files).text()).collect()
            }
            given => Ok(vec![given.text()?]),
        }
    }

    fn pairs(&self) -> std::result::Result<Vec<(String, String)>, String> {
        if let Given::Json(Value::Object(fields), files) = self {
            let pair =
                |(name, value): (&String, &Value)| Ok((name.clone(), Given::Json(value, *files).text()?));
            return fields.iter().map(pair).collect();
        }
        let pair = |text: String| match text.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(text),
        };
        self.texts()?.into_iter().map(pair).collect()
    }

    fn number<T: std::str::FromStr>(&self) -> std::result::Result<T, String> {
        let text = self.text()?;
        text.parse().map_err(|_| text)
    }
}

/// A word of a command line that must be text.
fn utf8(word: &OsString) -> std::result::Result<String, String> {
    word.to_str().map(String::from).ok_or_else(|| format!("{}, which is no UTF-8", word.display()))
}

/// Reads a value; none takes the option back.
///
/// # Errors
/// [`Error::Request`] naming the option as it was given, with what it may be.
pub(super) fn read(row: &'static Row, given: &Given) -> Result<Option<Setter>> {
    if matches!(given, Given::Json(Value::Null | Value::Bool(false), _)) {
        return match (&row.form, given) {
            (Form::Switch(..), _) | (_, Given::Json(Value::Null, _)) => Ok(None),
            (form, _) => Err(refused(row, given, &wanted(form), "false")),
        };
    }
    let refuse = |got: String| refused(row, given, &wanted(&row.form), got);
    let setter: Setter = match &row.form {
        Form::Whole(range, set, _) => {
            let whole = match given {
                Given::Json(Value::Number(number), _) => whole(number).ok_or_else(|| number.to_string()),
                given => given.number(),
            };
            let whole = whole.map_err(refuse)?;
            range.contains(whole).then_some(()).ok_or_else(|| refuse(whole.to_string()))?;
            Arc::new(move |options| set(options, whole))
        }
        Form::Real(range, set, _) => {
            let real = given.number::<f64>().map_err(refuse)?;
            let got = || given.text().unwrap_or_else(|got| got);
            range.contains(real).then_some(()).ok_or_else(|| refuse(got()))?;
            Arc::new(move |options| set(options, real))
        }
        Form::Switch(set, _) => match given {
            Given::Words([]) | Given::Json(Value::Bool(true), _) => Arc::new(set),
            Given::Words(words) => return Err(refuse(counted(words.len(), "value"))),
            Given::Json(other, _) => return Err(refuse(other.to_string())),
        },
        Form::Pairs(_, set) => {
            let pairs = given.pairs().map_err(refuse)?;
            let wrong = pairs.iter().find(|(name, value)| !set(&mut Options::default(), name, value));
            wrong.map_or(Ok(()), |(name, value)| Err(refuse(format!("{name}={value}"))))?;
            Arc::new(move |options| {
                for (name, value) in &pairs {
                    set(options, name, value);
                }
            })
        }
        Form::Document(spelling, set) => {
            let document = document(row, given, *spelling)?;
            Arc::new(move |options| set(options, document.clone()))
        }
        form => text(form, given).map_err(refuse)?,
    };
    Ok(Some(setter))
}

/// The whole number that a number in JSON is. `3.0` is 3: JSON has one kind of number.
pub fn whole(number: &Number) -> Option<u64> {
    /// Up to here numbers with a point are exact.
    const EXACT: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    let is_whole = |real: &f64| real.fract() == 0.0 && (0.0..=EXACT).contains(real);
    number.as_u64().or_else(|| number.as_f64().filter(is_whole).map(|real| real as u64))
}

/// Reads a value of one of the forms that are texts; the error is what was given instead.
fn text(form: &'static Form, given: &Given) -> std::result::Result<Setter, String> {
    Ok(match form {
        Form::Texts(set, _) => {
            let texts = given.texts()?;
            Arc::new(move |options| set(options, texts.clone()))
        }
        Form::Path(set, _) => {
            let path = match given {
                Given::Words([word]) => PathBuf::from(word),
                given => given.text()?.into(),
            };
            Arc::new(move |options| set(options, path.clone()))
        }
        Form::Word(words, set, _) => {
            let text = given.text()?;
            let word = words.iter().find(|word| **word == text).ok_or(text)?;
            Arc::new(move |options| set(options, word))
        }
        Form::Parsed(_, set, _) => {
            let text = given.text()?;
            if !set(&mut Options::default(), &text) {
                return Err(text);
            }
            Arc::new(move |options| {
                set(options, &text);
            })
        }
        Form::Text(set, _) => {
            let text = given.text()?;
            Arc::new(move |options| set(options, text.clone()))
        }
        // The others are no texts.
        _ => return given.text().and_then(Err),
    })
}

/// What the values of a form are, in words.
fn wanted(form: &Form) -> String {
    match form {
        Form::Whole(range, ..) => format!("a whole number, {range}"),
        Form::Real(range, ..) => format!("a number, {range}"),
        Form::Switch(..) => "yes or no".into(),
        Form::Word(words, ..) => words.join(" or "),
        Form::Text(..) | Form::Document(..) => "a text".into(),
        Form::Path(..) => "a path".into(),
        Form::Texts(..) => "texts".into(),
        Form::Pairs(wanted, _) | Form::Parsed(wanted, ..) => (*wanted).into(),
    }
}

fn refused(row: &Row, given: &Given, wanted: &str, got: impl Display) -> Error {
    /// Letters of a value that is repeated in a message.
    const MOST: usize = 100;
    let got = shortened(&got.to_string(), MOST);
    let hint = match row.default() {
        Some(default) => format!("without it: {default}"),
        None => "correct it, or leave it out".into(),
    };
    Error::request(given.name(row), wanted, if got.is_empty() { "an empty text" } else { &got }).hint(hint)
}

/// A document: the text itself, a word or a file; in JSON also an object, which is a schema, or `{"text": TEXT}`.
fn document(row: &Row, given: &Given, spelling: fn(&str) -> Spelling) -> Result<Document> {
    let refuse = |wanted: &str, got: String| refused(row, given, wanted, got);
    if let Given::Json(object @ Value::Object(fields), _) = given {
        return match fields.get("text").filter(|_| fields.len() == 1) {
            Some(Value::String(text)) => Ok(Document::Text(text.clone())),
            _ if spelling("{") == Spelling::Itself => Ok(Document::Text(object.to_string())),
            _ => Err(refuse("an object with a text", object.to_string())),
        };
    }
    let text = given.text().map_err(|got| refuse("a text", got))?;
    match (spelling(&text), given) {
        (Spelling::Word, _) => Ok(Document::Word(text)),
        (Spelling::Itself, _) => Ok(Document::Text(text)),
        (Spelling::Wrong(wanted), _) => Err(refuse(wanted, text)),
        (Spelling::File(_), Given::Json(_, Files::Refused)) => {
            Err(refuse("the text itself", "the name of a file".into()).hint("write it as {\"text\": …}"))
        }
        (Spelling::File(at), _) => {
            let path = Path::new(&text[at..]);
            let read = read_text(path).map_err(|error| {
                let facts = error.facts();
                let wanted = format!("{} at {}", facts.wanted, shortened(&path.display().to_string(), 200));
                refuse(&wanted, facts.got.clone()).hint(&facts.hint)
            })?;
            Ok(Document::File(read))
        }
    }
}

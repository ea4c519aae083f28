//! A question as JSON, in a file of questions or by itself.

use serde_json::{Map, Value};

use super::fields::{OWN, check_label};
use super::options::{Chosen, Files, Options};
use super::study::{KINDS, brief, read_study, study_of};
use super::transcript::{Message, Transcript, next_question, part};
use crate::error::{Error, Result};
use crate::limits::Subject;
use crate::request::Request;
use crate::study::StudyInput;

/// A question with what it is about and how it is to be answered.
///
/// Its fields are `question`; `history`, as [`Transcript::read`] reads it; `studies`, a list of
/// `{"image": FILE, …}`, and `image(s)`, `volume(s)`, `video(s)`, each a file or a list of files, which come after those;
/// and every option but those of an engine by its name. Other fields are labels, unless their name is nearly one of these or
/// that of an option that holds for a whole run.
#[derive(Debug, Clone)]
pub struct Case {
    /// How it is to be answered.
    pub options: Options,
    /// Labels: fields that are not read.
    pub unread: Vec<String>,
    question: Message,
    transcript: Transcript,
}

/// Fields that say what a case is, for whoever reads it in a file: `id`, `kind`, `answer`.
const LABELS: [&str; 3] = ["id", "kind", "answer"];

impl Case {
    /// Reads a case. `given` are the options that hold where it does not say otherwise.
    ///
    /// # Errors
    /// [`Error::Request`] naming the field that cannot be read.
    pub fn read(fields: &Map<String, Value>, given: &Chosen, files: Files) -> Result<Self> {
        let (own, others) = Chosen::of(fields, |subject| subject != Subject::Engine, files)?;
        let chosen = given.under(&own);
        let question = fields.get("question").ok_or_else(|| {
            Error::request("question", "a text", "none").hint("add the field question to the line")
        })?;
        let history = fields.get("history").filter(|value| !value.is_null());
        let mut transcript =
            history.map_or(Ok(Transcript::default()), |value| Transcript::read(value, files))?;
        transcript.studies.extend(studies(fields, &chosen, files)?);
        own_options_fit(&own, &transcript.studies)?;
        let options = chosen.options()?;
        if let Some(system) = &options.system {
            transcript.system = Some(Some(Message::letters(system)));
        }
        let read = |field: &str| LABELS.contains(&field) || OWN.contains(&field) || kind_of(field).is_some();
        let unread: Vec<_> = others.into_iter().filter(|field| !read(field)).collect();
        unread.iter().try_for_each(|field| check_label(field))?;
        Ok(Self { question: part("question", question)?, transcript, options, unread })
    }

    /// What the case asks; `placeholder` is what places a study in a text.
    pub fn request(&self, placeholder: &str) -> Request {
        let mut conversation = self.transcript.conversation(placeholder);
        conversation.instruction = self.options.instruction.clone();
        let question = self.question.parts(placeholder);
        next_question(&conversation, question, self.options.ask.preprocessing)
    }

    /// A sentence for each field that is not read.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.unread.iter().map(|field| format!("the field {field} is unknown and was not used"))
    }
}

/// Refuses an option of the case itself that none of its studies can have. What kind a `file` is, its reader finds out.
fn own_options_fit(own: &Chosen, studies: &[StudyInput]) -> Result<()> {
    let kind = |study: &StudyInput| match study {
        StudyInput::File { modality, .. } => *modality,
        _ => None,
    };
    let kinds: Option<Vec<_>> = studies.iter().map(kind).collect();
    kinds.map_or(Ok(()), |kinds| own.fit(&kinds))
}

/// The studies of a case: those in an order of their own, then those named by kind.
fn studies(fields: &Map<String, Value>, chosen: &Chosen, files: Files) -> Result<Vec<StudyInput>> {
    let listed: Vec<Value> = match fields.get("studies") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => part("studies", list)?,
    };
    let mut studies =
        listed.iter().map(|study| read_study(study, chosen, files)).collect::<Result<Vec<_>>>()?;
    // A case's options may be meant for some of its studies.
    let look = chosen.options()?.look.shared();
    for (kind, modality) in KINDS {
        let plural = format!("{kind}s");
        let given = |field: &str| fields.get_key_value(field).filter(|(_, value)| !value.is_null());
        let (field, value) = match (given(kind), given(&plural)) {
            (Some((one, _)), Some((other, _))) => {
                return Err(Error::request(one, "one list of files", format!("{other} too"))
                    .hint("put all files into one of them"));
            }
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => continue,
        };
        let refuse = || {
            Error::request(field, "a file or a list of files", brief(value))
                .hint("name files in quotes; options of one study go into studies")
        };
        let paths = match value {
            Value::Array(paths) => paths.as_slice(),
            path => std::slice::from_ref(path),
        };
        for path in paths {
            let path = files.path(path.as_str().ok_or_else(refuse)?)?;
            studies.push(study_of(modality, path, &look));
        }
    }
    Ok(studies)
}

/// The kind of study that a field names files of: `image` of `image` and of `images`.
fn kind_of(field: &str) -> Option<&'static str> {
    KINDS
        .iter()
        .map(|(kind, _)| *kind)
        .find(|kind| field.strip_prefix(kind).is_some_and(|rest| ["", "s"].contains(&rest)))
}

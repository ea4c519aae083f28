//! Options that were chosen, on a command line and in the fields of JSON over it.

use std::ffi::OsString;
use std::fmt;

use serde_json::{Map, Value};

use super::read::{Files, Given, Setter, read};
use super::row::{Options, Row};
use super::table::{option, options};
use crate::error::{Error, Result};
use crate::frame::Modality;
use crate::limits::Subject;

/// Options with their values, each read and checked; what is not among them has its default.
#[derive(Clone, Default)]
pub struct Chosen(Vec<Choice>);

#[derive(Clone)]
struct Choice {
    row: &'static Row,
    /// The name as it was given.
    name: String,
    /// None takes the option back.
    set: Option<Setter>,
}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|choice| &choice.name)).finish()
    }
}

impl Chosen {
    /// Reads the values of one option of a command line; a switch has none.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option with what it may be.
    pub fn add(&mut self, row: &'static Row, values: &[OsString]) -> Result<()> {
        self.read(row, &Given::Words(values))
    }

    /// Reads the options among the fields of an object, of the subjects that `takes` accepts. Returns the names of the other fields.
    ///
    /// # Errors
    /// [`Error::Request`] naming the field with what it may be.
    pub fn of(
        fields: &Map<String, Value>,
        takes: fn(Subject) -> bool,
        files: Files,
    ) -> Result<(Self, Vec<String>)> {
        let (mut chosen, mut others) = (Self::default(), Vec::new());
        for (name, value) in fields {
            match option(name).filter(|row| takes(row.subject)) {
                Some(row) => chosen.read(row, &Given::Json(value, files))?,
                None => others.push(name.clone()),
            }
        }
        Ok((chosen, others))
    }

    fn read(&mut self, row: &'static Row, given: &Given) -> Result<()> {
        let set = read(row, given)?;
        self.0.push(Choice { row, name: given.name(row), set });
        Ok(())
    }

    /// Whether an option of this name was given.
    pub fn has(&self, name: &str) -> bool {
        self.rows().any(|row| row.name == name)
    }

    /// The options that were given.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> {
        self.0.iter().filter(|choice| choice.set.is_some()).map(|choice| choice.row)
    }

    /// Refuses an option for a kind of study of which there is none.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option.
    pub fn fit(&self, kinds: &[Modality]) -> Result<()> {
        let misplaced =
            self.0.iter().filter(|choice| choice.set.is_some()).find_map(|choice| match choice.row.subject {
                Subject::Look(kind) if !kinds.contains(&kind) => Some((choice, kind)),
                _ => None,
            });
        let Some((choice, kind)) = misplaced else { return Ok(()) };
        let got = match kinds {
            [] => "no input".into(),
            [only] => only.with_article().into(),
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                format!("{} inputs, each {}", kinds.len(), first.with_article())
            }
            _ => format!("{} inputs of other kinds", kinds.len()),
        };
        Err(Error::request(&choice.name, format!("{} to look at", kind.with_article()), got)
            .hint(format!("leave {} out", choice.name)))
    }

    /// These options with others over them: one of those takes the place of the same one here, and of one that it
    /// contradicts.
    pub fn under(&self, others: &Self) -> Self {
        let replaced = |choice: &&Choice| {
            let by = |other: &Choice| {
                other.row.name == choice.row.name
                    || (other.set.is_some() && other.row.excludes.contains(&choice.row.name))
            };
            !others.0.iter().any(by)
        };
        Self(self.0.iter().filter(replaced).chain(&others.0).cloned().collect())
    }

    /// The typed options.
    ///
    /// # Errors
    /// [`Error::Request`] if two options contradict each other.
    pub fn options(&self) -> Result<Options> {
        self.set_on(Options::default())
    }

    /// Sets these options on others.
    ///
    /// # Errors
    /// [`Error::Request`] if two options contradict each other.
    pub fn set_on(&self, mut typed: Options) -> Result<Options> {
        let given: Vec<_> = self.0.iter().filter_map(|choice| Some((choice, choice.set.as_ref()?))).collect();
        for (choice, _) in &given {
            let other = given.iter().find(|(other, _)| choice.row.excludes.contains(&other.row.name));
            if let Some((other, _)) = other {
                let got = format!("both {} and {}", choice.name, other.name);
                return Err(Error::request(&choice.name, "one of the options that exclude one another", got)
                    .hint(format!("leave {} or {} out", choice.name, other.name)));
            }
        }
        for row in options() {
            given
                .iter()
                .filter(|(choice, _)| choice.row.name == row.name)
                .for_each(|(_, set)| set(&mut typed));
        }
        Ok(typed)
    }
}

//! The steps of reading a study: its header, which frames are chosen, their pixels.

use crate::error::Result;
use crate::frame::{Modality, Study};
use crate::limits::OptionName;
use crate::study::{Look, Preprocessing};
use crate::watch::Watch;

use super::limits::Budget;
use super::source::Opened;

/// How studies are read.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// How faithfully the reference's input handling is followed.
    pub preprocessing: Preprocessing,
    /// How much is read at most.
    pub budget: Budget,
    /// What ends the reading early.
    pub watch: Watch,
    /// Whether volumes get an overview for a preview.
    pub(crate) with_scout: bool,
}

impl ReadOptions {
    /// The same with this preprocessing.
    pub fn preprocessing(self, preprocessing: Preprocessing) -> Self {
        Self { preprocessing, ..self }
    }

    /// The same with this much at most.
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// The same, with an overview of volumes.
    pub(crate) fn with_scout(self) -> Self {
        Self { with_scout: true, ..self }
    }

    /// The same, ended early by this watch.
    pub fn watch(self, watch: Watch) -> Self {
        Self { watch, ..self }
    }
}

/// What a study comes to, counted before any pixel is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Measured {
    /// What kind of study it is.
    pub modality: Modality,
    /// Width and height of each chosen frame in pixels, in order, as it will be read. Those of a video are what its header
    /// states; a stream may change them on its way.
    pub sizes: Vec<[u32; 2]>,
    /// Frames or slices of the whole study, which these were chosen from: of a volume, those of the plane that it is cut in.
    pub count: usize,
}

/// One thing that a study says of itself. None says who the patient is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Fact {
    /// The name used in JSON, such as `spacing_mm`.
    pub name: &'static str,
    /// The value.
    pub value: FactValue,
}

/// The value of a [`Fact`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FactValue {
    /// A word or a sentence.
    Text(String),
    /// Several of them.
    Texts(Vec<String>),
    /// Numbers; one alone is a list of one.
    Numbers(Vec<f64>),
}

impl Fact {
    pub(super) fn text(name: &'static str, text: impl Into<String>) -> Self {
        Self { name, value: FactValue::Text(text.into()) }
    }

    pub(super) fn texts(name: &'static str, texts: Vec<String>) -> Self {
        Self { name, value: FactValue::Texts(texts) }
    }

    pub(super) fn numbers(name: &'static str, numbers: impl IntoIterator<Item = f64>) -> Self {
        Self { name, value: FactValue::Numbers(numbers.into_iter().collect()) }
    }
}

/// What is in a study, and what of it would be looked at.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StudyFacts {
    /// Its name, as it was given.
    pub source: String,
    /// The format.
    pub format: &'static str,
    /// What is in it.
    pub contents: Vec<Fact>,
    /// What would be looked at, and why.
    pub chosen: Vec<Fact>,
    /// The frames.
    pub measured: Measured,
}

/// One kind of file.
pub(super) struct Reader {
    /// The formats, for messages.
    pub(super) formats: &'static str,
    /// The kinds of studies that these formats hold.
    pub(super) kinds: &'static [Modality],
    /// The name of the format, if a file that begins with these bytes is one of these.
    pub(super) sniff: fn(&[u8]) -> Option<&'static str>,
    /// Reads what comes before the pixels.
    pub(super) open: fn(Opened, &ReadOptions) -> Result<Box<dyn Header>>,
}

/// What stands before the pixels.
pub(super) trait Header {
    /// Settles on one of the studies that a source may hold: what kind is wanted, if one is, and what else was asked.
    ///
    /// # Errors
    /// If there is nothing like it.
    fn settle(&mut self, _wanted: Option<Modality>, _look: &Look) -> Result<()> {
        Ok(())
    }

    /// What kind of study it is.
    fn modality(&self) -> Modality;

    /// What is in the study, beside its frames.
    fn facts(&self) -> Vec<Fact> {
        Vec::new()
    }

    /// Options that it takes though they are meant for another kind.
    fn takes(&self) -> &'static [OptionName] {
        &[]
    }

    /// Chooses what is looked at. The options fit the kind of study and are within their bounds.
    ///
    /// # Errors
    /// If the study has nothing like it.
    fn choose(self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>>;
}

/// The chosen frames, before they are read.
pub(super) trait Chosen {
    /// How many there are, and how large.
    fn measured(&self) -> Measured;

    /// What was chosen and why, beside the frames.
    fn facts(&self) -> Vec<Fact> {
        Vec::new()
    }

    /// Makes the pixels.
    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study>;
}

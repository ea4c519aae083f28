//! What there is in a study, and which of it is looked at.

use std::collections::{HashMap, HashSet};

use super::instance::{Instance, Role};
use super::tag;
use crate::error::{Error, Result};
use crate::frame::Modality;
use crate::words::counted;

/// A frame of a file, by the file's place among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameAt {
    pub(super) file: usize,
    pub(super) frame: usize,
}

/// One thing of a study that can be looked at: all slices of a series, a clip, a picture.
pub(super) struct Candidate {
    pub(super) role: Role,
    /// Slices are in no order yet.
    pub(super) frames: Vec<FrameAt>,
}

impl Candidate {
    /// The first of its files.
    pub(super) fn first<'a>(&self, files: &'a [Instance]) -> &'a Instance {
        &files[self.frames[0].file]
    }

    /// What kind of study it is.
    pub(super) fn modality(&self) -> Modality {
        match self.role {
            Role::Slices => Modality::Volume,
            Role::Clip => Modality::Video,
            Role::Picture => Modality::Image,
        }
    }

    /// A few words: series 3 (CT, 120 slices of 512×512).
    pub(super) fn described(&self, files: &[Instance]) -> String {
        let first = self.first(files);
        let number = first
            .series_number()
            .map_or("a series without number".into(), |number| format!("series {number}"));
        let what = match self.role {
            Role::Slices => format!("{} of", counted(self.frames.len(), "slice")),
            Role::Clip => format!("a clip of {} of", counted(self.frames.len(), "frame")),
            Role::Picture => "a picture of".into(),
        };
        let layout = first.layout;
        format!("{number} ({}, {what} {}×{})", first.modality(), layout.columns, layout.rows)
    }
}

/// Leaves out all but the first of the files that hold the same object, and says so.
pub(super) fn without_copies(files: Vec<Instance>, notes: &mut Vec<String>) -> Vec<Instance> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Instance> = Vec::with_capacity(files.len());
    let mut copies = Vec::new();
    for file in files {
        let uid = file.scanned.set.word(tag::SOP_INSTANCE_UID).map(str::to_owned);
        match uid.as_ref().and_then(|uid| known.get(uid)) {
            Some(&first) => copies.push(format!("{} of {}", file.called(), kept[first].called())),
            None => {
                if let Some(uid) = uid {
                    known.insert(uid, kept.len());
                }
                kept.push(file);
            }
        }
    }
    if !copies.is_empty() {
        notes.push(format!("Duplicates were left out: {}.", listed(&copies)));
    }
    kept
}

/// All that can be looked at, the largest first.
pub(super) fn candidates(files: &[Instance]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut series: HashMap<&str, usize> = HashMap::new();
    for (place, file) in files.iter().enumerate() {
        // A clip or picture without header holds one frame at least.
        let frames = (0..file.layout.frames).map(|frame| FrameAt { file: place, frame });
        if file.role != Role::Slices {
            // Frames of a clip are counted by its header, which may promise any number: they are not listed.
            found.push(Candidate { role: file.role, frames: frames.take(1).collect() });
            continue;
        }
        match series.get(file.series_uid()) {
            Some(&known) => found[known].frames.extend(frames),
            None => {
                series.insert(file.series_uid(), found.len());
                found.push(Candidate { role: file.role, frames: frames.collect() });
            }
        }
    }
    let rank = |candidate: &Candidate| {
        let first = candidate.first(files);
        let count = candidate.frames.len().max(first.layout.frames);
        (std::cmp::Reverse(count), first.series_number(), first.instance_number(), candidate.frames[0].file)
    };
    found.sort_by_key(rank);
    found
}

/// The place of what is looked at: of the kind that was asked for, of the series that was asked for, the largest.
///
/// # Errors
/// [`Error::Request`] if there is no such series, [`Error::Input`] if there is nothing of this kind.
pub(super) fn choose(
    name: &str,
    files: &[Instance],
    all: &[Candidate],
    (series, kind): (Option<&str>, Option<Modality>),
) -> Result<usize> {
    let is_asked = |candidate: &Candidate| {
        let first = candidate.first(files);
        let number =
            |wanted: &str| wanted.parse().ok() == first.series_number() && first.series_number().is_some();
        series.is_none_or(|wanted| wanted == first.series_uid() || number(wanted))
    };
    let asked: Vec<usize> = (0..all.len()).filter(|place| is_asked(&all[*place])).collect();
    if let (true, Some(wanted)) = (asked.is_empty(), series) {
        let there: Vec<_> = all.iter().map(|candidate| candidate.described(files)).collect();
        return Err(Error::request(format!("{name}: series"), listed(&there), wanted)
            .hint("name it by its number or its SeriesInstanceUID"));
    }
    let of_kind = asked.iter().find(|place| kind.is_none_or(|kind| kind == all[**place].modality()));
    of_kind.or(asked.first()).copied().ok_or_else(|| super::frames::no_pixels(name))
}

/// Refuses slices of several patients in one series, whose volume would be nobody's.
///
/// # Errors
/// [`Error::Input`] naming a file of each of two of them.
pub(super) fn check_patient(name: &str, files: &[Instance], candidate: &Candidate) -> Result<()> {
    let mut stated =
        candidate.frames.iter().map(|at| &files[at.file]).filter(|file| file.patient().is_some());
    let Some(first) = stated.next() else { return Ok(()) };
    match stated.find(|file| file.patient() != first.patient()) {
        Some(other) => {
            let got = format!("{} and {}, whose PatientID differ", first.called(), other.called());
            Err(Error::input(name, "a series of one patient", got).hint("name the files of one patient"))
        }
        None => Ok(()),
    }
}

/// What there is to say of a study of several patients.
pub(super) fn patients(files: &[Instance]) -> Option<String> {
    let count = files.iter().filter_map(Instance::patient).collect::<HashSet<_>>().len();
    (count > 1).then(|| format!("The files are of {count} patients; one of them is looked at."))
}

/// What there is beside what is looked at.
pub(super) fn others(files: &[Instance], all: &[Candidate], chosen: usize) -> Option<String> {
    if all.len() < 2 {
        return None;
    }
    let others = all.iter().enumerate().filter(|(place, _)| *place != chosen);
    let others: Vec<_> = others.map(|(_, candidate)| candidate.described(files)).collect();
    Some(format!(
        "The study holds more than {}, which is looked at: {}. Another is chosen by its series.",
        all[chosen].described(files),
        listed(&others)
    ))
}

/// The first few of many, and how many more there are.
pub(super) fn listed<T: AsRef<str>>(all: &[T]) -> String {
    const MOST: usize = 12;
    let first: Vec<_> = all.iter().take(MOST).map(AsRef::as_ref).collect();
    match all.len().saturating_sub(MOST) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

//! DICOM studies: a file, several, a folder, an archive.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::super::npy;
use super::super::reading::{Chosen, Fact, Header, ReadOptions};
use super::super::source::Opened;
use super::super::volume;
use super::clip;
use super::element::is_bare;
use super::frames::no_pixels;
use super::gather;
use super::instance::{File, Instance, Role};
use super::place::{Bytes, Place};
use super::scan::has_preamble;
use super::series::{Candidate, candidates, check_patient, choose, listed, others, patients, without_copies};
use super::split::Asked;
use super::stack::stack;
use super::syntax::Coding;
use super::video;
use crate::error::{Error, Result};
use crate::frame::Modality;
use crate::limits::OptionName;
use crate::study::{Look, Source};

/// The file that lists the others of a disc (PS3.10 8.6).
const INDEX: &str = "DICOMDIR";

/// The name of the format of a file that begins with these bytes.
pub(in crate::input) fn sniff(head: &[u8]) -> Option<&'static str> {
    match is_archive(head) {
        true => Some("ZIP archive"),
        false => has_preamble(head).then_some("DICOM"),
    }
}

/// The same for a data set without the bytes that should come before it, which may be many a thing.
pub(in crate::input) fn sniff_bare(head: &[u8]) -> Option<&'static str> {
    is_bare(head).then_some("DICOM without a preamble")
}

/// Whether a file that begins with these bytes is an archive, and not one of arrays.
fn is_archive(head: &[u8]) -> bool {
    let Some(&[low, high]) = head.get(26..).and_then(|rest| rest.first_chunk()) else { return false };
    let end = 30 + usize::from(u16::from_le_bytes([low, high]));
    head.starts_with(b"PK\x03\x04") && head.get(30..end).is_some_and(|name| !name.ends_with(b".npy"))
}

/// A file, or an archive of files.
///
/// # Errors
/// [`crate::Error::Input`] if it is damaged or holds no picture.
pub(in crate::input) fn open(opened: Opened, options: &ReadOptions) -> Result<Box<dyn Header>> {
    let name = opened.name().to_owned();
    if is_archive(opened.head()) {
        let again = opened.again()?;
        return match DicomStudy::read(&name, &gather::archive(opened)?, options)? {
            Some(study) => Ok(Box::new(study)),
            // Then it must be one of arrays.
            None => npy::open(again, options),
        };
    }
    let place = Place { name: name.clone(), part: None, bytes: Bytes::Opened(Arc::new(Mutex::new(opened))) };
    match DicomStudy::read(&name, &[place], options)? {
        Some(study) => Ok(Box::new(study)),
        None => Err(no_pixels(&name)),
    }
}

/// Several files, or those of a folder. `None` if the source is one file, or none of them is DICOM.
///
/// # Errors
/// [`crate::Error::Input`] naming a file that is damaged, or if none of them holds a picture.
pub(in crate::input) fn several(source: &Source, options: &ReadOptions) -> Result<Option<Box<dyn Header>>> {
    let places = match source {
        Source::Path(path) if Path::is_dir(path) => gather::folder(path, &options.watch)?,
        // An index of the files around it, of which it may leave out some.
        Source::Path(path) if path.file_name().is_some_and(|name| name == INDEX) => {
            gather::folder(&path.with_file_name("."), &options.watch)?
        }
        Source::Files(paths) if paths.len() > 1 => gather::files(paths)?,
        Source::Buffers(buffers) if buffers.len() > 1 => gather::buffers(buffers, &options.watch)?,
        _ => return Ok(None),
    };
    if let Some(study) = DicomStudy::read(&source.name(), &places, options)? {
        return Ok(Some(Box::new(study)));
    }
    // A study may lie in its folder packed.
    let is_packed = |place: &&Place| place.name.to_lowercase().ends_with(".zip");
    match places.iter().filter(is_packed).map(|place| &place.bytes).collect::<Vec<_>>()[..] {
        [Bytes::Path(path)] => {
            open(Opened::new(&Source::Path(path.clone()), &options.watch)?, options).map(Some)
        }
        _ => Ok(None),
    }
}

/// A file that ends where its pixels should begin.
struct CutOff {
    place: Place,
    /// The SeriesInstanceUID, if the file comes as far.
    series: Option<String>,
}

impl CutOff {
    fn error(&self) -> Error {
        let name = &self.place.name;
        Error::input(name, "pixel data, which its header describes", "a file that ends before them")
            .hint("the file is cut off: copy it again")
    }
}

/// The files of a study without their pixels.
struct DicomStudy {
    name: String,
    files: Vec<Instance>,
    /// The largest first; at least one.
    all: Vec<Candidate>,
    /// Which of them is looked at.
    chosen: usize,
    cut_off: Vec<CutOff>,
    notes: Vec<String>,
    options: ReadOptions,
}

impl DicomStudy {
    fn read(name: &str, places: &[Place], options: &ReadOptions) -> Result<Option<Self>> {
        let (mut files, mut cut_off, mut without) = (Vec::new(), Vec::new(), Vec::new());
        for (done, place) in places.iter().enumerate() {
            options.watch.check()?;
            options.watch.tell(done, places.len());
            match Instance::read(place, options)? {
                File::Image(instance) => files.push(*instance),
                File::CutOff(series) => cut_off.push(CutOff { place: place.clone(), series }),
                File::WithoutPixels => without.push(place),
                File::Foreign => {}
            }
        }
        if files.is_empty() {
            return match (cut_off.first(), without.is_empty()) {
                (Some(first), _) => Err(first.error()),
                (None, true) => Ok(None),
                (None, false) => Err(no_pixels(name)),
            };
        }
        let mut notes = Vec::new();
        let is_index = |place: &&Place| place.part.as_deref().is_some_and(|part| part.ends_with(INDEX));
        without.retain(|place| !is_index(place));
        if !without.is_empty() {
            let names: Vec<_> = without.iter().map(|place| place.called()).collect();
            notes.push(format!("Files without a picture were left out: {}.", listed(&names)));
        }
        notes.extend(patients(&files));
        let files = without_copies(files, &mut notes);
        let all = candidates(&files);
        Ok(Some(Self { name: name.into(), files, all, chosen: 0, cut_off, notes, options: options.clone() }))
    }

    /// What there is to say of the files that are looked at.
    fn remarks(&self) -> Vec<String> {
        let mut files: Vec<usize> = self.all[self.chosen].frames.iter().map(|at| at.file).collect();
        files.dedup();
        let named = |which: &dyn Fn(&Instance) -> bool| -> Vec<&str> {
            let of = files.iter().map(|file| &self.files[*file]);
            of.filter(|file| which(file)).map(Instance::called).collect()
        };
        let mut notes: Vec<String> = others(&self.files, &self.all, self.chosen).into_iter().collect();
        if !named(&Instance::is_burned_in).is_empty() {
            notes.push(
                "Text is burned into the pictures (burned-in annotation): it may name the patient.".into(),
            );
        }
        let surplus = named(&|file| file.surplus() > 1);
        if !surplus.is_empty() {
            notes.push(format!(
                "There are more bytes than pixels in {}: they were left out.",
                listed(&surplus)
            ));
        }
        let empty = named(&|file| file.layout.no_frames);
        if !empty.is_empty() {
            notes.push(format!("NumberOfFrames is 0 in {}: it was read as 1.", listed(&empty)));
        }
        notes
    }
}

impl Header for DicomStudy {
    fn settle(&mut self, wanted: Option<Modality>, look: &Look) -> Result<()> {
        self.chosen = choose(&self.name, &self.files, &self.all, (look.series.as_deref(), wanted))?;
        let chosen = &mut self.all[self.chosen];
        check_patient(&self.name, &self.files, chosen)?;
        let series = chosen.first(&self.files).series_uid();
        let (missing, others): (Vec<_>, Vec<_>) =
            self.cut_off.iter().partition(|file| file.series.as_deref().is_none_or(|uid| uid == series));
        if let Some(missing) = missing.first() {
            return Err(missing.error());
        }
        if !others.is_empty() {
            let names: Vec<_> = others.iter().map(|file| file.place.called()).collect();
            self.notes.push(format!(
                "Files that are cut off before their pixels were left out: {}.",
                listed(&names)
            ));
        }
        if wanted == Some(Modality::Image) && chosen.role == Role::Slices && chosen.frames.len() == 1 {
            chosen.role = Role::Picture;
        }
        Ok(())
    }

    fn modality(&self) -> Modality {
        self.all[self.chosen].modality()
    }

    fn takes(&self) -> &'static [OptionName] {
        match self.all[self.chosen].role {
            Role::Slices => &[Look::SERIES, Look::ECHO.option],
            Role::Clip | Role::Picture => &[Look::SERIES, Look::WINDOW],
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let chosen = &self.all[self.chosen];
        let first = chosen.first(&self.files);
        vec![
            Fact::text("modality", first.modality()),
            Fact::texts("series", self.all.iter().map(|one| one.described(&self.files)).collect()),
            Fact::text("chosen", chosen.described(&self.files)),
            Fact::text("pixels", first.scanned.syntax.coding.name()),
            Fact::text("photometric", first.layout.photometric.name()),
            Fact::numbers("bits", [f64::from(first.layout.stored)]),
            Fact::texts("notes", self.notes.iter().cloned().chain(self.remarks()).collect()),
        ]
    }

    fn choose(mut self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.remarks());
        let Self { name, mut files, mut all, chosen, options, .. } = *self;
        let Candidate { role, frames } = all.swap_remove(chosen);
        if role == Role::Slices {
            let asked = Asked { time: look.time, echo: look.echo };
            let (mut space, values) = stack(&name, files, frames, asked, &options)?;
            notes.append(&mut space.notes);
            space.notes = notes;
            return volume::choose(space, values, look);
        }
        let file = files.swap_remove(frames[0].file);
        match file.scanned.syntax.coding {
            Coding::Video => video::choose(&name, &file, notes, (look, &options)),
            Coding::Unread(_) => Err(super::frames::unread(&name, file.scanned.syntax.coding)),
            _ => Ok(Box::new(clip::choose(&name, file, notes, look)?)),
        }
    }
}

//! Files to studies: one reader for each kind, told apart by content.

mod image;
mod npy;
#[cfg(feature = "video")]
mod video;

use std::fs::File;
use std::io::{Cursor, Read, Seek};

use crate::error::{Error, Result};
use crate::frame::{Modality, Study};
use crate::study::{Preprocessing, Source, StudyInput};

/// One kind of file.
struct Reader {
    modality: Modality,
    /// The command line's option for it.
    option: &'static str,
    /// The name of the format, if a file that begins with these bytes is of this kind.
    sniff: fn(&[u8]) -> Option<&'static str>,
}

/// Every kind of file there is a reader for.
static READERS: &[Reader] = &[
    Reader { modality: Modality::Image, option: "--image", sniff: image::is_image },
    #[cfg(feature = "video")]
    Reader { modality: Modality::Video, option: "--video", sniff: video::is_video },
    Reader { modality: Modality::Volume, option: "--volume", sniff: npy::is_npy },
];

/// Bytes that are enough to tell the formats apart.
const HEAD: u64 = 4096;

/// Reads what the caller points at.
///
/// # Errors
/// [`Error::Input`] if the source cannot be read or is of another kind than asked for, [`Error::Request`] if the choice of
/// frames or slices leaves nothing.
pub(crate) fn read(input: &StudyInput, preprocessing: Preprocessing) -> Result<Study> {
    match input {
        StudyInput::File { source, modality, look } => {
            let found = kind(source, *modality)?;
            look.check_for(found, &source.name())?;
            match found {
                Modality::Image => image::read(source, preprocessing),
                Modality::Volume => npy::read(source, look, preprocessing),
                #[cfg(feature = "video")]
                Modality::Video => video::read(source, look),
                #[cfg(not(feature = "video"))]
                Modality::Video => Err(Error::input(source.name(), "a build that reads videos", "a video")
                    .hint("this library was built without the feature `video`")),
            }
        }
        StudyInput::Raw(volume, look) => {
            look.check_for(Modality::Volume, &volume.source)?;
            npy::raw(volume, look, preprocessing)
        }
        StudyInput::Frames(study) if study.frames.is_empty() => {
            Err(Error::input(&study.source, "at least one frame", "none"))
        }
        StudyInput::Frames(study) => Ok(study.clone()),
    }
}

/// What a source is by its content, which must be what was asked for. What no reader knows is left to the one asked for,
/// which can say best what it wanted.
fn kind(source: &Source, wanted: Option<Modality>) -> Result<Modality> {
    let mut head = Vec::new();
    open(source)?.take(HEAD).read_to_end(&mut head).map_err(|error| unreadable(source, &error))?;
    let known = READERS.iter().find_map(|reader| Some((reader, (reader.sniff)(&head)?)));
    match (known, wanted) {
        (Some((reader, format)), Some(wanted)) if reader.modality != wanted => Err(Error::input(
            source.name(),
            format!("a file of the kind {}", wanted.name()),
            format!("a {} ({format})", reader.modality.name()),
        )
        .hint(format!("use {}", reader.option))),
        (Some((reader, _)), _) => Ok(reader.modality),
        (None, Some(wanted)) => Ok(wanted),
        (None, None) => Err(Error::input(source.name(), "an image, a video or a volume", "something else")),
    }
}

trait Content: Read + Seek {}

impl<T: Read + Seek> Content for T {}

/// The bytes of a source.
fn open(source: &Source) -> Result<Box<dyn Content + '_>> {
    match source {
        Source::Path(path) => match File::open(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(unreadable(source, &error)),
        },
        Source::Bytes { bytes, .. } => Ok(Box::new(Cursor::new(&**bytes))),
        Source::Files(_) => Err(several(source)),
    }
}

fn unreadable(source: &Source, error: &std::io::Error) -> Error {
    Error::input(source.name(), "a readable file", error)
}

/// No reader takes several files yet.
fn several(source: &Source) -> Error {
    Error::input(source.name(), "one file", "several")
}

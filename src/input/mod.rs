//! Files to studies: one reader for each kind, told apart by content.

mod image;
mod npy;
#[cfg(feature = "video")]
mod video;

use std::fs::File;
use std::io::{Cursor, Read, Seek};

use crate::error::{Error, Result};
use crate::frame::{Modality, Study};
use crate::request::{Preprocessing, Source, StudyInput};

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
        StudyInput::Image(source) => {
            expect(source, Modality::Image)?;
            image::read(source, preprocessing)
        }
        StudyInput::Video(source, sampling) => {
            expect(source, Modality::Video)?;
            #[cfg(feature = "video")]
            return video::read(source, sampling);
            #[cfg(not(feature = "video"))]
            Err(Error::input(source.name(), "a build that reads videos", format!("{sampling:?} of a video"))
                .hint("this library was built without the feature `video`"))
        }
        StudyInput::Volume(source, sampling) => {
            expect(source, Modality::Volume)?;
            npy::read(source, *sampling, preprocessing)
        }
        StudyInput::Raw(volume, sampling) => npy::raw(volume, *sampling, preprocessing),
        StudyInput::Frames(study) if study.frames.is_empty() => {
            Err(Error::input(&study.source, "at least one frame", "none"))
        }
        StudyInput::Frames(study) => Ok(study.clone()),
    }
}

/// Refuses a source whose content is plainly of another modality. What no reader knows is left to the one asked for, which
/// can say best what it wanted.
fn expect(source: &Source, modality: Modality) -> Result<()> {
    let mut head = Vec::new();
    open(source)?.take(HEAD).read_to_end(&mut head).map_err(|error| unreadable(source, &error))?;
    let known = READERS.iter().find_map(|reader| Some((reader, (reader.sniff)(&head)?)));
    match known {
        Some((reader, format)) if reader.modality != modality => Err(Error::input(
            source.name(),
            format!("a file of the kind {}", modality.name()),
            format!("a {} ({format})", reader.modality.name()),
        )
        .hint(format!("use {}", reader.option))),
        _ => Ok(()),
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
    }
}

fn unreadable(source: &Source, error: &std::io::Error) -> Error {
    Error::input(source.name(), "a readable file", error)
}

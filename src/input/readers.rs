//! What a source is, and the reader for it.

use super::dicom;
use super::foreign;
use super::image;
use super::layouts;
use super::nifti;
use super::npy;
use super::reading::{Chosen, Header, Measured, ReadOptions, Reader, StudyFacts};
use super::source::Opened;
use super::stored;
#[cfg(feature = "video")]
use super::video;
use super::volume;
use crate::error::{Error, Result};
use crate::frame::{Modality, Study};
use crate::study::{Look, Preprocessing, Source, StudyInput};
use crate::watch::Watch;

/// Every kind of file there is a reader for.
static READERS: &[Reader] = &[
    // Before all others: a DICOM file may begin with the header of another format.
    Reader { formats: "DICOM", kinds: ALL, sniff: dicom::sniff, open: dicom::open },
    Reader {
        formats: if cfg!(feature = "video") {
            "PNG, JPEG, JPEG 2000, BMP, GIF, TIFF, WebP, HEIC or AVIF"
        } else {
            "PNG, JPEG, JPEG 2000, BMP, GIF, TIFF or WebP"
        },
        kinds: &[Modality::Image],
        sniff: image::sniff,
        open: image::open,
    },
    Reader {
        formats: "an animated GIF, PNG or WebP",
        kinds: &[Modality::Video],
        sniff: image::sniff_clip,
        open: image::open_clip,
    },
    #[cfg(feature = "video")]
    Reader {
        formats: "MP4, QuickTime, WebM, Matroska, AVI, FLV, WMV, Ogg, MPEG, or bare H.264 or HEVC",
        kinds: &[Modality::Video],
        sniff: video::sniff,
        open: video::open,
    },
    Reader {
        formats: "a NumPy array, .npy or .npz",
        kinds: &[Modality::Volume],
        sniff: npy::sniff,
        open: npy::open,
    },
    Reader {
        formats: "NIfTI, .nii, .nii.gz or .hdr with its .img",
        kinds: &[Modality::Volume],
        sniff: nifti::sniff,
        open: nifti::open,
    },
    // After all others: it has no magic number. The first row names it.
    Reader { formats: "", kinds: ALL, sniff: dicom::sniff_bare, open: dicom::open },
];

const ALL: &[Modality] = &[Modality::Image, Modality::Video, Modality::Volume];

/// A study whose header was read and whose frames were chosen.
pub(crate) struct OpenedStudy {
    chosen: Box<dyn Chosen>,
    options: ReadOptions,
}

/// Opens a study and counts what of it will be looked at. A file stays open until it is read.
///
/// # Errors
/// [`Error::Input`] if the source cannot be read or is of another kind than asked for, [`Error::Request`] if options
/// contradict it or leave nothing to look at, [`Error::Cancelled`] or [`Error::TimedOut`] if the watch ended it.
pub(crate) fn open(study: &StudyInput, options: &ReadOptions) -> Result<OpenedStudy> {
    let chosen = watched(&options.watch, || choose(study, options))?;
    Ok(OpenedStudy { chosen, options: options.clone() })
}

impl OpenedStudy {
    /// What will be looked at.
    pub(crate) fn measured(&self) -> Measured {
        self.chosen.measured()
    }

    /// Makes the pixels.
    ///
    /// # Errors
    /// [`Error::Input`] if the source is damaged or too large, [`Error::Cancelled`] or [`Error::TimedOut`] if the watch ended
    /// it.
    pub(crate) fn read(self) -> Result<Study> {
        watched(&self.options.watch, || self.chosen.read(&self.options))
    }
}

/// What of a study would be looked at, from headers and options alone: no pixel is made.
///
/// # Errors
/// As [`read`], of what can be found out without pixels.
pub fn measure(study: &StudyInput, options: &ReadOptions) -> Result<Measured> {
    Ok(open(study, options)?.measured())
}

/// Reads a study: the frames that are looked at, as they go into preprocessing.
///
/// ```
/// use fleming::{ReadOptions, StudyInput, read};
///
/// let study = read(&StudyInput::file("examples/chest.png"), &ReadOptions::default())?;
/// assert_eq!(study.frames.len(), 1);
/// # Ok::<(), fleming::Error>(())
/// ```
///
/// # Errors
/// [`Error::Input`] if the source cannot be read, is damaged or of another kind than asked for, [`Error::Request`] if options
/// contradict it or leave nothing to look at, [`Error::Cancelled`] or [`Error::TimedOut`] if the watch ended it.
pub fn read(study: &StudyInput, options: &ReadOptions) -> Result<Study> {
    open(study, options)?.read()
}

/// Does work that the watch may end. Where it did, what failed inside a library for it is not the source's fault.
pub(super) fn watched<T>(watch: &Watch, work: impl FnOnce() -> Result<T>) -> Result<T> {
    watch.check()?;
    work().map_err(|error| watch.check().err().unwrap_or(error))
}

/// What is in a study and what of it would be looked at, from headers and options alone: no pixel is made. Nothing of it says
/// who the patient is.
///
/// # Errors
/// As [`measure`].
pub fn inspect(study: &StudyInput, options: &ReadOptions) -> Result<StudyFacts> {
    watched(&options.watch, || {
        let Known { format, header, look } = known(study, options)?;
        let contents = header.facts();
        let chosen = chosen(&study.name(), header, look, options)?;
        let measured = chosen.measured();
        Ok(StudyFacts { source: study.name(), format, contents, chosen: chosen.facts(), measured })
    })
}

fn choose(study: &StudyInput, options: &ReadOptions) -> Result<Box<dyn Chosen>> {
    match study {
        StudyInput::Frames(study) => return stored::open(study.clone()),
        StudyInput::RawFrames(frames) => return layouts::open(frames.clone()),
        _ => {}
    }
    let Known { header, look, .. } = known(study, options)?;
    chosen(&study.name(), header, look, options)
}

/// What is looked at, within the budget.
pub(super) fn chosen(
    name: &str,
    header: Box<dyn Header>,
    look: &Look,
    options: &ReadOptions,
) -> Result<Box<dyn Chosen>> {
    let chosen = header.choose(look)?;
    let Measured { modality, sizes, .. } = chosen.measured();
    // Slices are grey.
    let bytes = if modality == Modality::Volume { 1 } else { 3 };
    options.budget.check_study(name, &sizes, bytes)?;
    Ok(chosen)
}

/// A study whose header was read.
pub(super) struct Known<'a> {
    /// The name of its format.
    pub(super) format: &'static str,
    pub(super) header: Box<dyn Header>,
    pub(super) look: &'a Look,
}

/// The header of a study, with options that fit it.
pub(super) fn known<'a>(study: &'a StudyInput, options: &ReadOptions) -> Result<Known<'a>> {
    options.budget.check()?;
    let (format, header, look) = match study {
        StudyInput::File { source, modality, look } => {
            // Before a file is read for nothing.
            look.check()?;
            check_forward(look, options.preprocessing)?;
            let (format, header) = header(source, (*modality, look), options)?;
            (format, header, look)
        }
        StudyInput::Raw(volume, look) => ("array", volume::open(volume.clone())?, look),
        StudyInput::RawPicture(picture, look) => ("picture", dicom::open_picture(picture.clone())?, look),
        StudyInput::Frames(_) | StudyInput::RawFrames(_) => {
            return Err(Error::request(study.name(), "a file or a volume", "frames, which have no header")
                .hint("read them instead"));
        }
    };
    look.check_for(header.modality(), header.takes(), &study.name())?;
    Ok(Known { format, header, look })
}

/// Refuses a part of a clip that ends before it begins. The reference script looks at one backwards.
fn check_forward(look: &Look, mode: Preprocessing) -> Result<()> {
    match (look.start, look.end, mode) {
        (Some(start), Some(end), Preprocessing::Clinical) if end < start => Err(Error::request(
            Look::END.option,
            "seconds from the start of the video, not before --start",
            format!("{end}, with a start at {start}"),
        )
        .hint("correct end, or leave it out")),
        _ => Ok(()),
    }
}

/// The header of a source, which must be what was asked for, and the name of its format.
fn header(
    source: &Source,
    (wanted, look): (Option<Modality>, &Look),
    options: &ReadOptions,
) -> Result<(&'static str, Box<dyn Header>)> {
    let (format, mut header) = match dicom::several(source, options)? {
        Some(header) => ("DICOM", header),
        None => of_one_file(source, wanted, options)?,
    };
    header.settle(wanted, look)?;
    match wanted {
        Some(wanted) if wanted != header.modality() => {
            Err(other(source, wanted, (header.modality(), format)))
        }
        _ => Ok((format, header)),
    }
}

/// What is said of a source of another kind than asked for.
fn other(source: &Source, wanted: Modality, (kind, format): (Modality, &str)) -> Error {
    Error::input(source.name(), wanted.with_article(), format!("{} ({format})", kind.with_article()))
        .hint(format!("name it as {}", kind.with_article()))
}

/// The header of a file, and the name of its format.
fn of_one_file(
    source: &Source,
    wanted: Option<Modality>,
    options: &ReadOptions,
) -> Result<(&'static str, Box<dyn Header>)> {
    let opened = Opened::new(source, &options.watch)?;
    let mut sniffed = READERS.iter().filter_map(|reader| Some((reader, (reader.sniff)(opened.head())?)));
    // An animation is a picture unless a video is wanted.
    let first = sniffed.next();
    let fits = |(reader, _): &(&Reader, _)| wanted.is_none_or(|wanted| reader.kinds.contains(&wanted));
    let known = first.filter(fits).or_else(|| sniffed.find(fits)).or(first);
    if opened.member().is_some() && !npy::is_archive(opened.head()) {
        let got = known.map_or(foreign::name(opened.head()).0, |(_, format)| format);
        return Err(Error::input(source.name(), "an .npz archive before the #", got)
            .hint("name the file alone; only an archive holds arrays by name"));
    }
    let Some((reader, format)) = known else { return Err(unknown(&opened, wanted)) };
    match (wanted, reader.kinds) {
        (Some(wanted), [kind, ..]) if !reader.kinds.contains(&wanted) => {
            Err(other(source, wanted, (*kind, format)))
        }
        _ => Ok((format, (reader.open)(opened, options)?)),
    }
}

/// What no reader takes.
fn unknown(opened: &Opened, wanted: Option<Modality>) -> Error {
    let readers = READERS.iter().filter(|reader| wanted.is_none_or(|kind| reader.kinds.contains(&kind)));
    let formats: Vec<_> =
        readers.map(|reader| reader.formats).filter(|formats| !formats.is_empty()).collect();
    let kind = wanted.map_or("an image, a video or a volume", Modality::with_article);
    let (got, hint) = foreign::name(opened.head());
    if formats.is_empty() {
        return Error::input(opened.name(), format!("a build that reads {kind}"), got)
            .hint("this library was built without the feature `video`");
    }
    Error::input(opened.name(), format!("{kind} ({})", formats.join("; ")), got).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Budget;

    /// Sums over a budget without end would not fit their numbers.
    #[test]
    fn a_budget_that_no_machine_meets_is_refused() {
        let endless = Budget { unpacked_bytes: u64::MAX, ..Budget::default() };
        let volume = StudyInput::file("examples/volume.npz");
        let error = read(&volume, &ReadOptions::default().budget(endless)).unwrap_err();
        assert_eq!(error.facts().thing, "max-unpacked-bytes");
        let most = Budget { unpacked_bytes: 1 << 40, ..Budget::default() };
        assert!(read(&volume, &ReadOptions::default().budget(most)).is_ok());
    }
}

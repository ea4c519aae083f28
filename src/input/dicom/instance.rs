//! A file of a study: what its data set says, without its pixels.

use super::super::reading::ReadOptions;
use super::frames::check_length;
use super::geometry::{Geometry, Stated};
use super::groups::Groups;
use super::layout::Layout;
use super::place::Place;
use super::scan::{PixelKind, Scanned, scan};
use super::syntax::Coding;
use super::tag;
use super::value::Item;
use crate::error::{Error, Result};

/// What a file turned out to be.
pub(super) enum File {
    Image(Box<Instance>),
    /// The header of an image, after which the file ends; the SeriesInstanceUID, if the header comes as far.
    CutOff(Option<String>),
    /// A report, a plan, a list of files.
    WithoutPixels,
    /// No DICOM.
    Foreign,
}

/// A file with pixels.
pub(super) struct Instance {
    pub(super) place: Place,
    pub(super) scanned: Scanned,
    pub(super) layout: Layout,
    pub(super) role: Role,
    /// Of each frame.
    pub(super) stated: Vec<Stated>,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Its frames are slices of a volume.
    Slices,
    /// Its frames follow one another in time.
    Clip,
    Picture,
}

/// Frames of one file: a clip of a day.
const MOST_FRAMES: u64 = 1 << 22;
const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
/// How the UIDs of storage classes begin.
const STORAGE: &str = "1.2.840.10008.5.1.4.1.1.";
/// How they go on where there are always pixels: CR and DX, CT, ultrasound, MR, secondary captures, XA and RF, nuclear medicine,
/// visible light, PET (PS3.4 B.5).
const IMAGES: [&str; 10] = ["1", "2", "3", "4", "6", "7", "12", "20", "77", "128"];
/// A class among them that has rows and columns of spectra.
const SPECTROSCOPY: &str = "4.2";

impl Instance {
    /// Reads a file as far as its pixels.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if it is damaged or contradicts itself.
    pub(super) fn read(place: &Place, options: &ReadOptions) -> Result<File> {
        let Some(scanned) = place.read(&options.watch, scan)? else { return Ok(File::Foreign) };
        let Some(kind) = scanned.pixels.as_ref().map(|pixels| pixels.kind) else {
            return Ok(match is_image(&scanned.set) {
                true => File::CutOff(scanned.set.word(tag::SERIES_INSTANCE_UID).map(str::to_owned)),
                false => File::WithoutPixels,
            });
        };
        let layout = Layout::read(&place.name, &scanned.set, kind)?;
        options.budget.check_frames(&format!("{}: NumberOfFrames", place.name), layout.frames as u64)?;
        check_promise(&place.name, &scanned, &layout)?;
        let stated = stated(&scanned, &layout);
        let role = role(&scanned, &layout, &stated);
        Ok(File::Image(Box::new(Self { place: place.clone(), scanned, layout, role, stated })))
    }

    /// Attributes of a frame.
    pub(super) fn groups(&self, frame: usize) -> Groups<'_> {
        Groups::of(&self.scanned.set, frame)
    }

    /// What it is called among the files of its study.
    pub(super) fn called(&self) -> &str {
        self.place.called()
    }

    pub(super) fn series_uid(&self) -> &str {
        self.scanned.set.word(tag::SERIES_INSTANCE_UID).unwrap_or_default()
    }

    /// A digest of the number of the patient, if the file states one.
    pub(super) fn patient(&self) -> Option<&[u8]> {
        self.scanned.set.bytes(tag::PATIENT_ID).map(|(_, digest)| digest)
    }

    pub(super) fn series_number(&self) -> Option<i64> {
        self.scanned.set.whole(tag::SERIES_NUMBER)
    }

    /// The word for the machine, such as CT, where there is one.
    pub(super) fn stated_modality(&self) -> Option<&str> {
        self.scanned.set.word(tag::MODALITY).filter(|word| word.len() <= 16)
    }

    /// The same for messages.
    pub(super) fn modality(&self) -> &str {
        self.stated_modality().unwrap_or("unknown modality")
    }

    pub(super) fn instance_number(&self) -> Option<i64> {
        self.scanned.set.whole(tag::INSTANCE_NUMBER)
    }

    /// Whether it is an overview on which a series was planned.
    pub(super) fn is_localizer(&self) -> bool {
        self.scanned.set.words(tag::IMAGE_TYPE).get(2) == Some(&"LOCALIZER")
    }

    /// Whether it is a volume of which all slices are laid side by side in one picture.
    pub(super) fn is_mosaic(&self) -> bool {
        self.layout.frames == 1 && self.scanned.set.words(tag::IMAGE_TYPE).contains(&"MOSAIC")
    }

    /// Bytes of pixel data beyond those that the header promises. One is there to make their number even.
    pub(super) fn surplus(&self) -> u64 {
        let length = self.scanned.pixels.as_ref().and_then(|pixels| pixels.length);
        length.zip(self.layout.bytes()).map_or(0, |(length, promised)| length.saturating_sub(promised))
    }

    /// Whether something is written into the picture, perhaps a name.
    pub(super) fn is_burned_in(&self) -> bool {
        self.scanned.set.word(tag::BURNED_IN_ANNOTATION) == Some("YES")
    }
}

/// Refuses frames of which the file cannot hold as many as its header promises: before any is read.
fn check_promise(name: &str, scanned: &Scanned, layout: &Layout) -> Result<()> {
    let is_native = matches!(scanned.syntax.coding, Coding::Native | Coding::NativeBigEndian);
    let (length, left) = scanned.pixels.as_ref().map_or((None, None), |pixels| (pixels.length, pixels.left));
    match length {
        Some(length) if is_native => check_length(name, layout, length.min(left.unwrap_or(length)))?,
        _ => {}
    }
    // Each frame takes a fragment, and each fragment its tag and length, but for those of a video stream.
    let most = match scanned.syntax.coding {
        Coding::Native | Coding::NativeBigEndian | Coding::Video => MOST_FRAMES,
        _ => left.map_or(MOST_FRAMES, |left| (left / 8).min(MOST_FRAMES)),
    };
    match layout.frames as u64 > most {
        true => {
            Err(Error::input(format!("{name}: NumberOfFrames"), format!("at most {most}"), layout.frames)
                .hint("the file is cut off or its header is wrong: copy it again"))
        }
        false => Ok(()),
    }
}

/// Where each frame lies. Of frames of a dose only the first is said to lie somewhere, the others by their distance from it.
fn stated(scanned: &Scanned, layout: &Layout) -> Vec<Stated> {
    let set = &scanned.set;
    let groups = set.items(tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE).len();
    let offsets = set.numbers(tag::GRID_FRAME_OFFSET_VECTOR);
    match (layout.frames, Geometry::of(Groups::of(set, 0))) {
        (1, first) => vec![first],
        (frames, Stated::Known(first)) if offsets.len() == frames => {
            offsets.iter().map(|offset| Stated::Known(first.moved(offset - offsets[0]))).collect()
        }
        // Groups of more frames than there are would be looked for in vain.
        (frames, _) if groups == frames => {
            (0..frames).map(|frame| Geometry::of(Groups::of(set, frame))).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a data set describes pixels.
fn is_image(set: &Item) -> bool {
    let class =
        set.word(tag::SOP_CLASS_UID).and_then(|class| class.strip_prefix(STORAGE)).unwrap_or_default();
    let kind = class.split('.').next().unwrap_or_default();
    class != SPECTROSCOPY && (set.bytes(tag::ROWS).is_some() || IMAGES.contains(&kind))
}

fn role(scanned: &Scanned, layout: &Layout, stated: &[Stated]) -> Role {
    let set = &scanned.set;
    let class = set.word(tag::SOP_CLASS_UID).unwrap_or_default();
    let of_scanner = matches!(set.word(tag::MODALITY), Some("CT" | "MR" | "PT"))
        && layout.samples == 1
        && !class.starts_with(SECONDARY_CAPTURE)
        && !set.words(tag::IMAGE_TYPE).contains(&"MOSAIC");
    let has_places = !stated.is_empty() && stated.iter().all(|one| matches!(one, Stated::Known(_)));
    let single = if layout.frames > 1 { Role::Clip } else { Role::Picture };
    let is_radiograph =
        matches!(set.word(tag::MODALITY), Some("CR" | "DX" | "MG" | "IO" | "PX" | "RG" | "XA" | "RF"));
    match scanned.syntax.coding {
        Coding::Video => Role::Clip,
        _ if class == SEGMENTATION || set.words(tag::IMAGE_TYPE).contains(&"MOSAIC") => single,
        _ if is_radiograph && layout.frames == 1 => single,
        _ if of_scanner || has_places => Role::Slices,
        _ => single,
    }
}

/// Whether the pixels are whole numbers of at most 8 bits that mean what they are.
pub(super) fn is_narrow(layout: &Layout) -> bool {
    layout.kind == PixelKind::Integer && layout.stored <= 8
}

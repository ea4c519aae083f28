//! A series as a volume.

use super::super::reading::ReadOptions;
use super::super::volume::{Kind, Placement, Samples, Space, UsualPlane, Values};
use super::alike::of_one_volume;
use super::colour::Colours;
use super::frames::Frames;
use super::geometry::spacing;
use super::instance::Instance;
use super::modality::Rescale;
use super::order::{Ordered, named, remarks, spacing as slice_spacing};
use super::padding::Padding;
use super::series::FrameAt;
use super::split::{Asked, one_volume};
use super::voi::Voi;
use crate::error::{Error, Result};
use crate::study::Window;

/// What a volume is, and where its slices come from.
///
/// # Errors
/// [`Error::Input`] naming files of which it cannot be made, [`Error::Request`] if there is no such time or echo.
pub(super) fn stack(
    name: &str,
    files: Vec<Instance>,
    frames: Vec<FrameAt>,
    asked: Asked,
    options: &ReadOptions,
) -> Result<(Space, Box<dyn Values>)> {
    let mut notes = Vec::new();
    let frames = of_one_volume(&files, frames, &mut notes);
    let Ordered { frames, places, notes: said } = one_volume(name, &files, frames, asked)?;
    notes.extend(said);
    if let Some(places) = &places {
        notes.extend(remarks(&files, &frames, places));
    }
    let first = frames[0];
    let file = &files[first.file];
    let layout = file.layout;
    let slices_mm = places.as_ref().and_then(slice_spacing);
    let distances = frames.iter().find_map(|at| spacing(files[at.file].groups(at.frame)));
    let spacing_mm = slices_mm.zip(distances).map(|(slices, [rows, columns])| [slices, rows, columns]);
    let placement = places.map(|places| Placement {
        directions: [places.first.normal(), places.first.along_column, places.first.along_row],
        origin: places.first.position,
        slices_mm: places.along,
    });
    let windows = windows(&files, &frames)?;
    let space = Space {
        name: name.into(),
        shape: [frames.len(), layout.rows as usize, layout.columns as usize],
        placement,
        spacing_mm,
        kind: match file.modality() {
            "CT" => Kind::Ct,
            "MR" => Kind::Mr,
            "PT" => Kind::Pet,
            _ => Kind::Other,
        },
        usual_plane: UsualPlane::Stored,
        windows,
        display: None,
        padding: padding(file, first)?,
        parts: parts(&files, &frames),
        colour: layout.is_colour(),
        notes,
    };
    let values = Series { files, frames, open: None, options: options.clone() };
    Ok((space, Box::new(values)))
}

/// The windows of each slice; none at all if no slice has one.
fn windows(files: &[Instance], frames: &[FrameAt]) -> Result<Vec<Vec<Window>>> {
    let mut windows = Vec::with_capacity(frames.len());
    for at in frames {
        let file = &files[at.file];
        windows.push(Voi::of(&file.place.name, file.groups(at.frame), file.layout.sign)?.windows);
    }
    match windows.iter().all(Vec::is_empty) {
        true => Ok(Vec::new()),
        false => Ok(windows),
    }
}

/// What pixels outside the picture have become.
fn padding(file: &Instance, at: FrameAt) -> Result<Option<f32>> {
    let stored = Padding::of(&file.scanned.set, &file.layout).and_then(|padding| padding.single());
    let rescale = Rescale::of(&file.place.name, file.groups(at.frame), file.layout.sign)?;
    Ok(stored.map(|stored| rescale.value(stored) as f32))
}

/// The file that each slice is in, of a study of several.
fn parts(files: &[Instance], frames: &[FrameAt]) -> Vec<String> {
    let parts = frames.iter().map(|at| files[at.file].place.part.clone());
    parts.collect::<Option<Vec<_>>>().unwrap_or_default()
}

/// Slices of files, in order.
struct Series {
    files: Vec<Instance>,
    frames: Vec<FrameAt>,
    /// The file that was read last, and its number.
    open: Option<(usize, Frames)>,
    options: ReadOptions,
}

impl Values for Series {
    fn each(
        &mut self,
        slices: &[usize],
        take: &mut dyn FnMut(usize, Samples<'_>) -> Result<()>,
    ) -> Result<()> {
        for &slice in slices {
            let at = self.frames[slice];
            let file = &self.files[at.file];
            let frames = match self.open.take() {
                Some((open, frames)) if open == at.file => frames,
                _ => Frames::open(&file.place, &file.scanned, file.layout, &self.options)?,
            };
            let unpacked = frames.unpack(at.frame, &self.options.watch)?;
            if file.layout.is_colour() {
                let colours = Colours::of(&file.place, &file.scanned.set, &file.layout)?;
                take(slice, Samples::Rgb(&colours.rgb(&unpacked)))?;
            } else {
                let rescale = Rescale::of(&file.place.name, file.groups(at.frame), file.layout.sign)?;
                let values = rescale.values(&unpacked.samples);
                let is_known = |chunk: &[f32]| chunk.iter().fold(true, |all, value| all & value.is_finite());
                let unknown = values.chunks(1 << 12).find(|chunk| !is_known(chunk));
                if let Some(value) = unknown.and_then(|chunk| chunk.iter().find(|value| !value.is_finite())) {
                    return Err(Error::input(named(&self.files, at), "finite values", value)
                        .hint("replace what is not a measurement"));
                }
                take(slice, Samples::Values(&values))?;
            }
            self.open = Some((at.file, frames));
        }
        Ok(())
    }
}

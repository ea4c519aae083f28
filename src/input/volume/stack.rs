//! From a volume in patient space to frames.

use std::sync::Arc;

use super::super::reading::{Chosen, Fact, Measured, ReadOptions};
use super::axes::{Axes, oblique};
use super::block::{Block, colours, values};
use super::grid::{Grid, SliceChoice, Slices, within};
use super::planes::{Placing, Planes};
use super::space::{Kind, Space, Values};
use super::stacked::{Colours, Native, Trained};
use super::statistics::extent;
use super::trained::{Range, Rule, SHAPE, foreground};
use crate::error::{Error, Result};
use crate::frame::Study;
use crate::study::{Look, Windowing};
use crate::view::{Crop, Plane, Slab, VolumeForm, VolumeView};

/// The frames of a volume in patient space, chosen.
///
/// # Errors
/// [`Error::Request`] if the volume has nothing like it, [`Error::Input`] if its header contradicts itself.
pub(in crate::input) fn choose(
    space: Space,
    values: Box<dyn Values>,
    look: &Look,
) -> Result<Box<dyn Chosen>> {
    space.check()?;
    let axes = Axes::new(&space, look.plane)?;
    let [depth, height, width] = axes.shape(&space);
    let form = form(&space, depth, look)?;
    let slices_mm = axes.slices_mm(&space);
    let [first, last] = match look.range_mm {
        Some(range) => within_mm(&space.name, &slices_mm, range)?,
        None => within(&space.name, depth, look.range)?,
    };
    let mut list: Vec<usize> = (first..=last).collect();
    if look.reverse {
        list.reverse();
    }
    let slab = look.slab.unwrap_or(Slab::None);
    // The same picture eleven times would tell no more.
    let frames = look.slices.unwrap_or(if depth == 1 { 1 } else { Look::SLICES });
    let count = match (form, slab) {
        (VolumeForm::Trained, _) => SHAPE[0],
        (_, Slab::None) => list.len(),
        _ => frames,
    };
    let [height, width] = if form == VolumeForm::Trained { [SHAPE[1], SHAPE[2]] } else { [height, width] };
    let grid = Grid { name: space.name.clone(), shape: [count, height, width], spacing_mm: None };
    let plain = Look { slices: Some(frames), ..Look::default() };
    let choice = grid.choose(&plain)?;
    let rule = Rule::new(&space, look.window);
    let crop = look.crop.unwrap_or(Crop::Foreground);
    let planes = Planes::new(list, count, slab);
    Ok(Box::new(Stack { space, values, axes, slices_mm, form, slab, crop, rule, planes, choice }))
}

struct Stack {
    space: Space,
    values: Box<dyn Values>,
    axes: Axes,
    slices_mm: Vec<f64>,
    form: VolumeForm,
    slab: Slab,
    crop: Crop,
    rule: Rule,
    planes: Planes,
    choice: SliceChoice,
}

/// The form that a volume is looked at in.
fn form(space: &Space, depth: usize, look: &Look) -> Result<VolumeForm> {
    let refuse = |option: &str, wanted: &str, got: &str| {
        Err(Error::request(format!("{}: {option}", space.name), wanted, got))
    };
    let usual = match (space.kind, space.colour, depth) {
        (_, true, _) | (Kind::Other, ..) | (_, _, 1) => VolumeForm::Native,
        _ => VolumeForm::Trained,
    };
    let form = look.form.unwrap_or(usual);
    match form {
        _ if look.shared => {}
        _ if look.axis.is_some() => {
            return refuse("axis", "an array", "a volume whose planes have names; name a plane");
        }
        VolumeForm::Trained if space.colour => {
            return refuse("form", "native, of slices in colour", form.name());
        }
        VolumeForm::Native if look.crop == Some(Crop::Foreground) => {
            return refuse("crop", "none, of slices in the form native", "foreground");
        }
        _ if space.colour && (look.window.is_some() || look.slab.is_some_and(|slab| slab != Slab::None)) => {
            return refuse("window, slab", "a volume of values", "one of slices in colour");
        }
        _ => {}
    }
    Ok(if space.colour { VolumeForm::Native } else { form })
}

/// The first and the last slice that lie in a range of millimetres.
fn within_mm(name: &str, slices_mm: &[f64], [from, to]: [f64; 2]) -> Result<[usize; 2]> {
    let inside = |place: &f64| (from..=to).contains(place);
    match (slices_mm.iter().position(inside), slices_mm.iter().rposition(inside)) {
        (Some(first), Some(last)) => Ok([first, last]),
        _ => {
            let wanted = match slices_mm {
                [] => "slices by number: where they lie is not known".into(),
                [first, .., last] => format!("a part of {first} mm to {last} mm"),
                [only] => format!("{only} mm"),
            };
            Err(Error::request(format!("{name}: range"), wanted, format!("{from} mm to {to} mm")))
        }
    }
}

impl Chosen for Stack {
    fn measured(&self) -> Measured {
        self.choice.measured()
    }

    fn facts(&self) -> Vec<Fact> {
        let kind = match self.space.kind {
            Kind::Ct => "CT",
            Kind::Mr => "MR",
            Kind::Pet => "PET",
            Kind::Other => "neither CT nor MR nor PET",
            Kind::Unknown => "not said",
        };
        let lengths = |shape: [usize; 3]| shape.map(|length| length as f64);
        let notes = self.space.notes.iter().cloned();
        let notes = notes.chain(self.space.placement.as_ref().and_then(oblique));
        let mut facts = vec![
            Fact::text("kind", kind),
            Fact::text("plane", self.axes.plane.map_or("not known", Plane::name)),
            Fact::numbers("shape", lengths(self.axes.shape(&self.space))),
        ];
        facts.extend(self.axes.spacing_mm(&self.space).map(|spacing| Fact::numbers("spacing_mm", spacing)));
        if let [first, .., last] = self.slices_mm[..] {
            facts.push(Fact::numbers("position_mm", [first, last]));
        }
        facts.push(Fact::text("form", self.form.name()));
        facts.push(Fact::text("range", self.rule.words()));
        if self.form == VolumeForm::Native {
            let slices = self.choice.places().iter().map(|plane| self.planes.nearest(*plane) as f64);
            facts.push(Fact::numbers("slices", slices));
        }
        facts.push(Fact::texts("notes", notes.collect()));
        facts
    }

    fn read(mut self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let mut notes = std::mem::take(&mut self.space.notes);
        notes.extend(self.space.placement.as_ref().and_then(oblique));
        let places = self.needed();
        let slices: Vec<usize> = places.iter().map(|place| self.planes.list[*place]).collect();
        let from = (&self.space, &self.axes);
        let mut study = match self.space.colour {
            true => {
                let block = colours(from, &slices, self.values.as_mut(), options)?;
                let placing = self.placing(self.planes.clone(), None, None);
                self.choice.read(&mut Colours { placing, block, places }, options)?
            }
            false => {
                let block = values(from, &slices, self.values.as_mut(), options)?;
                let range = self.rule.range(&block.values, self.space.padding);
                notes.extend(range.hides(self.space.kind, &block.values));
                match self.form {
                    VolumeForm::Trained => self.trained(block, range).read(options)?,
                    VolumeForm::Native => self.native((places, block), range).read(options)?,
                }
            }
        };
        notes.extend(coverage(&study));
        study.warnings.splice(0..0, notes);
        Ok(study)
    }
}

/// Slices and which of them are frames.
struct Picked<S>(S, SliceChoice);

impl<S: Slices> Picked<S> {
    fn read(mut self, options: &ReadOptions) -> Result<Study> {
        self.1.read(&mut self.0, options)
    }
}

impl Stack {
    /// The places in the list of slices that are read.
    fn needed(&self) -> Vec<usize> {
        if self.form == VolumeForm::Trained || self.rule.needs_values() {
            return (0..self.planes.list.len()).collect();
        }
        let parts = self.choice.distinct().into_iter().flat_map(|plane| self.planes.parts(plane));
        let mut places: Vec<usize> = parts.map(|(place, _)| place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    fn native(self, (places, block): (Vec<usize>, Block<f32>), range: Range) -> Picked<Native> {
        // A range that differs from slice to slice is with each slice.
        let windowing = match self.rule {
            Rule::Window(window) => Some(Windowing::Window(window)),
            Rule::OwnRange => Some(Windowing::OwnRange),
            _ => None,
        };
        let common = (self.rule != Rule::OwnRange).then_some(&range);
        let placing = self.placing(self.planes.clone(), common, None);
        Picked(Native { placing, block, places, ends: range.ends, windowing }, self.choice)
    }

    fn trained(mut self, mut block: Block<f32>, range: Range) -> Picked<Trained> {
        range.apply(&mut block.values);
        let extent = extent(&block.values, None).unwrap_or_default();
        let whole = block.shape.map(|side| [0, side]);
        let found = match self.crop {
            Crop::Foreground => foreground(&block.values, block.shape),
            Crop::None => None,
        };
        let [slices, rows, columns] = found.unwrap_or(whole);
        let mut planes = std::mem::replace(&mut self.planes, Planes::new(Vec::new(), 1, Slab::None));
        planes.list.truncate(slices[1]);
        planes.list.drain(..slices[0]);
        block.first = slices[0];
        let places = (0..planes.list.len()).collect();
        let [low, high] = [planes.list.iter().min(), planes.list.iter().max()].map(Option::<&usize>::copied);
        let kept = [[low.unwrap_or_default(), high.unwrap_or_default() + 1], rows, columns];
        let cut = (found.is_some_and(|found| found != whole)).then_some(kept);
        let placing = self.placing(planes, Some(&range), cut);
        let crop = [rows, columns];
        Picked(Trained { placing, block, places, range, crop, slab: self.slab, extent }, self.choice)
    }

    /// Where planes lie; `crop` is what is kept of slices, rows and columns where something was cut off.
    fn placing(&self, planes: Planes, range: Option<&Range>, crop: Option<[[usize; 2]; 3]>) -> Placing {
        let shape = self.axes.shape(&self.space);
        let trained = self.form == VolumeForm::Trained;
        let [_, height, width] = shape;
        let [_, [top, bottom], [left, right]] = crop.unwrap_or([[0; 2], [0, height], [0, width]]);
        let kept = [planes.list.len(), bottom - top, right - left];
        let made = if trained { SHAPE } else { [planes.count, height, width] };
        let spacing_mm = self
            .axes
            .spacing_mm(&self.space)
            .map(|spacing| std::array::from_fn(|axis| spacing[axis] * kept[axis] as f64 / made[axis] as f64));
        let view = VolumeView {
            form: self.form,
            plane: self.axes.plane,
            slices: shape[0],
            covered: planes.covered(&self.choice.distinct()),
            range: range.map(|range| range.ends),
            range_from: range.map_or_else(|| "each slice's own".into(), |range| range.from.clone()),
            slab: self.slab,
            crop,
        };
        Placing { planes, slices_mm: self.slices_mm.clone(), spacing_mm, view: Arc::new(view) }
    }
}

/// How much of the study the frames are made of, if that is not all.
fn coverage(study: &Study) -> Option<String> {
    let view = study.frames.first()?.provenance().view.as_ref()?;
    let (covered, slices) = (view.covered, view.slices);
    (covered < slices).then(|| {
        let percent = 100.0 * covered as f64 / slices as f64;
        format!("the frames are made of {covered} of {slices} slices ({percent:.0} %)")
    })
}

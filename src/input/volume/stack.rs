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
use crate::limits::OptionName;
use crate::study::{Every, Look, Windowing};
use crate::view::{Crop, Slab, VolumeForm, VolumeView};
use crate::words::counted;

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
    check_window(&space, look)?;
    let axes = Axes::new(&space, look.plane)?;
    let [depth, height, width] = axes.shape(&space);
    let look = &*look.of_volume(&space.name, depth)?;
    let form = form(&space, depth, look)?;
    let slices_mm = axes.slices_mm(&space);
    let [first, last] = match look.range_mm {
        Some(range) => within_mm(&space.name, &slices_mm, range)?,
        None => within(&space.name, depth, look.range)?,
    };
    // The range of the values is that of the whole volume, whatever of it is leafed through.
    let [from, to] = if look.every.is_some() { [0, depth - 1] } else { [first, last] };
    let mut list: Vec<usize> = (from..=to).collect();
    if look.reverse {
        list.reverse();
    }
    // A slab meant for another study leaves colours as they are.
    let slab = if space.colour { Slab::None } else { look.slab.unwrap_or(Slab::None) };
    // The same picture eleven times would tell no more.
    let frames = look.slices.unwrap_or(if depth == 1 { 1 } else { Look::SLICES });
    let count = match (form, slab) {
        (VolumeForm::Trained, _) => SHAPE[0],
        (_, Slab::None) => list.len(),
        _ => frames,
    };
    let [height, width] = if form == VolumeForm::Trained { [SHAPE[1], SHAPE[2]] } else { [height, width] };
    let grid = Grid { name: space.name.clone(), shape: [count, height, width], spacing_mm: None };
    let range = look.every.is_some().then_some([first, last]);
    let plain = Look { slices: Some(frames), range, ..Look::default() };
    let choice = grid.choose(&plain)?;
    let rule = Rule::new(&space, look.window);
    let crop = look.crop.unwrap_or(Crop::Foreground);
    let planes = Planes::new(list, count, slab);
    let every = look.every;
    Ok(Box::new(Stack { space, values, axes, slices_mm, form, slab, crop, rule, planes, choice, every }))
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
    /// What it is leafed through for.
    every: Option<Every>,
}

/// Refuses a window that the file does not have.
fn check_window(space: &Space, look: &Look) -> Result<()> {
    match look.window {
        Some(Windowing::File(number)) if space.file_window(number - 1).is_none() && !look.is_shared() => {
            let count = (0..).take_while(|number| space.file_window(*number).is_some()).count();
            let got = format!("file:{number} of a file that has {count}");
            Err(Error::request(format!("{}: window", space.name), "a window of the file", got)
                .hint("name a centre and a width"))
        }
        _ => Ok(()),
    }
}

/// The form that a volume is looked at in.
fn form(space: &Space, depth: usize, look: &Look) -> Result<VolumeForm> {
    let refuse = |option: OptionName, wanted: &str, got: &str| {
        let error = Error::request(format!("{}: {option}", space.name), wanted, got);
        Err(error.hint(format!("leave {option} out")))
    };
    let usual = match (space.kind, space.colour, depth) {
        (_, true, _) | (Kind::Other, ..) | (_, _, 1) => VolumeForm::Native,
        _ => VolumeForm::Trained,
    };
    let form = look.form.unwrap_or(usual);
    match form {
        _ if look.shared => {}
        _ if look.axis.is_some() => {
            return refuse(Look::AXIS.option, "an array", "a volume whose planes have names; name a plane");
        }
        VolumeForm::Trained if space.colour => {
            return refuse(Look::FORM, "native, of slices in colour", form.name());
        }
        VolumeForm::Native if look.crop == Some(Crop::Foreground) => {
            return refuse(Look::CROP, "none, of slices in the form native", "foreground");
        }
        _ if space.colour && look.window.is_some() => {
            return refuse(Look::WINDOW, "a volume of values", "one of slices in colour");
        }
        _ if space.colour && look.slab.is_some_and(|slab| slab != Slab::None) => {
            return refuse(Look::SLAB, "a volume of values", "one of slices in colour");
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
            let error = Error::request(format!("{name}: range"), wanted, format!("{from} mm to {to} mm"));
            Err(error.hint("correct it, or leave it out"))
        }
    }
}

impl Chosen for Stack {
    fn measured(&self) -> Measured {
        Measured { count: self.axes.shape(&self.space)[0], ..self.choice.measured() }
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
            Fact::text("plane", self.axes.words()),
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
        let notes: Vec<_> = notes.collect();
        facts.extend((!notes.is_empty()).then(|| Fact::texts("notes", notes)));
        facts
    }

    fn read(mut self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let mut notes = std::mem::take(&mut self.space.notes);
        notes.extend(self.space.placement.as_ref().and_then(oblique));
        let leafed = self.every.is_some();
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
                let (mut block, missing) = values(from, &slices, self.values.as_mut(), options)?;
                let range = self.range(&block.values);
                if !leafed {
                    notes.extend(range.hides(self.space.kind, &block.values));
                }
                if missing > 0 {
                    notes.push(format!(
                        "NaN or infinity in {}: black, and no part of the range",
                        counted(missing, "place")
                    ));
                    range.fill(&mut block.values);
                }
                match self.form {
                    VolumeForm::Trained => self.trained(block, range).read(options)?,
                    VolumeForm::Native => self.native((places, block), range).read(options)?,
                }
            }
        };
        if !leafed {
            notes.extend(coverage(&study));
        }
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
        // Colours have no range.
        let needs_values = match self.every {
            // The lowest and the highest value are then those of each slice.
            Some(every) => every.ends.is_none() && self.rule.needs_values() && self.rule != Rule::OwnRange,
            None => self.rule.needs_values(),
        };
        if self.form == VolumeForm::Trained || (!self.space.colour && needs_values) {
            return (0..self.planes.list.len()).collect();
        }
        let parts = self.choice.distinct().into_iter().flat_map(|plane| self.planes.parts(plane));
        let mut places: Vec<usize> = parts.map(|(place, _)| place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The range of the values, of which these are read.
    fn range(&self, values: &[f32]) -> Range {
        match self.every.and_then(|every| every.ends).filter(|_| self.rule.needs_values()) {
            Some(ends) => Range { ends, curve: None, from: self.rule.words() },
            None => self.rule.range(values, self.space.padding),
        }
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
            Crop::Foreground => foreground(&block.values, block.shape, extent[0]),
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
        let (slices_mm, parts) = (self.slices_mm.clone(), self.axes.parts(&self.space));
        Placing { planes, slices_mm, parts, spacing_mm, view: Arc::new(view) }
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

#[cfg(test)]
mod tests {
    use super::super::space::{Placement, Samples, UsualPlane};
    use super::*;
    use crate::study::Window;
    use crate::view::Plane;

    /// A volume whose value is 100 slice + 10 row + column, as an axial series is stored.
    struct Numbered([usize; 3]);

    impl Values for Numbered {
        fn each(
            &mut self,
            slices: &[usize],
            take: &mut dyn FnMut(usize, Samples<'_>) -> Result<()>,
        ) -> Result<()> {
            let [_, rows, columns] = self.0;
            slices.iter().try_for_each(|slice| {
                let value = |place: usize| (100 * slice + 10 * (place / columns) + place % columns) as f32;
                take(*slice, Samples::Values(&(0..rows * columns).map(value).collect::<Vec<_>>()))
            })
        }
    }

    fn space(shape: [usize; 3]) -> Space {
        let slices_mm = (0..shape[0]).map(|slice| 5.0 * slice as f64 - 20.0).collect();
        let directions = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]];
        Space {
            name: "ct".into(),
            shape,
            placement: Some(Placement { directions, origin: [0.0, 0.0, -20.0], slices_mm }),
            spacing_mm: Some([5.0, 1.0, 0.5]),
            kind: Kind::Ct,
            usual_plane: UsualPlane::Stored,
            windows: Vec::new(),
            display: None,
            padding: None,
            parts: Vec::new(),
            colour: false,
            notes: vec!["it has a note".into()],
        }
    }

    fn read(space: Space, look: &Look) -> Result<Study> {
        let values = Box::new(Numbered(space.shape));
        choose(space, values, look)?.read(&ReadOptions::default())
    }

    fn places(study: &Study) -> Vec<usize> {
        study.frames.iter().map(|frame| frame.provenance().index.unwrap()).collect()
    }

    fn native() -> Look {
        Look::default().form(VolumeForm::Native)
    }

    #[test]
    fn the_trained_form_is_what_was_measured_before_a_pixel_was_made() {
        let volume = || choose(space([9, 4, 6]), Box::new(Numbered([9, 4, 6])), &Look::default()).unwrap();
        let measured = volume().measured();
        let study = volume().read(&ReadOptions::default()).unwrap();
        assert_eq!(measured.sizes, [[256, 256]; 11]);
        assert!(study.frames.iter().all(|frame| [frame.width(), frame.height()] == [256, 256]));
        let view = study.frames[0].provenance().view.clone().unwrap();
        assert_eq!(
            (view.form, view.plane, view.range),
            (VolumeForm::Trained, Some(Plane::Axial), Some([-1000.0, 1000.0]))
        );
        assert_eq!(study.warnings[0], "it has a note");
    }

    #[test]
    fn a_range_is_by_slices_or_by_millimetres_and_is_turned_over() {
        let taken = |look: Look| places(&read(space([9, 4, 6]), &look.slices(3)).unwrap());
        assert_eq!(taken(native()), [0, 4, 8]);
        assert_eq!(taken(native().range([2, 6])), [2, 4, 6]);
        assert_eq!(taken(native().range_mm([-10.5, 10.0])), [2, 4, 6]);
        assert_eq!(taken(native().range([2, 6]).reverse()), [6, 4, 2]);
        assert_eq!(taken(Look::default().range([2, 6]).reverse()), [6, 4, 2]);
        for (look, thing) in [
            (native().range([2, 9]), "ct: range"),
            (native().range_mm([21.0, 22.0]), "ct: range"),
            (native().axis(1), "ct: axis"),
            (native().crop(Crop::Foreground), "ct: crop"),
        ] {
            let error = read(space([9, 4, 6]), &look).unwrap_err();
            assert_eq!(error.facts().thing, thing, "{error}");
        }
        let shared = native().crop(Crop::Foreground).axis(1).shared();
        assert_eq!(read(space([9, 4, 6]), &shared).unwrap().frames.len(), 11);
    }

    #[test]
    fn planes_and_slabs_show_the_values_that_lie_there() {
        let grey = Window::linear_exact(127.5, 255.0);
        let look = native().window(grey).plane(Plane::Coronal).slices(2);
        let study = read(space([2, 3, 4]), &look).unwrap();
        // The head is on top: the second slice comes first.
        assert_eq!(study.frames[0].samples(), [100, 101, 102, 103, 0, 1, 2, 3]);
        assert_eq!(study.frames[1].samples(), [120, 121, 122, 123, 20, 21, 22, 23]);
        assert_eq!(study.frames[1].provenance().spacing_mm, Some([1.0, 5.0, 0.5]));
        let slab = |slab| {
            let look = native().window(grey).slab(slab).slices(1);
            read(space([2, 1, 2]), &look).unwrap().frames[0].samples().to_vec()
        };
        assert_eq!((slab(Slab::Mean), slab(Slab::Max)), (vec![50, 51], vec![100, 101]));
    }

    #[test]
    fn coverage_and_lungs_that_a_window_hides_are_said() {
        let said = |study: &Study, part: &str| study.warnings.iter().any(|warning| warning.contains(part));
        let study = read(space([320, 1, 2]), &Look::default()).unwrap();
        assert!(said(&study, "22 of 320 slices (7 %)"), "{:?}", study.warnings);
        let study = read(space([320, 1, 2]), &native()).unwrap();
        assert!(said(&study, "11 of 320 slices (3 %)"), "{:?}", study.warnings);
        let lungs = Range { ends: [-160.0, 240.0], curve: None, from: String::new() };
        let values = [[-800.0; 6].as_slice(), &[40.0; 94]].concat();
        assert!(lungs.hides(Kind::Ct, &values).is_some() && lungs.hides(Kind::Mr, &values).is_none());
        assert_eq!(lungs.hides(Kind::Ct, &values[2..]), None);
    }

    /// A volume whose colour is 10 times the slice.
    struct Coloured(usize);

    impl Values for Coloured {
        fn each(
            &mut self,
            slices: &[usize],
            take: &mut dyn FnMut(usize, Samples<'_>) -> Result<()>,
        ) -> Result<()> {
            slices.iter().try_for_each(|slice| take(*slice, Samples::Rgb(&vec![10 * *slice as u8; self.0])))
        }
    }

    #[test]
    fn frames_in_colour_are_the_slices_that_were_chosen() {
        for kind in [Kind::Unknown, Kind::Other, Kind::Ct] {
            let look = Look::default().slices(3).range([1, 19]);
            for look in [look.clone(), look.slab(Slab::Mean).shared()] {
                let of_colours = Space { kind, colour: true, ..space([20, 1, 2]) };
                let study = choose(of_colours, Box::new(Coloured(6)), &look).unwrap();
                let study = study.read(&ReadOptions::default()).unwrap();
                let shown: Vec<u8> = study.frames.iter().map(|frame| frame.samples()[0]).collect();
                assert_eq!((places(&study), shown), (vec![1, 10, 19], vec![10, 100, 190]), "{kind:?}");
            }
        }
    }

    #[test]
    fn one_slice_is_one_picture() {
        let study = read(space([1, 4, 6]), &Look::default()).unwrap();
        assert_eq!((study.frames.len(), study.frames[0].width()), (1, 6));
        let of_mr = Space { kind: Kind::Mr, ..space([2, 4, 6]) };
        let view = read(of_mr, &Look::default()).unwrap().frames[0].provenance().view.clone().unwrap();
        assert!(view.range_from.contains("percentiles"), "{}", view.range_from);
    }

    #[test]
    fn the_window_of_the_file_is_that_of_its_middle_slice() {
        let windows = [0.0, 10.0, 20.0].map(|center| vec![Window::linear(center, 400.0)]).to_vec();
        let of_ct = Space { windows, ..space([3, 4, 6]) };
        let study = read(of_ct, &native()).unwrap();
        assert_eq!(study.frames[0].provenance().window, Some([-190.0, 210.0]));
    }
}

//! From a volume in patient space to frames.

use std::sync::Arc;

use super::super::reading::{Chosen, Fact, Measured, ReadOptions};
use super::asked::{check_window, form, within_mm};
use super::axes::{Axes, oblique};
use super::block::{Block, check_size, held, mark_missing, passed};
use super::grid::{Grid, SliceChoice, Slices, twice, within};
use super::planes::{Placing, Planes};
use super::scout::scout;
use super::space::{Kind, Space, Values};
use super::stacked::{Colours, Native, Trained};
use super::statistics::extent_of_shares;
use super::survey::Survey;
use super::trained::{Range, Rule, SHAPE, Tally, foreground};
use crate::error::Result;
use crate::frame::Study;
use crate::study::{Every, Look, Windowing};
use crate::view::{Crop, Scout, Slab, VolumeForm, VolumeView};
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
    Ok(Box::new(stack(space, values, look)?))
}

fn stack(space: Space, values: Box<dyn Values>, look: &Look) -> Result<Stack> {
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
    let (every, scout) = (look.every, None);
    Ok(Stack { space, values, axes, slices_mm, form, slab, crop, rule, planes, choice, every, scout })
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
    scout: Option<Scout>,
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
        if options.with_scout {
            self.scout = scout((&self.space, &self.axes), self.values.as_mut(), options)?;
        }
        let mut study = match self.form {
            _ if self.space.colour => self.in_colour(options)?,
            VolumeForm::Trained if self.can_pass() => self.passed(&mut notes, options)?.read(options)?,
            _ => self.held(&mut notes, options)?,
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

/// Places in a list of slices of a plane, rising, and what is held of them.
struct Held {
    places: Vec<usize>,
    block: Block<f32>,
}

impl Stack {
    /// The places in the list of slices that frames are made of.
    fn needed(&self, planes: &Planes) -> Vec<usize> {
        let parts = self.choice.distinct().into_iter().flat_map(|plane| planes.parts(plane));
        let mut places: Vec<usize> = parts.map(|(place, _)| place).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Slices of the plane by their places in the list.
    fn slices(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|place| self.planes.list[*place]).collect()
    }

    fn in_colour(mut self, options: &ReadOptions) -> Result<Study> {
        let places = self.needed(&self.planes);
        let slices = self.slices(&places);
        let block = held((&self.space, &self.axes), &slices, self.values.as_mut(), options)?;
        let placing = self.placing(self.planes.clone(), None, None);
        self.choice.read(&mut Colours { placing, block, places }, options)
    }

    /// From all values that range and frames need, held at the same time.
    fn held(mut self, notes: &mut Vec<String>, options: &ReadOptions) -> Result<Study> {
        let needs_values = match self.every {
            // The lowest and the highest value are then those of each slice.
            Some(every) => every.ends.is_none() && self.rule.needs_values() && self.rule != Rule::OwnRange,
            None => self.rule.needs_values(),
        };
        let places: Vec<usize> = match self.form == VolumeForm::Trained || needs_values {
            true => (0..self.planes.list.len()).collect(),
            false => self.needed(&self.planes),
        };
        let slices = self.slices(&places);
        let mut block: Block<f32> = held((&self.space, &self.axes), &slices, self.values.as_mut(), options)?;
        let missing = mark_missing(&mut block.values);
        let range = self.range(&block.values);
        if self.every.is_none() {
            let kind = self.space.kind;
            notes.extend(range.hides(kind, &Tally::of((kind, &range), &block.values)));
        }
        notes.extend(not_measured(missing));
        if missing > 0 {
            range.fill(&mut block.values);
        }
        if self.form == VolumeForm::Native {
            return self.native(Held { places, block }, range).read(options);
        }
        range.apply(&mut block.values);
        let extent = extent_of_shares(&block.values).unwrap_or_default();
        let found = match self.crop {
            Crop::Foreground => foreground(&block.values, block.shape, extent[0]),
            Crop::None => None,
        };
        let planes = self.cropped(found);
        self.trained((planes, found), Held { places, block }, (range, extent)).read(options)
    }

    /// The range of the values, of which these are read.
    fn range(&self, values: &[f32]) -> Range {
        match self.every.and_then(|every| every.ends).filter(|_| self.rule.needs_values()) {
            Some(ends) => Range { ends, curve: None, from: self.rule.words() },
            None => self.rule.range(values, self.space.padding),
        }
    }

    /// Whether all that is asked of values can be asked slice by slice.
    fn can_pass(&self) -> bool {
        let is_whole =
            self.axes.stored[0] == 0 || self.planes.list.len() == self.space.shape[self.axes.stored[0]];
        is_whole && !self.rule.needs_values()
    }

    /// In the form of the training data, by a range that is known: all slices are looked at as they pass, and only those are held
    /// that frames are made of. Where the crop moves frames to other slices, these are read again.
    fn passed(mut self, notes: &mut Vec<String>, options: &ReadOptions) -> Result<Picked<Trained>> {
        let range = self.rule.range(&[], self.space.padding);
        let from = (&self.space, &self.axes);
        let [_, height, width] = self.axes.shape(&self.space);
        check_size(&self.space, [self.planes.list.len(), height, width], options)?;
        let mut survey = Survey::new(&self.space, &range);
        let mut places = self.needed(&self.planes);
        let (slices, values) = (self.slices(&places), self.values.as_mut());
        let mut look = |slice: usize, values: &[f32]| survey.add(slice, values);
        let mut block = passed(from, (&slices, &self.planes.list), values, options, &mut look)?;
        notes.extend(range.hides(self.space.kind, &survey.tally).filter(|_| self.every.is_none()));
        notes.extend(not_measured(survey.missing));
        let (extent, found) = (survey.extent(), survey.foreground(from, &self.planes.list));
        let found = found.filter(|_| self.crop == Crop::Foreground);
        let planes = self.cropped(found);
        let first = found.map_or(0, |[slices, ..]| slices[0]);
        let needed: Vec<_> = self.needed(&planes).into_iter().map(|place| first + place).collect();
        if needed.iter().any(|place| places.binary_search(place).is_err()) {
            let slices = self.slices(&needed);
            (places, block) = (needed, held(from, &slices, self.values.as_mut(), options)?);
        }
        mark_missing(&mut block.values);
        range.fill(&mut block.values);
        range.apply(&mut block.values);
        Ok(self.trained((planes, found), Held { places, block }, (range, extent)))
    }

    /// The planes of what is kept of the slices.
    fn cropped(&self, found: Option<[[usize; 2]; 3]>) -> Planes {
        let mut planes = self.planes.clone();
        if let Some([[first, end], ..]) = found {
            planes.list.truncate(end);
            planes.list.drain(..first);
        }
        planes
    }

    fn native(self, Held { places, block }: Held, range: Range) -> Picked<Native> {
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

    /// Planes of what is kept. `found` is that in places of the list of slices, rows and columns; nothing if it is all.
    fn trained(
        self,
        (planes, found): (Planes, Option<[[usize; 2]; 3]>),
        Held { places, mut block }: Held,
        (range, extent): (Range, [f32; 2]),
    ) -> Picked<Trained> {
        let [_, height, width] = self.axes.shape(&self.space);
        let whole = [[0, self.planes.list.len()], [0, height], [0, width]];
        let [[first, end], rows, columns] = found.unwrap_or(whole);
        block.first = places.iter().filter(|place| **place < first).count();
        let places = places.into_iter().filter(|place| (first..end).contains(place));
        let places = places.map(|place| place - first).collect();
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
            scout: self.scout.clone(),
        };
        let (slices_mm, parts) = (self.slices_mm.clone(), self.axes.parts(&self.space));
        Placing { planes, slices_mm, parts, spacing_mm, view: Arc::new(view) }
    }
}

/// What there is to say of values that are no measurements.
fn not_measured(count: usize) -> Option<String> {
    (count > 0)
        .then(|| format!("NaN or infinity in {}: black, and no part of the range", counted(count, "place")))
}

/// What there is to say where the frames are made of fewer slices than they are, or than the study has.
fn coverage(study: &Study) -> Vec<String> {
    let frames = &study.frames;
    let Some(view) = frames.first().and_then(|frame| frame.provenance().view.as_ref()) else {
        return Vec::new();
    };
    let (covered, slices) = (view.covered, view.slices);
    // Slices as they are have said so.
    let repeats = view.form == VolumeForm::Trained && covered < frames.len();
    let part = (covered < slices).then(|| {
        let percent = 100.0 * covered as f64 / slices as f64;
        format!("the frames are made of {covered} of {slices} slices ({percent:.0} %)")
    });
    repeats.then(|| twice(frames.len(), covered)).into_iter().chain(part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
    fn slices_that_are_looked_at_twice_are_said_in_both_forms() {
        let said = |look: &Look| {
            let warnings = read(space([4, 4, 6]), look).unwrap().warnings;
            warnings.iter().filter(|warning| warning.ends_with("of 4: some are looked at twice")).count()
        };
        assert_eq!([Look::default(), native()].map(|look| said(&look)), [1, 1]);
        assert_eq!([Look::default(), native()].map(|look| said(&look.slices(4))), [0, 0]);
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
        let hides = |kind, values: &[f32]| lungs.hides(kind, &Tally::of((kind, &lungs), values)).is_some();
        assert!(hides(Kind::Ct, &values) && hides(Kind::Unknown, &values) && !hides(Kind::Mr, &values));
        assert!(!hides(Kind::Ct, &values[2..]));
    }

    /// A volume of these values.
    struct Listed(Vec<f32>, usize);

    impl Values for Listed {
        fn each(
            &mut self,
            slices: &[usize],
            take: &mut dyn FnMut(usize, Samples<'_>) -> Result<()>,
        ) -> Result<()> {
            slices
                .iter()
                .try_for_each(|slice| take(*slice, Samples::Values(&self.0[slice * self.1..][..self.1])))
        }
    }

    /// Mostly background, some of the rest below the range, above it, and no measurement.
    fn value() -> impl Strategy<Value = f32> {
        prop_oneof![6 => Just(-1000.0), 2 => -1200.0_f32..1500.0, 1 => Just(f32::NAN), 1 => Just(-160.0)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn slices_that_pass_make_the_frames_that_a_held_volume_makes(
            shape in [2_usize..40, 1_usize..5, 1_usize..5],
            values in proptest::collection::vec(value(), 40 * 4 * 4),
            background in 0_usize..20,
            (plane, reverse, slab, is_cropped) in (0_usize..4, any::<bool>(), 0_usize..3, any::<bool>()),
            (window, start, kind) in (0_usize..3, 0_usize..2, any::<bool>()),
            (turned, of_all) in (any::<[bool; 3]>(), any::<bool>()),
        ) {
            let mut volume = Space { kind: if kind { Kind::Ct } else { Kind::Unknown }, ..space(shape) };
            volume.display = Some([-160.0, 240.0]);
            let placement = volume.placement.as_mut().unwrap();
            for (direction, turned) in placement.directions.iter_mut().zip(turned).skip(1) {
                *direction = if turned { direction.map(|part| -part) } else { *direction };
            }
            let pixels = shape[1] * shape[2];
            let mut values = values[..shape[0] * pixels].to_vec();
            // Slices at the ends that the crop takes away.
            let ends = background.min(shape[0] / 2) * pixels;
            values[..ends].fill(-1000.0);
            let mut look = Look { reverse, ..Look::default().form(VolumeForm::Trained) };
            look.plane = [None, Some(Plane::Axial), Some(Plane::Coronal), Some(Plane::Sagittal)][plane];
            look.slab = Some([Slab::None, Slab::Mean, Slab::Max][slab]);
            look.crop = Some(if is_cropped { Crop::Foreground } else { Crop::None });
            look.window = [None, Some(Window::linear_exact(40.0, 400.0)), Some(Window::sigmoid(40.0, 400.0))]
                [window].map(Windowing::Window);
            if plane < 2 {
                look.range = Some([start, shape[0] - 1]);
            }
            look.slices = of_all.then_some(32);
            let made = || stack(volume.clone(), Box::new(Listed(values.clone(), pixels)), &look).unwrap();
            let options = ReadOptions::default();
            prop_assert!(made().can_pass());
            let (mut passing, mut holding) = (Vec::new(), Vec::new());
            let passed = made().passed(&mut passing, &options).unwrap().read(&options).unwrap();
            let held = made().held(&mut holding, &options).unwrap();
            prop_assert_eq!(passing, holding);
            prop_assert_eq!(passed.frames, held.frames);
            prop_assert_eq!(passed.warnings, held.warnings);
        }
    }

    #[test]
    fn an_overview_shows_the_volume_from_its_side() {
        let with_scout = |plane| {
            let look = native().plane(plane).slices(1);
            let volume = choose(space([3, 1, 4]), Box::new(Numbered([3, 1, 4])), &look).unwrap();
            let study = volume.read(&ReadOptions::default().with_scout()).unwrap();
            study.frames[0].provenance().view.clone().unwrap().scout.clone()
        };
        let axial = with_scout(Plane::Axial).unwrap();
        // Values from 0 to 203: the head, which is the last slice, is on top.
        assert_eq!((axial.columns, axial.size), (4, [15.0, 2.0]));
        assert_eq!(axial.grey, [251, 252, 253, 255, 125, 126, 128, 129, 0, 1, 2, 3]);
        let sagittal = with_scout(Plane::Sagittal).unwrap();
        assert_eq!((sagittal.columns, sagittal.size, &sagittal.grey), (4, [15.0, 2.0], &axial.grey));
        assert_eq!(with_scout(Plane::Coronal), None, "of one slice");
        let study = read(space([3, 1, 4]), &native()).unwrap();
        assert_eq!(study.frames[0].provenance().view.as_ref().unwrap().scout, None, "unless asked for");
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

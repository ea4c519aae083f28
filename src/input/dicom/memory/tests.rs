//! Pictures and volumes in memory are those of a DICOM file of them, bit for bit.

use proptest::prelude::*;

use super::super::tag;
use super::super::writer::{EXPLICIT_LITTLE, Set};
use super::bytes;
use crate::error::Result;
use crate::frame::{Frame, Provenance, Study};
use crate::input::{ReadOptions, read};
use crate::study::{
    Buffer, Look, NumberForm, PatientSpace, RawPicture, RawVolume, Rescale, Source, StudyInput, VolumeKind,
    Voxels, Window, Windowing,
};
use crate::view::{Plane, Slab, VolumeForm};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn seen(study: StudyInput, look: &Look) -> Result<Study> {
    read(&study.look(look.clone()), &ReadOptions::default())
}

/// A data set of one frame of 2 rows and 3 columns.
fn set(modality: &str, values: &Voxels, bits: Option<u32>) -> Set {
    let (allocated, form) = values.form();
    let stored = bits.unwrap_or(allocated) as u16;
    let (pixels, letters) = match (form, allocated) {
        (NumberForm::Real, 32) => (tag::FLOAT_PIXEL_DATA, b"OF"),
        (NumberForm::Real, _) => (tag::DOUBLE_PIXEL_DATA, b"OD"),
        (_, 8) => (tag::PIXEL_DATA, b"OB"),
        _ => (tag::PIXEL_DATA, b"OW"),
    };
    Set::default()
        .text(tag::MODALITY, b"CS", modality)
        .text(tag::SERIES_INSTANCE_UID, b"UI", "1.2.3.1")
        .words(tag::SAMPLES_PER_PIXEL, b"US", &[1])
        .text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "MONOCHROME2")
        .words(tag::ROWS, b"US", &[2])
        .words(tag::COLUMNS, b"US", &[3])
        .words(tag::BITS_ALLOCATED, b"US", &[allocated as u16])
        .words(tag::BITS_STORED, b"US", &[stored])
        .words(tag::HIGH_BIT, b"US", &[stored - 1])
        .words(tag::PIXEL_REPRESENTATION, b"US", &[u16::from(form == NumberForm::Signed)])
        .bytes(pixels, letters, &bytes(values))
}

fn with_rescale(set: Set, Rescale { slope, intercept }: Rescale) -> Set {
    let rescale = Set::default().text(tag::RESCALE_SLOPE, b"DS", slope.to_string());
    set.with(rescale.text(tag::RESCALE_INTERCEPT, b"DS", intercept.to_string()))
}

fn file(set: &Set) -> StudyInput {
    StudyInput::file(Source::Bytes { name: "x".into(), bytes: set.file(EXPLICIT_LITTLE).into() })
}

/// Six numbers of every type, and how many bits of them count.
fn numbers() -> Vec<(Voxels, Option<u32>)> {
    vec![
        (Voxels::U8([0, 1, 100, 127, 200, 255].into()), None),
        (Voxels::U8([0, 1, 7, 12, 14, 15].into()), Some(4)),
        (Voxels::I8([-128, -5, 0, 3, 90, 127].into()), None),
        (Voxels::U16([0, 1, 100, 2048, 4000, 4095].into()), Some(12)),
        (Voxels::U16([0, 1, 300, 2048, 40000, 65535].into()), None),
        (Voxels::I16([-2048, -1000, 0, 40, 400, 2047].into()), Some(12)),
        (Voxels::I16([-32768, -1000, 0, 40, 400, 32767].into()), None),
        (Voxels::U32([0, 1, 300, 70000, 40000, u32::MAX].into()), None),
        (Voxels::U32([0, 1, 300, 70000, 40000, (1 << 20) - 1].into()), Some(20)),
        (Voxels::I32([i32::MIN, -70000, 0, 40, 400, i32::MAX].into()), None),
        (Voxels::F32([-1000.5, -0.25, 0.0, 0.5, 40.125, 3000.0].into()), None),
        (Voxels::F64([-1e6, -0.1, 0.0, 0.3, 40.7, 3e5].into()), None),
    ]
}

fn windows() -> Vec<Look> {
    let windows = [
        Window::linear(40.0, 400.0),
        Window::linear(100.0, 1.0),
        Window::linear_exact(40.0, 400.0),
        Window::linear_exact(0.1, 0.5),
        Window::sigmoid(1000.0, 3000.0),
    ];
    let windows = windows.into_iter().map(|window| Look::default().window(window));
    windows.chain([Look::default(), Look::default().window(Windowing::OwnRange)]).collect()
}

#[test]
fn a_radiograph_in_memory_is_that_of_a_file() {
    let mut seen_ways = 0;
    for (values, bits) in numbers() {
        for rescale in [Rescale::default(), Rescale { slope: 0.37, intercept: -3.5 }] {
            for inverse in [false, true] {
                let plain = RawPicture::new("x", [3, 2], values.clone()).rescale(rescale);
                let picture = RawPicture { bits, inverse, ..plain };
                let mut set = with_rescale(set("DX", &values, bits), rescale);
                if inverse {
                    set =
                        set.with(Set::default().text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "MONOCHROME1"));
                }
                for look in windows() {
                    let wanted = seen(file(&set), &look).unwrap();
                    let got = seen(StudyInput::raw_picture(picture.clone()), &look).unwrap();
                    assert_eq!(got.frames, wanted.frames, "{values:?} {rescale:?} {inverse} {look:?}");
                    let said = wanted.warnings.iter().map(|said| said.replace("The file", "The picture"));
                    assert!(said.eq(got.warnings), "{:?}", wanted.warnings);
                    seen_ways += 1;
                }
            }
        }
    }
    assert_eq!(seen_ways, 12 * 2 * 2 * 7);
}

#[test]
fn what_is_no_number_is_said_of_a_picture_as_of_a_file() {
    let values = Voxels::F32([f32::NAN, 1.0, f32::INFINITY, f32::NAN, f32::NEG_INFINITY, 3.0].into());
    let picture = StudyInput::raw_picture(RawPicture::new("x", [3, 2], values.clone()));
    let wanted = [
        "NaN in 2 places: black, and no part of the range",
        "infinity in 2 places: black or white by its sign, and no part of the range",
    ];
    for look in [Look::default(), Look::default().window(Window::linear_exact(2.0, 2.0))] {
        let got = seen(picture.clone(), &look).unwrap();
        let of_file = seen(file(&set("DX", &values, None)), &look).unwrap();
        assert_eq!(
            (&got.warnings[..2], got.frames[0].samples()),
            (&wanted.map(String::from)[..], &[0, 0, 255, 0, 0, 255][..])
        );
        assert_eq!((&of_file.warnings[..2], &of_file.frames), (&got.warnings[..2], &got.frames));
    }
}

proptest! {
    #[test]
    fn any_radiograph_in_memory_is_that_of_a_file(
        values in prop::array::uniform6(any::<i16>()),
        // In decimals that a header can hold.
        (slope, intercept) in (1_i32..800, -9000_i32..9000),
        (center, width, function) in (-9000_i32..9000, 8_i32..90_000, 0_usize..4),
        inverse in any::<bool>(),
    ) {
        let [slope, intercept, center, width] = [slope, intercept, center, width].map(|number| f64::from(number) / 8.0);
        let (rescale, values) = (Rescale { slope, intercept }, Voxels::I16(values.into()));
        let look = match function {
            0 => Look::default().window(Window::linear(center, width)),
            1 => Look::default().window(Window::linear_exact(center, width)),
            2 => Look::default().window(Window::sigmoid(center, width)),
            _ => Look::default(),
        };
        let picture = RawPicture::new("x", [3, 2], values.clone()).rescale(rescale);
        let mut set = with_rescale(set("CR", &values, None), rescale);
        if inverse {
            set = set.with(Set::default().text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "MONOCHROME1"));
        }
        let got = seen(StudyInput::raw_picture(RawPicture { inverse, ..picture }), &look).unwrap();
        prop_assert_eq!(got.frames, seen(file(&set), &look).unwrap().frames);
    }
}

/// The 30 voxels of a CT of five slices, and where it lies.
fn ct() -> (Vec<u16>, RawVolume) {
    let voxels: Vec<u16> = (0..30).map(|place| place * 137 % 4096).collect();
    let space = PatientSpace {
        directions: [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
        origin_mm: [-1.0, -2.0, 7.5],
        kind: VolumeKind::Ct,
    };
    let volume = RawVolume::new("x", [5, 2, 3], Voxels::U16(voxels.clone().into()));
    let volume = volume.rescale(Rescale { slope: 1.0, intercept: -1024.0 }).bits(12);
    (voxels, volume.spacing_mm([2.5, 0.8, 0.7]).space(space))
}

fn series(voxels: &[u16]) -> StudyInput {
    let slices = voxels.chunks(6).enumerate().map(|(number, words)| {
        let set = set("CT", &Voxels::U16(words.into()), Some(12)).with(
            Set::default()
                .text(tag::SOP_CLASS_UID, b"UI", CT)
                .text(tag::SOP_INSTANCE_UID, b"UI", format!("1.2.3.4.{number}"))
                .text(tag::IMAGE_POSITION_PATIENT, b"DS", format!("-1\\-2\\{}", 7.5 + 2.5 * number as f64))
                .text(tag::IMAGE_ORIENTATION_PATIENT, b"DS", "1\\0\\0\\0\\1\\0")
                .text(tag::PIXEL_SPACING, b"DS", "0.8\\0.7"),
        );
        let set = with_rescale(set, Rescale { slope: 1.0, intercept: -1024.0 });
        Buffer { name: format!("slice {number}"), bytes: set.file(EXPLICIT_LITTLE).into() }
    });
    // In no order.
    StudyInput::file(Source::Buffers(slices.rev().collect()))
}

fn without_part(frame: &Frame) -> Frame {
    frame.clone().at(Provenance { part: None, ..frame.provenance().clone() })
}

#[test]
fn a_ct_in_memory_is_that_of_a_series() {
    let (voxels, volume) = ct();
    let look = Look::default;
    for look in [
        look(),
        look().slices(32),
        look().form(VolumeForm::Native).slices(5).window(Window::linear_exact(-600.0, 1500.0)),
        look().form(VolumeForm::Native).window(Window::linear(40.0, 400.0)).reverse(),
        look().plane(Plane::Coronal).window(Window::sigmoid(40.0, 400.0)),
        look().plane(Plane::Sagittal).slab(Slab::Mean).window(Windowing::OwnRange),
        look().range_mm([10.0, 16.0]).form(VolumeForm::Native),
    ] {
        let wanted = seen(series(&voxels), &look).unwrap();
        let got = seen(StudyInput::raw(volume.clone()), &look).unwrap();
        let frames: Vec<_> = wanted.frames.iter().map(without_part).collect();
        assert_eq!(got.frames, frames, "{look:?}");
        assert_eq!(got.warnings, wanted.warnings, "{look:?}");
    }
    let parts = seen(series(&voxels), &Look::default().form(VolumeForm::Native).slices(5)).unwrap();
    let parts: Vec<_> = parts.frames.iter().filter_map(|frame| frame.provenance().part.clone()).collect();
    assert_eq!(parts, ["slice 0", "slice 1", "slice 2", "slice 3", "slice 4"]);
}

#[test]
fn several_buffers_that_are_no_series_are_refused_and_one_is_a_file() {
    let (voxels, _) = ct();
    let one = |name: &str, bytes: &[u8]| Buffer { name: name.into(), bytes: bytes.into() };
    let alone = set("DX", &Voxels::U16(voxels[..6].into()), Some(12)).file(EXPLICIT_LITTLE);
    let alone = seen(StudyInput::file(Source::Buffers(vec![one("a", &alone)])), &Look::default()).unwrap();
    assert_eq!((alone.frames.len(), alone.source.as_str()), (1, "a"));
    for (buffers, wanted) in [
        (vec![one("a", b"text"), one("b", b"text")], "a and 1 more: wanted one file, got 2 files"),
        (vec![], "no files: wanted one file, got 0 files"),
    ] {
        let error = seen(StudyInput::file(Source::Buffers(buffers)), &Look::default()).unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error}");
    }
}

type Spoiled<'a> = (&'a str, fn(&mut RawPicture));

#[test]
fn a_picture_that_contradicts_itself_is_refused_by_name() {
    let table: [Spoiled; 12] = [
        ("x", |p| p.size = [3, 3]),
        ("x", |p| p.size = [0, 2]),
        ("x", |p| p.size = [usize::MAX, 2]),
        ("x: slope", |p| p.rescale.slope = f64::NAN),
        ("x: slope", |p| p.rescale.slope = f64::INFINITY),
        ("x: slope", |p| p.rescale.slope = 0.0),
        ("x: intercept", |p| p.rescale.intercept = f64::NEG_INFINITY),
        ("x: bits", |p| p.bits = Some(0)),
        ("x: bits", |p| p.bits = Some(17)),
        ("x: voxels", |p| p.bits = Some(11)),
        ("x: values", |p| p.values = Voxels::I64([0; 6].into())),
        ("x: bits", |p| {
            p.values = Voxels::F32([0.0; 6].into());
            p.bits = Some(12);
        }),
    ];
    for (thing, spoil) in table {
        let mut picture = RawPicture::new("x", [3, 2], Voxels::U16([0, 1, 2, 3, 4, 4095].into())).bits(12);
        seen(StudyInput::raw_picture(picture.clone()), &Look::default()).unwrap();
        spoil(&mut picture);
        let error = seen(StudyInput::raw_picture(picture), &Look::default()).unwrap_err();
        assert_eq!(error.facts().thing, thing, "{error}");
    }
    let picture = RawPicture::new("x", [3, 2], Voxels::U16([0; 6].into()));
    for (thing, look) in [
        ("x: window", Look::default().window(Windowing::File(1))),
        ("slices", Look::default().slices(2)),
        ("window", Look::default().window(Window::linear(0.0, 0.0))),
    ] {
        let error = seen(StudyInput::raw_picture(picture.clone()), &look).unwrap_err();
        assert_eq!(error.facts().thing, thing, "{error}");
    }
}

type SpoiledVolume<'a> = (&'a str, fn(&mut RawVolume));

#[test]
fn a_volume_that_contradicts_itself_is_refused_by_name() {
    let table: [SpoiledVolume; 8] = [
        ("x: slope", |v| v.rescale.slope = f64::NAN),
        ("x: intercept", |v| v.rescale.intercept = f64::NAN),
        ("x: voxels", |v| v.bits = Some(8)),
        ("x: bits", |v| v.bits = Some(33)),
        ("x: directions", |v| v.space.as_mut().unwrap().directions[1] = [0.0, 0.0, 1.0]),
        ("x: directions", |v| v.space.as_mut().unwrap().directions[2] = [0.0, 0.0, 0.0]),
        ("x: directions", |v| v.space.as_mut().unwrap().directions[0][2] = f64::NAN),
        ("x: origin", |v| v.space.as_mut().unwrap().origin_mm[0] = f64::INFINITY),
    ];
    for (thing, spoil) in table {
        let (_, mut volume) = ct();
        seen(StudyInput::raw(volume.clone()), &Look::default()).unwrap();
        spoil(&mut volume);
        let error = seen(StudyInput::raw(volume), &Look::default()).unwrap_err();
        assert_eq!(error.facts().thing, thing, "{error}");
    }
}

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::header::{LONGEST, NiftiHeader};
use super::sniff;
use crate::error::{Error, Result};
use crate::frame::{Frame, Study};
use crate::input::ReadOptions;
use crate::study::{Look, PatientSpace, RawVolume, Rescale, Source, StudyInput, VolumeKind, Voxels, Window};
use crate::view::{Plane, VolumeForm};

/// A file to be written: 4 columns, 3 rows, 2 slices of 16-bit numbers, whose axes rise to the left, to posterior and to the
/// head, as DICOM stores them.
#[derive(Clone)]
struct File {
    version: u8,
    big: bool,
    magic: &'static [u8],
    dim: Vec<i64>,
    datatype: i16,
    bitpix: i16,
    scaling: [f64; 2],
    start: f64,
    sform: [[f64; 4]; 3],
    data: Vec<u8>,
}

fn numbers() -> Vec<i16> {
    (0..24).map(|i| i * 37 % 101).collect()
}

impl File {
    fn new(version: u8, big: bool) -> Self {
        let bytes = |value: i16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        Self {
            version,
            big,
            magic: if version == 1 { b"n+1\0" } else { b"n+2\0\r\n\x1a\n" },
            dim: vec![3, 4, 3, 2],
            datatype: 4,
            bitpix: 16,
            scaling: [0.0; 2],
            start: if version == 1 { 352.0 } else { 544.0 },
            sform: [[-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]],
            data: numbers().into_iter().flat_map(bytes).collect(),
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut bytes = vec![0; if self.version == 1 { 352 } else { 544 }];
        let mut put = |at: usize, value: &[u8]| {
            let mut value = value.to_vec();
            if self.big {
                value.reverse();
            }
            bytes[at..at + value.len()].copy_from_slice(&value);
        };
        let one = self.version == 1;
        put(0, &(if one { 348_i32 } else { 540 }).to_le_bytes());
        for (place, length) in self.dim.iter().enumerate() {
            match one {
                true => put(40 + 2 * place, &(*length as i16).to_le_bytes()),
                false => put(16 + 8 * place, &length.to_le_bytes()),
            }
        }
        put(if one { 70 } else { 12 }, &self.datatype.to_le_bytes());
        put(if one { 72 } else { 14 }, &self.bitpix.to_le_bytes());
        let mut real = |one_at: usize, two_at: usize, value: f64| match one {
            true => put(one_at, &(value as f32).to_le_bytes()),
            false => put(two_at, &value.to_le_bytes()),
        };
        real(112, 176, self.scaling[0]);
        real(116, 184, self.scaling[1]);
        for (place, number) in self.sform.iter().flatten().enumerate() {
            real(280 + 4 * place, 400 + 8 * place, *number);
        }
        match one {
            true => {
                put(108, &(self.start as f32).to_le_bytes());
                put(254, &1_i16.to_le_bytes());
            }
            false => {
                put(168, &(self.start as i64).to_le_bytes());
                put(348, &1_i32.to_le_bytes());
            }
        }
        let at = if one { 344 } else { 4 };
        bytes[at..at + self.magic.len()].copy_from_slice(self.magic);
        bytes
    }

    fn bytes(&self) -> Vec<u8> {
        [self.header(), self.data.clone()].concat()
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Grey is the number itself.
fn as_stored() -> Look {
    Look::default().form(VolumeForm::Native).slices(2).window(Window::linear_exact(127.5, 255.0))
}

fn read(bytes: Vec<u8>, look: Look) -> Result<Study> {
    let source = Source::Bytes { name: "brain".into(), bytes: bytes.into() };
    crate::input::read(&StudyInput::volume(source).look(look), &ReadOptions::default())
}

fn samples(study: &Study) -> Vec<u8> {
    study.frames.iter().flat_map(Frame::samples).copied().collect()
}

fn wanted() -> Vec<u8> {
    numbers().into_iter().map(|number| number as u8).collect()
}

#[test]
fn versions_byte_orders_and_packing_are_one() {
    for (version, big) in [(1, false), (1, true), (2, false), (2, true)] {
        let bytes = File::new(version, big).bytes();
        let (first, second) = bytes.split_at(400);
        let members = [packed(first), packed(second), b"garbage".to_vec()].concat();
        for (file, name) in [(bytes.clone(), "plain"), (packed(&bytes), "packed"), (members, "members")] {
            assert_eq!(sniff(&file), Some("NIfTI"));
            let study = read(file, as_stored()).unwrap();
            assert_eq!(samples(&study), wanted(), "version {version}, big {big}, {name}");
            assert_eq!(study.frames[1].provenance().position_mm, Some(5.0));
            assert_eq!(study.frames[1].provenance().spacing_mm, Some([5.0, 1.0, 1.0]));
        }
    }
}

#[test]
fn the_voxels_of_a_pair_are_beside_its_header() {
    let folder = tempfile::tempdir().unwrap();
    let file = File { magic: b"ni1\0", start: 0.0, ..File::new(1, false) };
    let at = |name: &str| folder.path().join(name);
    let open = |path: &Path| {
        let study = StudyInput::file(path).look(as_stored());
        crate::input::read(&study, &ReadOptions::default())
    };
    fs::write(at("a.hdr"), file.header()).unwrap();
    let error = open(&at("a.hdr")).unwrap_err();
    assert!(error.facts().wanted.contains(".img"), "{error}");
    for (header, image) in
        [("a.hdr", "a.img"), ("b.hdr", "b.img.gz"), ("C.HDR", "C.IMG"), ("d.hdr.gz", "d.img.gz")]
    {
        let pack = |name: &str, bytes: Vec<u8>| if name.ends_with(".gz") { packed(&bytes) } else { bytes };
        fs::write(at(header), pack(header, file.header())).unwrap();
        fs::write(at(image), pack(image, file.data.clone())).unwrap();
        assert_eq!(samples(&open(&at(header)).unwrap()), wanted(), "{header}");
    }
}

#[test]
fn only_what_is_needed_is_unpacked() {
    // Noise does not shrink, so that a cut file lacks what follows.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u8
    };
    let mut file = File { dim: vec![4, 64, 64, 8, 3], datatype: 2, bitpix: 8, ..File::new(1, false) };
    file.data = (0..64 * 64 * 8 * 3).map(|_| noise()).collect();
    let whole = packed(&file.bytes());
    let third = Look { slices: Some(1), range: Some([2, 2]), ..as_stored() };
    for bytes in [whole[..whole.len() / 4].to_vec(), file.bytes()[..352 + 64 * 64 * 8].to_vec()] {
        let study = read(bytes.clone(), third.clone()).unwrap();
        assert_eq!(samples(&study), file.data[2 * 4096..3 * 4096]);
        assert!(study.warnings.iter().any(|said| said.starts_with("3 volumes")), "{:?}", study.warnings);
        assert!(read(bytes, third.clone().time(2)).is_err());
    }
    let later = read(whole, third.clone().time(2)).unwrap();
    assert_eq!(samples(&later), file.data[(2 * 8 + 2) * 4096..][..4096]);
    let error = read(file.bytes(), third.time(3)).unwrap_err();
    assert!(matches!(&error, Error::Request(facts) if facts.thing == "brain: time"), "{error}");
}

#[test]
fn every_number_type_is_read_and_scaled() {
    type Written = fn(i16) -> Vec<u8>;
    let types: [(i16, i16, Written); 10] = [
        (2, 8, |v| vec![v as u8]),
        (4, 16, |v| v.to_le_bytes().into()),
        (8, 32, |v| i32::from(v).to_le_bytes().into()),
        (16, 32, |v| f32::from(v).to_le_bytes().into()),
        (64, 64, |v| f64::from(v).to_le_bytes().into()),
        (256, 8, |v| vec![v as u8]),
        (512, 16, |v| (v as u16).to_le_bytes().into()),
        (768, 32, |v| (v as u32).to_le_bytes().into()),
        (1024, 64, |v| i64::from(v).to_le_bytes().into()),
        (1280, 64, |v| (v as u64).to_le_bytes().into()),
    ];
    for (datatype, bitpix, bytes) in types {
        let data = numbers().into_iter().flat_map(bytes).collect();
        let file = File { datatype, bitpix, data, ..File::new(1, false) };
        assert_eq!(samples(&read(file.bytes(), as_stored()).unwrap()), wanted(), "{datatype}");
        let twice = File { scaling: [2.0, 3.0], ..file.clone() };
        let doubled: Vec<_> = wanted().into_iter().map(|value| 2 * value + 3).collect();
        assert_eq!(samples(&read(twice.bytes(), as_stored()).unwrap()), doubled, "{datatype}");
        for scaling in [[0.0, 5.0], [f64::NAN, 1.0], [f64::INFINITY, 0.0]] {
            let plain = File { scaling, ..file.clone() };
            assert_eq!(
                samples(&read(plain.bytes(), as_stored()).unwrap()),
                wanted(),
                "{datatype} {scaling:?}"
            );
        }
    }
}

#[test]
fn what_is_no_measurement_is_black() {
    let mut values: Vec<f32> = numbers().into_iter().map(f32::from).collect();
    (values[3], values[5]) = (f32::NAN, f32::INFINITY);
    let data = values.into_iter().flat_map(f32::to_le_bytes).collect();
    let file = File { datatype: 16, bitpix: 32, data, ..File::new(1, false) };
    let study = read(file.bytes(), as_stored()).unwrap();
    let mut black = wanted();
    (black[3], black[5]) = (0, 0);
    assert_eq!(samples(&study), black);
    assert!(
        study.warnings.iter().any(|said| said.starts_with("NaN or infinity in 2 places")),
        "{:?}",
        study.warnings
    );
    read(file.bytes(), Look::default()).unwrap();
}

#[test]
fn colours_are_turned_upright_too() {
    let data: Vec<u8> = (0..72).collect();
    let mut file = File { datatype: 128, bitpix: 24, data: data.clone(), ..File::new(1, false) };
    let study = read(file.bytes(), Look::default().slices(2)).unwrap();
    assert_eq!(samples(&study), data);
    file.sform[0][0] = 1.0;
    let turned = samples(&read(file.bytes(), Look::default().slices(2)).unwrap());
    assert_eq!(turned[..12], [9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2]);
    assert!(read(file.bytes(), Look::default().form(VolumeForm::Trained)).is_err());
    // Slices along another axis are in every stored one.
    assert_eq!(read(file.bytes(), Look::default().plane(Plane::Sagittal).slices(4)).unwrap().frames.len(), 4);
}

#[test]
fn what_is_wrong_is_named() {
    let sound = || File::new(1, false);
    let table: [(&str, File); 13] = [
        ("magic", File { magic: b"xxxx", ..sound() }),
        ("magic", File { magic: b"", ..sound() }),
        ("dim", File { dim: vec![9, 4, 3, 2], ..sound() }),
        ("dim", File { dim: vec![3, 4, -3, 2], ..sound() }),
        ("dim", File { dim: vec![3, 4, 3, 0], ..sound() }),
        ("datatype", File { datatype: 9999, ..sound() }),
        ("datatype", File { datatype: 32, bitpix: 64, ..sound() }),
        ("bitpix", File { bitpix: 8, ..sound() }),
        ("scl_inter", File { scaling: [1.0, f64::NAN], ..sound() }),
        ("vox_offset", File { start: 1e9, ..sound() }),
        ("vox_offset", File { start: f64::NAN, ..sound() }),
        ("vox_offset", File { start: 351.0, ..sound() }),
        ("sform", File { sform: [[0.0; 4]; 3], ..sound() }),
    ];
    for (field, file) in table {
        let error = read(file.bytes(), as_stored()).expect_err(field);
        assert!(error.facts().thing.starts_with(&format!("brain: {field}")), "{field}: {error}");
    }
    for dim in [vec![3, 32767, 32767, 32767], vec![7, 32767, 32767, 32767, 32767, 32767, 32767, 32767]] {
        let file = File { dim, ..sound() };
        for bytes in [file.bytes(), packed(&file.bytes())] {
            let error = read(bytes, as_stored()).unwrap_err();
            assert!(error.to_string().contains("dim 32767×32767"), "{error}");
        }
    }
}

#[test]
fn a_stream_that_is_cut_damaged_or_a_bomb_is_named() {
    let bytes = File::new(1, false).bytes();
    let whole = packed(&bytes);
    let mut wrong_sum = whole.clone();
    let place = wrong_sum.len() - 6;
    wrong_sum[place] ^= 1;
    for (file, word) in [(whole[..whole.len() - 20].to_vec(), "bytes"), (wrong_sum, "gzip")] {
        let error = read(file, as_stored()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    let bomb = File { dim: vec![3, 1024, 1024, 512], ..File::new(1, false) };
    let error = read(packed(&[bomb.header(), vec![0; 1 << 20]].concat()), as_stored()).unwrap_err();
    assert!(error.to_string().contains("limit"), "{error}");
    // What follows the voxels is nothing of it.
    let tail = packed(&[bytes, vec![0; 8 << 20]].concat());
    assert_eq!(samples(&read(tail, as_stored()).unwrap()), wanted());
}

proptest! {
    #[test]
    fn any_header_is_read_or_refused(mut bytes: Vec<u8>, two: bool, big: bool, fields in any::<[i16; 9]>()) {
        bytes.resize(LONGEST, 0);
        let sound = File::new(if two { 2 } else { 1 }, big).header();
        let at = |place: usize| bytes[place] < 128;
        let mut header: [u8; LONGEST] = std::array::from_fn(|place| {
            let kept = sound.get(place).copied().unwrap_or(0);
            if at(place) || bytes[place] == 0 { kept } else { bytes[place] }
        });
        for (place, field) in fields.into_iter().enumerate() {
            if field % 3 == 0 {
                header[40 + 2 * place..][..2].copy_from_slice(&field.to_le_bytes());
            }
        }
        let _ = NiftiHeader::parse("any", &header);
        let _ = read(header.to_vec(), Look::default());
        let _ = read(packed(&header), Look::default());
    }
}

#[test]
fn a_volume_in_memory_is_that_of_a_file() {
    let space = PatientSpace {
        directions: [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
        origin_mm: [0.0; 3],
        kind: VolumeKind::Unknown,
    };
    let plain = RawVolume::new("brain", [2, 3, 4], Voxels::I16(numbers().into()));
    let plain = plain.spacing_mm([5.0, 1.0, 1.0]).space(space);
    for scaling in [[0.0, 0.0], [2.5, -700.0]] {
        let file = File { scaling, ..File::new(2, false) }.bytes();
        let [slope, intercept] = if scaling == [0.0; 2] { [1.0, 0.0] } else { scaling };
        let volume = plain.clone().rescale(Rescale { slope, intercept });
        for look in [Look::default(), as_stored(), Look::default().plane(Plane::Sagittal)] {
            let wanted = read(file.clone(), look.clone()).unwrap();
            let study = StudyInput::raw(volume.clone()).look(look.clone());
            let got = crate::input::read(&study, &ReadOptions::default()).unwrap();
            assert_eq!((got.frames, got.warnings), (wanted.frames, wanted.warnings), "{scaling:?} {look:?}");
        }
    }
}

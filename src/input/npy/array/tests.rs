use std::io::{Cursor, Write};
use std::sync::Arc;

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::*;
use crate::error::Error;
use crate::study::{RawVolume, Rescale, Source, StudyInput, Voxels, Window};

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn described(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy(&format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n"), data)
}

fn zipped(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn read(bytes: impl Into<Arc<[u8]>>, look: Look) -> Result<Study> {
    let source = Source::Bytes { name: "volume".into(), bytes: bytes.into() };
    crate::input::read(&StudyInput::volume(source).look(look), &ReadOptions::default())
}

fn samples(study: &Study) -> Vec<&[u8]> {
    study.frames.iter().map(crate::frame::Frame::samples).collect()
}

fn of_memory(shape: [usize; 3], voxels: Voxels, rescale: Rescale, look: &Look) -> Study {
    let volume = RawVolume::new("volume", shape, voxels).rescale(rescale);
    crate::input::read(&StudyInput::raw(volume).look(look.clone()), &ReadOptions::default()).unwrap()
}

/// Voxels of this type, and the array of them.
macro_rules! both {
    ($case:ident, $type:ty, $descr:literal, $numbers:expr) => {{
        let numbers: [$type; 8] = $numbers;
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        (Voxels::$case(numbers.into()), described($descr, "False", "(2, 2, 2)", &bytes))
    }};
}

#[test]
fn raw_slices_are_those_of_an_array() {
    let all = [
        both!(I8, i8, "|i1", [-128, -6, 0, 30, -32, 0, 1, 127]),
        both!(U8, u8, "|u1", [0, 6, 0, 30, 255, 0, 1, 127]),
        both!(I16, i16, "<i2", [-1000, -600, 0, 3000, -32768, 0, 1, 32767]),
        both!(U16, u16, "<u2", [0, 1, 40, 3000, 65535, 0, 1, 32767]),
        both!(I32, i32, "<i4", [i32::MIN, 1, 40, 3000, 65535, 0, 1, i32::MAX]),
        both!(U32, u32, "<u4", [0, 1, 40, 3000, 65535, 0, 1, u32::MAX]),
        both!(I64, i64, "<i8", [-(1 << 40), 1, 40, 3000, 65535, 0, 1, 1 << 41]),
        both!(U64, u64, "<u8", [0, 1, 40, 3000, 65535, 0, 1, 1 << 41]),
        both!(F32, f32, "<f4", [-0.5, 0.25, 40.0, 3000.0, -1e6, 0.0, 1.0, 1e7]),
        both!(F64, f64, "<f8", [-0.1, 0.25, 40.0, 3000.0, -1e6, 0.0, 1.0, 1e7]),
    ];
    let windows = [Window::linear(40.0, 400.0), Window::linear_exact(0.5, 3.0), Window::sigmoid(40.0, 400.0)];
    let plain = Look::default().slices(2);
    let looks = windows.map(|window| plain.clone().window(window));
    for (voxels, file) in all {
        for look in [&looks[..], &[plain.clone(), plain.clone().axis(1), plain.clone().axis(2)]].concat() {
            let array = read(file.clone(), look.clone()).unwrap();
            let study = of_memory([2, 2, 2], voxels.clone(), Rescale::default(), &look);
            assert_eq!((study.warnings, study.frames), (array.warnings, array.frames), "{look:?}");
        }
    }
}

#[test]
fn slope_and_intercept_make_the_array_of_the_values() {
    let stored: [u16; 8] = [0, 24, 1024, 4095, 7, 500, 2000, 65535];
    let values = stored.map(|number| (f64::from(number) * 0.7 - 1024.0) as f32);
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let plain = Look::default().slices(2);
    for look in [plain.clone(), plain.clone().axis(2), plain.window(Window::linear(-600.0, 1500.0))] {
        let array = read(described("<f4", "False", "(2, 2, 2)", &bytes), look.clone()).unwrap();
        let rescale = Rescale { slope: 0.7, intercept: -1024.0 };
        let study = of_memory([2, 2, 2], Voxels::U16(stored.into()), rescale, &look);
        assert_eq!((study.warnings, study.frames), (array.warnings, array.frames), "{look:?}");
    }
}

/// The numbers of an array of this shape as an array of the other memory order has them.
fn turned_over(values: &[i16], [a, b, c]: [usize; 3]) -> Vec<i16> {
    let mut turned = Vec::new();
    for k in 0..c {
        for j in 0..b {
            turned.extend((0..a).map(|i| values[(i * b + j) * c + k]));
        }
    }
    turned
}

#[test]
fn both_memory_orders_and_archives_give_the_same_slices_along_each_axis() {
    let shape = [4, 3, 5];
    let values: Vec<i16> = (0..60).map(|i| (i * 37 % 61) - 30).collect();
    for axis in 0..3 {
        let look = Look::default().slices(6).axis(axis).window(Window::linear_exact(0.0, 61.0));
        let volume = RawVolume::new("volume", shape, Voxels::I16(values.clone().into()));
        let raw = StudyInput::raw(volume).look(look.clone());
        let wanted = crate::input::read(&raw, &ReadOptions::default()).unwrap();
        for (fortran, values) in [("False", values.clone()), ("True", turned_over(&values, shape))] {
            for (descr, big) in [("<i2", false), (">i2", true)] {
                let order = |value: &i16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
                let bytes = described(
                    descr,
                    fortran,
                    "(4, 3, 5)",
                    &values.iter().flat_map(order).collect::<Vec<_>>(),
                );
                let packed = zipped(&[("a.npy", &bytes)], CompressionMethod::Deflated);
                for file in [bytes, packed] {
                    let study = read(file, look.clone()).unwrap();
                    assert_eq!(study.frames, wanted.frames, "axis {axis}, {descr}, Fortran {fortran}");
                }
            }
        }
    }
}

/// Counts the bytes that were read.
struct Counting<'a>(&'a mut dyn Rising, usize);

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1 += read;
        Ok(read)
    }
}

impl Rising for Counting<'_> {
    fn go_to(&mut self, offset: u64) -> io::Result<()> {
        self.0.go_to(offset)
    }
}

#[test]
fn no_byte_of_a_volume_is_read_twice() {
    let bytes = described("|u1", "True", "(40, 30, 20)", &[7; 24_000]);
    let source = Source::Bytes { name: "volume".into(), bytes: bytes.into() };
    let mut opened = Opened::new(&source, &crate::watch::Watch::default()).unwrap();
    let length = opened.length();
    let layout = Layout::read("volume", &mut opened, length).unwrap();
    for (axis, most) in [(0, 24_000), (1, 24_000), (2, 11 * 1200)] {
        let mut counting = Counting(&mut opened, 0);
        let mut strided = Strided { name: "volume", layout, axis, bytes: &mut counting };
        let places: Vec<usize> = (0..11).collect();
        let scaling = Scaling {
            name: "volume",
            windowing: crate::study::Windowing::OwnRange,
            mode: crate::study::Preprocessing::Clinical,
        };
        strided.each(&places, &scaling, &mut |_, _| Ok(())).unwrap();
        assert_eq!(counting.1, most, "axis {axis}");
    }
}

#[test]
fn the_only_array_of_an_archive_is_taken() {
    let array = described("|u1", "False", "(1, 1, 2)", &[0, 9]);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let study =
            read(zipped(&[("notes.txt", b"?"), ("arr_0.npy", &array)], method), Look::default().slices(1));
        assert_eq!(samples(&study.unwrap()), [[0, 255]]);
    }
    for (members, named) in [
        (&[][..], "an archive with an array or with DICOM files, got neither"),
        (&[("a.npy", &array[..]), ("b.npy", &array)], "2 arrays: a, b"),
    ] {
        let error =
            read(zipped(members, CompressionMethod::Stored), Look::default()).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn an_array_of_an_archive_is_taken_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.npz");
    let array = |value: u8| described("|u1", "False", "(1, 1, 2)", &[value, 9]);
    let (image, label) = (array(0), array(3));
    let members = [("image.npy", &image[..]), ("deep/label.npy", &label), ("notes.txt", b"?")];
    std::fs::write(&path, zipped(&members, CompressionMethod::Deflated)).unwrap();
    let ask = |name: &str| {
        let path = format!("{}{name}", path.display());
        let look = Look::default().slices(1).window(Window::linear_exact(127.5, 255.0));
        crate::input::read(&StudyInput::file(path.as_str()).look(look), &ReadOptions::default())
    };
    for (name, value) in [("#image", 0), ("#image.npy", 0), ("#deep/label", 3)] {
        let study = ask(name).unwrap();
        assert_eq!(samples(&study), [[value, 9]]);
        assert!(study.source.ends_with(&format!("study.npz{name}")), "{}", study.source);
    }
    for (name, hint) in [("", "#image"), ("#mask", "after the #"), ("#notes.txt", "after the #")] {
        let error = ask(name).unwrap_err();
        assert_eq!(error.facts().got, "2 arrays: image, deep/label", "{error}");
        assert!(error.facts().hint.contains(hint), "{error}");
    }
    let plain = folder.path().join("plain.npy");
    std::fs::write(&plain, &image).unwrap();
    let source = format!("{}#image", plain.display());
    let error = crate::input::read(&StudyInput::file(source.as_str()), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("an .npz archive before the #"), "{error}");
}

#[test]
fn every_version_of_the_format_is_read() {
    let header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 2), }\n";
    for version in 1..=3u8 {
        let mut bytes = [MAGIC, &[version, 0], &(header.len() as u32).to_le_bytes()].concat();
        if version == 1 {
            bytes.truncate(10);
        }
        bytes.extend([&header[..], &[0, 9]].concat());
        assert_eq!(
            samples(&read(bytes, Look::default().slices(1)).unwrap()),
            [[0, 255]],
            "version {version}"
        );
    }
    let error = read([MAGIC, &[4, 0, 0, 0, 0, 0]].concat(), Look::default()).unwrap_err();
    assert_eq!(error.facts().got, "version 4.0");
}

#[test]
fn shapes_that_are_no_volume_say_what_to_do() {
    for (shape, hint) in [
        ("(6, 8, 8, 3)", "array[..., 0]"),
        ("(1, 8, 8, 4)", "array[..., 0]"),
        ("(6, 8, 8, 1)", "drop its last axis"),
        ("(8, 8)", "array[None]"),
        ("(2, 6, 8, 8)", "array[0]"),
        ("(8,)", "three axes"),
        ("()", "three axes"),
    ] {
        let error = read(described("|u1", "False", shape, &[0; 4096]), Look::default()).unwrap_err();
        assert!(error.facts().got.starts_with("shape") && error.facts().hint.contains(hint), "{error}");
    }
}

#[test]
fn a_shape_that_reads_as_another_order_is_said() {
    let said = |shape: &str, look: Look| {
        let warnings = read(described("|u1", "False", shape, &[7; 4096]), look).unwrap().warnings;
        warnings.iter().filter(|warning| warning.contains("--axis")).count()
    };
    let look = || Look::default().slices(1);
    for (shape, count) in [
        ("(16, 16, 4)", 1),
        ("(16, 4, 16)", 1),
        ("(4, 16, 16)", 0),
        ("(16, 16, 16)", 0),
        ("(4, 4, 16)", 0),
        ("(12, 14, 12)", 0),
        ("(16, 12, 4)", 0),
    ] {
        assert_eq!(said(shape, look()), count, "{shape}");
        assert_eq!(said(shape, look().axis(0)) + said(shape, look().axis(2)), 0, "{shape}");
    }
}

#[test]
fn damage_to_an_archive_is_an_error() {
    let array = described("|u1", "False", "(4, 8, 8)", &(0..=255).collect::<Vec<u8>>());
    let whole = zipped(&[("a.npy", &array)], CompressionMethod::Deflated);
    let look = || Look::default().slices(1).range([0, 1]);
    let sound = read(whole.clone(), look()).unwrap();
    for cut in 0..whole.len() {
        assert!(read(whole[..cut].to_vec(), look()).is_err());
    }
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 0x55;
        // Not every byte matters. None may panic, and none may change a picture, even behind the last one looked at.
        if let Ok(study) = read(altered, look()) {
            assert_eq!(samples(&study), samples(&sound), "byte {at}");
        }
    }
}

#[test]
fn a_header_that_claims_more_than_a_header_has_is_refused() {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([2, 0, 0xff, 0xff, 0xff, 0xff]);
    bytes.resize(4096, b' ');
    assert!(matches!(read(bytes, Look::default()), Err(Error::Input(_))));
}

proptest::proptest! {
    #[test]
    fn headers_of_all_kinds_are_read_or_refused(
        order in "[<>|=!]?",
        kind in "[fiubcUOV][0-9]{0,2}",
        fortran in "True|False|None",
        shape in "[(][0-9 ,-]{0,12}[)]",
        data in proptest::collection::vec(0u8.., 0..200),
        axis in 0usize..3,
    ) {
        let bytes = described(&format!("{order}{kind}"), &fortran, &shape, &data);
        if let Ok(study) = read(bytes, Look::default().slices(3).axis(axis)) {
            proptest::prop_assert_eq!(study.frames.len(), 3);
        }
    }

    #[test]
    fn damaged_files_are_read_or_refused(at in 0usize..110, byte in 0u8.., length in 0usize..200) {
        let mut bytes = described("<f4", "False", "(2, 3, 4)", &[7; 96]);
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        bytes.truncate(length.max(at));
        let _ = read(bytes, Look::default().slices(3));
    }
}

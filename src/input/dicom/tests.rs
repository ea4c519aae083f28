//! Studies that the tests write themselves, read as a caller reads them.

use std::fs;
use std::path::Path;

use super::tag;
use super::writer::{DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Length, RLE, Set};
use crate::error::{Error, Result};
use crate::frame::{Modality, Study};
use crate::input::{ReadOptions, read};
use crate::study::{FrameCount, Look, Source, StudyInput, Window, Windowing};
use crate::view::{Plane, VolumeForm};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const AXIAL: &str = "1\\0\\0\\0\\1\\0";

/// A picture of 2 rows and 3 columns.
fn picture(modality: &str, words: &[u16]) -> Set {
    Set::default()
        .text(tag::MODALITY, b"CS", modality)
        .text(0x0010_0010, b"PN", "Secret^Name")
        .text(0x0010_0020, b"LO", "SECRET-ID")
        .text(tag::SERIES_INSTANCE_UID, b"UI", "1.2.3.1")
        .text(tag::SERIES_NUMBER, b"IS", "1")
        .words(tag::SAMPLES_PER_PIXEL, b"US", &[1])
        .text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "MONOCHROME2")
        .words(tag::ROWS, b"US", &[2])
        .words(tag::COLUMNS, b"US", &[3])
        .words(tag::BITS_ALLOCATED, b"US", &[16])
        .words(tag::BITS_STORED, b"US", &[12])
        .words(tag::HIGH_BIT, b"US", &[11])
        .words(tag::PIXEL_REPRESENTATION, b"US", &[0])
        .words(tag::PIXEL_DATA, b"OW", words)
}

/// A slice of a CT all of whose pixels have a value that tells which slice it is: 10 times its number.
fn slice(number: u16) -> Set {
    picture("CT", &[number * 10; 6]).with(
        Set::default()
            .text(tag::SOP_CLASS_UID, b"UI", CT)
            .text(tag::SOP_INSTANCE_UID, b"UI", format!("1.2.3.4.{number}"))
            .text(tag::INSTANCE_NUMBER, b"IS", (100 - number).to_string())
            .text(tag::IMAGE_POSITION_PATIENT, b"DS", format!("-1\\-2\\{}", f64::from(number) * 2.5))
            .text(tag::IMAGE_ORIENTATION_PATIENT, b"DS", AXIAL)
            .text(tag::PIXEL_SPACING, b"DS", "0.8\\0.7"),
    )
}

/// Looks at every slice as it is; grey is the value.
fn plainly(slices: usize) -> Look {
    Look::default().form(VolumeForm::Native).slices(slices).window(Window::linear_exact(127.5, 255.0))
}

fn of(path: &Path, look: Look) -> Result<Study> {
    read(&StudyInput::file(path).look(look), &ReadOptions::default())
}

fn memory(bytes: Vec<u8>) -> Source {
    Source::Bytes { name: "bytes".into(), bytes: bytes.into() }
}

fn one(set: &Set, look: Look) -> Result<Study> {
    read(&StudyInput::file(memory(set.file(EXPLICIT_LITTLE))).look(look), &ReadOptions::default())
}

/// The value of the first pixel of each frame.
fn values(study: &Study) -> Vec<u8> {
    study.frames.iter().map(|frame| frame.samples()[0]).collect()
}

/// Writes a folder of these files.
fn folder(files: &[(&str, Set)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, set) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, set.file(EXPLICIT_LITTLE)).unwrap();
    }
    folder
}

fn numbered(sets: impl IntoIterator<Item = Set>) -> tempfile::TempDir {
    let names: Vec<_> =
        sets.into_iter().enumerate().map(|(place, set)| (format!("{place:02}"), set)).collect();
    folder(&names.iter().map(|(name, set)| (name.as_str(), set.clone())).collect::<Vec<_>>())
}

#[test]
fn slices_are_in_the_order_of_the_body_whatever_files_are_called() {
    let folder = numbered([3, 1, 4, 0, 2].map(slice));
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    fs::write(folder.path().join(".DS_Store"), "").unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    let study = of(folder.path(), plainly(5)).unwrap();
    assert_eq!((study.modality, values(&study)), (Modality::Volume, vec![0, 10, 20, 30, 40]));
    let places: Vec<_> = study.frames.iter().map(|frame| frame.provenance().position_mm.unwrap()).collect();
    assert_eq!(places, [0.0, 2.5, 5.0, 7.5, 10.0]);
    let parts: Vec<_> = study.frames.iter().map(|frame| frame.provenance().part.clone().unwrap()).collect();
    assert_eq!(parts, ["03", "01", "04", "00", "02"]);
    let across = of(folder.path(), plainly(2).plane(Plane::Coronal)).unwrap();
    assert!(across.frames.iter().all(|frame| frame.provenance().part.is_none()));
    let spacing = study.frames[0].provenance().spacing_mm.unwrap();
    assert!(
        spacing.iter().zip([2.5, 0.8, 0.7]).all(|(got, wanted)| (got - wanted).abs() < 1e-9),
        "{spacing:?}"
    );
    let files = Source::Files(["00", "01", "02"].map(|name| folder.path().join(name)).to_vec());
    let study = read(&StudyInput::file(files).look(plainly(3)), &ReadOptions::default()).unwrap();
    assert_eq!(values(&study), [10, 30, 40]);
}

#[test]
fn every_transfer_syntax_gives_the_same_values() {
    let rle = {
        let mut bytes: Vec<u8> = [2_u32, 64, 66].iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(64, 0);
        bytes.extend([251, 0, 251, 10]);
        slice(1).without(tag::PIXEL_DATA).fragments(vec![vec![], bytes]).file(RLE)
    };
    let plain =
        [IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED].map(|syntax| slice(1).file(syntax));
    for bytes in plain.into_iter().chain([rle]) {
        let study = read(&StudyInput::file(memory(bytes)).look(plainly(1)), &ReadOptions::default()).unwrap();
        assert_eq!(study.frames[0].samples(), [10; 6]);
    }
}

/// What is done to a series of five slices, which values come out, and what is said of it.
type Row = (&'static str, Vec<Set>, Look, &'static [u8], &'static str);

fn with(number: u16, elements: Set) -> Set {
    slice(number).with(elements)
}

fn text(tag: u32, letters: &[u8; 2], text: &str) -> Set {
    Set::default().text(tag, letters, text)
}

#[test]
fn what_is_wrong_with_a_series_is_put_right_and_said() {
    let all = || (0..5).map(slice).collect::<Vec<_>>();
    let and = |more: Set| all().into_iter().chain([more]).collect::<Vec<_>>();
    let uid = |uid: &str| text(tag::SOP_INSTANCE_UID, b"UI", uid);
    let at = |place: &str| text(tag::IMAGE_POSITION_PATIENT, b"DS", place);
    let scout = uid("9").text(tag::IMAGE_TYPE, b"CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
    let small = uid("9").words(tag::ROWS, b"US", &[1]).words(tag::COLUMNS, b"US", &[6]);
    let turned = uid("9").text(tag::IMAGE_ORIENTATION_PATIENT, b"DS", "1\\0\\0\\0\\0\\-1");
    let other_time = |number| {
        let again = Set::default().words(tag::PIXEL_DATA, b"OW", &[200 + number; 6]);
        let uid = uid(&format!("9.{number}")).text(tag::ACQUISITION_NUMBER, b"IS", "2");
        with(number, again.with(uid))
    };
    let first_time = |number| with(number, text(tag::ACQUISITION_NUMBER, b"IS", "1"));
    let times: Vec<_> = (0..5).flat_map(|number| [other_time(number), first_time(number)]).collect();
    let without = |number| slice(number).without(tag::IMAGE_POSITION_PATIENT);
    let rows: [Row; 10] = [
        ("a copy", and(slice(2)), plainly(5), &[0, 10, 20, 30, 40], "Duplicates were left out: 05 of 02."),
        ("an overview", and(with(2, scout)), plainly(5), &[0, 10, 20, 30, 40], "a localizer: 05"),
        ("another size", and(with(2, small)), plainly(5), &[0, 10, 20, 30, 40], "another size: 05"),
        (
            "another orientation",
            and(with(2, turned)),
            plainly(5),
            &[0, 10, 20, 30, 40],
            "another orientation: 05",
        ),
        (
            "a gap",
            [0, 1, 2, 4].map(slice).into(),
            plainly(4),
            &[0, 10, 20, 40],
            "as if 1 were missing, between 5.00 and",
        ),
        (
            "uneven",
            vec![slice(0), slice(1), slice(2), with(3, at("-1\\-2\\8.5"))],
            plainly(4),
            &[0, 10, 20, 30],
            "uneven",
        ),
        (
            "a tilt",
            (0..4).map(|n| with(n, at(&format!("0\\{n}\\{}", n * 2)))).collect(),
            plainly(4),
            &[0, 10, 20, 30],
            "tilted",
        ),
        ("no place", and(without(9)), plainly(5), &[0, 10, 20, 30, 40], "without a position: 05"),
        (
            "no places",
            (0..5).map(without).collect(),
            plainly(5),
            &[40, 30, 20, 10, 0],
            "order of InstanceNumber",
        ),
        ("two times", times, plainly(5), &[0, 10, 20, 30, 40], "2 points in time"),
    ];
    rows.into_iter().for_each(check);
}

fn check((name, sets, look, wanted, said): Row) {
    let folder = numbered(sets);
    let study = of(folder.path(), look).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(values(&study), wanted, "{name}");
    assert!(study.warnings.iter().any(|warning| warning.contains(said)), "{name}: {:?}", study.warnings);
}

#[test]
fn times_and_echoes_are_chosen_by_number() {
    let shot = |time: u16, echo: u16, number: u16| {
        let value = time * 100 + echo * 20 + number;
        with(number, Set::default().words(tag::PIXEL_DATA, b"OW", &[value; 6]))
            .with(text(tag::SOP_INSTANCE_UID, b"UI", &format!("7.{time}.{echo}.{number}")))
            .with(text(tag::TEMPORAL_POSITION_IDENTIFIER, b"IS", &(time + 1).to_string()))
            .with(text(tag::ECHO_NUMBERS, b"IS", &echo.to_string()))
    };
    let mut shots = Vec::new();
    for time in 0..2 {
        for echo in 1..3 {
            shots.extend((0..3).map(|number| shot(time, echo, number)));
        }
    }
    let folder = numbered(shots);
    let look = || plainly(3);
    for (look, wanted) in [
        (look(), [20, 21, 22]),
        (look().echo(2), [40, 41, 42]),
        (look().time(1), [120, 121, 122]),
        (look().time(1).echo(2), [140, 141, 142]),
    ] {
        assert_eq!(values(&of(folder.path(), look).unwrap()), wanted);
    }
    for look in [look().time(2), look().echo(3)] {
        assert!(matches!(of(folder.path(), look), Err(Error::Request(_))));
    }
    // The first time was not taken with the first echo.
    let some = [(0, 2), (1, 1), (1, 2)];
    let shots = some.into_iter().flat_map(|(time, echo)| (0..3).map(move |number| shot(time, echo, number)));
    let folder = numbered(shots);
    assert_eq!(values(&of(folder.path(), look().time(1)).unwrap()), [120, 121, 122]);
    let error = of(folder.path(), look()).unwrap_err();
    assert!(matches!(&error, Error::Request(facts) if facts.thing.ends_with(": time, echo")), "{error}");
}

#[test]
fn what_nothing_tells_apart_is_refused_by_name() {
    let twin = with(2, text(tag::SOP_INSTANCE_UID, b"UI", "9"));
    let folder = folder(&[("a", slice(1)), ("b", slice(2)), ("twin", twin)]);
    let error = of(folder.path(), plainly(3)).unwrap_err().to_string();
    assert!(error.contains("b and twin"), "{error}");
}

#[test]
fn a_damaged_file_is_refused_by_its_name() {
    let folder = numbered((0..3).map(slice));
    let whole = fs::read(folder.path().join("01")).unwrap();
    for (end, said) in [(whole.len() - 4, "BitsAllocated 16"), (200, "ends"), (132, "DICOM")] {
        fs::write(folder.path().join("01"), &whole[..end]).unwrap();
        let error = of(folder.path(), plainly(3)).unwrap_err().to_string();
        assert!(error.contains("01") && error.contains(said), "{error}");
    }
}

#[test]
fn files_cut_anywhere_are_read_or_refused() {
    let rle = {
        let mut bytes: Vec<u8> = [2_u32, 64, 66].iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(64, 0);
        bytes.extend([251, 0, 251, 10]);
        slice(1).without(tag::PIXEL_DATA).fragments(vec![vec![], bytes]).file(RLE)
    };
    for whole in [slice(1).file(EXPLICIT_LITTLE), slice(1).file(DEFLATED), rle] {
        for end in (0..whole.len()).step_by(7) {
            let study = StudyInput::file(memory(whole[..end].to_vec())).look(plainly(1));
            match read(&study, &ReadOptions::default()) {
                Ok(_) | Err(Error::Input(_)) => {}
                Err(error) => panic!("{end}: {error}"),
            }
        }
    }
}

#[test]
fn an_index_stands_for_the_files_around_it() {
    let folder = folder(&[("IMAGES/A", slice(1)), ("IMAGES/B", slice(0)), ("UNLISTED", slice(2))]);
    let index = Set::default().text(tag::SOP_CLASS_UID, b"UI", "1.2.840.10008.1.3.10").file(EXPLICIT_LITTLE);
    fs::write(folder.path().join("DICOMDIR"), index).unwrap();
    for path in [folder.path().join("DICOMDIR"), folder.path().to_path_buf()] {
        let study = of(&path, plainly(3)).unwrap();
        assert_eq!(values(&study), [0, 10, 20]);
        assert!(study.warnings.iter().all(|warning| !warning.contains("no picture")), "{:?}", study.warnings);
    }
}

#[test]
fn an_archive_is_a_folder() {
    use std::io::{Cursor, Write};
    use zip::write::{SimpleFileOptions, ZipWriter};

    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("__MACOSX/._A", vec![0, 5, 22, 7]),
        ("STUDY/A", slice(1).file(EXPLICIT_LITTLE)),
        ("STUDY/Thumbs.db", b"no picture".to_vec()),
        ("STUDY/B", slice(0).file(DEFLATED)),
    ] {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    let study = read(&StudyInput::file(memory(bytes)).look(plainly(2)), &ReadOptions::default()).unwrap();
    assert_eq!(values(&study), [0, 10]);
}

#[test]
fn the_largest_series_is_looked_at_and_the_others_are_listed() {
    let other = |number| {
        with(number, text(tag::SERIES_INSTANCE_UID, b"UI", "1.2.3.2"))
            .with(text(tag::SERIES_NUMBER, b"IS", "2"))
            .with(text(tag::SOP_INSTANCE_UID, b"UI", &format!("8.{number}")))
            .with(Set::default().words(tag::PIXEL_DATA, b"OW", &[200 + number; 6]))
    };
    let folder = numbered((0..4).map(slice).chain((0..2).map(other)));
    let study = of(folder.path(), plainly(2)).unwrap();
    assert_eq!(values(&study), [0, 30]);
    assert!(study.warnings[0].contains("series 2 (CT, 2 slices of 3×2)"), "{:?}", study.warnings);
    assert!(!study.warnings[0].contains("1.2.3"), "no UID that was not asked for");
    for series in ["2", "1.2.3.2"] {
        assert_eq!(values(&of(folder.path(), plainly(2).series(series)).unwrap()), [200, 201]);
    }
    let error = of(folder.path(), plainly(2).series("3")).unwrap_err();
    assert!(matches!(&error, Error::Request(_)) && error.to_string().contains("series 2"), "{error}");
}

#[test]
fn nothing_of_the_patient_is_said() {
    let burned = with(1, text(tag::BURNED_IN_ANNOTATION, b"CS", "YES"));
    let folder = numbered([slice(0), burned, slice(2)]);
    let study = of(folder.path(), plainly(3)).unwrap();
    assert!(study.warnings.iter().any(|warning| warning.contains("burned")));
    let said = format!("{study:?}");
    assert!(!said.contains("Secret") && !said.contains("SECRET"));
    fs::write(folder.path().join("02"), &slice(2).file(EXPLICIT_LITTLE)[..300]).unwrap();
    let error = format!("{:?}", of(folder.path(), plainly(3)).unwrap_err());
    assert!(!error.contains("Secret") && !error.contains("SECRET"), "{error}");
}

#[test]
fn radiographs_are_shown_as_their_file_says() {
    let ramp = picture("DX", &[0, 1000, 2000, 3000, 4000, 4095]);
    let window = ramp.clone().with(text(tag::WINDOW_CENTER, b"DS", "2000")).with(text(
        tag::WINDOW_WIDTH,
        b"DS",
        "2001",
    ));
    let table = Set::default().words(tag::LUT_DESCRIPTOR, b"US", &[3, 1000, 8]).bytes(
        tag::LUT_DATA,
        b"OW",
        &[10, 20, 30],
    );
    let rows: [(&str, Set, [u8; 6]); 7] = [
        ("range", ramp.clone(), [0, 62, 124, 186, 249, 255]),
        ("window", window.clone(), [0, 0, 127, 255, 255, 255]),
        (
            "inverse",
            window.clone().with(text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "MONOCHROME1")),
            [255, 254, 127, 0, 0, 0],
        ),
        (
            "inverse by presentation",
            window.clone().with(text(tag::PRESENTATION_LUT_SHAPE, b"CS", "INVERSE")),
            [255, 254, 127, 0, 0, 0],
        ),
        (
            "exact",
            window.clone().with(text(tag::VOI_LUT_FUNCTION, b"CS", "LINEAR_EXACT")),
            [0, 0, 127, 254, 255, 255],
        ),
        (
            "table before window",
            window.clone().with(Set::default().items(
                tag::VOI_LUT_SEQUENCE,
                Length::Stated,
                vec![table.clone()],
            )),
            [10, 10, 30, 30, 30, 30],
        ),
        (
            "modality table",
            ramp.clone().with(Set::default().items(tag::MODALITY_LUT_SEQUENCE, Length::Marked, vec![table])),
            [0, 0, 255, 255, 255, 255],
        ),
    ];
    for (name, set, wanted) in rows {
        let study = one(&set, Look::default()).unwrap();
        assert_eq!((study.modality, study.frames[0].samples()), (Modality::Image, &wanted[..]), "{name}");
    }
    let asked = |windowing: Windowing| {
        one(&window, Look::default().window(windowing)).map(|study| study.frames[0].samples().to_vec())
    };
    assert_eq!(asked(Windowing::File(1)).unwrap(), [0, 0, 127, 255, 255, 255]);
    assert_eq!(asked(Windowing::OwnRange).unwrap(), [0, 62, 124, 186, 249, 255]);
    assert_eq!(
        asked(Windowing::Window(Window::linear_exact(0.0, 2000.0))).unwrap(),
        [127, 255, 255, 255, 255, 255]
    );
    assert!(matches!(asked(Windowing::File(2)), Err(Error::Request(_))));
}

#[test]
fn colours_are_shown_whatever_they_are_stored_as() {
    let colour = |photometric: &str, planar: u16, bytes: &[u8]| {
        picture("OT", &[]).with(
            Set::default()
                .words(tag::SAMPLES_PER_PIXEL, b"US", &[3])
                .text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", photometric)
                .words(tag::PLANAR_CONFIGURATION, b"US", &[planar])
                .words(tag::ROWS, b"US", &[1])
                .words(tag::COLUMNS, b"US", &[2])
                .words(tag::BITS_ALLOCATED, b"US", &[8])
                .words(tag::BITS_STORED, b"US", &[8])
                .words(tag::HIGH_BIT, b"US", &[7])
                .bytes(tag::PIXEL_DATA, b"OB", bytes),
        )
    };
    let palette = {
        let table = |tag: u32, data: u32, shift: u16| {
            let entries: Vec<u16> = (0..4).map(|entry| (entry * 50 + shift) << 8).collect();
            Set::default().words(tag, b"US", &[4, 0, 16]).words(data, b"OW", &entries)
        };
        let set = picture("US", &[]).with(
            Set::default()
                .text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "PALETTE COLOR")
                .words(tag::ROWS, b"US", &[1])
                .words(tag::COLUMNS, b"US", &[2])
                .words(tag::BITS_ALLOCATED, b"US", &[8])
                .words(tag::BITS_STORED, b"US", &[8])
                .words(tag::HIGH_BIT, b"US", &[7])
                .bytes(tag::PIXEL_DATA, b"OB", &[1, 3]),
        );
        set.with(table(tag::RED_DESCRIPTOR, tag::RED_DATA, 1))
            .with(table(tag::GREEN_DESCRIPTOR, tag::GREEN_DATA, 2))
            .with(table(tag::BLUE_DESCRIPTOR, tag::BLUE_DATA, 3))
    };
    for (name, set, wanted) in [
        ("pixel by pixel", colour("RGB", 0, &[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]),
        ("plane by plane", colour("RGB", 1, &[1, 4, 2, 5, 3, 6]), [1, 2, 3, 4, 5, 6]),
        ("YBR_FULL", colour("YBR_FULL", 0, &[100, 128, 128, 50, 128, 228]), [100, 100, 100, 190, 0, 50]),
        ("YBR_FULL_422", colour("YBR_FULL_422", 0, &[100, 50, 128, 128]), [100, 100, 100, 50, 50, 50]),
        ("palette", palette, [51, 52, 53, 151, 152, 153]),
    ] {
        let study = one(&set, Look::default()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(study.frames[0].samples(), wanted, "{name}");
    }
    let error = one(&colour("RGB", 0, &[0; 6]), Look::default().window(Windowing::OwnRange)).unwrap_err();
    assert!(matches!(error, Error::Request(_)), "{error}");
}

#[test]
fn clips_have_the_times_of_their_frames() {
    let frames: Vec<u8> = (0..40).flat_map(|frame| [frame * 6; 6]).collect();
    let clip = picture("US", &[]).with(
        Set::default()
            .text(tag::NUMBER_OF_FRAMES, b"IS", "40")
            .text(tag::FRAME_TIME, b"DS", "50")
            .words(tag::BITS_ALLOCATED, b"US", &[8])
            .words(tag::BITS_STORED, b"US", &[8])
            .words(tag::HIGH_BIT, b"US", &[7])
            .bytes(tag::PIXEL_DATA, b"OB", &frames),
    );
    let study = one(&clip, Look::default().frames(FrameCount::Exactly(4))).unwrap();
    assert_eq!((study.modality, values(&study)), (Modality::Video, vec![30, 90, 150, 210]));
    let seconds: Vec<_> = study.frames.iter().map(|frame| frame.provenance().seconds.unwrap()).collect();
    assert_eq!(seconds, [0.25, 0.75, 1.25, 1.75]);
    assert_eq!(one(&clip, Look::default()).unwrap().frames.len(), 2, "one a second");
    let timeless = clip.without(tag::FRAME_TIME);
    let study = one(&timeless, Look::default()).unwrap();
    assert_eq!((study.frames.len(), study.frames[0].provenance().seconds), (32, None));
    assert!(matches!(one(&timeless, Look::default().start(1.0)), Err(Error::Request(_))));
}

#[cfg(feature = "video")]
#[test]
fn a_video_stream_gives_the_frames_that_its_own_file_gives() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/clip.mp4");
    let mut first = fs::read(&path).unwrap();
    let second = first.split_off(1000);
    let clip = picture("ES", &[]).without(tag::PIXEL_DATA).with(
        Set::default()
            .words(tag::SAMPLES_PER_PIXEL, b"US", &[3])
            .text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "YBR_PARTIAL_420")
            .text(tag::NUMBER_OF_FRAMES, b"IS", "48")
            .words(tag::BITS_ALLOCATED, b"US", &[8])
            .words(tag::BITS_STORED, b"US", &[8])
            .words(tag::HIGH_BIT, b"US", &[7])
            .fragments(vec![vec![], first, second]),
    );
    let look = Look::default().frames(FrameCount::Exactly(2));
    let bytes = memory(clip.file("1.2.840.10008.1.2.4.102"));
    let study = read(&StudyInput::file(bytes).look(look.clone()), &ReadOptions::default()).unwrap();
    assert_eq!((study.modality, study.frames), (Modality::Video, of(&path, look).unwrap().frames));
}

#[test]
fn frames_of_an_enhanced_object_have_their_own_places_and_slopes() {
    let frame = |place: u16, slope: u16| {
        let position = text(tag::IMAGE_POSITION_PATIENT, b"DS", &format!("0\\0\\{place}"));
        let values =
            text(tag::RESCALE_INTERCEPT, b"DS", "0").text(tag::RESCALE_SLOPE, b"DS", slope.to_string());
        Set::default().items(tag::PLANE_POSITION_SEQUENCE, Length::Stated, vec![position]).items(
            tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
            Length::Marked,
            vec![values],
        )
    };
    let shared = Set::default()
        .items(
            tag::PLANE_ORIENTATION_SEQUENCE,
            Length::Stated,
            vec![text(tag::IMAGE_ORIENTATION_PATIENT, b"DS", AXIAL)],
        )
        .items(tag::PIXEL_MEASURES_SEQUENCE, Length::Stated, vec![text(tag::PIXEL_SPACING, b"DS", "2\\1")]);
    let words: Vec<u16> = [7, 8, 9].iter().flat_map(|value| [*value; 6]).collect();
    let enhanced = picture("CT", &words).with(
        Set::default()
            .text(tag::NUMBER_OF_FRAMES, b"IS", "3")
            .items(tag::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, Length::Stated, vec![shared])
            .items(
                tag::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
                Length::Marked,
                vec![frame(20, 2), frame(10, 3), frame(30, 4)],
            ),
    );
    let study = one(&enhanced, plainly(3)).unwrap();
    assert_eq!(values(&study), [24, 14, 36]);
    assert_eq!(study.frames[0].provenance().spacing_mm, Some([10.0, 2.0, 1.0]));
}

#[test]
fn headers_that_are_not_lawful_are_refused_by_name() {
    let words = |tag: u32, number: u16| Set::default().words(tag, b"US", &[number]);
    for (elements, said) in [
        (words(tag::ROWS, 4000), "Rows 4000"),
        (words(tag::ROWS, 0), "Rows"),
        (words(tag::BITS_ALLOCATED, 24), "BitsAllocated"),
        (words(tag::BITS_STORED, 20), "BitsStored"),
        (words(tag::SAMPLES_PER_PIXEL, 2), "SamplesPerPixel"),
        (text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "HSV"), "HSV"),
        (text(tag::NUMBER_OF_FRAMES, b"IS", "2147483647"), "NumberOfFrames"),
        (text(tag::RESCALE_SLOPE, b"DS", "0"), "RescaleSlope"),
    ] {
        let error = one(&slice(1).with(elements), Look::default()).unwrap_err().to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
    let error = one(&slice(1).without(tag::PIXEL_DATA), Look::default()).unwrap_err().to_string();
    assert!(error.contains("pixel data"), "{error}");
    for (elements, said) in [
        (text(tag::NUMBER_OF_FRAMES, b"IS", "0"), "NumberOfFrames"),
        (text(tag::IMAGE_ORIENTATION_PATIENT, b"DS", "2\\0\\0\\0\\0\\0"), "ImageOrientationPatient"),
        (words(tag::ROWS, 1), "more bytes"),
    ] {
        let study = one(&slice(1).with(elements), Look::default()).unwrap();
        assert!(study.warnings.iter().any(|warning| warning.contains(said)), "{said}: {:?}", study.warnings);
    }
}

#[test]
fn a_slice_that_is_unlike_the_others_is_said() {
    let odd = |place: u16, odd: Set| -> Vec<Set> {
        (0..5).map(|each| if each == place { with(each, odd.clone()) } else { slice(each) }).collect()
    };
    let all = |common: Set, rest: Vec<Set>| rest.into_iter().map(|set| common.clone().with(set)).collect();
    let reference = |uid: &str| text(tag::FRAME_OF_REFERENCE_UID, b"UI", uid);
    let hounsfield = text(tag::RESCALE_TYPE, b"LO", "HU");
    let identity = text(tag::RESCALE_SLOPE, b"DS", "1").text(tag::RESCALE_INTERCEPT, b"DS", "0");
    let (four, five): (&[u8], &[u8]) = (&[0, 10, 30, 40], &[0, 10, 20, 30, 40]);
    let without_slope: Vec<_> =
        (0..5).map(|each| if each == 2 { slice(each) } else { with(each, identity.clone()) }).collect();
    let each_its_own: Vec<_> = (0..5).map(|each| with(each, reference(&format!("1.2.{each}")))).collect();
    let rows: [Row; 8] = [
        ("modality", odd(2, text(tag::MODALITY, b"CS", "MR")), plainly(4), four, "another modality: 02"),
        (
            "frame of reference",
            all(reference("1.2.9"), odd(2, reference("1.2.8"))),
            plainly(4),
            four,
            "another frame of reference: 02",
        ),
        ("frames of reference", each_its_own, plainly(5), five, "frame of reference of its own"),
        (
            "units",
            all(hounsfield, odd(2, text(tag::RESCALE_TYPE, b"LO", "OD"))),
            plainly(4),
            four,
            "other units: 02",
        ),
        ("slope", without_slope, plainly(5), five, "taken as values in 02"),
        (
            "photometric interpretation",
            odd(2, text(tag::PHOTOMETRIC_INTERPRETATION, b"CS", "MONOCHROME1")),
            plainly(5),
            five,
            "taken as they are: 02",
        ),
        (
            "pixel spacing",
            odd(2, text(tag::PIXEL_SPACING, b"DS", "0.9\\0.9")),
            plainly(4),
            four,
            "another pixel spacing: 02",
        ),
        (
            "no pixel spacing",
            odd(0, text(tag::PIXEL_SPACING, b"DS", "0\\-1")),
            plainly(5),
            five,
            "PixelSpacing is not two distances above 0 and was not used: 00",
        ),
    ];
    rows.into_iter().for_each(check);
    let folder = numbered(odd(0, text(tag::PIXEL_SPACING, b"DS", "0\\-1")));
    let spacing = of(folder.path(), plainly(5)).unwrap().frames[0].provenance().spacing_mm;
    assert!(spacing.is_some_and(|[_, rows, _]| (rows - 0.8).abs() < 1e-9), "{spacing:?}");
}

#[test]
fn patients_are_never_mixed_nor_named() {
    let patient = |number: u16, id: &str| with(number, text(0x0010_0020, b"LO", id));
    let folder = numbered([patient(0, "SECRET-ID"), patient(1, " SECRET-ID "), patient(2, "SECRET-2")]);
    let error = of(folder.path(), plainly(3)).unwrap_err().to_string();
    assert!(error.contains("00 and 02") && !error.contains("SECRET"), "{error}");
    fs::remove_file(folder.path().join("02")).unwrap();
    let study = of(folder.path(), plainly(2)).unwrap();
    assert!(!format!("{:?}", study.warnings).contains("atient"), "{:?}", study.warnings);
    let other = patient(2, "SECRET-2").with(text(tag::SERIES_INSTANCE_UID, b"UI", "1.2.3.2"));
    fs::write(folder.path().join("02"), other.file(EXPLICIT_LITTLE)).unwrap();
    let study = of(folder.path(), plainly(2)).unwrap();
    assert_eq!(values(&study), [0, 10]);
    assert!(study.warnings[0].contains("2 patients"), "{:?}", study.warnings);
    // Series without a UID, as of one.
    let nameless = |number, id| patient(number, id).without(tag::SERIES_INSTANCE_UID);
    let folder = numbered([nameless(0, "A"), nameless(1, "B")]);
    assert!(of(folder.path(), plainly(2)).is_err());
}

#[test]
fn a_file_cut_before_its_pixels_is_named() {
    let whole = slice(2).file(EXPLICIT_LITTLE);
    let pixels = whole.len() - 12 - 12;
    let rows = whole.windows(4).position(|tag| tag == [0x28, 0, 0x10, 0]).unwrap();
    let folder = numbered((0..3).map(slice));
    for end in [pixels, rows] {
        fs::write(folder.path().join("02"), &whole[..end]).unwrap();
        let error = of(folder.path(), plainly(3)).unwrap_err().to_string();
        assert!(error.contains("02") && error.contains("before them"), "{end}: {error}");
    }
    let other = with(2, text(tag::SERIES_INSTANCE_UID, b"UI", "1.2.3.2")).file(EXPLICIT_LITTLE);
    fs::write(folder.path().join("02"), &other[..other.len() - 24]).unwrap();
    let study = of(folder.path(), plainly(2)).unwrap();
    assert_eq!(values(&study), [0, 10]);
    assert!(study.warnings.iter().any(|warning| warning.contains("left out: 02")), "{:?}", study.warnings);
    let report = Set::default().text(tag::SOP_CLASS_UID, b"UI", "1.2.840.10008.5.1.4.1.1.88.11");
    fs::write(folder.path().join("02"), report.file(EXPLICIT_LITTLE)).unwrap();
    let study = of(folder.path(), plainly(2)).unwrap();
    assert!(study.warnings[0].contains("without a picture were left out: 02"), "{:?}", study.warnings);
}

/// The stored numbers of a file of one frame.
fn stored(set: &Set, syntax: &str) -> Vec<f64> {
    use std::sync::{Arc, Mutex};

    use super::frames::Frames;
    use super::instance::{File, Instance};
    use super::place::{Bytes, Place};
    use crate::input::source::Opened;

    let options = ReadOptions::default();
    let opened = Opened::new(&memory(set.file(syntax)), &options.watch).unwrap();
    let place =
        Place { name: "bytes".into(), part: None, bytes: Bytes::Opened(Arc::new(Mutex::new(opened))) };
    let File::Image(file) = Instance::read(&place, &options).unwrap() else { panic!("no picture") };
    let frames = Frames::open(&place, &file.scanned, file.layout, &options).unwrap();
    frames.unpack(0, &options.watch).unwrap().samples.map(|stored| stored)
}

/// 32×32 pixels of 12 bits with a sign: -1 and 1 above, −2048 below.
const SIGNED_JPEG_2000: &[u8] = &[
    255, 79, 255, 81, 0, 41, 0, 0, 0, 0, 0, 32, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0,
    32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 139, 1, 1, 255, 82, 0, 12, 0, 0, 0, 1, 0, 5, 4, 4, 0, 1, 255, 92, 0,
    19, 64, 96, 104, 104, 112, 104, 104, 112, 104, 104, 112, 104, 104, 112, 104, 104, 112, 255, 144, 0, 10,
    0, 0, 0, 0, 0, 107, 0, 1, 255, 147, 195, 243, 2, 8, 91, 192, 1, 12, 127, 32, 80, 0, 116, 16, 3, 8, 40, 9,
    192, 1, 12, 63, 96, 96, 7, 0, 112, 180, 201, 32, 47, 192, 1, 20, 127, 33, 64, 23, 15, 15, 40, 25, 200,
    116, 236, 64, 79, 2, 7, 192, 1, 36, 127, 33, 160, 33, 108, 255, 127, 3, 132, 207, 139, 246, 177, 50, 66,
    220, 127, 226, 59, 31, 192, 1, 36, 127, 33, 96, 53, 242, 55, 127, 102, 174, 68, 224, 30, 202, 182, 170,
    0, 0, 31, 255, 217,
];

#[test]
fn the_header_says_whether_jpeg_2000_numbers_have_a_sign() {
    let with_sign = SIGNED_JPEG_2000.to_vec();
    // The same bits as numbers without: 2048 more.
    let mut without = with_sign.clone();
    without[42] &= 0x7F;
    for (stream, representation, wanted) in [
        (&with_sign, 1, [-1.0, 1.0, -2048.0]),
        (&with_sign, 0, [4095.0, 1.0, 2048.0]),
        (&without, 1, [2047.0, -2047.0, 0.0]),
        (&without, 0, [2047.0, 2049.0, 0.0]),
    ] {
        let set = picture("CT", &[]).without(tag::PIXEL_DATA).with(
            Set::default()
                .words(tag::ROWS, b"US", &[32])
                .words(tag::COLUMNS, b"US", &[32])
                .words(tag::PIXEL_REPRESENTATION, b"US", &[representation])
                .fragments(vec![vec![], stream.clone()]),
        );
        let values = stored(&set, "1.2.840.10008.1.2.4.90");
        assert_eq!([values[0], values[31], values[32 * 31]], wanted, "PixelRepresentation {representation}");
    }
}

/// Writes the values of the files that the list names, for a comparison with another reader: of file number N the values of
/// all frames as `N.f32`, or colours as `N.rgb`, or as `N.txt` why there are none.
#[test]
#[ignore = "needs a list of files: run by tests/clinical/values.py"]
fn values_of_listed_files() {
    use super::colour::Colours;
    use super::frames::Frames;
    use super::instance::{File, Instance};
    use super::modality::Rescale;
    use super::place::{Bytes, Place};

    type Found = Result<(&'static str, Vec<u8>)>;
    let (list, out) = (std::env::var("DICOM_LIST").unwrap(), std::env::var("DICOM_VALUES").unwrap());
    let values = |path: &str| -> Found {
        let options = ReadOptions::default();
        let place = Place { name: path.into(), part: None, bytes: Bytes::Path(path.into()) };
        let File::Image(file) = Instance::read(&place, &options)? else {
            return Err(Error::input(path, "a picture", "none").hint("leave it out of the list"));
        };
        let frames = Frames::open(&place, &file.scanned, file.layout, &options)?;
        let mut all = Vec::new();
        for frame in 0..file.layout.frames {
            let unpacked = frames.unpack(frame, &options.watch)?;
            if file.layout.is_colour() {
                all.extend(Colours::of(&place, &file.scanned.set, &file.layout)?.rgb(&unpacked));
            } else {
                let rescale = Rescale::of(path, file.groups(frame), file.layout.sign)?;
                let values = unpacked.samples.map(|stored| (rescale.value(stored) as f32).to_le_bytes());
                all.extend(values.concat());
            }
        }
        Ok((if file.layout.is_colour() { "rgb" } else { "f32" }, all))
    };
    for (number, path) in fs::read_to_string(list).unwrap().lines().enumerate() {
        let (kind, bytes) = values(path).unwrap_or_else(|error| ("txt", error.to_string().into_bytes()));
        fs::write(Path::new(&out).join(format!("{number}.{kind}")), bytes).unwrap();
    }
}

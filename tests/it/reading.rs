//! What can be wrong with a study, through the library's own reading: one clear error, never a panic, never pixels.

use std::fs;
use std::path::Path;
use std::time::Instant;

use fleming::{
    Cancel, Error, FrameCount, Look, Modality, Preprocessing, ReadOptions, Result, Source, Study, StudyInput,
    Watch, Window, measure, read,
};

use crate::support::{Scratch, example, npy};

const KINDS: [Modality; 3] = [Modality::Image, Modality::Video, Modality::Volume];

/// One sound file of each kind.
const FILES: [(Modality, &str); 3] =
    [(Modality::Image, "chest.png"), (Modality::Video, "clip.mp4"), (Modality::Volume, "volume.npz")];

fn read_as(kind: Modality, path: &Path, look: Look) -> Result<Study> {
    read(&StudyInput::of(kind, path).look(look), &ReadOptions::default())
}

/// The message of an input error, which must name the file.
fn refused(kind: Modality, path: &Path) -> String {
    let error = read_as(kind, path, Look::default()).unwrap_err();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(matches!(error, Error::Input(_)) && error.to_string().contains(name), "{error}");
    error.to_string()
}

#[test]
fn sound_files_are_read_and_come_to_what_was_measured() {
    for (kind, name) in FILES {
        let study = StudyInput::file(example(name).as_path());
        let measured = measure(&study, &ReadOptions::default()).unwrap();
        let read = read(&study, &ReadOptions::default()).unwrap();
        let sizes: Vec<_> = read.frames.iter().map(|frame| [frame.width(), frame.height()]).collect();
        assert_eq!((measured.modality, measured.sizes), (kind, sizes), "{name}");
        assert_eq!(read.modality, kind);
        let bytes = Source::Bytes { name: name.into(), bytes: fs::read(example(name)).unwrap().into() };
        let again = fleming::read(&StudyInput::file(bytes), &ReadOptions::default()).unwrap();
        assert_eq!(again.frames, read.frames);
    }
}

#[test]
fn files_that_are_not_there_or_not_what_they_should_be() {
    let scratch = Scratch::new();
    let paths = [
        (scratch.path("missing"), "No such file"),
        (scratch.file("empty", b""), "an empty file"),
        (scratch.file("text.png", b"not a picture at all"), "something else"),
        (scratch.file("packed.gz", b"\x1f\x8b\x08\0"), "a gzip file"),
        (scratch.pipe("pipe"), "no regular file"),
    ];
    for kind in KINDS {
        for (path, called) in &paths {
            assert!(refused(kind, path).contains(called));
        }
        let folder = read_as(kind, &scratch.path(""), Look::default()).unwrap_err();
        assert!(folder.to_string().contains("a folder"), "{folder}");
        let device = read_as(kind, Path::new("/dev/null"), Look::default()).unwrap_err();
        assert!(device.to_string().contains("no regular file"), "{device}");
    }
    let unknown = read(&StudyInput::file("/dev/zero"), &ReadOptions::default()).unwrap_err();
    assert!(matches!(unknown, Error::Input(_)), "{unknown}");
}

#[test]
fn files_of_another_kind_say_which_they_are() {
    for (kind, name) in FILES {
        for wanted in KINDS.into_iter().filter(|wanted| *wanted != kind) {
            let message = refused(wanted, &example(name));
            assert!(message.contains(kind.name()) && message.contains(wanted.name()), "{message}");
        }
    }
}

#[test]
fn files_cut_short() {
    let scratch = Scratch::new();
    for (kind, name) in FILES {
        let whole = fs::read(example(name)).unwrap();
        for share in [2, 10, 100] {
            refused(kind, &scratch.file(&format!("cut-{share}-{name}"), &whole[..whole.len() / share]));
        }
    }
}

#[test]
fn volumes_that_numpy_would_not_give_to_the_script() {
    let scratch = Scratch::new();
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
    };
    let table = [
        ("pickled", header("|O", "(2, 4, 4)"), 32),
        ("bool", header("|b1", "(2, 4, 4)"), 32),
        ("complex", header("<c8", "(2, 4, 4)"), 256),
        ("text", header("<U4", "(2, 4, 4)"), 512),
        ("flat", header("<f4", "(4, 4)"), 64),
        ("five", header("<f4", "(1, 1, 2, 4, 4)"), 128),
        ("two studies", header("<f4", "(2, 2, 4, 4)"), 256),
        ("no slice", header("<f4", "(0, 4, 4)"), 0),
        ("no row", header("<f4", "(2, 0, 4)"), 0),
        ("huge", header("<f8", "(4000000000, 4000000000, 4000000000)"), 64),
        ("overflowing", header("<f8", "(18446744073709551615, 2, 2)"), 64),
        ("negative", header("<f4", "(-2, 4, 4)"), 128),
        ("no header", String::from("{}"), 64),
        ("half a header", String::from("{'descr': '<f4', 'fort"), 64),
    ];
    for (name, header, bytes) in table {
        refused(Modality::Volume, &scratch.file(&format!("{name}.npy"), &npy(&header, &vec![0; bytes])));
    }
}

#[test]
fn a_volume_with_nan_names_the_slice() {
    let scratch = Scratch::new();
    let mut values = [0f32; 3 * 4 * 4];
    values[17] = f32::NAN;
    values[1] = 1.0;
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 4), }";
    let volume = scratch.file("nan.npy", &npy(header, &data));
    assert!(refused(Modality::Volume, &volume).contains("slice 1"));
    let window = Look::default().window(Window::linear_exact(0.0, 2.0));
    assert!(read_as(Modality::Volume, &volume, window).unwrap_err().to_string().contains("slice 1"));
    // The reference goes on with a black slice.
    let reference = ReadOptions::default().preprocessing(Preprocessing::Reference);
    let study = read(&StudyInput::volume(volume.as_path()), &reference).unwrap();
    assert_eq!(study.frames.len(), 11);
    assert!(study.warnings.iter().any(|warning| warning.contains("black")), "{:?}", study.warnings);
}

#[test]
fn choices_that_leave_nothing_to_look_at_are_named() {
    let look = Look::default;
    let of_clips = [
        ("frames", look().frames(FrameCount::Exactly(0))),
        ("frames", look().frames(FrameCount::Exactly(usize::MAX))),
        ("seconds", look().frames(FrameCount::Seconds(0.9))),
        ("seconds", look().frames(FrameCount::Seconds(f64::NAN))),
        ("max-frames", look().frames(FrameCount::PerSecond { max_frames: 0 })),
        ("start, end", look().start(1000.0)),
        ("start", look().start(f64::INFINITY)),
        ("end", look().start(2.0).end(1.0)),
        ("slices", look().slices(3)),
        ("window", look().window(Window::linear(40.0, 400.0))),
    ];
    let of_volumes = [
        ("slices", look().slices(0)),
        ("slices", look().slices(1_000_000_000_000)),
        ("slices", look().slices(usize::MAX)),
        ("axis", look().axis(3)),
        ("range", look().range([0, 1_000_000])),
        ("range", look().range([2, 1])),
        ("frames", look().frames(FrameCount::Exactly(3))),
    ];
    let clips = of_clips.into_iter().map(|(name, look)| (Modality::Video, "clip.mp4", name, look));
    let volumes = of_volumes.into_iter().map(|(name, look)| (Modality::Volume, "volume.npz", name, look));
    for (kind, file, name, look) in clips.chain(volumes) {
        let error = read_as(kind, &example(file), look).unwrap_err();
        let is_request = matches!(&error, Error::Request(facts) if facts.thing.ends_with(name));
        assert!(is_request, "{name}: {error}");
    }
    let image = read_as(Modality::Image, &example("chest.png"), look().slices(3)).unwrap_err();
    assert!(matches!(&image, Error::Request(facts) if facts.thing == "slices"), "{image}");
    // Given for several studies, an option may be meant for another.
    read_as(Modality::Image, &example("chest.png"), look().slices(3).shared()).unwrap();
}

#[test]
fn reading_ends_when_the_watch_does() {
    let cancel = Cancel::default();
    cancel.cancel();
    for (_, name) in FILES {
        let study = StudyInput::file(example(name).as_path());
        let cancelled = ReadOptions::default().watch(Watch::default().switch(&cancel));
        assert!(matches!(read(&study, &cancelled), Err(Error::Cancelled(_))), "{name}");
        let late = ReadOptions::default().watch(Watch::default().deadline(Instant::now()));
        assert!(matches!(measure(&study, &late), Err(Error::TimedOut(_))), "{name}");
    }
}

//! Pictures in memory are those of files of them, bit for bit.

use std::io::Cursor;

use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};

use super::*;
use crate::input::read;
use crate::study::{Preprocessing, Source, StudyInput};

const SIZE: [u32; 2] = [5, 3];

fn seen(frames: RawFrames, mode: Preprocessing) -> Result<Study> {
    read(&StudyInput::raw_frames(frames), &ReadOptions::default().preprocessing(mode))
}

fn noise(count: usize) -> Vec<u8> {
    (0..count).map(|place| (place * place * 31 + place * 7) as u8).collect()
}

fn one(format: PixelFormat, bytes: &[u8], stride: usize) -> RawFrames {
    RawFrames::image("x", RawFrame::new(format, SIZE, &[(bytes, stride)]).unwrap())
}

fn exchanged(samples: &[u8], size: usize) -> Vec<u8> {
    let mut samples = samples.to_vec();
    samples.chunks_exact_mut(size).for_each(|pixel| pixel.swap(0, 2));
    samples
}

#[test]
fn a_picture_in_memory_is_that_of_a_png() {
    let formats = [
        (PixelFormat::Rgb, ExtendedColorType::Rgb8, 3),
        (PixelFormat::Bgr, ExtendedColorType::Rgb8, 3),
        (PixelFormat::Rgba, ExtendedColorType::Rgba8, 4),
        (PixelFormat::Bgra, ExtendedColorType::Rgba8, 4),
        (PixelFormat::Grey, ExtendedColorType::L8, 1),
    ];
    for (format, colour, size) in formats {
        let samples = noise(15 * size);
        let mut file = Cursor::new(Vec::new());
        PngEncoder::new(&mut file).write_image(&samples, 5, 3, colour).unwrap();
        let file = StudyInput::file(Source::Bytes { name: "x".into(), bytes: file.into_inner().into() });
        let turned = matches!(format, PixelFormat::Bgr | PixelFormat::Bgra);
        let handed = if turned { exchanged(&samples, size) } else { samples };
        for mode in [Preprocessing::Clinical, Preprocessing::Reference] {
            let wanted = read(&file, &ReadOptions::default().preprocessing(mode)).unwrap();
            let got = seen(one(format, &handed, 5 * size), mode).unwrap();
            assert_eq!((got.frames, &got.warnings), (wanted.frames, &wanted.warnings), "{format:?} {mode:?}");
            assert_eq!(got.warnings.is_empty(), size != 4, "{format:?}");
        }
    }
}

#[test]
fn frames_of_a_clip_have_their_times_and_are_spoken_of_once() {
    let frame = |shade: u8| RawFrame::new(PixelFormat::Rgba, [1, 1], &[(&[shade, 0, 0, 100], 4)]).unwrap();
    let study = seen(
        RawFrames::video("x", [(0.0, frame(0)), (0.5, frame(9)), (2.0, frame(200))]),
        Preprocessing::Clinical,
    );
    let study = study.unwrap();
    let times: Vec<_> = study.frames.iter().map(|frame| frame.provenance().seconds.unwrap()).collect();
    assert_eq!((study.modality, times, study.warnings.len()), (Modality::Video, vec![0.0, 0.5, 2.0], 1));
    assert_eq!(study.frames[0].samples(), [155; 3]);
}

type Row<'a> = (&'a str, fn(&mut RawFrames));

#[test]
fn frames_that_contradict_their_kind_are_refused() {
    let table: [Row; 6] = [
        ("x: modality", |f| f.modality = Modality::Volume),
        ("x: seconds", |f| f.modality = Modality::Video),
        ("x: seconds", |f| f.seconds = vec![1.0]),
        ("x: frames", |f| f.frames.push(f.frames[0].clone())),
        ("x", |f| f.frames.clear()),
        ("x: seconds", |f| {
            f.modality = Modality::Video;
            f.seconds = vec![f64::NAN];
        }),
    ];
    for (thing, spoil) in table {
        let mut frames = one(PixelFormat::Grey, &noise(15), 5);
        spoil(&mut frames);
        let error = seen(frames, Preprocessing::Clinical).unwrap_err();
        assert_eq!(error.facts().thing, thing, "{error}");
    }
}

#[cfg(not(feature = "video"))]
#[test]
fn yuv_is_refused_by_a_build_that_reads_no_videos() {
    let frame =
        RawFrame::new(PixelFormat::I420(Yuv::default()), [2, 2], &[(&[0; 4], 2), (&[0], 1), (&[0], 1)]);
    let error = seen(RawFrames::image("x", frame.unwrap()), Preprocessing::Clinical).unwrap_err();
    assert!(error.to_string().contains("I420"), "{error}");
}

#[cfg(feature = "video")]
mod yuv {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::study::{YuvMatrix, YuvRange};

    /// Y, U and V of a picture of this size.
    fn planes([width, height]: [u32; 2]) -> [Vec<u8>; 3] {
        let [width, height] = [width as usize, height as usize];
        let half = width.div_ceil(2) * height.div_ceil(2);
        let mut all = noise(width * height + 2 * half);
        let v = all.split_off(width * height + half);
        let u = all.split_off(width * height);
        [all, u, v]
    }

    fn turns(u: &[u8], v: &[u8]) -> Vec<u8> {
        u.iter().zip(v).flat_map(|(u, v)| [*u, *v]).collect()
    }

    /// The same picture in both layouts, with gaps between rows.
    fn both(size: [u32; 2], yuv: Yuv) -> [Study; 2] {
        let [y, u, v] = planes(size);
        let padded = |bytes: &[u8], row: usize| -> Vec<u8> {
            bytes.chunks(row).flat_map(|row| [row, &[7, 7, 7]].concat()).collect()
        };
        let (width, half) = (size[0] as usize, size[0].div_ceil(2) as usize);
        let uv = padded(&turns(&u, &v), 2 * half);
        let [y, u, v] = [padded(&y, width), padded(&u, half), padded(&v, half)];
        let i420 = [(&y[..], width + 3), (&u, half + 3), (&v, half + 3)];
        let nv12 = [(&y[..], width + 3), (&uv, 2 * half + 3)];
        [
            RawFrame::new(PixelFormat::I420(yuv), size, &i420),
            RawFrame::new(PixelFormat::Nv12(yuv), size, &nv12),
        ]
        .map(|frame| seen(RawFrames::video("x", [(0.0, frame.unwrap())]), Preprocessing::Clinical).unwrap())
    }

    /// A lossless file of it, tagged like this.
    fn file(size: [u32; 2], tags: &[&str]) -> Study {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mkv");
        let side = format!("{}x{}", size[0], size[1]);
        let mut program = Command::new("ffmpeg");
        program.args([
            "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-r", "1", "-s", &side, "-i", "-",
        ]);
        program.args(["-c:v", "ffv1"]).args(tags).arg(&path).stdin(Stdio::piped());
        let mut program = program.spawn().expect("the program ffmpeg, which `make` installs");
        program.stdin.take().unwrap().write_all(&planes(size).concat()).unwrap();
        assert!(program.wait().unwrap().success());
        read(&StudyInput::video(path), &ReadOptions::default()).unwrap()
    }

    #[test]
    fn planes_in_memory_are_the_frames_of_a_video() {
        let (bt601, bt709) = (YuvMatrix::Bt601, YuvMatrix::Bt709);
        let tags =
            |space: &'static str, range: &'static str| vec!["-colorspace", space, "-color_range", range];
        let mut found = Vec::new();
        for size in [[16, 8], [64, 48], [7, 5], [6, 5], [7, 6], [1, 1]] {
            for (matrix, range, tags) in [
                (bt601, YuvRange::Limited, vec![]),
                (bt601, YuvRange::Limited, tags("smpte170m", "tv")),
                (bt601, YuvRange::Full, tags("smpte170m", "pc")),
                (bt709, YuvRange::Limited, tags("bt709", "tv")),
                (bt709, YuvRange::Full, tags("bt709", "pc")),
            ] {
                let wanted = file(size, &tags);
                let [i420, nv12] = both(size, Yuv { matrix, range });
                for (layout, got) in [("I420", &i420), ("NV12", &nv12)] {
                    let same = got.frames[0].samples() == wanted.frames[0].samples();
                    assert!(same, "{layout} {size:?} {matrix:?} {range:?}");
                }
                found.push(wanted.frames[0].samples().to_vec());
            }
            // Stated or not, BT.601 in the limited range; the others differ from it and from each other.
            let [usual, same, others @ ..] = &found[found.len() - 5..] else { panic!() };
            assert!(usual == same && others.iter().all(|other| other != usual) || size == [1, 1]);
        }
    }

    #[test]
    fn a_picture_beyond_the_budget_is_refused_by_its_name() {
        let [y, u, v] = planes([16, 8]);
        let frame = RawFrame::new(PixelFormat::I420(Yuv::default()), [16, 8], &[(&y, 16), (&u, 8), (&v, 8)]);
        let budget = crate::Budget { pixels: 100, ..crate::Budget::default() };
        let study = StudyInput::raw_frames(RawFrames::image("x", frame.unwrap()));
        let error = read(&study, &ReadOptions::default().budget(budget)).unwrap_err();
        assert!(error.facts().thing == "x" && error.facts().hint.contains("--max-pixels"), "{error}");
    }
}

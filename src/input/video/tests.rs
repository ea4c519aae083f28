//! Clips whose frames say their own number, made by the program `ffmpeg`.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::clip::{listed, open};
use super::container::{Depth, demuxer};
use super::decoding::Decoding;
use super::painter::Painter;
use super::seek::Fetch;
use super::timeline::{Packets, Timeline};
use super::track::Track;
use crate::error::{Error, Result};
use crate::frame::{Frame, Study};
use crate::input::source::Opened;
use crate::input::{Budget, ReadOptions, measure, read};
use crate::study::{FrameCount, Look, Preprocessing, Source, StudyInput};
use crate::watch::Watch;

const BITS: usize = 8;
const WIDTH: usize = 16 * BITS;
const HEIGHT: usize = 48;

const X264: &[&str] =
    &["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-sc_threshold", "0"];
const X265: &[&str] =
    &["-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:keyint=20:bframes=3"];
const NOISE: &[&str] = &["-vf", "noise=alls=60:allf=t", "-qmin", "1", "-qmax", "4"];

/// A folder for clips.
struct Clips(tempfile::TempDir);

impl Clips {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Encodes so many frames at 30 a second. A frame has a bar for each bit of its number, bright for 1, the lowest on
    /// the left.
    fn encode(&self, name: &str, frames: usize, options: &[&[&str]]) -> PathBuf {
        let path = self.path(name);
        let size = format!("{WIDTH}x{HEIGHT}");
        let mut program = Command::new("ffmpeg")
            .args([
                "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-r", "30", "-s", &size, "-i", "-",
            ])
            .args(options.concat())
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("the program ffmpeg, which `make` installs");
        let mut pixels = program.stdin.take().unwrap();
        for number in 0..frames {
            let row: Vec<u8> =
                (0..WIDTH).map(|x| if number >> (x / 16) & 1 == 1 { 235 } else { 16 }).collect();
            pixels.write_all(&row.repeat(HEIGHT)).unwrap();
        }
        drop(pixels);
        assert!(program.wait().unwrap().success(), "{name}");
        path
    }

    /// Makes one clip of another.
    fn convert(&self, before: &[&str], from: &Path, after: &[&str], name: &str) -> PathBuf {
        let path = self.path(name);
        let mut program = Command::new("ffmpeg");
        program.args(["-v", "error", "-y"]).args(before).arg("-i").arg(from).args(after).arg(&path);
        assert!(program.status().unwrap().success(), "{name}");
        path
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// The number that a frame says.
fn number(frame: &Frame) -> usize {
    let row = frame.width() as usize * 3 * (frame.height() as usize / 2);
    let bright = |bit: usize| usize::from(frame.samples()[row + 3 * (16 * bit + 8)] > 128);
    (0..BITS).map(|bit| bright(bit) << bit).sum()
}

fn numbers(study: &Study) -> Vec<usize> {
    study.frames.iter().map(number).collect()
}

fn seconds(study: &Study) -> Vec<f64> {
    study.frames.iter().map(|frame| frame.provenance().seconds.unwrap()).collect()
}

fn look() -> Look {
    Look::default()
}

fn frames(count: usize) -> Look {
    look().frames(FrameCount::Exactly(count))
}

fn read_by(path: &Path, look: Look, preprocessing: Preprocessing) -> Result<Study> {
    read(&StudyInput::video(path).look(look), &ReadOptions::default().preprocessing(preprocessing))
}

fn clinical(path: &Path, look: Look) -> Study {
    read_by(path, look, Preprocessing::Clinical).unwrap()
}

fn reference(path: &Path, look: Look) -> Study {
    read_by(path, look, Preprocessing::Reference).unwrap()
}

fn says(study: &Study, words: &str) -> bool {
    study.warnings.iter().any(|warning| warning.contains(words))
}

fn opened(path: &Path) -> Opened {
    Opened::new(&Source::from(path), &Watch::default()).unwrap()
}

#[test]
fn bare_streams_are_read_by_the_number_of_frames() {
    let clips = Clips::new();
    let untimed =
        &["-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:vui-timing-info=0"];
    let boxed = numbers(&clinical(&clips.encode("clip.mp4", 90, &[X264]), frames(3)));
    for (name, codec, rate) in
        [("clip.h264", X264, 30.0), ("clip.hevc", X265, 30.0), ("untimed.hevc", &untimed[..], 25.0)]
    {
        let path = clips.encode(name, 90, &[codec]);
        let study = clinical(&path, frames(3));
        assert_eq!(numbers(&study), boxed, "{name}");
        let wanted = boxed[2] as f64 / rate;
        assert!((seconds(&study)[2] - wanted).abs() < 1e-9, "{name}: {:?}", seconds(&study));
        assert!(says(&study, "times are reckoned"), "{name}: {:?}", study.warnings);
    }
    let opened = opened(&clips.path("untimed.hevc")).at_rate(Some(10.0));
    let header = open(opened, &ReadOptions::default()).unwrap();
    let study = header.choose(&look()).unwrap().read(&ReadOptions::default()).unwrap();
    assert_eq!(study.frames.len(), 9, "one a second");
}

/// A recording of 170 frames: 150 in five seconds, then one a second.
fn slowed(clips: &Clips, name: &str, options: &[&str]) -> PathBuf {
    let steady = clips.encode("steady.mkv", 170, &[X264]);
    let times = ["-vf", "setpts='if(lt(N,150),N/30,5+(N-150))/TB'", "-vsync", "vfr"];
    clips.convert(&[], &steady, &[&times, X264, options].concat(), name)
}

/// The packets of a clip, by a pass over the whole file.
fn packets(path: &Path) -> (Track, Packets) {
    let file = opened(path);
    let input = demuxer(file.again().unwrap(), &file, Depth::Packets).unwrap();
    let track = Track::find(&input).unwrap();
    let packets = Packets::read(&track, input, &ReadOptions::default()).unwrap();
    (track, packets)
}

/// Every frame fetched alone, each from another place than the one before, against all frames in one go.
fn fetched_alone_as_in_one_go(path: &Path) -> Vec<usize> {
    crate::input::measure(&StudyInput::video(path), &ReadOptions::default()).unwrap();
    let (file, watch) = (opened(path), Watch::default());
    let again = || demuxer(file.again()?, &file, Depth::Packets);
    let (track, packets) = packets(path);
    let timeline =
        Timeline::of(packets, track.unit).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    let count = timeline.count();
    let fetch = |orders: &[Vec<usize>]| -> Vec<Frame> {
        let mut painter = Painter::new("", count, Budget::default());
        let decoding = Decoding::new(&track, again().unwrap(), &watch).unwrap();
        let mut fetch = Fetch::new(decoding, &timeline, &mut painter, &again);
        let mut pictures = vec![None; count];
        for order in orders {
            let fetched = fetch.fetch(order).unwrap();
            for (frame, picture) in order.iter().zip(fetched.pictures(order)) {
                pictures[*frame] = picture.cloned();
            }
        }
        let missing: Vec<usize> = (0..count).filter(|frame| pictures[*frame].is_none()).collect();
        assert!(missing.is_empty(), "{}: {missing:?} of {count}", path.display());
        pictures.into_iter().flatten().collect()
    };
    let whole = fetch(&[(0..count).collect()]);
    let alone: Vec<Vec<usize>> = (0..count).map(|i| vec![(i * 61 + 17) % count]).collect();
    assert_eq!(alone.iter().flatten().collect::<std::collections::BTreeSet<_>>().len(), count);
    let alone = fetch(&alone);
    for (one, other) in whole.iter().zip(&alone) {
        assert!(one == other, "{}: {:?} {:?}", path.display(), one.provenance(), other.provenance());
    }
    whole.iter().map(number).collect()
}

#[test]
fn seeking_finds_the_frames_that_decoding_all_finds() {
    let clips = Clips::new();
    let open = ["-x264-params", "open-gop=1:keyint=24:min-keyint=12:bframes=3:b-adapt=0"];
    let refreshed = ["-x264-params", "intra-refresh=1:keyint=20:bframes=2"];
    let short = ["-bf", "2", "-g", "12"];
    let mpeg2 = [&["-c:v", "mpeg2video", "-q:v", "2"], &short[..]].concat();
    let mpeg4 = [&["-c:v", "mpeg4", "-q:v", "2"], &short[..]].concat();
    let vp9 = ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "20", "-b:v", "1M"];
    let mjpeg = ["-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj422p"];
    let fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    let table: [(&str, &[&[&str]]); 18] = [
        ("closed.mp4", &[X264, &short]),
        ("closed.mkv", &[X264, &short]),
        ("closed.ts", &[X264, &short]),
        ("closed.flv", &[X264, &short]),
        ("open.mp4", &[X264, &open]),
        ("open.mkv", &[X264, &open]),
        ("open.ts", &[X264, &open]),
        ("fragments.mp4", &[X264, &short, &fragments]),
        ("refreshed.ts", &[X264, &refreshed]),
        ("mpeg2.ts", &[&mpeg2]),
        ("mpeg2.mpg", &[&mpeg2]),
        ("mpeg4.mp4", &[&mpeg4]),
        ("mpeg4.avi", &[&mpeg4]),
        ("mpeg2.m2v", &[&mpeg2]),
        ("no_b.avi", &[X264, &["-bf", "0", "-g", "12"]]),
        ("h265.mkv", &[X265]),
        ("vp9.webm", &[&vp9]),
        ("mjpeg.avi", &[&mjpeg]),
    ];
    for (name, options) in table {
        let path = clips.encode(name, 97, options);
        assert_eq!(fetched_alone_as_in_one_go(&path), (0..97).collect::<Vec<_>>(), "{name}");
        let part = clinical(&path, frames(3).start(1.5).end(2.2));
        assert_eq!((numbers(&part), part.warnings.clone()), (vec![48, 55, 62], vec![]), "{name}");
        let study = clinical(&path, frames(97));
        assert!(
            study.warnings.iter().all(|warning| warning.contains("more than there are")),
            "{name}: {study:?}"
        );
    }
}

#[test]
fn an_uneven_clip_is_looked_at_by_its_time_stamps() {
    let clips = Clips::new();
    for (name, options) in [("slow.mp4", &["-video_track_timescale", "3000"][..]), ("slow.mkv", &[])] {
        let path = slowed(&clips, name, options);
        let part = clinical(&path, frames(10).start(10.0).end(20.0));
        assert_eq!(numbers(&part), (155..165).collect::<Vec<_>>(), "{name}");
        assert_eq!(seconds(&part), (10..20).map(f64::from).collect::<Vec<_>>(), "{name}");
        assert!(says(&part, "unevenly, up to 1.000 seconds"), "{:?}", part.warnings);
        let whole = clinical(&path, look());
        assert_eq!((whole.frames.len(), numbers(&whole)[..2].to_vec()), (24, vec![15, 45]), "{name}");
        assert_eq!((numbers(&whole)[23], seconds(&whole)[23]), (168, 23.0), "{name}");
        // Its arithmetic is the script's, and said to be off.
        let script = reference(&path, frames(10));
        assert_eq!(numbers(&script), [8, 25, 42, 59, 76, 92, 109, 126, 143, 160], "{name}");
        assert!(says(&script, "off the times that the reference script reckons"), "{:?}", script.warnings);
    }
}

#[test]
fn a_steady_clip_is_looked_at_as_the_script_does() {
    let clips = Clips::new();
    for name in ["steady.mp4", "steady.mkv", "steady.ts", "steady.avi"] {
        let options = if name.ends_with("avi") { &["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"] } else { X264 };
        let path = clips.encode(name, 150, &[options]);
        for look in [look(), frames(7), frames(3).start(1.2), frames(5).end(3.1)] {
            let (own, script) = (clinical(&path, look.clone()), reference(&path, look));
            assert_eq!(numbers(&own), numbers(&script), "{name}");
            assert_eq!(own.warnings, script.warnings, "{name}");
            for (one, other) in own.frames.iter().zip(&script.frames) {
                assert_eq!(
                    (one.samples(), one.provenance().index),
                    (other.samples(), other.provenance().index)
                );
                let [one, other] = [one, other].map(|frame| frame.provenance().seconds.unwrap());
                // Matroska's stamps are whole milliseconds.
                assert!((one - other).abs() <= 0.000_501, "{name}: {one} {other}");
            }
        }
    }
}

#[test]
fn dropped_frames_leave_their_time() {
    let clips = Clips::new();
    let steady = clips.encode("steady.mkv", 200, &[X264]);
    // Two seconds without a frame, as of a device that was busy.
    let dropped = ["-vf", "select='not(between(n,60,119))'", "-vsync", "vfr"];
    let path = clips.convert(&[], &steady, &[&dropped, X264].concat(), "dropped.mp4");
    let study = clinical(&path, look());
    // Six seconds and two thirds, divided by six: the picture stands still from the second to the fourth.
    assert_eq!(numbers(&study), [16, 50, 59, 59, 150, 183]);
    assert!(says(&study, "it is repeated"), "{:?}", study.warnings);
}

#[test]
fn what_an_edit_list_hides_is_not_shown() {
    let clips = Clips::new();
    let steady = clips.encode("steady.mp4", 250, &[X264, &["-bf", "2", "-g", "250"]]);
    let path = clips.convert(&["-ss", "3.5"], &steady, &["-c", "copy"], "cut.mp4");
    let count = 250 - 105;
    let study = clinical(&path, frames(count));
    let shown: std::collections::BTreeSet<_> = numbers(&study).into_iter().collect();
    assert_eq!((shown.first(), shown.last()), (Some(&105), Some(&248)));
    assert!(says(&study, "hides 105 of 250"), "{:?}", study.warnings);
    for (number, seconds) in numbers(&study).into_iter().zip(seconds(&study)) {
        assert!((seconds - (number - 105) as f64 / 30.0).abs() < 1e-4, "{number} at {seconds}");
    }
    let usual = clinical(&path, look());
    assert_eq!(usual.frames.len(), 4);
    assert!(says(&reference(&path, look()), "off the times"));
    assert_eq!(fetched_alone_as_in_one_go(&path), (105..250).collect::<Vec<_>>());
}

#[test]
fn a_rate_that_is_not_to_be_believed_is_refused_or_said() {
    let clips = Clips::new();
    let mjpeg = clips.encode("steady.avi", 60, &[&["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"]]);
    let stating = |name: &str, rate: u32| {
        let mut avi = std::fs::read(&mjpeg).unwrap();
        // dwScale and dwRate of the stream's header.
        let at = avi.windows(4).position(|four| four == b"strh").unwrap() + 28;
        avi[at..at + 4].copy_from_slice(&1u32.to_le_bytes());
        avi[at + 4..at + 8].copy_from_slice(&rate.to_le_bytes());
        clips.write(name, &avi)
    };
    let million = stating("million.avi", 1_000_000);
    let error = read_by(&million, look(), Preprocessing::Clinical).unwrap_err();
    assert!(matches!(&error, Error::Input(facts) if facts.thing.ends_with("million.avi")), "{error}");
    assert!(error.to_string().contains("1000000"), "{error}");
    assert!(says(&reference(&million, look()), "states 1000000.000 frames a second"));
    let fast = clinical(&stating("fast.avi", 4000), frames(3));
    assert!(says(&fast, "states 4000.000 frames a second"), "{:?}", fast.warnings);
    assert_eq!(numbers(&clinical(&stating("usual.avi", 60), frames(3))), [9, 29, 48]);
}

#[test]
fn a_stream_that_begins_inside_a_packet_is_as_the_whole() {
    let clips = Clips::new();
    let path = clips.encode("whole.ts", 120, &[X264, &["-bf", "2", "-g", "30"]]);
    let bytes = std::fs::read(&path).unwrap();
    let whole = clinical(&path, look());
    let cut = clinical(&clips.write("cut.ts", &bytes[100..]), look());
    assert_eq!((numbers(&cut), cut.warnings), (numbers(&whole), whole.warnings.clone()));
    // Inside a group of pictures: from its next key frame on, and said.
    let packets: Vec<&[u8]> = bytes.chunks(188).collect();
    let late = clinical(&clips.write("late.ts", &packets[packets.len() / 3..].concat()), frames(90));
    let shown = numbers(&late);
    assert!(shown[0].is_multiple_of(30) && shown[0] > 0 && *shown.last().unwrap() >= 117, "{shown:?}");
    assert!(says(&late, "begins inside a group of pictures"), "{:?}", late.warnings);
    assert_eq!(seconds(&late)[0], 0.0);
}

#[test]
fn a_segment_is_a_clip_and_one_without_its_header_is_named() {
    let clips = Clips::new();
    let fragments = ["-g", "30", "-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    let path = clips.encode("fragments.mp4", 90, &[X264, &fragments]);
    let bytes = std::fs::read(&path).unwrap();
    let styp = b"\0\0\0\x14stypmsdh\0\0\0\0msdh";
    let segment = clinical(&clips.write("segment.mp4", &[styp, &bytes[..]].concat()), look());
    assert_eq!(numbers(&segment), numbers(&clinical(&path, look())));
    let moof = bytes.windows(4).position(|four| four == b"moof").unwrap() - 4;
    let bare = clips.write("bare.m4s", &[styp, &bytes[moof..]].concat());
    let error = read_by(&bare, look(), Preprocessing::Clinical).unwrap_err();
    assert!(
        matches!(&error, Error::Input(facts) if facts.hint.contains("initialisation segment")),
        "{error}"
    );
}

/// The clock of a stream that was joined to another starts anew.
#[test]
fn frames_without_sound_stamps_are_counted_by_the_stated_rate() {
    let clips = Clips::new();
    let path = clips.encode("part.ts", 60, &[X264, &["-g", "20"]]);
    let bytes = std::fs::read(&path).unwrap();
    let joined = clinical(&clips.write("joined.ts", &bytes.repeat(2)), frames(6));
    assert_eq!(numbers(&joined), [9, 29, 49, 9, 28, 48]);
    assert!(
        joined.warnings.iter().any(|warning| warning.contains("times are reckoned from")),
        "{:?}",
        joined.warnings
    );
}

/// FFmpeg gives the first frame of such a stream a stamp that does not fit the others.
#[test]
fn a_bare_stream_is_looked_at_as_the_script_does() {
    let clips = Clips::new();
    let path = clips.encode("bare.m1v", 150, &[&["-c:v", "mpeg1video", "-q:v", "2"]]);
    let (own, script) = (clinical(&path, frames(5)), reference(&path, frames(5)));
    assert_eq!((numbers(&own), own.frames), (vec![14, 44, 74, 103, 133], script.frames));
    assert!(own.warnings[0].contains("have no time stamp"), "{:?}", own.warnings);
}

#[test]
fn samples_of_more_than_8_bits_are_said() {
    let clips = Clips::new();
    for (name, format) in [("ten.mkv", "yuv420p10le"), ("sixteen.mkv", "gray16le")] {
        let study = clinical(&clips.encode(name, 30, &[&["-c:v", "ffv1", "-pix_fmt", format]]), frames(3));
        assert_eq!(numbers(&study), [4, 14, 23]);
        assert!(says(&study, "bits are scaled to 8"), "{name}: {:?}", study.warnings);
    }
}

/// Noise makes a clip longer than what is read of it to know its codec.
#[test]
fn the_packets_of_an_mp4_file_are_known_from_its_header() {
    let clips = Clips::new();
    let open = ["-x264-params", "open-gop=1:keyint=24:min-keyint=12:bframes=3:b-adapt=0"];
    let table: [(&str, &[&[&str]]); 5] = [
        ("h264.mp4", &[X264, NOISE, &["-bf", "3", "-g", "20"]]),
        ("open.mov", &[X264, NOISE, &open]),
        ("h265.mp4", &[X265, NOISE]),
        ("mjpeg.mov", &[&["-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj422p"], NOISE]),
        (
            "sound.mp4",
            &[&["-f", "lavfi", "-i", "sine=d=3", "-c:a", "aac", "-movflags", "+faststart"], X264, NOISE],
        ),
    ];
    for (name, options) in table {
        let path = clips.encode(name, 90, options);
        let cut = clips.convert(&["-ss", "1.1"], &path, &["-c", "copy", "-an"], &format!("cut-{name}"));
        for path in [path, cut] {
            let (track, packets) = packets(&path);
            assert!(track.is_listed());
            let listed = listed(&opened(&path), &track, &ReadOptions::default()).unwrap();
            assert!(listed == packets, "{}", path.display());
        }
    }
}

/// A reader that counts.
struct Counting {
    file: Opened,
    read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

impl Seek for Counting {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// A frame near the end costs what one near the beginning does, and little of the file.
#[test]
fn a_frame_costs_what_lies_between_its_key_frame_and_itself() {
    let clips = Clips::new();
    let short = ["-bf", "2", "-g", "10"];
    let mpeg2 = ["-c:v", "mpeg2video", "-q:v", "2"];
    let table: [(&str, &[&[&str]]); 7] = [
        ("clip.mp4", &[X264, NOISE, &short]),
        ("clip.mkv", &[X264, NOISE, &short]),
        ("clip.ts", &[X264, NOISE, &short]),
        ("mpeg2.ts", &[&mpeg2, NOISE, &short]),
        ("mpeg2.mpg", &[&mpeg2, NOISE, &short]),
        ("vp8.webm", &[&["-c:v", "libvpx", "-b:v", "20M", "-deadline", "realtime", "-g", "10"], NOISE]),
        ("mjpeg.avi", &[&["-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj422p"], NOISE]),
    ];
    for (name, options) in table {
        let path = clips.encode(name, 250, options);
        let (file, watch, read) = (opened(&path), Watch::default(), Arc::new(AtomicU64::new(0)));
        let (track, packets) = packets(&path);
        let timeline = Timeline::of(packets, track.unit).unwrap();
        let again = || demuxer(Counting { file: file.again()?, read: read.clone() }, &file, Depth::Packets);
        let input = again().unwrap();
        let opening = read.load(Ordering::Relaxed);
        let mut painter = Painter::new("", 1, Budget::default());
        let decoding = Decoding::new(&track, input, &watch).unwrap();
        let mut fetch = Fetch::new(decoding, &timeline, &mut painter, &again);
        for frame in [247, 100, 243] {
            let before = read.load(Ordering::Relaxed);
            assert_eq!(fetch.fetch(&[frame]).unwrap().pictures.len(), 1);
            let bytes = read.load(Ordering::Relaxed) - before;
            assert!(
                bytes < file.length() / 2,
                "{name}, frame {frame}: {bytes} of {}, {opening} to open",
                file.length()
            );
        }
    }
}

/// The stamps that `ffprobe` reports of decoded frames.
#[test]
fn time_stamps_are_those_that_ffprobe_reports() {
    let clips = Clips::new();
    let short = ["-bf", "2", "-g", "12"];
    let steady = clips.encode("h264.mp4", 60, &[X264, &short]);
    let paths = [
        clips.encode("h264.ts", 60, &[X264, &short]),
        clips.encode("mpeg2.mpg", 60, &[&["-c:v", "mpeg2video"], &short]),
        clips.encode("vp9.webm", 60, &[&["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"]]),
        clips.encode("mjpeg.avi", 60, &[&["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"]]),
        clips.convert(&["-ss", "1.1"], &steady, &["-c", "copy"], "cut.mp4"),
        slowed(&clips, "slow.mp4", &[]),
        slowed(&clips, "slow.mkv", &["-bf", "2"]),
        steady,
    ];
    for path in paths {
        let entries = [
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "frame=best_effort_timestamp_time",
            "-of",
            "csv=p=0",
        ];
        let probed = Command::new("ffprobe").args(entries).arg(&path).output().unwrap().stdout;
        let probed = String::from_utf8(probed).unwrap();
        let lines = probed.lines().map(|line| line.trim_end_matches(','));
        // Of the last frame it may know none.
        let probed: Vec<Option<f64>> =
            lines.filter(|line| !line.is_empty()).map(|line| line.parse().ok()).collect();
        let (track, packets) = packets(&path);
        let timeline = Timeline::of(packets, track.unit).unwrap();
        assert_eq!(timeline.count(), probed.len(), "{}", path.display());
        assert!(probed.iter().flatten().count() + 1 >= probed.len(), "{}", path.display());
        let first = probed[0].unwrap();
        for (frame, stamp) in probed.iter().enumerate().filter_map(|(frame, stamp)| Some((frame, (*stamp)?)))
        {
            let off = timeline.seconds(frame) - (stamp - first);
            assert!(off.abs() < 2e-6, "{}, frame {frame}: {off}", path.display());
        }
    }
}

#[test]
fn a_clip_read_from_memory_is_the_same() {
    let clips = Clips::new();
    let path = clips.encode("clip.mp4", 90, &[X264, &["-bf", "2", "-g", "12"]]);
    let bytes = std::fs::read(&path).unwrap();
    let memory = Source::Bytes { name: "memory".into(), bytes: bytes.into() };
    let study = read(&StudyInput::file(memory), &ReadOptions::default()).unwrap();
    assert_eq!(study.frames, clinical(&path, look()).frames);
}

#[test]
fn reading_ends_when_its_watch_does() {
    let clips = Clips::new();
    let path = clips.encode("clip.ts", 120, &[X264]);
    let cancel = crate::watch::Cancel::default();
    let options = ReadOptions::default().watch(Watch::default().switch(&cancel));
    let study = StudyInput::video(path.as_path());
    let header = crate::input::open(&study, &options).unwrap();
    cancel.cancel();
    assert!(matches!(header.read(), Err(Error::Cancelled(_))));
    assert!(matches!(measure(&study, &options), Err(Error::Cancelled(_))));
}

/// Reading by packets tells of bytes, decoding of packets.
#[test]
fn how_far_reading_is_can_be_heard() {
    let clips = Clips::new();
    let path = clips.encode("clip.mkv", 120, &[X264, &["-g", "20"]]);
    let heard: Arc<std::sync::Mutex<Vec<(usize, usize)>>> = Arc::default();
    let ears = heard.clone();
    let watch = Watch::default().eager(move |done, total| ears.lock().unwrap().push((done, total)));
    let study = StudyInput::video(path.as_path()).look(frames(4));
    read(&study, &ReadOptions::default().watch(watch)).unwrap();
    let heard = heard.lock().unwrap();
    let length = std::fs::metadata(&path).unwrap().len() as usize;
    let (bytes, packets): (Vec<_>, Vec<_>) = heard.iter().copied().partition(|(_, total)| *total == length);
    assert_eq!((bytes.len(), bytes.is_sorted()), (120, true));
    assert!(packets.is_sorted() && !packets.is_empty(), "{packets:?}");
    assert!(heard.iter().all(|(done, total)| done <= total));
}

/// A header that states more samples than the file can hold is refused before FFmpeg makes a list of them.
#[test]
fn tables_that_state_more_than_the_file_holds_are_refused() {
    let clips = Clips::new();
    let fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    let clip = std::fs::read(clips.encode("clip.mp4", 30, &[X264])).unwrap();
    let parts = std::fs::read(clips.encode("parts.mp4", 30, &[X264, &fragments])).unwrap();
    // The box, where its number stands, and what is stated.
    for (name, bytes, kind, at, stated) in [
        ("sizes.mp4", &clip, b"stsz", 12, u32::MAX),
        ("some.mp4", &clip, b"stsz", 12, 0x00FF_FFFF),
        ("edits.mp4", &clip, b"elst", 8, u32::MAX),
        ("run.mp4", &parts, b"trun", 8, 0x0FFF_FFFF),
    ] {
        let mut bytes = bytes.clone();
        let at = bytes.windows(4).position(|four| four == kind).unwrap() + at;
        bytes[at..at + 4].copy_from_slice(&stated.to_be_bytes());
        let error = read_by(&clips.write(name, &bytes), look(), Preprocessing::Clinical).unwrap_err();
        assert!(
            matches!(&error, Error::Input(facts) if facts.wanted.contains("a header that states")),
            "{name}: {error}"
        );
    }
}

/// Whatever the bytes are, reading ends, with frames or with an error.
#[test]
fn damaged_clips_are_read_or_refused() {
    let clips = Clips::new();
    let short = ["-bf", "2", "-g", "10"];
    let fragments = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"];
    let table: [(&str, &[&[&str]]); 6] = [
        ("clip.mp4", &[X264, &short]),
        ("fragments.mp4", &[X264, &short, &fragments]),
        ("clip.mkv", &[X264, &short]),
        ("clip.ts", &[X264, &short]),
        ("clip.avi", &[&["-c:v", "mjpeg", "-pix_fmt", "yuvj422p"]]),
        ("clip.mpg", &[&["-c:v", "mpeg2video"], &short]),
    ];
    // Marsaglia's xorshift.
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for (name, options) in table {
        let whole = std::fs::read(clips.encode(name, 30, options)).unwrap();
        let mut read_frames = 0;
        for round in 0..60 {
            let mut bytes = whole.clone();
            // Headers stand at the ends.
            let reach = if round % 2 == 0 { 1500.min(bytes.len()) } else { bytes.len() };
            for _ in 0..=random(4) {
                let at = if round % 4 < 2 { random(reach) } else { bytes.len() - 1 - random(reach) };
                bytes[at] = [0, 0xFF, random(256) as u8][random(3)];
            }
            if round % 5 == 0 {
                bytes.truncate(random(whole.len()));
            }
            let memory = Source::Bytes { name: name.into(), bytes: bytes.into() };
            let study = StudyInput::of(crate::frame::Modality::Video, memory).look(frames(4));
            match read(&study, &ReadOptions::default()) {
                Ok(study) => read_frames += study.frames.len(),
                Err(Error::Input(facts) | Error::Request(facts)) => {
                    assert!(facts.thing.contains(name), "{facts}")
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
        assert!(read_frames > 0, "{name}");
    }
}

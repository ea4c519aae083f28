//! HEIC and AVIF files, put together of what `ffmpeg` encodes.

use std::process::Command;

use crate::error::{Error, Result};
use crate::frame::{Frame, PixelMode, Study};
use crate::input::{Budget, ReadOptions, measure, read};
use crate::study::{Preprocessing, Source, StudyInput};

/// A box.
fn part(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes()[..], kind, content].concat()
}

/// A box with version and flags.
fn full(kind: &[u8; 4], version: u8, content: &[u8]) -> Vec<u8> {
    part(kind, &[&[version, 0, 0, 0], content].concat())
}

/// An item: kind, content, its properties by number from 1, its references.
struct Item {
    kind: &'static [u8; 4],
    content: Vec<u8>,
    properties: Vec<u8>,
    references: Vec<(&'static [u8; 4], Vec<u16>)>,
}

impl Item {
    fn new(kind: &'static [u8; 4], content: Vec<u8>, properties: &[u8]) -> Self {
        Self { kind, content, properties: properties.to_vec(), references: Vec::new() }
    }
}

/// A file with these items, of which the first is the primary one. Items are numbered from 1.
fn file(brand: &[u8; 4], items: &[Item], properties: &[Vec<u8>]) -> Vec<u8> {
    let (count, number) =
        ((items.len() as u16).to_be_bytes(), |place: usize| (place as u16 + 1).to_be_bytes());
    let head = part(b"ftyp", &[&brand[..], &[0; 4], b"mif1"].concat());
    let entries = items
        .iter()
        .enumerate()
        .map(|(place, item)| full(b"infe", 2, &[&number(place)[..], &[0; 2], item.kind, &[0]].concat()));
    let kinds = full(b"iinf", 0, &[count.to_vec(), entries.collect::<Vec<_>>().concat()].concat());
    let known = items
        .iter()
        .enumerate()
        .map(|(place, item)| [&number(place)[..], &[item.properties.len() as u8], &item.properties].concat());
    let known = [(items.len() as u32).to_be_bytes().to_vec(), known.collect::<Vec<_>>().concat()].concat();
    let described = part(b"iprp", &[part(b"ipco", &properties.concat()), full(b"ipma", 0, &known)].concat());
    let references = items.iter().enumerate().flat_map(|(place, item)| {
        item.references.iter().map(move |(kind, to)| {
            let to: Vec<u8> = to.iter().flat_map(|id| id.to_be_bytes()).collect();
            part(kind, &[&number(place)[..], &((to.len() / 2) as u16).to_be_bytes(), &to].concat())
        })
    });
    let references = full(b"iref", 0, &references.collect::<Vec<_>>().concat());
    let meta = |start: usize| {
        let mut at = start;
        let places = items.iter().enumerate().map(|(place, item)| {
            let piece = [(at as u32).to_be_bytes(), (item.content.len() as u32).to_be_bytes()].concat();
            at += item.content.len();
            [&number(place)[..], &[0, 0, 0, 1], &piece].concat()
        });
        let places = places.collect::<Vec<_>>().concat();
        let places = full(b"iloc", 0, &[&[0x44, 0][..], &count, &places].concat());
        let primary = full(b"pitm", 0, &[0, 1]);
        full(b"meta", 0, &[primary, kinds.clone(), places, described.clone(), references.clone()].concat())
    };
    let start = head.len() + meta(0).len() + 8;
    let contents: Vec<u8> = items.iter().flat_map(|item| item.content.clone()).collect();
    [head, meta(start), part(b"mdat", &contents)].concat()
}

fn size([width, height]: [u32; 2]) -> Vec<u8> {
    full(b"ispe", 0, &[width.to_be_bytes(), height.to_be_bytes()].concat())
}

fn encode(picture: &str, options: &[&str], ending: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("x.{ending}"));
    let mut program = Command::new("ffmpeg");
    program.args(["-v", "error", "-f", "lavfi", "-i", picture, "-frames:v", "1"]).args(options).arg(&path);
    assert!(program.status().expect("the program ffmpeg, which `make` installs").success(), "{picture}");
    std::fs::read(path).unwrap()
}

/// A picture coded by HEVC as an item has it: its configuration, which holds the units with parameters, and its content.
fn hevc(picture: &str) -> [Vec<u8>; 2] {
    let options =
        ["-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:info=0", "-f", "hevc"];
    let stream = encode(picture, &options, "hevc");
    let starts: Vec<usize> =
        (0..stream.len() - 2).filter(|at| stream[*at..].starts_with(&[0, 0, 1])).collect();
    let mut record = vec![1; 21];
    let mut content = Vec::new();
    let mut arrays = Vec::new();
    for (place, start) in starts.iter().enumerate() {
        let end = starts.get(place + 1).copied().unwrap_or(stream.len());
        let unit = &stream[start + 3..end];
        let unit = &unit[..unit.iter().rposition(|byte| *byte != 0).unwrap() + 1];
        match unit[0] >> 1 {
            kind @ 32..=34 => {
                arrays.push([&[kind][..], &[0, 1], &(unit.len() as u16).to_be_bytes(), unit].concat());
            }
            _ => content.extend([&(unit.len() as u32).to_be_bytes(), unit].concat()),
        }
    }
    record.extend([0xFF, arrays.len() as u8]);
    record.extend(arrays.concat());
    [part(b"hvcC", &record), content]
}

/// Of one colour.
fn plain(colour: &str, side: u32) -> String {
    format!("color=c={colour}:s={side}x{side}:d=1")
}

fn source(bytes: Vec<u8>) -> StudyInput {
    StudyInput::file(Source::Bytes { name: "picture".into(), bytes: bytes.into() })
}

fn picture(bytes: Vec<u8>) -> Result<Study> {
    let study = source(bytes);
    let measured = measure(&study, &ReadOptions::default())?;
    let read = read(&study, &ReadOptions::default())?;
    assert_eq!(measured.sizes, [[read.frames[0].width(), read.frames[0].height()]]);
    Ok(read)
}

/// The colour of a pixel, each channel as one of 0, 1 or 2: dark, middle, bright.
fn colour(frame: &Frame, x: usize, y: usize) -> [u8; 3] {
    let at = 3 * (y * frame.width() as usize + x);
    let level = |value: u8| if value < 60 { 0 } else { 1 + u8::from(value > 195) };
    [0, 1, 2].map(|channel| level(frame.samples()[at + channel]))
}

const RED: [u8; 3] = [2, 0, 0];
const GREEN: [u8; 3] = [0, 2, 0];
const BLUE: [u8; 3] = [0, 0, 2];
const WHITE: [u8; 3] = [2, 2, 2];

#[test]
fn one_picture_is_read() {
    let [record, content] = hevc("color=c=blue:s=96x64:d=1");
    let whole = file(b"heic", &[Item::new(b"hvc1", content, &[1, 2])], &[size([96, 64]), record]);
    let study = picture(whole.clone()).unwrap();
    assert_eq!((colour(&study.frames[0], 40, 40), study.warnings), (BLUE, vec![]));
    let script = ReadOptions::default().preprocessing(Preprocessing::Reference);
    let error = read(&source(whole.clone()), &script).unwrap_err();
    assert!(error.to_string().contains("clinical preprocessing"), "{error}");
    let small = ReadOptions::default().budget(Budget { pixels: 96 * 64 - 1, ..Budget::default() });
    assert!(measure(&source(whole), &small).unwrap_err().to_string().contains("--max-pixels"));
}

#[test]
fn a_file_that_ffmpeg_writes_is_read() {
    let options = ["-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "8", "-pix_fmt", "yuv444p10le"];
    let study = picture(encode("testsrc=s=160x120:d=1", &options, "avif")).unwrap();
    let frame = &study.frames[0];
    assert_eq!((frame.width(), frame.height(), frame.mode()), (160, 120, &PixelMode::Rgb));
    assert!(study.warnings[0].contains("10 bits"), "{:?}", study.warnings);
    let wanted = encode("testsrc=s=160x120:d=1", &["-f", "rawvideo", "-pix_fmt", "rgb24"], "rgb");
    let off: u64 = wanted.iter().zip(frame.samples()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(off / (wanted.len() as u64) < 6, "{off}");
}

/// Four tiles of 64×64 that are a picture of 120×100, and which properties it has.
fn grid(properties: &[u8]) -> Vec<u8> {
    let tiles = ["red", "lime", "blue", "white"].map(|name| hevc(&plain(name, 64)));
    let record = tiles[0][0].clone();
    let content = [&[0, 0, 1, 1][..], &120u16.to_be_bytes(), &100u16.to_be_bytes()].concat();
    let mut items = vec![Item::new(b"grid", content, properties)];
    items[0].references.push((b"dimg", vec![2, 3, 4, 5]));
    items.extend(tiles.map(|[_, content]| Item::new(b"hvc1", content, &[2, 3])));
    let turned = |quarters| part(b"irot", &[quarters]);
    let all = [
        size([120, 100]),
        size([64, 64]),
        record,
        turned(1),
        turned(3),
        part(b"imir", &[1]),
        part(b"clap", &[0; 32]),
    ];
    file(b"heic", &items, &all)
}

#[test]
fn a_grid_is_put_together_and_stood_upright() {
    // The colours of the corners, from top left by rows.
    let corners = |frame: &Frame| {
        let (right, bottom) = (frame.width() as usize - 5, frame.height() as usize - 5);
        [(4, 4), (right, 4), (4, bottom), (right, bottom)].map(|(x, y)| colour(frame, x, y))
    };
    let table: [(&[u8], [u32; 2], _); 4] = [
        (&[1], [120, 100], [RED, GREEN, BLUE, WHITE]),
        // To the left, to the right, and then mirrored from left to right.
        (&[1, 4], [100, 120], [GREEN, WHITE, RED, BLUE]),
        (&[1, 5], [100, 120], [BLUE, RED, WHITE, GREEN]),
        (&[1, 4, 6], [100, 120], [WHITE, GREEN, BLUE, RED]),
    ];
    for (properties, size, wanted) in table {
        let frame = &picture(grid(properties)).unwrap().frames[0];
        assert_eq!(([frame.width(), frame.height()], corners(frame)), (size, wanted), "{properties:?}");
    }
    assert!(picture(grid(&[1, 7])).unwrap_err().to_string().contains("clap"));
    assert!(picture(grid(&[1, 6, 4])).is_err());
}

#[test]
fn what_can_be_seen_through_is_laid_on_white() {
    let [record, content] = hevc(&plain("red", 64));
    let [other, alpha] = hevc("color=c=black:s=64x64:d=1,drawbox=x=0:y=0:w=32:h=64:c=white:t=fill");
    let mut transparency = Item::new(b"hvc1", alpha, &[1, 3, 4]);
    transparency.references.push((b"auxl", vec![1]));
    let kind = full(b"auxC", 0, b"urn:mpeg:hevc:2015:auxid:1\0");
    let items = [Item::new(b"hvc1", content, &[1, 2]), transparency];
    let study = picture(file(b"heic", &items, &[size([64, 64]), record, other, kind])).unwrap();
    assert_eq!([colour(&study.frames[0], 8, 30), colour(&study.frames[0], 56, 30)], [RED, WHITE]);
    assert!(study.warnings[0].contains("laid on white"), "{:?}", study.warnings);
}

#[test]
fn what_is_damaged_or_of_another_kind_is_refused() {
    let [record, content] = hevc(&plain("red", 64));
    let one = |kind, stated| {
        file(b"mif1", &[Item::new(kind, content.clone(), &[1, 2])], &[size(stated), record.clone()])
    };
    for (bytes, said) in [
        (one(b"hvc1", [65, 64]), "64×64 pixels where"),
        (one(b"hvc1", [8, 8]), "HEIC"),
        (one(b"iovl", [64, 64]), "kind iovl"),
        (one(b"hvc1", [64, 64])[..200].to_vec(), "damaged"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif".to_vec(), "damaged header"),
    ] {
        let error = picture(bytes).unwrap_err();
        assert!(matches!(&error, Error::Input(_)) && error.to_string().contains(said), "{said}: {error}");
    }
}

#[test]
fn other_pictures_of_a_file_are_said() {
    let [record, content] = hevc(&plain("red", 64));
    let item = || Item::new(b"hvc1", content.clone(), &[1, 2]);
    let mut thumbnail = item();
    thumbnail.references.push((b"thmb", vec![1]));
    let properties = [size([64, 64]), record.clone()];
    let said = |items: &[Item]| picture(file(b"heic", items, &properties)).unwrap().warnings.len();
    assert_eq!([said(&[item(), thumbnail]), said(&[item(), item()])], [0, 1]);
}

/// Whatever the bytes are, reading ends, with a picture or with an error.
#[test]
fn damaged_files_are_read_or_refused() {
    let whole = grid(&[1, 4]);
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..=random(3) {
            let at = 20 + random(bytes.len() - 20);
            bytes[at] = [0, 0xFF, random(256) as u8][random(3)];
        }
        match read(&source(bytes), &ReadOptions::default()) {
            Ok(study) => assert_eq!(study.frames.len(), 1),
            Err(Error::Input(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

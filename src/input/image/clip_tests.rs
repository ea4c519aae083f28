//! Animations, read as clips and as pictures.

use std::io::Cursor;

use super::tests::{read, source};
use crate::error::{Error, Result};
use crate::frame::{Modality, Study};
use crate::input::{self, Budget, ReadOptions};
use crate::study::{FrameCount, Look, Preprocessing, StudyInput};

fn clip(bytes: &[u8], look: Look, options: ReadOptions) -> Result<Study> {
    let opened = input::open(&StudyInput::video(source(bytes)).look(look), &options)?;
    let measured = opened.measured();
    let study = opened.read()?;
    let sizes: Vec<_> = study.frames.iter().map(|frame| [frame.width(), frame.height()]).collect();
    assert_eq!((study.modality, measured.sizes), (Modality::Video, sizes));
    Ok(study)
}

/// Place, size, delay in hundredths of a second, colour; a pixel of no colour is transparent.
type Picture = ([u16; 4], u16, Option<u8>);

/// Greys of a canvas 4 × 1.
const PICTURES: [Picture; 4] = [
    ([0, 0, 4, 1], 50, Some(10)),
    ([1, 0, 2, 1], 50, Some(20)),
    ([3, 0, 1, 1], 100, None),
    ([0, 0, 1, 1], 50, Some(30)),
];

fn drawn_gif(pictures: &[Picture], dispose: ::gif::DisposalMethod) -> Vec<u8> {
    let mut bytes = Vec::new();
    let palette: Vec<u8> = (0..=255).flat_map(|grey| [grey, grey, 100]).collect();
    let mut encoder = ::gif::Encoder::new(&mut bytes, 4, 1, &palette).unwrap();
    for &([left, top, width, height], delay, colour) in pictures {
        let frame = ::gif::Frame {
            left,
            top,
            width,
            height,
            delay,
            dispose,
            transparent: Some(255),
            buffer: vec![colour.unwrap_or(255); usize::from(width * height)].into(),
            ..Default::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    bytes
}

fn drawn_png(pictures: &[Picture], dispose: ::png::DisposeOp) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 4, 1);
    encoder.set_color(::png::ColorType::Rgba);
    encoder.set_animated(pictures.len() as u32, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    for &([left, top, width, height], delay, colour) in pictures {
        writer.reset_frame_position().unwrap();
        writer.set_frame_dimension(width.into(), height.into()).unwrap();
        writer.set_frame_position(left.into(), top.into()).unwrap();
        writer.set_frame_delay(delay, 100).unwrap();
        writer.set_dispose_op(dispose).unwrap();
        writer.set_blend_op(::png::BlendOp::Over).unwrap();
        let pixel = colour.map_or([0; 4], |grey| [grey, grey, 100, 255]);
        writer.write_image_data(&pixel.repeat(usize::from(width * height))).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// A PNG of two pixels and a palette of so many bytes, animated or not.
fn drawn_palette(length: usize, animated: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut info = ::png::Info::with_size(2, 1);
    (info.color_type, info.palette) = (::png::ColorType::Indexed, Some(vec![7; length].into()));
    info.trns = Some(vec![9].into());
    let mut encoder = ::png::Encoder::with_info(&mut bytes, info).unwrap();
    let pictures = if animated { 2 } else { 1 };
    if animated {
        encoder.set_animated(pictures, 0).unwrap();
    }
    let mut writer = encoder.write_header().unwrap();
    (0..pictures).for_each(|_| writer.write_image_data(&[0, 1]).unwrap());
    writer.finish().unwrap();
    bytes
}

#[test]
fn a_palette_of_no_whole_colours_is_refused() {
    for length in [1, 2, 4, 5, 13, 769, 771, 3000] {
        let still = read(&source(drawn_palette(length, false)), Preprocessing::Clinical);
        let moving = clip(&drawn_palette(length, true), Look::default(), ReadOptions::default());
        for refused in [still.err(), moving.err()] {
            let error = refused.unwrap().to_string();
            assert!(
                error.contains("PNG") && (error.contains("palette") || error.contains("PLTE")),
                "{length}: {error}"
            );
        }
    }
    for length in [6, 768] {
        read(&source(drawn_palette(length, false)), Preprocessing::Clinical).unwrap();
        clip(&drawn_palette(length, true), Look::default(), ReadOptions::default()).unwrap();
    }
}

/// Places of WebP are even: those of the second picture move.
fn drawn_webp(pictures: &[Picture], clears: bool) -> Vec<u8> {
    let chunk = |name: &[u8], content: &[u8]| {
        let pad = vec![0; content.len() % 2];
        [name, &(content.len() as u32).to_le_bytes(), content, &pad].concat()
    };
    let u24 = |number: u32| number.to_le_bytes()[..3].to_vec();
    let size = [u24(3), u24(0)].concat();
    let mut body = chunk(b"VP8X", &[vec![0b1_0010, 0, 0, 0], size].concat());
    body.extend(chunk(b"ANIM", &[0; 6]));
    for &([left, top, width, height], delay, colour) in pictures {
        let pixel = colour.map_or([0; 4], |grey| [grey, grey, 100, 255]);
        let picture = image::RgbaImage::from_pixel(width.into(), height.into(), image::Rgba(pixel));
        let mut still = Cursor::new(Vec::new());
        picture.write_to(&mut still, image::ImageFormat::WebP).unwrap();
        let before = [
            u24(u32::from(left) / 2),
            u24(u32::from(top) / 2),
            u24(u32::from(width) - 1),
            u24(u32::from(height) - 1),
            u24(u32::from(delay) * 10),
            vec![u8::from(clears)],
        ];
        body.extend(chunk(b"ANMF", &[before.concat(), still.into_inner()[12..].to_vec()].concat()));
    }
    [b"RIFF", &(body.len() as u32 + 4).to_le_bytes()[..], b"WEBP", &body].concat()
}

/// The red of each pixel of each frame, whose blue is 100 or, on white, 255.
fn reds(study: &Study) -> Vec<Vec<u8>> {
    let red = |pixel: &[u8]| if pixel[2] == 100 { pixel[0] } else { 255 };
    study.frames.iter().map(|frame| frame.samples().chunks_exact(3).map(red).collect()).collect()
}

#[test]
fn pictures_of_an_animation_are_laid_one_over_another() {
    let kept = [[10, 10, 10, 10], [10, 20, 20, 10], [10, 20, 20, 10], [30, 20, 20, 10]].map(Vec::from);
    let cleared = [[10, 10, 10, 10], [255, 20, 20, 255], [255; 4], [30, 255, 255, 255]].map(Vec::from);
    let restored = [[10, 10, 10, 10], [255, 20, 20, 255], [255; 4], [30, 255, 255, 255]].map(Vec::from);
    let look = || Look::default().frames(FrameCount::Exactly(5));
    let rows = [
        (drawn_gif(&PICTURES, ::gif::DisposalMethod::Keep), kept.to_vec()),
        (drawn_gif(&PICTURES, ::gif::DisposalMethod::Background), cleared.to_vec()),
        (drawn_gif(&PICTURES, ::gif::DisposalMethod::Previous), restored.to_vec()),
        (drawn_png(&PICTURES, ::png::DisposeOp::None), kept.to_vec()),
        (drawn_png(&PICTURES, ::png::DisposeOp::Background), cleared.to_vec()),
        (
            drawn_webp(&PICTURES, false),
            vec![vec![10; 4], vec![20, 20, 10, 10], vec![20, 20, 10, 10], vec![30, 20, 10, 10]],
        ),
        (
            drawn_webp(&PICTURES, true),
            vec![vec![10; 4], vec![20, 20, 255, 255], vec![255; 4], vec![30, 255, 255, 255]],
        ),
    ];
    for (bytes, [first, second, third, fourth]) in
        rows.map(|(bytes, pictures)| (bytes, <[Vec<u8>; 4]>::try_from(pictures).unwrap()))
    {
        let study = clip(&bytes, look(), ReadOptions::default()).unwrap();
        // The third is shown for a second, and the others for half of one.
        assert_eq!(reds(&study), [first, second, third.clone(), third, fourth]);
        let times: Vec<_> = study.frames.iter().map(|frame| frame.provenance().seconds.unwrap()).collect();
        assert_eq!(times, [0.0, 0.5, 1.0, 1.0, 2.0]);
        assert!(study.warnings.iter().any(|warning| warning.contains("unevenly")), "{:?}", study.warnings);
        // A second is the least that is looked at in one frame.
        let part = look().frames(FrameCount::Exactly(1)).start(2.0).end(2.5);
        assert_eq!(clip(&bytes, part, ReadOptions::default()).unwrap().frames[0].provenance().index, Some(3));
        let outside = clip(&bytes, look().start(9.0), ReadOptions::default()).unwrap_err();
        assert_eq!(outside.facts().thing, "picture, start, end", "{outside}");
    }
}

#[test]
fn a_steady_animation_is_chosen_from_like_any_clip() {
    let pictures: Vec<Picture> = (0..48).map(|grey| ([0, 0, 4, 1], 12, Some(grey))).collect();
    let gif = drawn_gif(&pictures, ::gif::DisposalMethod::Keep);
    let study = clip(&gif, Look::default().frames(FrameCount::Exactly(6)), ReadOptions::default()).unwrap();
    let places: Vec<_> = study.frames.iter().map(|frame| frame.provenance().index.unwrap()).collect();
    assert_eq!(places, [3, 11, 19, 27, 34, 42]);
    assert_eq!(reds(&study)[5], [42; 4]);
    assert!(study.warnings.is_empty(), "{:?}", study.warnings);
    // Next to no delay stands for a tenth of a second.
    let hasty: Vec<Picture> = pictures.iter().map(|&(place, _, colour)| (place, 1, colour)).collect();
    let study = clip(&drawn_webp(&hasty, false), Look::default(), ReadOptions::default()).unwrap();
    assert_eq!(study.frames.len(), 4);
}

#[test]
fn an_animation_is_a_picture_unless_it_is_named_as_a_video() {
    let files = [
        drawn_gif(&PICTURES, ::gif::DisposalMethod::Keep),
        drawn_png(&PICTURES, ::png::DisposeOp::None),
        drawn_webp(&PICTURES, false),
    ];
    for bytes in files {
        let study = read(&source(bytes.clone()), Preprocessing::Clinical).unwrap();
        assert!(study.warnings.iter().any(|warning| warning.contains("Only the first picture")));
        assert_eq!(reds(&study), [vec![10; 4]]);
        let anything =
            input::read(&StudyInput::file(source(bytes.clone())), &ReadOptions::default()).unwrap();
        assert_eq!(anything.modality, Modality::Image);
        // The reference shows what transparent pixels hide.
        let reference = ReadOptions::default().preprocessing(Preprocessing::Reference);
        clip(&bytes, Look::default(), reference).unwrap();
    }
    for bytes in [drawn_gif(&PICTURES[..1], ::gif::DisposalMethod::Keep), drawn_webp(&PICTURES[..1], false)] {
        let error = clip(&bytes, Look::default(), ReadOptions::default()).unwrap_err();
        assert!(error.to_string().contains("wanted a video, got an image"), "{error}");
    }
}

#[test]
fn animations_keep_to_the_budget() {
    let gif = drawn_gif(&PICTURES, ::gif::DisposalMethod::Keep);
    let whole = Budget::default();
    for (budget, option) in [
        (Budget { declared_frames: 3, ..whole }, "--max-declared-frames"),
        (Budget { pixels: 3, ..whole }, "--max-pixels"),
        (Budget { input_bytes: 100, ..whole }, "--max-input-bytes"),
        (Budget { unpacked_bytes: 11, ..whole }, "--max-unpacked-bytes"),
    ] {
        for bytes in [gif.clone(), drawn_png(&PICTURES, ::png::DisposeOp::None), drawn_webp(&PICTURES, true)]
        {
            let look = Look::default().frames(FrameCount::Exactly(1)).start(2.0);
            let error = clip(&bytes, look, ReadOptions::default().budget(budget)).unwrap_err();
            assert!(matches!(&error, Error::Input(facts) if facts.hint.contains(option)), "{error}");
        }
    }
}

#[test]
fn damaged_animations_are_refused() {
    for bytes in [
        drawn_gif(&PICTURES, ::gif::DisposalMethod::Previous),
        drawn_png(&PICTURES, ::png::DisposeOp::Previous),
        drawn_webp(&PICTURES, true),
    ] {
        let look = || Look::default().frames(FrameCount::Exactly(4));
        for length in 0..bytes.len() {
            if let Ok(study) = clip(&bytes[..length], look(), ReadOptions::default()) {
                // The mark of the end may be missing, and a WebP may have fewer pictures.
                assert_eq!(reds(&study)[0], [10; 4]);
            }
        }
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= flip;
                let _ = clip(&damaged, look(), ReadOptions::default());
            }
        }
    }
}

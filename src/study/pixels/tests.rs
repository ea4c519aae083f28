use proptest::prelude::*;

use super::*;

fn formats() -> [PixelFormat; 7] {
    let yuv = Yuv::default();
    [
        PixelFormat::Rgb,
        PixelFormat::Bgr,
        PixelFormat::Rgba,
        PixelFormat::Bgra,
        PixelFormat::Grey,
        PixelFormat::Nv12(yuv),
        PixelFormat::I420(yuv),
    ]
}

#[test]
fn planes_have_the_bytes_of_their_format() {
    let wanted: [&[Extent]; 7] = [
        &[[15, 3]],
        &[[15, 3]],
        &[[20, 3]],
        &[[20, 3]],
        &[[5, 3]],
        &[[5, 3], [6, 2]],
        &[[5, 3], [3, 2], [3, 2]],
    ];
    for (format, wanted) in formats().into_iter().zip(wanted) {
        assert_eq!(format.planes([5, 3]).unwrap(), wanted, "{format:?}");
    }
}

#[test]
fn what_contradicts_itself_is_refused_by_name() {
    let bytes = [0; 64];
    let yuv = PixelFormat::I420(Yuv::default());
    type Row<'a> = (&'a str, PixelFormat, [u32; 2], &'a [(&'a [u8], usize)]);
    let table: [Row; 9] = [
        ("RGB: size", PixelFormat::Rgb, [0, 4], &[(&bytes, 12)]),
        ("RGB: size", PixelFormat::Rgb, [4, 0], &[(&bytes, 12)]),
        ("RGBA: size", PixelFormat::Rgba, [u32::MAX, u32::MAX], &[(&bytes, 12)]),
        ("RGB: planes", PixelFormat::Rgb, [4, 4], &[]),
        ("I420: planes", yuv, [4, 4], &[(&bytes, 4), (&bytes, 4)]),
        ("BGRA: stride of plane 0", PixelFormat::Bgra, [4, 4], &[(&bytes, 15)]),
        ("RGBA: bytes of plane 0", PixelFormat::Rgba, [4, 4], &[(&bytes[..63], 16)]),
        ("RGBA: bytes of plane 0", PixelFormat::Rgba, [4, 4], &[(&bytes, usize::MAX)]),
        ("I420: stride of plane 2", yuv, [5, 4], &[(&bytes, 5), (&bytes, 3), (&bytes, 2)]),
    ];
    for (thing, format, size, planes) in table {
        let error = RawFrame::new(format, size, planes).unwrap_err();
        assert_eq!(error.facts().thing, thing, "{error}");
    }
}

proptest! {
    /// Gaps between rows are left out, and the last row needs none behind it.
    #[test]
    fn strides_change_no_pixel(
        kind in 0_usize..7, width in 1_u32..9, height in 1_u32..9, gap in 0_usize..5, short in any::<bool>(),
    ) {
        let format = formats()[kind];
        let extents = format.planes([width, height]).unwrap();
        let mut number = 0_u8;
        let mut planes = Vec::new();
        for [row, rows] in &extents {
            let plain: Vec<u8> = (0..row * rows).map(|_| { number = number.wrapping_add(37); number }).collect();
            let mut padded: Vec<u8> =
                plain.chunks(*row).flat_map(|line| [line, &vec![9; gap]].concat()).collect();
            padded.truncate(padded.len() - gap);
            planes.push((plain, padded, row + gap));
        }
        let handed: Vec<(&[u8], usize)> =
            planes.iter().map(|(_, padded, stride)| (padded.as_slice(), *stride)).collect();
        let frame = RawFrame::new(format, [width, height], &handed).unwrap();
        for ((plain, ..), kept) in planes.iter().zip(frame.planes()) {
            prop_assert_eq!(plain, &**kept);
        }
        if short {
            let cut: Vec<_> = handed.iter().map(|(bytes, stride)| (&bytes[..bytes.len() - 1], *stride)).collect();
            prop_assert!(RawFrame::new(format, [width, height], &cut).is_err());
        }
    }

    #[test]
    fn any_sizes_are_taken_or_refused(
        kind in 0_usize..7, width in any::<u32>(), height in any::<u32>(), stride in any::<usize>(),
    ) {
        let bytes = [1; 32];
        let planes = vec![(&bytes[..], stride); formats()[kind].planes([1, 1]).unwrap().len()];
        let _ = RawFrame::new(formats()[kind], [width, height], &planes);
        let _ = RawFrame::new(formats()[kind], [width % 7, height % 7], &planes);
    }
}

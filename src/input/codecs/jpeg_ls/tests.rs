//! Round trips through an encoder of T.87, the standard's own example, and streams of CharLS.

use proptest::prelude::*;

use super::super::Codec;
use super::super::tests::{bytes_of, decoded, geometry, survives, texture};
use super::super::{Geometry, header};

/// How a picture is encoded.
#[derive(Debug, Clone, Copy)]
struct Plan {
    precision: u32,
    near: i32,
    /// 0, 1 or 2, as the stream has it.
    interleave: u8,
    /// Lines between restart markers.
    restart: usize,
    /// Thresholds and RESET that replace the defaults.
    preset: Option<[i32; 4]>,
}

const PLAIN: Plan = Plan { precision: 8, near: 0, interleave: 0, restart: 0, preset: None };

const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Writer {
    fn put(&mut self, value: u32, bits: u32) {
        for bit in (0..bits).rev() {
            self.held = self.held << 1 | value.checked_shr(bit).map_or(0, |value| value & 1);
            self.count += 1;
            let full = if self.bytes.last() == Some(&0xff) { 7 } else { 8 };
            if self.count == full {
                self.bytes.push(self.held as u8);
                (self.held, self.count) = (0, 0);
            }
        }
    }

    /// Fills the last byte. A byte 0xFF at the end has a zero behind it.
    fn finish(&mut self) -> Vec<u8> {
        while self.count > 0 {
            self.put(0, 1);
        }
        if self.bytes.last() == Some(&0xff) {
            self.bytes.push(0);
        }
        std::mem::take(&mut self.bytes)
    }
}

/// One scan's state, after T.87 Annex A, in its own names.
struct Coder {
    near: i32,
    maxval: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
    t: [i32; 3],
    reset: i32,
    a: [i32; 367],
    b: [i32; 365],
    c: [i32; 365],
    n: [i32; 367],
    nn: [i32; 2],
    out: Writer,
}

impl Coder {
    fn new(plan: &Plan) -> Self {
        let maxval = (1 << plan.precision) - 1;
        let near = plan.near;
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let log = |value: i32| (0..).find(|bits| 1 << bits >= value).unwrap();
        let bpp = log(maxval + 1).max(2);
        let clamp = |value: i32, least: i32| if value > maxval || value < least { least } else { value };
        let mut t = if maxval >= 128 {
            let factor = (maxval.min(4095) + 128) / 256;
            [factor + 2 + 3 * near, 4 * factor + 3 + 5 * near, 17 * factor + 4 + 7 * near]
        } else {
            let factor = 256 / (maxval + 1);
            [(3 / factor + 3 * near).max(2), (7 / factor + 5 * near).max(3), (21 / factor + 7 * near).max(4)]
        };
        t[0] = clamp(t[0], near + 1);
        t[1] = clamp(t[1], t[0]);
        t[2] = clamp(t[2], t[1]);
        let mut reset = 64;
        if let Some([t1, t2, t3, given]) = plan.preset {
            (t, reset) = ([t1, t2, t3], given);
        }
        let start = ((range + 32) / 64).max(2);
        Self {
            near,
            maxval,
            range,
            qbpp: log(range),
            limit: 2 * (bpp + bpp.max(8)),
            t,
            reset,
            a: [start; 367],
            b: [0; 365],
            c: [0; 365],
            n: [1; 367],
            nn: [0; 2],
            out: Writer::default(),
        }
    }

    fn level(&self, gradient: i32) -> i32 {
        let size = gradient.abs();
        let above =
            usize::from(size > self.near) + self.t.iter().filter(|threshold| size >= **threshold).count();
        if size <= self.near { 0 } else { above as i32 * gradient.signum() }
    }

    fn golomb(&mut self, value: i32, k: u32, limit: u32) {
        let high = value as u32 >> k;
        if high < limit - self.qbpp - 1 {
            self.out.put(0, high);
            self.out.put(1, 1);
            self.out.put(value as u32 & ((1 << k) - 1), k);
        } else {
            self.out.put(0, limit - self.qbpp - 1);
            self.out.put(1, 1);
            self.out.put(value as u32 - 1, self.qbpp);
        }
    }

    /// The error as it is coded, and the sample that the decoder will have.
    fn quantised(&self, predicted: i32, value: i32, sign: i32) -> (i32, i32) {
        let step = 2 * self.near + 1;
        let mut error = sign * (value - predicted);
        error = if error > 0 { (error + self.near) / step } else { -(self.near - error) / step };
        let rebuilt = (predicted + sign * error * step).clamp(0, self.maxval);
        if error < 0 {
            error += self.range;
        }
        if error >= (self.range + 1) / 2 {
            error -= self.range;
        }
        (error, rebuilt)
    }

    fn sample(&mut self, [a, c, b]: [i32; 3], value: i32, context: i32) -> i32 {
        let sign = if context < 0 { -1 } else { 1 };
        let q = context.unsigned_abs() as usize;
        let predicted = if c >= a.max(b) {
            a.min(b)
        } else if c <= a.min(b) {
            a.max(b)
        } else {
            a + b - c
        };
        let predicted = (predicted + sign * self.c[q]).clamp(0, self.maxval);
        let (error, rebuilt) = self.quantised(predicted, value, sign);
        let k = (0..).find(|k| self.n[q] << k >= self.a[q]).unwrap();
        let mapped = if self.near == 0 && k == 0 && 2 * self.b[q] <= -self.n[q] {
            if error >= 0 { 2 * error + 1 } else { -2 * (error + 1) }
        } else if error >= 0 {
            2 * error
        } else {
            -2 * error - 1
        };
        self.golomb(mapped, k, self.limit);
        self.b[q] += error * (2 * self.near + 1);
        self.a[q] += error.abs();
        if self.n[q] == self.reset {
            self.a[q] >>= 1;
            self.b[q] = if self.b[q] >= 0 { self.b[q] >> 1 } else { -((1 - self.b[q]) >> 1) };
            self.n[q] >>= 1;
        }
        self.n[q] += 1;
        if self.b[q] <= -self.n[q] {
            self.b[q] += self.n[q];
            self.c[q] = (self.c[q] - 1).max(-128);
            self.b[q] = self.b[q].max(1 - self.n[q]);
        } else if self.b[q] > 0 {
            self.b[q] -= self.n[q];
            self.c[q] = (self.c[q] + 1).min(127);
            self.b[q] = self.b[q].min(0);
        }
        rebuilt
    }

    fn run_end(&mut self, a: i32, b: i32, value: i32, (several, run): (bool, usize)) -> i32 {
        let kind = usize::from(!several && (a - b).abs() <= self.near);
        let sign = if kind == 0 && a > b { -1 } else { 1 };
        let (error, rebuilt) = self.quantised(if kind == 1 { a } else { b }, value, sign);
        let q = 365 + kind;
        let sum = if kind == 0 { self.a[q] } else { self.a[q] + (self.n[q] >> 1) };
        let k = (0..).find(|k| self.n[q] << k >= sum).unwrap();
        let map = (k == 0 && error > 0 && 2 * self.nn[kind] < self.n[q])
            || (error < 0 && 2 * self.nn[kind] >= self.n[q])
            || (error < 0 && k != 0);
        let mapped = 2 * error.abs() - kind as i32 - i32::from(map);
        self.golomb(mapped, k, self.limit - RUN_BITS[run] - 1);
        self.nn[kind] += i32::from(error < 0);
        self.a[q] += (mapped + 1 - kind as i32) >> 1;
        if self.n[q] == self.reset {
            self.a[q] >>= 1;
            self.n[q] >>= 1;
            self.nn[kind] >>= 1;
        }
        self.n[q] += 1;
        rebuilt
    }

    /// Codes `line`, of pixels of several samples, below `above`; both have a pixel more at either end. The line becomes what
    /// the decoder will have.
    fn line(&mut self, above: &mut [Vec<i32>], line: &mut [Vec<i32>], index: &mut usize) {
        let end = line.len() - 1;
        above[end] = above[end - 1].clone();
        line[0] = above[1].clone();
        let several = line[0].len() > 1;
        let mut x = 1;
        while x < end {
            let contexts: Vec<i32> = (0..line[x].len())
                .map(|s| {
                    let (a, c, b, d) = (line[x - 1][s], above[x - 1][s], above[x][s], above[x + 1][s]);
                    81 * self.level(d - b) + 9 * self.level(b - c) + self.level(c - a)
                })
                .collect();
            if contexts.iter().any(|context| *context != 0) {
                for (s, context) in contexts.into_iter().enumerate() {
                    let around = [line[x - 1][s], above[x - 1][s], above[x][s]];
                    line[x][s] = self.sample(around, line[x][s], context);
                }
                x += 1;
                continue;
            }
            let value = line[x - 1].clone();
            let near = |pixel: &Vec<i32>| {
                pixel.iter().zip(&value).all(|(one, other)| (one - other).abs() <= self.near)
            };
            let mut run = line[x..end].iter().take_while(|pixel| near(pixel)).count();
            line[x..x + run].fill(value.clone());
            x += run;
            while run >= 1 << RUN_BITS[*index] {
                self.out.put(1, 1);
                run -= 1 << RUN_BITS[*index];
                *index = (*index + 1).min(31);
            }
            if x == end {
                if run > 0 {
                    self.out.put(1, 1);
                }
                return;
            }
            self.out.put(0, 1);
            self.out.put(run as u32, RUN_BITS[*index]);
            for s in 0..value.len() {
                line[x][s] = self.run_end(value[s], above[x][s], line[x][s], (several, *index));
            }
            *index = index.saturating_sub(1);
            x += 1;
        }
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

/// A stream of `picture`, and the picture that its decoder must make.
fn encode(picture: &[u16], geometry: &Geometry, plan: &Plan) -> (Vec<u8>, Vec<u16>) {
    let (rows, columns, count) =
        (geometry.rows as usize, geometry.columns as usize, geometry.samples_per_pixel);
    let mut frame = vec![plan.precision as u8, 0, rows as u8, 0, columns as u8, count as u8];
    (1..=count as u8).for_each(|component| frame.extend([component, 0x11, 0]));
    let mut stream = [vec![0xff, 0xd8], segment(0xf7, &frame)].concat();
    if let Some(preset) = plan.preset {
        let words = [(1 << plan.precision) - 1].into_iter().chain(preset);
        let body: Vec<u8> =
            [1].into_iter().chain(words.flat_map(|word| (word as u16).to_be_bytes())).collect();
        stream.extend(segment(0xf8, &body));
    }
    if plan.restart > 0 {
        stream.extend(segment(0xdd, &(plan.restart as u16).to_be_bytes()));
    }
    let all: Vec<usize> = (0..count).collect();
    let mut seen = picture.to_vec();
    for components in all.chunks(if plan.interleave == 0 { 1 } else { count }) {
        let mut body = vec![components.len() as u8];
        components.iter().for_each(|component| body.extend([*component as u8 + 1, 0]));
        body.extend([plan.near as u8, plan.interleave, 0]);
        stream.extend(segment(0xda, &body));
        let together = if plan.interleave == 2 { count } else { 1 };
        let mut coder = Coder::new(plan);
        let mut lines = vec![(vec![vec![0; together]; columns + 2], 0); components.len() / together];
        for y in 0..rows {
            if plan.restart > 0 && y > 0 && y % plan.restart == 0 {
                stream.extend(coder.out.finish());
                stream.extend([0xff, 0xd0 + (y / plan.restart - 1) as u8 % 8]);
                coder = Coder::new(plan);
                lines.fill((vec![vec![0; together]; columns + 2], 0));
            }
            for (components, (above, index)) in components.chunks(together).zip(&mut lines) {
                let place = |x: usize, component: usize| (y * columns + x) * count + component;
                let mut line = vec![vec![0; together]; columns + 2];
                for x in 0..columns {
                    line[x + 1] = components.iter().map(|one| i32::from(picture[place(x, *one)])).collect();
                }
                coder.line(above, &mut line, index);
                for x in 0..columns {
                    components
                        .iter()
                        .zip(&line[x + 1])
                        .for_each(|(one, value)| seen[place(x, *one)] = *value as u16);
                }
                *above = line;
            }
        }
        stream.extend(coder.out.finish());
    }
    stream.extend([0xff, 0xd9]);
    (stream, seen)
}

/// Encodes a picture; it must come back as its coder saw it, and near what it was.
fn comes_back(geometry: &Geometry, plan: &Plan) -> Vec<u8> {
    let picture = texture(geometry, plan.precision);
    let (stream, seen) = encode(&picture, geometry, plan);
    let near = picture.iter().zip(&seen).all(|(one, other)| i32::from(one.abs_diff(*other)) <= plan.near);
    assert!(near, "{plan:?}");
    let wanted = bytes_of(&seen, geometry.bits_allocated);
    assert!(decoded(Codec::JpegLs, &stream, geometry).unwrap() == wanted, "{geometry:?} {plan:?}");
    stream
}

#[test]
fn every_depth_and_interleave_comes_back() {
    for precision in 2..=16 {
        let bits = if precision <= 8 { 8 } else { 16 };
        comes_back(&geometry(41, 29, 1, bits), &Plan { precision, ..PLAIN });
        for interleave in 0..=2 {
            comes_back(&geometry(41, 29, 3, bits), &Plan { precision, interleave, ..PLAIN });
        }
    }
    for (columns, rows) in [(1, 1), (1, 9), (9, 1), (2, 2)] {
        comes_back(&geometry(columns, rows, 1, 16), &PLAIN);
        comes_back(&geometry(columns, rows, 4, 8), &Plan { interleave: 2, ..PLAIN });
    }
}

#[test]
fn near_lossless_restarts_and_presets_come_back() {
    for near in 1..=5 {
        for interleave in 0..=2 {
            comes_back(&geometry(41, 29, 3, 8), &Plan { near, interleave, ..PLAIN });
            comes_back(&geometry(41, 29, 2, 16), &Plan { precision: 12, near, interleave, ..PLAIN });
        }
    }
    for interleave in 0..=2 {
        comes_back(&geometry(33, 40, 3, 8), &Plan { restart: 3, interleave, ..PLAIN });
    }
    comes_back(&geometry(41, 29, 1, 16), &Plan { precision: 12, preset: Some([9, 30, 70, 31]), ..PLAIN });
}

#[test]
fn the_standards_example_is_read() {
    // T.87 H.3
    let stream = [
        0xff, 0xd8, 0xff, 0xf7, 0, 11, 8, 0, 4, 0, 4, 1, 1, 0x11, 0, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0,
        0xc0, 0, 0, 0x6c, 0x80, 0x20, 0x8e, 1, 0xc0, 0, 0, 0x57, 0x40, 0, 0, 0x6e, 0xe6, 0, 0, 1, 0xbc, 0x18,
        0, 0, 5, 0xd8, 0, 0, 0x91, 0x60, 0xff, 0xd9,
    ];
    let picture = [0, 0, 90, 74, 68, 50, 43, 205, 64, 145, 145, 145, 100, 145, 145, 145];
    assert_eq!(decoded(Codec::JpegLs, &stream, &geometry(4, 4, 1, 8)).unwrap(), picture);
    let said = header(Codec::JpegLs, &stream).unwrap();
    assert_eq!((said.columns, said.rows, said.samples_per_pixel, said.precision), (4, 4, 1, 8));
}

/// Three components of 8 bits, interleaved by sample, by CharLS:
/// `jpeg_ls.encode_array((numpy.arange(189) ** 2 % 251).astype("u1").reshape(7, 9, 3), interleave_mode=2)`
const BY_SAMPLE: &[u8] = &[
    255, 216, 255, 247, 0, 17, 8, 0, 7, 0, 9, 3, 1, 17, 0, 2, 17, 0, 3, 17, 0, 255, 218, 0, 12, 3, 1, 0, 2,
    0, 3, 0, 0, 2, 0, 68, 16, 96, 20, 0, 160, 0, 163, 224, 0, 2, 155, 136, 90, 221, 95, 201, 37, 51, 57, 196,
    246, 0, 31, 17, 197, 22, 219, 189, 242, 252, 124, 0, 1, 64, 0, 64, 0, 0, 26, 112, 0, 0, 25, 226, 216, 0,
    0, 12, 51, 203, 88, 0, 0, 13, 210, 138, 31, 80, 0, 0, 27, 0, 0, 0, 25, 80, 3, 0, 0, 0, 216, 128, 28, 26,
    105, 72, 222, 112, 0, 0, 1, 177, 63, 128, 0, 1, 194, 178, 17, 58, 186, 89, 148, 0, 0, 6, 197, 122, 116,
    16, 198, 80, 0, 0, 27, 176, 0, 0, 27, 16, 0, 0, 31, 179, 128, 0, 0, 15, 24, 0, 0, 13, 128, 0, 0, 13, 208,
    0, 0, 13, 128, 0, 0, 13, 129, 100, 150, 123, 103, 87, 128, 0, 0, 212, 169, 128, 0, 0, 221, 21, 70, 240,
    0, 0, 24, 200, 107, 42, 135, 11, 19, 95, 22, 7, 255, 5, 199, 113, 221, 241, 221, 106, 119, 0, 0, 1, 205,
    84, 55, 172, 197, 144, 0, 0, 27, 189, 99, 234, 156, 0, 0, 7, 140, 0, 0, 5, 216, 222, 0, 0, 3, 120, 121,
    0, 0, 1, 186, 35, 178, 171, 172, 139, 60, 125, 44, 21, 201, 179, 87, 149, 128, 0, 0, 54, 57, 109, 16, 13,
    224, 0, 0, 50, 22, 212, 204, 195, 123, 14, 91, 249, 228, 0, 0, 6, 196, 174, 97, 53, 137, 224, 0, 0, 54,
    38, 229, 96, 0, 0, 15, 88, 0, 0, 14, 216, 0, 0, 13, 128, 0, 0, 13, 128, 0, 0, 13, 129, 220, 0, 0, 6, 208,
    134, 162, 210, 119, 119, 176, 68, 19, 86, 11, 145, 156, 133, 192, 0, 0, 26, 78, 28, 85, 131, 250, 231,
    42, 250, 176, 81, 92, 176, 144, 213, 139, 245, 177, 244, 64, 31, 192, 255, 217,
];

/// Grey of 4 bits with errors of at most 1, by CharLS:
/// `jpeg_ls.encode_array((numpy.arange(63) ** 2 % 16).astype("u1").reshape(7, 9), lossy_error=1)`
const NEAR: &[u8] = &[
    255, 216, 255, 247, 0, 11, 4, 0, 7, 0, 9, 1, 1, 17, 0, 255, 218, 0, 8, 1, 1, 0, 1, 0, 0, 219, 49, 34, 86,
    70, 100, 169, 23, 84, 171, 93, 73, 86, 30, 169, 86, 129, 85, 85, 83, 149, 86, 180, 255, 217,
];

#[test]
fn streams_of_charls_are_read() {
    let wanted: Vec<u8> = (0..189_u32).map(|value| (value.pow(2) % 251) as u8).collect();
    assert_eq!(decoded(Codec::JpegLs, BY_SAMPLE, &geometry(9, 7, 3, 8)).unwrap(), wanted);
    let wanted: [u8; 63] = [
        0, 0, 3, 9, 0, 9, 4, 2, 0, 0, 3, 9, 0, 9, 3, 0, 0, 0, 3, 10, 0, 9, 5, 0, 0, 0, 3, 8, 0, 9, 3, 0, 0,
        0, 3, 9, 0, 9, 4, 0, 0, 0, 3, 9, 0, 9, 3, 2, 0, 0, 3, 10, 0, 9, 5, 0, 0, 0, 4, 8, 0, 9, 5,
    ];
    assert_eq!(decoded(Codec::JpegLs, NEAR, &geometry(9, 7, 1, 8)).unwrap(), wanted);
}

#[test]
fn damage_is_survived() {
    for (samples, plan) in [
        (1, PLAIN),
        (3, Plan { interleave: 1, ..PLAIN }),
        (3, Plan { interleave: 2, near: 2, ..PLAIN }),
        (1, Plan { precision: 16, restart: 4, ..PLAIN }),
    ] {
        let geometry = geometry(41, 29, samples, 16);
        survives(Codec::JpegLs, &comes_back(&geometry, &plan), &geometry, 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_picture_comes_back(
        picture in proptest::collection::vec(prop_oneof![Just(0_u16), Just(4095), 0_u16..4096], 6 * 5 * 3),
        near in 0_i32..4,
        interleave in 0_u8..3,
    ) {
        let geometry = geometry(6, 5, 3, 16);
        let (stream, seen) = encode(&picture, &geometry, &Plan { precision: 12, near, interleave, ..PLAIN });
        prop_assert_eq!(decoded(Codec::JpegLs, &stream, &geometry).unwrap(), bytes_of(&seen, 16));
    }

    #[test]
    fn any_scan_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), interleave in 0_u8..3) {
        let geometry = geometry(16, 16, 3, 8);
        let (mut stream, _) = encode(&[0; 768], &geometry, &Plan { interleave, ..PLAIN });
        let at = stream.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        stream.truncate(at + 2 + usize::from(stream[at + 3]));
        stream.extend(bytes);
        let _ = decoded(Codec::JpegLs, &stream, &geometry);
    }
}

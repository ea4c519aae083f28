//! What the header of an H.264 stream says of its fields: ITU-T H.264, clause 7.3.2.1.1.

/// Profiles whose sets hold the lines on chroma and on scaling.
const HIGH_PROFILES: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
const MOST_LISTS: u32 = 12;

/// Whether every picture is a whole frame, by the configuration record of MP4 and Matroska (ISO/IEC 14496-15, 5.3.3.1);
/// none if it is not such a record or damaged.
pub(super) fn has_frames_alone(record: &[u8]) -> Option<bool> {
    let [1, _, _, _, _, count, rest @ ..] = record else { return None };
    let (mut rest, mut alone) = (rest, None);
    for _ in 0..count & 0x1F {
        let (length, after) = rest.split_first_chunk()?;
        let set = after.get(..usize::from(u16::from_be_bytes(*length)))?;
        rest = &after[set.len()..];
        alone = Some(alone != Some(false) && frames_alone(set)?);
    }
    alone
}

/// `frame_mbs_only_flag` of a sequence parameter set, with its header of one byte.
fn frames_alone(set: &[u8]) -> Option<bool> {
    let mut bits = Bits { bytes: unescaped(set.get(1..)?), at: 0 };
    let profile = bits.fixed(8)?;
    bits.fixed(16)?;
    bits.golomb()?;
    if HIGH_PROFILES.contains(&profile) {
        let chroma = bits.golomb()?;
        if chroma == 3 {
            bits.fixed(1)?;
        }
        bits.golomb()?;
        bits.golomb()?;
        bits.fixed(1)?;
        if bits.fixed(1)? == 1 {
            let lists = if chroma == 3 { MOST_LISTS } else { 8 };
            (0..lists).try_for_each(|list| bits.scaling(if list < 6 { 16 } else { 64 }))?;
        }
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => drop(bits.golomb()?),
        1 => {
            bits.fixed(1)?;
            bits.golomb()?;
            bits.golomb()?;
            let offsets = bits.golomb()?;
            (0..offsets.min(255)).try_for_each(|_| bits.golomb().map(drop))?;
        }
        _ => {}
    }
    bits.golomb()?;
    bits.fixed(1)?;
    bits.golomb()?;
    bits.golomb()?;
    Some(bits.fixed(1)? == 1)
}

/// The content of a unit, without the bytes that break up what looks like a start code.
fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut content: Vec<u8> = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        match (zeros, byte) {
            (2.., 3) => zeros = 0,
            _ => {
                zeros = if byte == 0 { zeros + 1 } else { 0 };
                content.push(byte);
            }
        }
    }
    content
}

/// Bits, the most significant one first.
struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// So many bits as a number, at most 32.
    fn fixed(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// An Exp-Golomb code without a sign.
    fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.fixed(1)? == 0 {
            zeros += 1;
        }
        let rest = if zeros < 32 { self.fixed(zeros)? } else { return None };
        Some((1 << zeros) - 1 + rest)
    }

    /// Passes over a scaling list, if there is one. Codes with a sign alternate: 0, 1, −1, 2, −2.
    fn scaling(&mut self, length: u32) -> Option<()> {
        if self.fixed(1)? == 0 {
            return Some(());
        }
        let (mut last, mut next) = (8, 8);
        for _ in 0..length {
            if next != 0 {
                let code = i64::from(self.golomb()?);
                let delta = if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 };
                next = (last + delta).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sets: &[&[u8]]) -> Vec<u8> {
        let mut record = vec![1, 100, 0, 13, 0xFF, 0xE0 | sets.len() as u8];
        for set in sets {
            record.extend((set.len() as u16).to_be_bytes());
            record.extend_from_slice(set);
        }
        record
    }

    fn bytes(digits: &str, radix: u32, each: usize) -> Vec<u8> {
        let digits = digits.replace(' ', "");
        (0..digits.len())
            .step_by(each)
            .map(|at| u8::from_str_radix(&digits[at..at + each], radix).unwrap())
            .collect()
    }

    #[test]
    fn fields_are_known_from_the_header() {
        // Written by x264, but for the last one.
        let sets = [
            ("6764000aacd94209b011000003000100000300320f122596", true),
            ("67640015acd942136022000003000200000300643e28532c", false),
            ("67f4000a919b2841360220000003002000000641e244b2c0", true),
            ("6742c00ad90209b011000003000100000300320f122648", true),
            ("676e0015a6cd9421360220000003002000000643e28532c0", false),
            ("674d00288d8d410890", false),
        ];
        for (set, alone) in sets {
            assert_eq!(has_frames_alone(&record(&[&bytes(set, 16, 2)])), Some(alone), "{set}");
        }
        let [frames, fields] = [0, 1].map(|set: usize| bytes(sets[set].0, 16, 2));
        assert_eq!(has_frames_alone(&record(&[&frames, &fields])), Some(false));
        assert_eq!(has_frames_alone(&record(&[&frames, &frames])), Some(true));
    }

    #[test]
    fn scaling_lists_are_passed_over() {
        // Set, chroma, depths; then lists, the first with differences of 1; then the numbers up to the flag.
        let before = "01100111 01100100 00000000 00010101 1 010 1 1 0 1";
        let list = ["1", &"010".repeat(16), "0000000"].concat();
        let after = "1 1 1 010 0 0001000 00100";
        for (flag, alone) in [("1", true), ("0", false)] {
            let bits = [before, &list, after, flag, "1"].concat().replace(' ', "");
            let set = bytes(&format!("{bits:0<width$}", width = bits.len().next_multiple_of(8)), 2, 8);
            assert_eq!(has_frames_alone(&record(&[&set])), Some(alone));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_not(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            has_frames_alone(&bytes);
            has_frames_alone(&record(&[&bytes]));
        }
    }
}

//! Colours that stand for stored numbers (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2).

use super::layout::Sign;
use super::table::{Descriptor, Table};
use super::tag;
use super::value::{Item, each};
use crate::error::{Error, Result};

/// A table each for red, green and blue.
pub(super) struct Palette([Table; 3]);

/// Descriptor, entries and segments of a colour.
const COLOURS: [[u32; 3]; 3] = [
    [tag::RED_DESCRIPTOR, tag::RED_DATA, tag::RED_SEGMENTS],
    [tag::GREEN_DESCRIPTOR, tag::GREEN_DATA, tag::GREEN_SEGMENTS],
    [tag::BLUE_DESCRIPTOR, tag::BLUE_DATA, tag::BLUE_SEGMENTS],
];

impl Palette {
    /// The palette of a data set.
    ///
    /// # Errors
    /// [`Error::Input`] if one of its tables is missing or not whole.
    pub(super) fn read(name: &str, set: &Item, sign: Sign) -> Result<Self> {
        let [red, green, blue] = COLOURS;
        Ok(Self([
            table(name, set, red, sign)?,
            table(name, set, green, sign)?,
            table(name, set, blue, sign)?,
        ]))
    }

    /// The colour of a stored number, 8 bits each: of wider entries the high byte.
    pub(super) fn colour(&self, stored: f64) -> [u8; 3] {
        [0, 1, 2].map(|colour| {
            let table = &self.0[colour];
            (table.at(stored) >> (table.bits - 8)).min(255) as u8
        })
    }
}

fn table(name: &str, set: &Item, [descriptor, data, segments]: [u32; 3], sign: Sign) -> Result<Table> {
    let thing = format!("{name}: palette");
    let descriptor = Descriptor::read(&thing, set, descriptor, sign)?;
    let entries = match (set.bytes(data), set.bytes(segments)) {
        (Some((_, bytes)), _) => descriptor.entries(&thing, bytes)?,
        (None, Some((_, bytes))) => {
            let words: Vec<u16> = match descriptor.bits {
                8 => bytes.iter().map(|byte| u16::from(*byte)).collect(),
                _ => each(bytes, u16::from_le_bytes).collect(),
            };
            expand(&words, descriptor).ok_or_else(|| {
                Error::input(&thing, format!("segments of {} entries", descriptor.entries), "others")
                    .hint("store the picture in RGB")
            })?
        }
        (None, None) => {
            return Err(Error::input(&thing, "a table each for red, green and blue", "none")
                .hint("the file is damaged: copy or export it again"));
        }
    };
    Ok(descriptor.table(entries))
}

/// Segments to entries: 0 lists them, 1 goes on in a straight line, 2 repeats segments from before.
fn expand(words: &[u16], descriptor: Descriptor) -> Option<Vec<u16>> {
    let wide = |low: u16, high: u16| match descriptor.bits {
        // Four bytes, each a word here, of which two have been taken.
        8 => usize::from(low) | usize::from(high) << 8,
        _ => usize::from(low) | usize::from(high) << 16,
    };
    let mut entries = Vec::new();
    let mut at = 0;
    while at < words.len() && entries.len() < descriptor.entries {
        let (kind, count) = (words[at], usize::from(*words.get(at + 1)?));
        match kind {
            0 | 1 => at = segment(words, at, &mut entries)?,
            2 => {
                let offset = match descriptor.bits {
                    8 => {
                        wide(*words.get(at + 2)?, *words.get(at + 3)?)
                            | wide(*words.get(at + 4)?, *words.get(at + 5)?) << 16
                    }
                    _ => wide(*words.get(at + 2)?, *words.get(at + 3)?) * 2,
                };
                // Offsets count bytes; words here are bytes of 8-bit tables and pairs of others.
                let mut from = if descriptor.bits == 8 { offset } else { offset / 2 };
                for _ in 0..count {
                    from = segment(words, from, &mut entries)?;
                    if entries.len() > descriptor.entries {
                        return None;
                    }
                }
                at += if descriptor.bits == 8 { 6 } else { 4 };
            }
            _ => break,
        }
    }
    (entries.len() == descriptor.entries).then_some(entries)
}

/// A segment that is not one from before. Returns where the next one begins.
fn segment(words: &[u16], at: usize, entries: &mut Vec<u16>) -> Option<usize> {
    let count = usize::from(*words.get(at + 1)?);
    match words.get(at)? {
        0 => {
            entries.extend_from_slice(words.get(at + 2..at + 2 + count)?);
            Some(at + 2 + count)
        }
        1 => {
            let (from, to) = (f64::from(*entries.last()?), f64::from(*words.get(at + 2)?));
            let step = |place: usize| (from + (to - from) * place as f64 / count as f64).round() as u16;
            entries.extend((1..=count).map(step));
            Some(at + 3)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tag::Form;
    use super::super::value::Value;
    use super::*;

    fn set(descriptor: [u16; 3], [data, segments]: [Option<&[u8]>; 2]) -> Item {
        let mut set = Item::default();
        let bytes: Vec<u8> = descriptor.iter().flat_map(|number| number.to_le_bytes()).collect();
        for [head, entries, pieces] in COLOURS {
            set.push(head, Value::Plain(Form::U16, bytes.clone()));
            for (tag, bytes) in [(entries, data), (pieces, segments)] {
                if let Some(bytes) = bytes {
                    set.push(tag, Value::Plain(Form::U16, bytes.to_vec()));
                }
            }
        }
        set
    }

    #[test]
    fn colours_are_the_high_bytes_of_their_entries() {
        let palette =
            Palette::read("x", &set([2, 1, 16], [Some(&[0xFF, 0x01, 0x00, 0x80]), None]), Sign::None)
                .unwrap();
        assert_eq!([palette.colour(0.0), palette.colour(2.0)], [[1; 3], [128; 3]]);
        let narrow = Palette::read("x", &set([2, 0, 8], [Some(&[3, 200]), None]), Sign::None).unwrap();
        assert_eq!(narrow.colour(1.0), [200; 3]);
        assert!(Palette::read("x", &set([2, 0, 8], [None, None]), Sign::None).is_err());
    }

    #[test]
    fn segments_are_expanded() {
        let words = [0_u16, 2, 0, 256, 1, 2, 768, 2, 1, 0, 0];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let palette = Palette::read("x", &set([6, 0, 16], [None, Some(&bytes)]), Sign::None).unwrap();
        let reds = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(|number| palette.colour(number)[0]);
        assert_eq!(reds, [0, 1, 2, 3, 0, 1]);
        for damaged in [&bytes[..bytes.len() - 6], &bytes[..4], &[1, 0, 1, 0, 0, 0]] {
            assert!(Palette::read("x", &set([6, 0, 16], [None, Some(damaged)]), Sign::None).is_err());
        }
    }
}

//! Look-up tables (PS3.3 C.11.1, C.11.2, C.7.6.3.1.5).

use super::layout::Sign;
use super::tag;
use super::value::{Item, each};
use crate::error::{Error, Result};

/// Numbers that stand for stored ones.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// The number that the first entry stands for. Lower ones have the first entry, higher ones than the last the last.
    first: f64,
    entries: Vec<u16>,
    /// Bits of an entry.
    pub(super) bits: u32,
}

/// What a table says of itself: three numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptor {
    pub(super) entries: usize,
    first: f64,
    pub(super) bits: u32,
}

impl Descriptor {
    /// Reads it. Of signed pixels the first number is signed too.
    ///
    /// # Errors
    /// [`Error::Input`] if it has no three lawful numbers.
    pub(super) fn read(name: &str, item: &Item, tag: u32, sign: Sign) -> Result<Self> {
        let wanted = "three numbers: entries, the first number, 8 to 16 bits";
        let Some([entries, first, bits]) = item.vector::<3>(tag) else {
            return Err(Error::input(format!("{name}: look-up table descriptor"), wanted, "fewer")
                .hint("the file is damaged: copy or export it again"));
        };
        if !(8.0..=16.0).contains(&bits) || !(0.0..=65_535.0).contains(&entries) {
            let got = format!("{entries}, {first}, {bits}");
            return Err(Error::input(format!("{name}: look-up table descriptor"), wanted, got)
                .hint("the file is damaged: copy or export it again"));
        }
        let first = if sign == Sign::TwosComplement && first > 32_767.0 { first - 65_536.0 } else { first };
        let entries = if entries == 0.0 { 65_536 } else { entries as usize };
        Ok(Self { entries, first, bits: bits as u32 })
    }

    /// A table of these entries.
    pub(super) fn table(self, entries: Vec<u16>) -> Table {
        Table { first: self.first, entries, bits: self.bits }
    }

    /// Entries from their bytes, of which there are one or two for each.
    ///
    /// # Errors
    /// [`Error::Input`] if there are fewer than are promised.
    pub(super) fn entries(self, name: &str, bytes: &[u8]) -> Result<Vec<u16>> {
        let entries: Vec<u16> = match self.bits == 8 && bytes.len() < 2 * self.entries {
            true => bytes.iter().map(|byte| u16::from(*byte)).take(self.entries).collect(),
            false => each(bytes, u16::from_le_bytes).take(self.entries).collect(),
        };
        match entries.len() == self.entries {
            true => Ok(entries),
            false => {
                let got = entries.len();
                Err(Error::input(format!("{name}: look-up table"), format!("{} entries", self.entries), got)
                    .hint("the file is damaged: copy or export it again"))
            }
        }
    }
}

impl Table {
    /// A table with its descriptor in one item.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not whole.
    pub(super) fn read(name: &str, item: &Item, sign: Sign) -> Result<Self> {
        let descriptor = Descriptor::read(name, item, tag::LUT_DESCRIPTOR, sign)?;
        let bytes = item.bytes(tag::LUT_DATA).map_or(&[][..], |(_, bytes)| bytes);
        Ok(descriptor.table(descriptor.entries(name, bytes)?))
    }

    /// The entry that stands for a number.
    pub(super) fn at(&self, number: f64) -> u16 {
        let place = (number - self.first).round().max(0.0) as usize;
        self.entries.get(place).or(self.entries.last()).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tag::Form;
    use super::super::value::Value;
    use super::*;

    fn item(descriptor: [u16; 3], data: &[u8]) -> Item {
        let mut item = Item::default();
        let bytes = descriptor.iter().flat_map(|number| number.to_le_bytes()).collect();
        item.push(tag::LUT_DESCRIPTOR, Value::Plain(Form::U16, bytes));
        item.push(tag::LUT_DATA, Value::Plain(Form::U16, data.to_vec()));
        item
    }

    #[test]
    fn numbers_beyond_a_table_have_its_first_and_last_entry() {
        let table = Table::read("x", &item([3, 10, 16], &[1, 0, 2, 0, 0, 3]), Sign::None).unwrap();
        assert_eq!([-5.0, 10.0, 11.0, 12.0, 99.0].map(|number| table.at(number)), [1, 1, 2, 768, 768]);
        let signed = Table::read("x", &item([2, 0xFFFF, 8], &[7, 9]), Sign::TwosComplement).unwrap();
        assert_eq!([-1.0, 0.0].map(|number| signed.at(number)), [7, 9]);
        for (descriptor, data) in [([4, 0, 16], &[1, 0][..]), ([1, 0, 17], &[1, 0]), ([1, 0, 0], &[1, 0])] {
            assert!(Table::read("x", &item(descriptor, data), Sign::None).is_err());
        }
        assert_eq!(
            Table::read("x", &item([0, 0, 16], &vec![1; 131_072]), Sign::None).unwrap().entries.len(),
            65_536
        );
    }
}

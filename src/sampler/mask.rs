//! Which tokens a constraint allows.

/// A set of token ids, a bit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mask(Vec<u32>);

impl Mask {
    /// From words of 32 ids each, lowest id in the lowest bit.
    #[cfg_attr(not(feature = "constrained"), allow(dead_code))]
    pub(crate) fn from_words(words: Vec<u32>) -> Self {
        Self(words)
    }

    /// Whether the set holds this id.
    #[cfg(test)]
    pub(crate) fn allows(&self, id: u32) -> bool {
        self.0.get(id as usize / 32).is_some_and(|word| word >> (id % 32) & 1 == 1)
    }

    /// Takes an id out.
    pub(crate) fn forbid(&mut self, id: u32) {
        if let Some(word) = self.0.get_mut(id as usize / 32) {
            *word &= !(1 << (id % 32));
        }
    }

    /// The ids of the set in ascending order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().enumerate().flat_map(|(place, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                // Takes the lowest bit away; of nothing there is none.
                (rest != 0).then(|| {
                    rest &= rest - 1;
                    place as u32 * 32 + bit
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bits() {
        let mut mask = Mask::from_words(vec![0b101, 0, 1 << 31]);
        assert_eq!(mask.ids().collect::<Vec<_>>(), [0, 2, 95]);
        assert!(mask.allows(95) && !mask.allows(1) && !mask.allows(96) && !mask.allows(u32::MAX));
        mask.forbid(2);
        mask.forbid(1000);
        assert_eq!(mask.ids().collect::<Vec<_>>(), [0, 95]);
    }
}

//! Which slot a request is given, and where a step has its slots.

use super::contents::{Contents, Token};

/// A slot that no request is using.
pub(super) struct Free<'a> {
    pub(super) slot: usize,
    pub(super) contents: &'a Contents,
    /// When it was last used; the larger the later.
    pub(super) used: u64,
}

/// The slot for a prompt: the one that holds most of it, if that is at least half of the slot's tokens; else the least
/// recently used one. So a few common words do not overwrite another conversation.
pub(super) fn choose<'a>(free: impl Iterator<Item = Free<'a>> + Clone, prompt: &[Token]) -> Option<usize> {
    let shared = free.clone().map(|free| (free.contents.shared(prompt), free));
    let worth = shared.filter(|(shared, free)| *shared > 0 && 2 * shared >= free.contents.tokens.len());
    let best = worth.max_by_key(|(shared, free)| (*shared, free.used));
    let oldest = || free.min_by_key(|free| (!free.contents.tokens.is_empty(), free.used));
    best.map(|(_, free)| free).or_else(oldest).map(|free| free.slot)
}

/// Where a step may have its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepPlaces {
    Anywhere,
    /// The first ones, because a recording is bound to its slots: this keeps at most one recording for each number of slots.
    First,
}

/// Brings active slots together: a step runs over neighbouring slots and must not compute idle ones. Returns the first of
/// the places and the fewest exchanges that fill them.
///
/// Moving a conversation copies its keys and values once. A step over idle slots would compute them every time, and a graph
/// that gathers slots would copy every time.
pub(super) fn gather(active: &[usize], places: StepPlaces) -> (usize, Vec<(usize, usize)>) {
    let inside = |first: usize, slot: usize| (first..first + active.len()).contains(&slot);
    let best = active.iter().map(|&slot| (slot + 1).saturating_sub(active.len()));
    let best =
        best.chain(active.iter().copied()).filter(|first| places == StepPlaces::Anywhere || *first == 0);
    let count = |first: &usize| active.iter().filter(|&&slot| inside(*first, slot)).count();
    let last = active.iter().max().copied().unwrap_or_default();
    let first = best.filter(|first| first + active.len() <= last + 1).max_by_key(count).unwrap_or_default();
    let outside = active.iter().copied().filter(|&slot| !inside(first, slot));
    let gaps = (first..first + active.len()).filter(|slot| !active.contains(slot));
    (first, outside.zip(gaps).collect())
}

/// How many of `rest` tokens the next chunk takes. It never takes or leaves a single one: the kernel for one token differs
/// from the kernel for several in the last bits.
pub(super) fn chunk_length(rest: usize, chunk: usize) -> usize {
    match rest {
        rest if rest <= chunk => rest,
        rest if rest == chunk + 1 => chunk - 1,
        _ => chunk,
    }
}

/// How many tokens of a prompt may come from memory: the last two are always run, for their logits.
pub(super) fn most_shared(prompt: &[Token]) -> usize {
    prompt.len().saturating_sub(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(ids: &[u32]) -> Contents {
        let mut held = Contents::default();
        held.extend(&text(ids));
        held
    }

    fn text(ids: &[u32]) -> Vec<Token> {
        ids.iter().map(|&id| Token::Text(id)).collect()
    }

    #[test]
    fn slots_are_chosen_by_what_they_hold_then_by_age() {
        let slots = [held(&[1, 2, 3, 4]), held(&[]), held(&[1, 9, 9, 9, 9]), held(&[1, 2, 3, 4, 5, 6])];
        let free = |slots: &'static [usize]| {
            let held = slots.iter().map(|&slot| (slot, [4, 9, 2, 3][slot]));
            move |all: &[Contents; 4], prompt: &[u32]| {
                let free = held.clone().map(|(slot, used)| Free { slot, contents: &all[slot], used });
                choose(free.collect::<Vec<_>>().iter().map(|f| Free { ..*f }), &text(prompt))
            }
        };
        let all = free(&[0, 1, 2, 3]);
        assert_eq!(all(&slots, &[1, 2, 3, 4, 5, 7]), Some(3));
        assert_eq!(all(&slots, &[1, 2, 3, 4]), Some(0), "the later of equals");
        assert_eq!(all(&slots, &[1, 7]), Some(1), "an empty one before a conversation is lost");
        assert_eq!(free(&[0, 2, 3])(&slots, &[1, 7]), Some(2), "the oldest");
        assert_eq!(free(&[])(&slots, &[1]), None);
    }

    proptest! {
        #[test]
        fn gathered_slots_are_neighbours(
            active in proptest::collection::btree_set(0usize..12, 1..12),
            wanted in prop_oneof![Just(StepPlaces::Anywhere), Just(StepPlaces::First)],
        ) {
            let active: Vec<_> = active.into_iter().collect();
            let (first, exchanges) = gather(&active, wanted);
            prop_assert!(wanted == StepPlaces::Anywhere || first == 0);
            let mut places: Vec<_> = active.iter().map(|slot| {
                exchanges.iter().find(|(from, _)| from == slot).map_or(*slot, |(_, to)| *to)
            }).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (first..first + active.len()).collect::<Vec<_>>());
            prop_assert!(exchanges.iter().all(|(_, to)| !active.contains(to)));
            let in_place = wanted == StepPlaces::Anywhere || active[0] == 0;
            if in_place && active.windows(2).all(|pair| pair[0] + 1 == pair[1]) {
                prop_assert!(exchanges.is_empty());
            }
        }

        #[test]
        fn no_chunk_is_a_single_token(total in 2usize..2000, chunk in 4usize..600) {
            let mut rest = total;
            while rest > 0 {
                let length = chunk_length(rest, chunk);
                prop_assert!(length >= 2 && length <= chunk && length <= rest);
                rest -= length;
            }
        }
    }
}

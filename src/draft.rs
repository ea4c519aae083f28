//! Prompt lookup: the tokens that came after the same words before.

/// Longest run of tokens that is looked up.
const LONGEST: usize = 3;
/// A single token comes again too often by chance to say what follows.
const SHORTEST: usize = 2;

/// Up to `most` tokens that followed when the last few of `history` (prompt and reply) stood there before: the longest
/// run counts, and of several places the last. Empty if nothing came before.
///
/// A guess costs little when it is wrong and saves a step for each token that is right; the reply is the same either
/// way, because each guess is kept only if the logits choose it.
pub(crate) fn draft(history: &[u32], most: usize) -> Vec<u32> {
    for length in (SHORTEST..=LONGEST.min(history.len())).rev() {
        let run = &history[history.len() - length..];
        // A place may overlap the run itself: that is how a repetition goes on.
        let before = &history[..history.len() - 1];
        if let Some(at) = before.windows(length).rposition(|window| window == run) {
            return follow(history, at + length, most);
        }
    }
    Vec::new()
}

/// The tokens from a place on; beyond the end the guess itself goes on, so that a repetition repeats.
fn follow(history: &[u32], from: usize, most: usize) -> Vec<u32> {
    let mut guess = Vec::with_capacity(most);
    for place in from..from + most {
        guess.push(history.get(place).copied().unwrap_or_else(|| guess[place - history.len()]));
    }
    guess
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_before() {
        let table: &[(&[u32], usize, &[u32])] = &[
            (&[], 4, &[]),
            (&[1], 4, &[]),
            (&[1, 2, 3], 4, &[]),
            // one token is no reason to guess
            (&[1, 2, 3, 1], 4, &[]),
            (&[1, 2, 3, 4, 5, 1, 2], 4, &[3, 4, 5, 1]),
            (&[1, 2, 3, 1, 2], 7, &[3, 1, 2, 3, 1, 2, 3]),
            (&[1, 2, 3, 4, 5, 1, 2], 2, &[3, 4]),
            (&[1, 2, 3, 4, 5, 1, 2], 0, &[]),
            // the longer run counts, though the shorter came later
            (&[1, 2, 3, 7, 2, 3, 8, 1, 2, 3], 1, &[7]),
            // of several places the last
            (&[1, 2, 7, 1, 2, 8, 1, 2], 1, &[8]),
            // a repetition goes on
            (&[5, 5, 5], 4, &[5, 5, 5, 5]),
            (&[1, 2, 1, 2, 1, 2], 3, &[1, 2, 1]),
        ];
        for (history, most, wanted) in table {
            assert_eq!(draft(history, *most), *wanted, "{history:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_draft_stands_in_the_history(history in proptest::collection::vec(0u32..4, 0..40), most in 0usize..8) {
            let guess = draft(&history, most);
            proptest::prop_assert!(guess.len() <= most);
            if !guess.is_empty() {
                let written = [&history[history.len() - SHORTEST..], &guess].concat();
                let all = [&history[..], &guess].concat();
                let before = &all[..all.len() - 1];
                proptest::prop_assert!(before.windows(written.len()).any(|window| window == written));
            }
        }
    }
}

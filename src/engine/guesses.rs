//! What a sequence that guesses ahead knows.

/// What a sequence that guesses ahead knows.
pub(super) struct Guesses {
    /// Prompt and reply.
    pub(super) history: Vec<u32>,
    /// How many tokens to guess next: more while they are right.
    pub(super) length: usize,
    most: usize,
    /// Tokens in the slot before the first that a guess wrote.
    pub(super) written_from: Option<usize>,
    pub(super) counts: Guessed,
}

/// How well a sequence guessed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Guessed {
    pub(super) drafted: usize,
    pub(super) accepted: usize,
}

/// Far more than the logits of guesses were ever seen to differ from those of steps in f32; see ARCHITECTURE.md.
const DOUBT: f32 = 1e-3;

/// How many tokens to guess at first.
const FIRST: usize = 4;

impl Guesses {
    pub(super) fn new(most: usize, prompt: &[i64]) -> Self {
        Self {
            history: prompt.iter().map(|&id| id as u32).collect(),
            length: most.min(FIRST),
            most,
            written_from: None,
            counts: Guessed::default(),
        }
    }

    /// How far apart two logits must be to tell which token a step would have chosen, if that is in question.
    pub(super) fn doubt(&self) -> Option<f32> {
        self.written_from.map(|_| DOUBT)
    }

    /// Whether the last guess was right enough to be worth a run of its own, where the token could be had in a step with
    /// others.
    pub(super) fn does_well(&self) -> bool {
        self.length >= self.most.min(FIRST)
    }

    /// Adapts the length of the next guess.
    pub(super) fn learn(&mut self, drafted: usize, accepted: usize) {
        self.length = match accepted == drafted {
            true => (2 * drafted).min(self.most),
            false => accepted.max(1),
        };
    }
}

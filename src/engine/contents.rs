//! What a slot of the KV cache holds.

use crate::pixels::Digest;

/// What stands at one position of a conversation. Two different pictures have the same token ids, so a picture's
/// position is known by the digest of its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Text(u32),
    /// The first token of a conversation that no other scope may reuse.
    Scoped {
        id: u32,
        scope: Digest,
    },
    Picture {
        tile: Digest,
        /// Row of the tile's embeddings.
        row: u32,
    },
}

impl Token {
    /// The same token as the first one of a conversation that no other scope may reuse. A picture's digest says so itself.
    pub(super) fn within(self, scope: &[u8]) -> Self {
        match self {
            Token::Text(id) => Token::Scoped { id, scope: Digest::of(scope) },
            other => other,
        }
    }
}

/// The tokens whose keys and values a slot holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) tokens: Vec<Token>,
    /// How many of them may be taken over by another conversation. Attention to one new token uses another kernel than
    /// attention to several and differs from it in the last bits, so what a reply's steps wrote is not what a
    /// prefill of the same tokens would have written. Only the latter is shared, and answers do not depend on it.
    pub(super) shareable: usize,
}

impl Contents {
    /// How many of the first tokens of a prompt are here to be taken over.
    pub(super) fn shared(&self, prompt: &[Token]) -> usize {
        let here = self.tokens[..self.shareable].iter();
        here.zip(prompt).take_while(|(here, there)| here == there).count()
    }

    /// Forgets all but the first tokens.
    pub(super) fn truncate(&mut self, tokens: usize) {
        self.tokens.truncate(tokens);
        self.shareable = self.shareable.min(tokens);
    }

    /// Forgets all but the first tokens and tells the rest, which a reply wrote.
    pub(super) fn take_back(&mut self, tokens: usize) -> Vec<u32> {
        let text = |token: &Token| match token {
            Token::Text(id) | Token::Scoped { id, .. } => Some(*id),
            Token::Picture { .. } => None,
        };
        let rest = self.tokens[tokens..].iter().filter_map(text).collect();
        self.truncate(tokens);
        rest
    }

    /// Takes in tokens that were prefilled.
    pub(super) fn extend(&mut self, prompt: &[Token]) {
        debug_assert_eq!(self.shareable, self.tokens.len());
        self.tokens.extend_from_slice(prompt);
        self.shareable = self.tokens.len();
    }
}

#[cfg(test)]
mod tests {
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
    fn pictures_with_the_same_tokens_are_not_the_same() {
        let picture = |digest: u8| (0..4).map(move |row| Token::Picture { tile: Digest([digest; 32]), row });
        let prompt = |digest| [text(&[1, 2]), picture(digest).collect(), text(&[3])].concat();
        let mut held = Contents::default();
        held.extend(&prompt(1));
        assert_eq!(held.shared(&prompt(1)), 7);
        assert_eq!(held.shared(&prompt(2)), 2);
    }

    #[test]
    fn what_steps_wrote_is_not_shared() {
        let mut held = held(&[1, 2, 3]);
        held.tokens.push(Token::Text(4));
        assert_eq!(held.shared(&text(&[1, 2, 3, 4, 5])), 3);
        held.truncate(2);
        assert_eq!(held.shared(&text(&[1, 2, 3, 4, 5])), 2);
    }
}

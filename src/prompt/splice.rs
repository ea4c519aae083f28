//! Pieces to token ids and the splice map.

use super::pieces::{Piece, Written};
use crate::error::{Error, Result};
use crate::package::{PromptTemplate, Tokens};
use crate::tokenizer::Tokenizer;

/// The prompt as the decoder takes it.
pub(crate) struct Spliced {
    /// `[tokens]`
    pub(crate) ids: Vec<i64>,
    /// `[tokens]`: the row of the image embeddings that stands here, or −1 for text.
    pub(crate) rows: Vec<i64>,
}

impl Written {
    /// Tokenises the prompt with the image tokens of each frame in its place. `tile_tokens` holds their number, by frame.
    ///
    /// # Errors
    /// [`Error::Request`] if image tokens stand elsewhere in a reference prompt, so that rows and positions would not
    /// match.
    pub(crate) fn splice(
        &self,
        template: &PromptTemplate,
        tokens: &Tokens,
        tokenizer: &Tokenizer,
        tile_tokens: &[usize],
    ) -> Result<Spliced> {
        let mut splicer = Splicer {
            tokenizer,
            ids: Vec::new(),
            rows: Vec::new(),
            letters: String::new(),
            strips: false,
            row: 0,
        };
        let mut frames = tile_tokens.iter();
        for piece in &self.pieces {
            match piece {
                Piece::Template(text) => splicer.template(text)?,
                Piece::Letters(text) => splicer.letters(text),
                Piece::Frame => {
                    splicer.template(&template.image_start)?;
                    splicer.image(frames.next().copied().unwrap_or_default(), tokens.image_context)?;
                    splicer.template(&template.image_end)?;
                }
            }
        }
        let spliced = splicer.finish()?;
        let image = i64::from(tokens.image_context);
        let found = spliced.ids.iter().filter(|&&id| id == image).count();
        let wanted = tile_tokens.iter().sum::<usize>();
        // Without pictures nothing is spliced, and the reference too reads an image token as the text it is.
        if found != wanted && !tile_tokens.is_empty() {
            return Err(Error::request("prompt", format!("{wanted} image tokens"), found)
                .hint(format!("{} cannot be used as text", template.image_context)));
        }
        Ok(spliced)
    }
}

/// Collects ids. Letters wait until a control token ends them: words are cut without regard to where the text came from.
struct Splicer<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<i64>,
    rows: Vec<i64>,
    letters: String,
    /// Whether the last control token takes the white space after it.
    strips: bool,
    row: i64,
}

impl Splicer<'_> {
    /// Takes in text whose control tokens count.
    fn template(&mut self, mut text: &str) -> Result<()> {
        while let Some((place, token)) = self.tokenizer.find_added(text) {
            self.letters(&text[..place.start]);
            if token.strips_left {
                self.letters.truncate(self.letters.trim_end().len());
            }
            self.flush()?;
            self.push(token.id, -1);
            self.strips = token.strips_right;
            text = &text[place.end..];
        }
        self.letters(text);
        Ok(())
    }

    /// Takes in text that is its letters.
    fn letters(&mut self, text: &str) {
        let text = if self.strips { text.trim_start() } else { text };
        self.strips &= text.is_empty();
        self.letters += text;
    }

    fn image(&mut self, tokens: usize, id: u32) -> Result<()> {
        self.flush()?;
        for _ in 0..tokens {
            self.push(id, self.row);
            self.row += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let letters = std::mem::take(&mut self.letters);
        for id in self.tokenizer.encode_letters(&letters)? {
            self.push(id, -1);
        }
        Ok(())
    }

    fn push(&mut self, id: u32, row: i64) {
        self.ids.push(i64::from(id));
        self.rows.push(row);
    }

    fn finish(mut self) -> Result<Spliced> {
        self.flush()?;
        Ok(Spliced { ids: self.ids, rows: self.rows })
    }
}

//! One request on its way through the model.

use std::time::Instant;

use ndarray::{Array2, Array3, ArrayView4, Axis};

use super::Model;
use super::prepare::milliseconds;
use super::reply::Writer;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::guide::Guide;
use crate::prompt::Spliced;
use crate::request::{AskOptions, Event, Finish, StopRule, Timings};
use crate::tokenizer::Tokenizer;
use crate::vision::VisionTower;

pub(super) struct Generation<'a> {
    pub(super) options: &'a AskOptions,
    pub(super) prompt: &'a Spliced,
    /// Most tokens to generate.
    pub(super) limit: usize,
    pub(super) guide: Guide,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) timings: Timings,
    pub(super) on_event: &'a mut dyn FnMut(Event<'_>),
}

pub(super) struct Outcome {
    pub(super) finish: Finish,
    /// `[tiles, tokens per tile, hidden]`
    pub(super) embeddings: Array3<f32>,
    /// `[vocabulary]`, empty if cancelled before.
    pub(super) first_logits: Vec<f32>,
}

impl Outcome {
    fn cancelled(embeddings: Array3<f32>) -> Self {
        Self { finish: Finish::Cancelled, embeddings, first_logits: Vec::new() }
    }
}

impl Generation<'_> {
    /// Encodes the pictures, prefills the prompt and steps until the reply is done.
    pub(super) fn run(
        &mut self,
        model: &mut Model,
        pixels: ArrayView4<f32>,
        writer: &mut Writer,
    ) -> Result<Outcome> {
        let Some(embeddings) = self.encode(&mut model.vision, pixels)? else {
            return Ok(Outcome::cancelled(Array3::zeros((0, 0, 0))));
        };
        let Some(first_logits) = self.prefill(&mut model.decoder, &embeddings)? else {
            return Ok(Outcome::cancelled(embeddings));
        };
        let started = Instant::now();
        let finish = self.decode(&mut model.decoder, writer, first_logits.clone())?;
        self.timings.decode = milliseconds(started);
        Ok(Outcome { finish, embeddings, first_logits })
    }

    fn encode(&mut self, vision: &mut VisionTower, pixels: ArrayView4<f32>) -> Result<Option<Array3<f32>>> {
        let started = Instant::now();
        let total = pixels.len_of(Axis(0));
        let embeddings = vision.encode(pixels, |done| {
            (self.on_event)(Event::Encoding { done, total });
            !self.options.cancel.is_cancelled()
        })?;
        self.timings.vision = milliseconds(started);
        Ok(embeddings)
    }

    fn prefill(&mut self, decoder: &mut Decoder, embeddings: &Array3<f32>) -> Result<Option<Vec<f32>>> {
        let started = Instant::now();
        let total = self.prompt.ids.len();
        decoder.begin(total + self.limit)?;
        let (tiles, tokens, hidden) = embeddings.dim();
        let rows = (tiles > 0)
            .then(|| Array2::from_shape_vec((tiles * tokens, hidden), embeddings.iter().copied().collect()))
            .transpose()
            .map_err(|error| crate::Error::runtime("image embeddings", "one row a token", error))?;
        let logits = decoder.prefill(self.prompt, rows, |done| {
            (self.on_event)(Event::Prefilling { done, total });
            !self.options.cancel.is_cancelled()
        })?;
        self.timings.prefill = milliseconds(started);
        Ok(logits)
    }

    fn decode(&mut self, decoder: &mut Decoder, writer: &mut Writer, mut logits: Vec<f32>) -> Result<Finish> {
        for made in 1.. {
            if self.options.cancel.is_cancelled() {
                break;
            }
            let chosen = self.guide.choose(self.tokenizer, &logits)?;
            let id = chosen.id;
            writer.push(&chosen, self.on_event);
            let ended = id == self.tokenizer.eos() && self.options.stop == StopRule::EndOfTurn;
            if ended || writer.is_stopped() {
                return Ok(Finish::Stop);
            }
            if made == self.limit {
                return Ok(Finish::Length);
            }
            logits = decoder.step(id)?;
        }
        Ok(Finish::Cancelled)
    }
}

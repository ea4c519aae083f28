//! The tokens that may come next, made fewer step by step.

use std::cmp::Ordering;

use super::mask::Mask;
use crate::request::Sampling;

/// A token that may come next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) id: u32,
    logit: f32,
    /// Its probability as a multiple of the likeliest token's.
    weight: f64,
}

/// The likelier first, the lower id first among equals.
pub(super) fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// The tokens that the mask allows, in the order of their ids.
pub(super) fn all<'a>(logits: &'a [f32], mask: Option<&'a Mask>) -> Box<dyn Iterator<Item = Candidate> + 'a> {
    let candidate = |(id, &logit): (u32, &f32)| Candidate { id, logit, weight: 1.0 };
    match mask {
        None => Box::new((0..).zip(logits).map(candidate)),
        Some(mask) => {
            Box::new(mask.ids().filter_map(move |id| Some(candidate((id, logits.get(id as usize)?)))))
        }
    }
}

/// The id with the largest logit, the lowest id among equals; and how far the next one is behind.
pub(super) fn largest(logits: &[f32], mask: Option<&Mask>) -> Option<(u32, f32)> {
    let Some(mask) = mask else {
        let most = greatest(logits);
        let place = logits.iter().position(|&logit| logit == most)?;
        let next = greatest(&logits[..place]).max(greatest(&logits[place + 1..]));
        return Some((place as u32, most - next));
    };
    let mut allowed = mask.ids().filter_map(|id| Some((id, *logits.get(id as usize)?)));
    let mut best = allowed.next()?;
    let mut next = f32::NEG_INFINITY;
    for (id, logit) in allowed {
        if logit > best.1 {
            next = best.1;
            best = (id, logit);
        } else {
            next = next.max(logit);
        }
    }
    Some((best.0, best.1 - next))
}

/// The largest of finite numbers. Side by side: it is looked for in every logit of every step.
fn greatest(logits: &[f32]) -> f32 {
    let (blocks, rest) = logits.as_chunks::<16>();
    let mut greatest = [f32::NEG_INFINITY; 16];
    for block in blocks {
        for (greatest, &logit) in greatest.iter_mut().zip(block) {
            *greatest = if logit > *greatest { logit } else { *greatest };
        }
    }
    greatest.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max)
}

/// Draws a token; `uniform` is a number from 0 up to, not including, 1.
pub(super) fn draw(logits: &[f32], mask: Option<&Mask>, sampling: &Sampling, uniform: f64) -> Option<u32> {
    let mut left = remaining(logits, mask, sampling);
    // One order for all, so that a truncation that takes nothing away changes nothing.
    left.sort_unstable_by_key(|candidate| candidate.id);
    let target = uniform * left.iter().map(|candidate| candidate.weight).sum::<f64>();
    let mut sum = 0.0;
    let reached = left.iter().find(|candidate| {
        sum += candidate.weight;
        sum > target
    });
    reached.or(left.last()).map(|candidate| candidate.id)
}

/// What temperature, min-p, top-k and top-p leave.
pub(super) fn remaining(logits: &[f32], mask: Option<&Mask>, sampling: &Sampling) -> Vec<Candidate> {
    let mut left: Vec<Candidate> = all(logits, mask).collect();
    let largest = left.iter().map(|candidate| candidate.logit).fold(f32::NEG_INFINITY, f32::max);
    for candidate in &mut left {
        let distance = f64::from(candidate.logit) - f64::from(largest);
        candidate.weight = (distance / f64::from(sampling.temperature)).exp();
    }
    if sampling.min_p > 0.0 {
        left.retain(|candidate| candidate.weight >= f64::from(sampling.min_p));
    }
    if let Some(count) = sampling.top_k {
        keep_likeliest(&mut left, count);
    }
    if sampling.top_p < 1.0 {
        keep_nucleus(&mut left, f64::from(sampling.top_p));
    }
    left
}

/// Keeps this many of the likeliest, in any order.
pub(super) fn keep_likeliest(candidates: &mut Vec<Candidate>, count: usize) {
    if count == 0 {
        candidates.clear();
    } else if count < candidates.len() {
        candidates.select_nth_unstable_by(count - 1, likelier);
        candidates.truncate(count);
    }
}

/// Keeps the fewest of the likeliest that together have this share of the probability. A nucleus is small as a rule:
/// the likeliest are sorted block by block, not the whole vocabulary.
fn keep_nucleus(candidates: &mut Vec<Candidate>, share: f64) {
    let wanted = share * candidates.iter().map(|candidate| candidate.weight).sum::<f64>();
    let (mut sorted, mut block, mut mass) = (0, 64, 0.0);
    while sorted < candidates.len() {
        let rest = &mut candidates[sorted..];
        let length = block.min(rest.len());
        if length < rest.len() {
            rest.select_nth_unstable_by(length - 1, likelier);
        }
        rest[..length].sort_unstable_by(likelier);
        for (place, candidate) in rest[..length].iter().enumerate() {
            mass += candidate.weight;
            if mass >= wanted {
                candidates.truncate(sorted + place + 1);
                return;
            }
        }
        sorted += length;
        block *= 4;
    }
}

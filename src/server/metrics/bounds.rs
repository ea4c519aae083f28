//! The upper bounds of the buckets of histograms.
//!
//! Where vLLM has a family of the same name, its bounds are among ours, so that one query adds up both. Ours go on where a
//! small model on a fast device would fall into the first bucket.

use prometheus_client::metrics::histogram::Histogram;

/// Seconds to a first token.
const FIRST_TOKEN: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0,
    80.0, 160.0, 640.0, 2560.0,
];

/// Seconds from one token to the next. The first three are ours.
const BETWEEN_TOKENS: [f64; 22] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5,
    10.0, 20.0, 40.0, 80.0,
];

/// Seconds of a request or of a large part of it. The first five are ours.
const REQUEST: [f64; 26] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0,
    60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
];

/// Tokens of a request.
const TOKENS: [f64; 18] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5];

/// Seconds to a first token.
pub(super) fn first_token() -> Histogram {
    Histogram::new(FIRST_TOKEN)
}

/// Seconds from one token to the next.
pub(super) fn between_tokens() -> Histogram {
    Histogram::new(BETWEEN_TOKENS)
}

/// Seconds of a request.
pub(super) fn request() -> Histogram {
    Histogram::new(REQUEST)
}

/// Tokens of a request.
pub(super) fn tokens() -> Histogram {
    Histogram::new(TOKENS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend() {
        for bounds in [&FIRST_TOKEN[..], &BETWEEN_TOKENS, &REQUEST, &TOKENS] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{bounds:?}");
        }
    }
}

//! A package's own questions asked again, and how near the answers are to those on record.

use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, Study};
use crate::package::{RecordedTensor, SelfTest, TestAnswer, TestCase, TestInstruction, TestRun};
use crate::request::{AskOptions, Instruction, Reply, Request, StopRule, StudyInput, Trace, Tracing};

/// How near an engine's answers are to those that its package holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SelfTestReport {
    /// Each question in turn.
    pub cases: Vec<CaseReport>,
}

/// How near one answer is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaseReport {
    /// Name of the question.
    pub name: String,
    /// Whether the normalised pixels are the same to the bit; nothing without pictures.
    pub pixels_equal: Option<bool>,
    /// Whether the prompt's token ids are the same.
    pub ids_equal: bool,
    /// Beside each answer on record.
    pub runs: Vec<RunReport>,
}

/// An answer beside one on record.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunReport {
    /// Whose answer is on record.
    pub by: String,
    /// Precision of the weights that it was made with.
    pub precision: String,
    /// Of the image embeddings; nothing without pictures.
    pub embeddings: Option<Nearness>,
    /// Of the logits before the first token.
    pub logits: Nearness,
    /// Greedy tokens on record.
    pub tokens: usize,
    /// How many of them, from the first on, are the same.
    pub equal_tokens: usize,
    /// By how much the first token that is not the same was chosen on record, in logits.
    pub margin: Option<f64>,
    /// A margin that is no larger is a tie, which may go either way.
    pub tie: f64,
}

/// How far a tensor is from the one on record, by a few values and by the statistics of all. The true error may be larger.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Nearness {
    /// Largest error.
    pub max_error: f64,
    /// Root of the mean square of the errors, in standard deviations of what is on record.
    pub relative_error: f64,
    /// What must not be exceeded.
    pub bound: Bound,
}

/// A bound on an error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// On the largest error: where f32 is held against f32.
    MaxError(f64),
    /// On the relative error: where a lower precision is one of the two.
    RelativeError(f64),
}

/// Asks an engine the questions of its package. Nothing if the package has none.
///
/// # Errors
/// [`Error::Package`] for questions of a version that this one does not know; those of [`Engine::ask`].
pub fn self_test(engine: &Engine) -> Result<Option<SelfTestReport>> {
    let manifest = engine.package().manifest();
    let Some(test) = &manifest.self_test else { return Ok(None) };
    if test.version != SelfTest::VERSION {
        let wanted = format!("version {}", SelfTest::VERSION);
        return Err(Error::package("fleming.json: self_test", wanted, format!("version {}", test.version))
            .hint("use the version of fleming that the package was exported with"));
    }
    let case = |(place, case): (usize, &TestCase)| {
        let answers: Vec<_> = test.runs.iter().map(|run| (run, &run.answers[place])).collect();
        let tokens = answers.iter().map(|(_, answer)| answer.tokens.len()).max().unwrap_or(1);
        let reply = engine.ask(&request(case)?, &options(tokens), &mut |_| {})?;
        let trace =
            reply.trace.as_ref().ok_or_else(|| Error::runtime("reply", "a trace", "none").report())?;
        let runs = answers.iter().map(|(run, answer)| compare(&manifest.precision, run, answer, &reply));
        Ok(CaseReport {
            name: case.name.clone(),
            pixels_equal: case.pixels_sha256.as_ref().map(|wanted| *wanted == pixels_sha256(trace)),
            ids_equal: case.ids_sha256 == ids_sha256(trace),
            runs: runs.collect::<Result<_>>()?,
        })
    };
    let cases = test.cases.iter().enumerate().map(case).collect::<Result<_>>()?;
    Ok(Some(SelfTestReport { cases }))
}

fn request(case: &TestCase) -> Result<Request> {
    let studies = case.pictures.iter().map(|&size| picture(size)).collect::<Result<Vec<_>>>()?;
    let instruction = match case.instruction {
        TestInstruction::Direct => Instruction::Direct,
        TestInstruction::Reasoning => Instruction::Reasoning,
    };
    Ok(Request { instruction, ..Request::about(studies, case.question.as_str()) })
}

fn options(tokens: usize) -> AskOptions {
    AskOptions {
        max_new_tokens: Some(tokens),
        stop: StopRule::LengthOnly,
        tracing: Tracing::Tensors,
        ..AskOptions::default()
    }
}

fn picture([width, height]: [u32; 2]) -> Result<StudyInput> {
    let frame = Frame::rgb(width, height, draw(width, height))?;
    let source = "self-test".to_owned();
    Ok(StudyInput::Frames(Study {
        modality: Modality::Image,
        source,
        frames: vec![frame],
        warnings: Vec::new(),
    }))
}

/// The picture of this size, which the exporter's `self_test.py` draws too: red grows to the right and green to the bottom;
/// blue is a chequerboard, and full in a disc in the middle.
fn draw(width: u32, height: u32) -> Vec<u8> {
    let [columns, rows] = [width, height].map(i64::from);
    let pixel = |(y, x): (i64, i64)| {
        let disc = 4 * ((2 * x - columns).pow(2) + (2 * y - rows).pow(2)) < columns.min(rows).pow(2);
        let blue = if disc { 255 } else { 128 * ((x / 8 + y / 8) % 2) };
        [255 * x / columns, 255 * y / rows, blue].map(|value| value as u8)
    };
    (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))).flat_map(pixel).collect()
}

fn pixels_sha256(trace: &Trace) -> String {
    let mut hash = Sha256::new();
    trace.pixel_values.iter().for_each(|value| hash.update(value.to_le_bytes()));
    hex(&hash.finalize())
}

fn ids_sha256(trace: &Trace) -> String {
    let bytes = trace.input_ids.iter().flat_map(|&id| (id as i32).to_le_bytes());
    hex(&Sha256::digest(bytes.collect::<Vec<_>>()))
}

fn compare(precision: &str, run: &TestRun, answer: &TestAnswer, reply: &Reply) -> Result<RunReport> {
    let trace = reply.trace.as_ref().ok_or_else(|| Error::runtime("reply", "a trace", "none").report())?;
    let embeddings: Vec<_> = trace.image_embeds.iter().copied().collect();
    let [of_embeddings, of_logits] = bounds(precision, &run.precision, answer);
    let nearness = answer.embeddings.as_ref().map(|wanted| near(wanted, &embeddings, of_embeddings));
    let pairs = answer.tokens.iter().zip(&reply.completion_ids);
    let equal_tokens = pairs.take_while(|(wanted, got)| wanted == got).count();
    Ok(RunReport {
        by: run.by.clone(),
        precision: run.precision.clone(),
        embeddings: nearness.transpose()?,
        logits: near(&answer.logits, &trace.first_logits, of_logits)?,
        tokens: answer.tokens.len(),
        equal_tokens,
        margin: answer.margins.get(equal_tokens).copied(),
        tie: match of_logits {
            Bound::MaxError(most) => 2.0 * most,
            Bound::RelativeError(most) => 2.0 * most * answer.logits.deviation,
        },
    })
}

/// What image embeddings and logits must not exceed. That of f32 is ARCHITECTURE.md's, for embeddings in parts of the largest
/// where that is above 1. The others are four times what was measured on small models, for depth, and a
/// quarter or less of what is wrong: a tensor of other numbers is 1.4 deviations away.
fn bounds(precision: &str, recorded: &str, answer: &TestAnswer) -> [Bound; 2] {
    let relative = |most| [Bound::RelativeError(most); 2];
    match (precision, recorded) {
        ("f32", "f32") => {
            let largest = answer.embeddings.as_ref().map_or(1.0, |tensor| tensor.largest.max(1.0));
            [Bound::MaxError(1e-5 * largest), Bound::MaxError(1e-3)]
        }
        ("f16", _) => relative(0.02),
        // its weights are on record in four bits too: what differs is how activations are rounded
        ("int4", "int4") => relative(0.1),
        ("int4", _) => [Bound::RelativeError(0.1), Bound::RelativeError(0.4)],
        _ => relative(0.1),
    }
}

/// The statistics of what was got differ from those on record by no more than its values do, so that they count as errors
/// of values that are not on record.
fn near(wanted: &RecordedTensor, got: &[f32], bound: Bound) -> Result<Nearness> {
    if got.len() != wanted.count {
        return Err(Error::package("fleming.json: self_test", format!("{} values", got.len()), wanted.count)
            .hint("`python -m fleming_export self-test` makes it anew"));
    }
    let count = got.len() as f64;
    let mean = got.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let deviation = (got.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count).sqrt();
    let largest = got.iter().fold(0.0, |most: f64, &value| most.max(f64::from(value).abs()));
    let errors: Vec<_> =
        wanted.recorded().map(|(place, value)| (f64::from(got[place]) - value).abs()).collect();
    let of_all = [(mean - wanted.mean).abs(), (deviation - wanted.deviation).abs()];
    let squares = errors.iter().map(|error| error * error).sum::<f64>() / errors.len().max(1) as f64;
    let root = of_all.into_iter().fold(squares.sqrt(), worse);
    let max_error = errors.into_iter().chain(of_all).fold((largest - wanted.largest).abs(), worse);
    let relative_error = if root == 0.0 { 0.0 } else { root / wanted.deviation };
    Ok(Nearness { max_error, relative_error, bound })
}

/// The larger of two; NaN is worse than any number.
fn worse(one: f64, other: f64) -> f64 {
    if one.is_nan() || one > other { one } else { other }
}

impl SelfTestReport {
    /// Whether every stage of every answer is within its bound.
    pub fn agrees(&self) -> bool {
        self.problems().is_empty()
    }

    /// What is outside its bound, with the stage and the number.
    pub fn problems(&self) -> Vec<String> {
        self.cases.iter().flat_map(CaseReport::problems).collect()
    }
}

impl CaseReport {
    fn problems(&self) -> Vec<String> {
        let name = &self.name;
        let mut problems = Vec::new();
        if self.pixels_equal == Some(false) {
            problems.push(format!("self-test, {name}: the prepared pixels are not those on record"));
        }
        if !self.ids_equal {
            problems.push(format!("self-test, {name}: the token ids are not those on record"));
        }
        for run in &self.runs {
            let stages = [("image embeddings", run.embeddings.as_ref()), ("first logits", Some(&run.logits))];
            let outside = stages.into_iter().filter_map(|(stage, near)| Some((stage, near?)));
            problems.extend(outside.filter(|(_, near)| !near.is_within()).map(|(stage, near)| {
                format!("self-test, {name}: {stage} are not those of {}: {near}", run.by)
            }));
            if let Some(margin) = run.margin.filter(|_| !run.tokens_agree()) {
                let (token, tie) = (run.equal_tokens + 1, run.tie);
                problems.push(format!(
                    "self-test, {name}: token {token} is another than that of {}, which was {margin:.3e} \
                     ahead; up to {tie:.1e} is a tie",
                    run.by
                ));
            }
        }
        problems
    }
}

impl RunReport {
    /// Whether the tokens are the same up to the first tie.
    pub fn tokens_agree(&self) -> bool {
        self.margin.is_none_or(|margin| margin <= self.tie)
    }

    /// Whether everything is within its bound.
    pub fn agrees(&self) -> bool {
        self.tokens_agree()
            && self.logits.is_within()
            && self.embeddings.as_ref().is_none_or(Nearness::is_within)
    }
}

impl Nearness {
    /// Whether the error is within the bound; an error that is no number is not.
    pub fn is_within(&self) -> bool {
        match self.bound {
            Bound::MaxError(most) => self.max_error <= most,
            Bound::RelativeError(most) => self.relative_error <= most,
        }
    }
}

impl std::fmt::Display for Nearness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bound {
            Bound::MaxError(most) => write!(f, "off by {:.1e} (bound {most:.0e})", self.max_error),
            Bound::RelativeError(most) => {
                write!(f, "off by {:.2} % (bound {:.0} %)", 100.0 * self.relative_error, 100.0 * most)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exporter's test has the same digest.
    #[test]
    fn the_picture_is_that_of_the_exporter() {
        let drawn = draw(30, 20);
        assert_eq!(drawn.len(), 30 * 20 * 3);
        let digest = hex(&Sha256::digest(drawn));
        assert_eq!(digest, "053baf9eca1f2730d77595c3076c538a80ba973ca67e66cf4f1156ca54cba652");
    }

    fn tensor(values: &[f64]) -> RecordedTensor {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        RecordedTensor {
            count: values.len(),
            mean,
            deviation: square.sqrt(),
            largest: values.iter().fold(0.0, |most, value| most.max(value.abs())),
            // one value of all is not on record
            stride: 1,
            values: values[..values.len() - 1].to_vec(),
            top: Vec::new(),
        }
    }

    #[test]
    fn errors_are_found_among_the_values_and_in_the_statistics() {
        let wanted = tensor(&[1.0, -2.0, 0.5, 3.0]);
        let off = |got: [f32; 4]| {
            let near = near(&wanted, &got, Bound::MaxError(0.01)).unwrap();
            (near.max_error, near.is_within())
        };
        assert_eq!(off([1.0, -2.0, 0.5, 3.0]), (0.0, true));
        let (error, within) = off([1.0, -2.25, 0.5, 3.0]);
        assert!((error - 0.25).abs() < 1e-9 && !within, "{error}");
        // the value that is not on record
        let (error, within) = off([1.0, -2.0, 0.5, 3.5]);
        assert!((error - 0.5).abs() < 1e-9 && !within, "{error}");
        for wrong in [f32::NAN, f32::INFINITY] {
            assert!(!off([1.0, wrong, 0.5, 3.0]).1);
            assert!(!off([1.0, -2.0, 0.5, wrong]).1);
        }
        let error = near(&wanted, &[1.0; 3], Bound::MaxError(1.0)).unwrap_err().to_string();
        assert!(error.contains("wanted 3 values, got 4"), "{error}");
    }

    #[test]
    fn an_error_in_deviations() {
        let wanted = tensor(&[2.0, -2.0, 2.0, -2.0]);
        let of = |got: [f32; 4], most| near(&wanted, &got, Bound::RelativeError(most)).unwrap();
        let near = of([2.5, -1.5, 2.5, -1.5], 0.3);
        assert!((near.relative_error - 0.25).abs() < 1e-9 && near.is_within(), "{near:?}");
        assert!(!of([2.5, -1.5, 2.5, -1.5], 0.2).is_within());
        assert!(!of([f32::NAN; 4], 1e9).is_within());
    }

    #[test]
    fn f32_is_held_to_what_exact_means_and_a_lower_precision_to_less() {
        let answer = |largest: f64| TestAnswer {
            embeddings: Some(tensor(&[largest, 0.0])),
            logits: tensor(&[1.0, 0.0]),
            tokens: vec![0],
            margins: vec![1.0],
        };
        assert_eq!(bounds("f32", "f32", &answer(0.5)), [Bound::MaxError(1e-5), Bound::MaxError(1e-3)]);
        assert_eq!(bounds("f32", "f32", &answer(20.0))[0], Bound::MaxError(2e-4));
        let table = [("f16", "f32", 0.02), ("bf16", "f32", 0.1), ("int8", "int8", 0.1), ("int8", "f32", 0.1)];
        for (precision, recorded, most) in
            table.into_iter().chain([("int4", "int4", 0.1), ("int4", "f32", 0.4)])
        {
            assert_eq!(
                bounds(precision, recorded, &answer(1.0))[1],
                Bound::RelativeError(most),
                "{precision}"
            );
        }
    }

    #[test]
    fn tokens_agree_up_to_a_tie() {
        let near = Nearness { max_error: 0.0, relative_error: 0.0, bound: Bound::MaxError(1e-3) };
        let run = |margin| RunReport {
            by: "torch".into(),
            precision: "f32".into(),
            embeddings: None,
            logits: near,
            tokens: 8,
            equal_tokens: 3,
            margin,
            tie: 2e-3,
        };
        for (margin, agree) in
            [(None, true), (Some(2e-3), true), (Some(2.1e-3), false), (Some(f64::NAN), false)]
        {
            assert_eq!(run(margin).agrees(), agree, "{margin:?}");
        }
    }
}

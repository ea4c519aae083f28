//! The engine on a device that only ONNX Runtime reaches: a fake one, whose memory is the host's.

use std::fs;
use std::path::Path;

use fleming::{
    AskOptions, Constraint, Engine, EngineOptions, ErrorCode, Reply, Request, Sampling, StopRule, Tracing,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{self, Scratch, about, answer, asked_at_once, package, package_at, package_for};

fn options(provider: &str, slots: usize) -> EngineOptions {
    EngineOptions { provider: provider.into(), chunk: 64, context: Some(1024), ..support::options(slots) }
}

fn engine(package: &Path, provider: &str, slots: usize) -> Engine {
    Engine::open(package, &options(provider, slots)).unwrap()
}

/// Requests with and without pictures, with common beginnings, of different lengths.
fn requests() -> Vec<Request> {
    let about = |shades: &[u8], question: &str| {
        let picture = |shade: &u8| support::picture([*shade, 255 - shade, shade / 2]);
        about(shades.iter().map(picture).collect(), question)
    };
    vec![
        about(&[10, 90, 170], "What has changed?"),
        about(&[], "Why?"),
        about(&[10], "What is shown? Say it in a few words, from left to right."),
        about(&[10, 90, 170], "What else is there?"),
        about(&[200, 10], "Is it the same?"),
    ]
}

fn tokens(count: usize) -> AskOptions {
    AskOptions { tracing: Tracing::Tensors, ..support::tokens(count) }
}

/// All at once, with replies of different lengths, so that slots fall free and what they hold is moved.
fn replies(engine: &Engine) -> Vec<Reply> {
    let asked = requests().into_iter().enumerate();
    let asked: Vec<_> = asked.map(|(place, request)| (request, tokens(3 + place * 5 % 11))).collect();
    asked_at_once(engine, &asked)
}

fn ids(replies: &[Reply]) -> Vec<&[u32]> {
    replies.iter().map(|reply| reply.completion_ids.as_slice()).collect()
}

/// Largest difference relative to the largest value.
fn error(got: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(got.len(), wanted.len());
    let largest = wanted.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    got.iter().zip(wanted).fold(0.0_f32, |most, (got, wanted)| most.max((got - wanted).abs())) / largest
}

fn compare(got: &[Reply], wanted: &[Reply], tolerance: f32) {
    for (got, wanted) in got.iter().zip(wanted) {
        let [got, wanted] = [got, wanted].map(|reply| reply.trace.as_ref().unwrap());
        let off = error(&got.first_logits, &wanted.first_logits);
        assert!(off <= tolerance, "logits: {off}");
        let [got, wanted] = [got, wanted].map(|trace| trace.image_embeds.as_slice().unwrap());
        assert!(got.is_empty() || error(got, wanted) <= tolerance, "embeddings: {}", error(got, wanted));
    }
}

#[test]
fn a_device_answers_as_the_host_does_in_every_form() {
    let host = replies(&engine(&package(), "cpu", 3));
    for form in [package(), package_for("cuda"), package_for("tensorrt")] {
        for (provider, slots) in [("cpu", 3), ("fake", 3), ("fake", 1)] {
            let engine = engine(&form, provider, slots);
            for round in ["first", "with reuse"] {
                let replies = replies(&engine);
                compare(&replies, &host, 1e-4);
                assert_eq!(ids(&replies), ids(&host), "{form:?} on {provider}, {slots} slots, {round}");
            }
            let counts = engine.counts();
            assert_eq!(counts.failed_steps, 0);
            assert_eq!((counts.image_misses, counts.image_hits > 0), (4, true), "{counts:?}");
        }
    }
}

#[test]
fn a_step_that_is_played_back_is_the_step() {
    let package = package_for("cuda");
    let provider_options = vec![("enable_cuda_graph".to_owned(), "false".to_owned())];
    let plain = Engine::open(&package, &EngineOptions { provider_options, ..options("fake", 4) }).unwrap();
    let recorded = engine(&package, "fake", 4);
    for _ in 0..3 {
        let (got, wanted) = (replies(&recorded), replies(&plain));
        // which pictures are encoded together is a matter of time
        compare(&got, &wanted, 1e-5);
        assert_eq!(ids(&got), ids(&wanted));
    }
    // across a doubling of the length, for which there is another recording
    let seen = AskOptions { logprobs: Some(2), ..tokens(560) };
    let [got, wanted] = [&recorded, &plain].map(|engine| answer(engine, &requests()[1], &seen));
    assert_eq!(got.logprobs.as_ref().unwrap().len(), 560);
    assert_eq!(got.logprobs, wanted.logprobs, "bit for bit");
    assert_eq!(recorded.counts().failed_steps, 0);
}

#[test]
fn what_asks_for_more_than_the_likeliest_token_gets_it() {
    let sampling = |temperature, repetition_penalty| Sampling {
        temperature,
        repetition_penalty,
        seed: 7,
        ..Sampling::default()
    };
    let penalised = AskOptions { sampling: sampling(0.0, 1.2), ..tokens(8) };
    let drawn = AskOptions { sampling: sampling(0.9, 1.0), ..tokens(8) };
    let looked_at = AskOptions { logprobs: Some(3), ..tokens(8) };
    let chosen = Constraint::Choice(vec!["left".into(), "right".into()]);
    let held = AskOptions { constraint: Some(chosen), stop: StopRule::EndOfTurn, ..tokens(8) };
    let guessed = AskOptions { speculation: Some(4), ..tokens(24) };
    let [device, host] = [(package_for("cuda"), "fake"), (package(), "cpu")]
        .map(|(form, provider)| engine(&form, provider, 2));
    for options in [penalised, drawn, looked_at, held, guessed] {
        let [got, wanted] = [&device, &host].map(|engine| answer(engine, &requests()[2], &options));
        assert_eq!(got.completion_ids, wanted.completion_ids);
        let logprobs = |reply: &Reply| {
            reply.logprobs.iter().flatten().map(|token| token.chosen.logprob).collect::<Vec<_>>()
        };
        let pairs = logprobs(&got).into_iter().zip(logprobs(&wanted));
        assert!(pairs.into_iter().all(|(got, wanted)| (got - wanted).abs() < 1e-3));
    }
}

/// Numbers that the KV cache has for a token.
fn numbers_per_token(package: &Path) -> u64 {
    let manifest: Value = serde_json::from_slice(&fs::read(package.join("fleming.json")).unwrap()).unwrap();
    let size = |name: &str| manifest["kv"][name].as_u64().unwrap();
    2 * size("layers") * size("heads") * size("head_dim")
}

/// Makes all keys and values of a session in f32 NaN, and its digest that of what it then holds.
fn fill_with_nan(package: &Path, session: &Path) {
    let mut bytes = fs::read(session).unwrap();
    // After the magic, the version and the package's digest; the values are last but for the digest.
    let tokens = u64::from_le_bytes(bytes[76..84].try_into().unwrap());
    let length = 4 * tokens * numbers_per_token(package);
    let end = bytes.len() - 32;
    let start = end - length as usize;
    assert_eq!(bytes[start - 8..start], length.to_le_bytes());
    bytes[start..end].chunks_exact_mut(4).for_each(|number| number.copy_from_slice(&f32::NAN.to_le_bytes()));
    let digest = Sha256::digest(&bytes[..end]);
    bytes[end..].copy_from_slice(&digest);
    fs::write(session, bytes).unwrap();
}

#[test]
fn numbers_that_overflow_do_not_stay() {
    for (form, provider) in [
        (package(), "cpu"),
        (package_for("cuda"), "fake"),
        (package_for("tensorrt"), "cpu"),
        (package_for("tensorrt"), "fake"),
    ] {
        let engine = engine(&form, provider, 1);
        let (request, short) = (&requests()[2], &requests()[1]);
        let wanted = [request, short].map(|request| answer(&engine, request, &tokens(6)));
        let scratch = Scratch::new();
        let file = scratch.path("study");
        answer(&engine, request, &tokens(6));
        engine.save_session(answer(&engine, request, &tokens(1)).conversation, &file).unwrap();
        fill_with_nan(&form, &file);
        engine.load_session(&file).unwrap();

        let error = engine.ask(request, &tokens(6), &mut |_| {}).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Runtime, "{error}");
        assert!(error.to_string().contains("NaN"), "{error}");
        for (request, wanted) in [(short, &wanted[1]), (request, &wanted[0])] {
            let got = answer(&engine, request, &tokens(6));
            assert_eq!(got.completion_ids, wanted.completion_ids, "{form:?} on {provider}");
        }
    }
}

#[test]
fn half_precision_is_near_single() {
    let single = replies(&engine(&package(), "cpu", 1));
    let engine = engine(&package_at("f16"), "fake", 3);
    let half = replies(&engine);
    compare(&half, &single, 0.02);
    assert_eq!(engine.memory().slots, 2 * 1024 * 3 * numbers_per_token(&package_at("f16")));
}

#[test]
fn a_session_goes_to_disk_and_back_by_way_of_the_device() {
    let scratch = Scratch::new();
    let file = scratch.path("study");
    let request = &requests()[0];
    let first = engine(&package_for("cuda"), "fake", 2);
    let wanted = answer(&first, request, &tokens(6));
    first.save_session(wanted.conversation, &file).unwrap();
    let second = engine(&package_for("cuda"), "fake", 2);
    second.load_session(&file).unwrap();
    let got = answer(&second, request, &tokens(6));
    assert!(got.usage.cached_tokens > 64, "{:?}", got.usage);
    assert_eq!(got.completion_ids, wanted.completion_ids);
}

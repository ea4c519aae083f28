//! Guessing ahead: the same replies in fewer runs.

use fleming::{AskOptions, Constraint, Engine, EngineOptions, Reply, Request, Sampling, StopRule};

use crate::support::{answer, demo_model, example, mixture, open, options, tokens};

fn guessing(most: usize, options: AskOptions) -> AskOptions {
    AskOptions { speculation: Some(most), ..options }
}

/// What only the kinds of reply have in common: the tokens and what they say.
fn said(reply: &Reply) -> (&[u32], &str, &str) {
    (&reply.completion_ids, &reply.text, reply.finish.name())
}

#[test]
fn greedy_replies_are_the_same_in_fewer_steps() {
    let plain = open(&options(1));
    for most in [1, 4, 32] {
        let guessed = open(&options(1));
        let mut saved = 0;
        for (number, request) in mixture().iter().enumerate() {
            let asked = tokens(20 + 11 * number);
            let before = guessed.counts();
            let (plain, reply) =
                (answer(&plain, request, &asked), answer(&guessed, request, &guessing(most, asked)));
            assert_eq!(said(&reply), said(&plain), "request {number}, {most} at a time");
            assert!(reply.usage.accepted_tokens <= reply.usage.drafted_tokens);
            assert_eq!((plain.usage.drafted_tokens, plain.usage.accepted_tokens), (0, 0));
            let counts = guessed.counts();
            assert_eq!(
                counts.accepted_tokens - before.accepted_tokens,
                reply.usage.accepted_tokens as u64,
                "{counts:?}"
            );
            saved += reply.usage.accepted_tokens;
        }
        let (counts, all) = (guessed.counts(), plain.counts());
        assert_eq!((counts.failed_steps, counts.prefilled_tokens > 0), (0, true));
        assert!(saved > 100, "{most} at a time: {counts:?}");
        assert!(counts.steps + saved as u64 <= all.steps + counts.repeated_tokens, "{counts:?}, {all:?}");
    }
}

/// Ways to choose tokens that a guess must not change.
fn ways() -> Vec<AskOptions> {
    let drawn = |seed| Sampling { temperature: 0.7, top_p: 0.9, seed, ..Sampling::default() };
    let penal = Sampling {
        repetition_penalty: 1.3,
        frequency_penalty: 0.2,
        logit_bias: [(65, 3.0), (66, -100.0)].into(),
        ..Sampling::default()
    };
    let schema = r#"{"type": "array", "items": {"enum": ["left", "right"]}, "minItems": 9, "maxItems": 9}"#;
    let constrained = |constraint| AskOptions {
        constraint: Some(constraint),
        max_new_tokens: Some(200),
        ..AskOptions::default()
    };
    vec![
        AskOptions { sampling: drawn(1), ..tokens(60) },
        AskOptions { sampling: drawn(2), ..tokens(60) },
        AskOptions { sampling: penal, ..tokens(60) },
        AskOptions { max_thinking_tokens: Some(7), ..tokens(60) },
        AskOptions { logprobs: Some(2), ..tokens(60) },
        AskOptions { stop_strings: vec!["e".into(), "qu".into()], stop: StopRule::EndOfTurn, ..tokens(60) },
        constrained(Constraint::JsonSchema(schema.into())),
        constrained(Constraint::Choice(vec!["left lung, left lung, left lung".into()])),
        tokens(1),
        tokens(2),
    ]
}

#[test]
fn every_way_to_choose_is_the_same_among_others() {
    let mixture = mixture();
    let ways = ways();
    let asked: Vec<_> = (0..2 * ways.len())
        .map(|number| {
            let request = Request {
                instruction: fleming::Instruction::default(),
                ..mixture[number * 7 % mixture.len()].clone()
            };
            (request, ways[number % ways.len()].clone())
        })
        .collect();
    let alone = open(&options(1));
    let alone: Vec<_> = asked.iter().map(|(request, how)| answer(&alone, request, how)).collect();
    for (slots, chunk) in [(1, 512), (4, 64)] {
        let engine = open(&EngineOptions { chunk, ..options(slots) });
        for round in ["first", "with reuse"] {
            let every_third = |number: usize, how: &AskOptions| match number % 3 {
                0 => how.clone(),
                _ => guessing(1 + number, how.clone()),
            };
            let answering: Vec<_> = asked
                .iter()
                .enumerate()
                .map(|(number, (request, how))| engine.submit(request, &every_third(number, how)).unwrap())
                .collect();
            for (number, (answering, alone)) in answering.into_iter().zip(&alone).enumerate() {
                let reply = answering.wait(&mut |_| {}).unwrap();
                assert_eq!(said(&reply), said(alone), "request {number}, {slots} slots, {round}");
            }
        }
        let counts = engine.counts();
        assert!(counts.accepted_tokens > 0 && counts.failed_steps == 0, "{counts:?}");
    }
}

#[test]
fn what_is_in_doubt_is_stepped_over_again() {
    // Random weights: in so many tokens some are nearly as likely as others.
    let (plain, guessed) = (open(&options(1)), open(&options(1)));
    let mut repeated = 0;
    for request in mixture().iter().step_by(3) {
        let (plain, reply) =
            (answer(&plain, request, &tokens(700)), answer(&guessed, request, &guessing(8, tokens(700))));
        assert_eq!(said(&reply), said(&plain));
        repeated = guessed.counts().repeated_tokens;
    }
    assert!(repeated > 0, "no token was in doubt");
}

#[test]
fn others_get_a_token_between_two_guesses() {
    let engine = open(&options(3));
    let requests = mixture();
    let beside = engine.submit(&requests[0], &tokens(300)).unwrap();
    let guessing: Vec<_> = [4, 8]
        .map(|number| engine.submit(&requests[number], &guessing(8, tokens(300))).unwrap())
        .into_iter()
        .collect();
    let beside = beside.wait(&mut |_| {}).unwrap();
    let counts = engine.counts();
    // The one beside took part in every step and waited for none but its own.
    assert!(counts.steps >= 299 && counts.steps < 2 * 299, "{counts:?}");
    for answering in guessing {
        assert_eq!(answering.wait(&mut |_| {}).unwrap().completion_ids.len(), 300);
    }
    let alone = answer(&open(&options(1)), &requests[0], &tokens(300));
    assert_eq!(said(&beside), said(&alone));
}

#[test]
fn the_demo_model_answers_the_same() {
    let options = EngineOptions { threads: Some(1), context: Some(2048), ..EngineOptions::default() };
    let engine = Engine::open(&demo_model(), &options).unwrap();
    let mut accepted = 0;
    for (file, question) in [
        ("chest.png", "Is there a nodule, and on which side?"),
        ("fundus.png", "Are there haemorrhages of the retina?"),
    ] {
        let request = Request::about(vec![fleming::StudyInput::image(example(file))], question);
        let plain = answer(&engine, &request, &AskOptions::default());
        let guessed = answer(&engine, &request, &guessing(8, AskOptions::default()));
        assert_eq!(said(&guessed), said(&plain));
        accepted += guessed.usage.accepted_tokens;
    }
    assert!(accepted > 0);
}

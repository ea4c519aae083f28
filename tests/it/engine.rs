//! Many requests on one engine: fairness, reuse, sameness, failures.

use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use fleming::{
    AskOptions, Constraint, Engine, EngineOptions, ErrorCode, Event, MemoryNeeds, Package, Part, Reply,
    Request, Sampling, StopRule, Turn,
};

use crate::support::{
    Scratch, about, asked_at_once, ids, mixture, open, options, package, package_at, picture, settled,
    tokens, volume,
};

/// Everything at once, in the order of the requests.
fn all_at_once(engine: &Engine, requests: &[Request]) -> Vec<Reply> {
    let asked: Vec<_> = requests.iter().map(|request| (request.clone(), tokens(12))).collect();
    asked_at_once(engine, &asked)
}

/// The mixture with replies of very different lengths, so that slots fall free here and there and the streams between
/// them are moved; some drawn, some held to a form.
fn ragged() -> Vec<(Request, AskOptions)> {
    let ways = |number: usize| match number % 4 {
        1 => AskOptions {
            sampling: Sampling { temperature: 1.2, seed: number as u64, ..Sampling::default() },
            ..tokens(1 + number * 7 % 23)
        },
        2 => AskOptions {
            constraint: Some(Constraint::Choice(vec!["left lung".into(), "right lung".into()])),
            max_new_tokens: Some(40),
            ..AskOptions::default()
        },
        _ => tokens(1 + number * 7 % 23),
    };
    mixture().into_iter().enumerate().map(|(number, request)| (request, ways(number))).collect()
}

#[test]
fn the_answer_does_not_depend_on_what_else_is_running() {
    let requests = mixture();
    let fresh = |request: &Request| ids(&open(&options(1)), request);
    let alone: Vec<_> = requests.iter().map(fresh).collect();
    assert!(alone.iter().any(|ids| *ids != alone[0]), "the model says the same to everything");
    for (slots, chunk) in [(8, 512), (8, 64), (4, 512), (3, 33), (1, 512), (1, 64)] {
        let engine = open(&EngineOptions { chunk, ..options(slots) });
        for round in ["first", "with reuse"] {
            let together = all_at_once(&engine, &requests);
            for (together, alone) in together.iter().zip(&alone) {
                assert_eq!(together.completion_ids, *alone, "{slots} slots, chunk {chunk}, {round}");
            }
            let counts = engine.counts();
            assert_eq!(counts.failed_steps, 0, "answers were stepped one by one");
        }
    }
}

#[test]
fn drawn_and_constrained_answers_of_any_length_are_those_of_one_at_a_time() {
    let asked = ragged();
    let alone = open(&options(1));
    let alone: Vec<_> =
        asked.iter().map(|(request, how)| alone.ask(request, how, &mut |_| {}).unwrap()).collect();
    for reply in alone.iter().skip(2).step_by(4) {
        assert!(["left lung", "right lung"].contains(&reply.answer.as_str()), "{}", reply.answer);
    }
    let greedy = ids(&open(&options(1)), &asked[1].0);
    assert_ne!(alone[1].completion_ids, greedy[..greedy.len().min(alone[1].completion_ids.len())]);
    for (slots, chunk) in [(8, 512), (5, 64), (2, 33)] {
        let engine = open(&EngineOptions { chunk, ..options(slots) });
        for round in ["first", "with reuse"] {
            let together = asked_at_once(&engine, &asked);
            for (number, (together, alone)) in together.iter().zip(&alone).enumerate() {
                assert_eq!(
                    together.completion_ids, alone.completion_ids,
                    "request {number}, {slots} slots, chunk {chunk}, {round}"
                );
            }
        }
    }
}

#[test]
fn a_further_question_pays_for_its_own_tokens() {
    let engine = open(&options(2));
    let first = engine.ask(&about(vec![volume(5)], "What is shown?"), &tokens(4), &mut |_| {}).unwrap();
    assert_eq!(first.usage.cached_tokens, 0);
    let other = engine.ask(&about(vec![], "What is CT?"), &tokens(4), &mut |_| {}).unwrap();
    assert!(other.usage.cached_tokens < other.usage.prompt_tokens);
    // About the same study, then as a conversation that goes on.
    let again = about(vec![volume(5)], "Where is the heart?");
    let turns = vec![
        Turn::user([Part::Study, "\nWhat is shown?".into()]),
        Turn::assistant([first.text.clone().into()]),
        Turn::user(["Where is the heart?".into()]),
    ];
    let on = Request { turns, ..again.clone() };
    let before = engine.counts();
    for request in [again, on] {
        let mut encoded = Vec::new();
        let reply = engine
            .ask(&request, &tokens(4), &mut |event| {
                if let Event::Encoding { done, total } = event {
                    encoded.push((done, total));
                }
            })
            .unwrap();
        let own = reply.usage.prompt_tokens - reply.usage.cached_tokens;
        assert!(reply.usage.cached_tokens > 5 * 256 && own < 60, "{:?}", reply.usage);
        assert_eq!(encoded, [(5, 5)]);
        assert_eq!(ids(&open(&options(1)), &request)[..4], reply.completion_ids);
    }
    assert_eq!(engine.counts().image_misses, before.image_misses);
}

#[test]
fn two_pictures_with_identical_tokens_never_share() {
    let engine = open(&options(2));
    let ask = |colour| {
        let reply =
            engine.ask(&about(vec![picture(colour)], "What is shown?"), &tokens(12), &mut |_| {}).unwrap();
        (reply.completion_ids, reply.usage.cached_tokens)
    };
    let (white, _) = ask([255; 3]);
    let (black, cached) = ask([0; 3]);
    assert!(cached < 64, "{cached} tokens of another picture");
    assert_ne!(white, black);
    let (again, cached) = ask([255; 3]);
    assert_eq!(again, white);
    assert!(cached > 256);
    assert_eq!(ids(&open(&options(1)), &about(vec![picture([0; 3])], "What is shown?")), black);
}

#[test]
fn a_picture_is_encoded_once_whatever_stands_before_it() {
    let engine = open(&options(1));
    let request = about(vec![picture([9, 9, 9]), picture([80, 0, 9])], "What is shown?");
    let counted = |request: &Request| {
        let before = engine.counts();
        ids(&engine, request);
        let counts = engine.counts();
        (counts.image_misses - before.image_misses, counts.image_hits - before.image_hits)
    };
    assert_eq!(counted(&request), (2, 0));
    // What was read before is of no use: another text comes first.
    assert_eq!(counted(&Request { system: Some(vec!["Be brief.".into()]), ..request.clone() }), (0, 2));
    assert!(engine.counts().image_bytes > 0);
}

#[test]
fn who_came_first_is_answered_first() {
    let engine = open(&options(1));
    let text = about(vec![], "What is CT?");
    // The slot is taken: the others wait for it, whichever is prepared first.
    let first = engine.submit(&text, &tokens(300)).unwrap();
    settled(&engine, 1);
    let others = (1..5).map(|_| engine.submit(&text, &tokens(300)).unwrap());
    let asked: Vec<_> = [first].into_iter().chain(others).collect();
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (number, answering) in asked.into_iter().enumerate().rev() {
            let done = &done;
            scope.spawn(move || {
                answering.wait(&mut |_| {}).unwrap();
                done.lock().unwrap().push(number);
            });
        }
    });
    assert_eq!(done.into_inner().unwrap(), [0, 1, 2, 3, 4]);
}

#[test]
fn the_same_study_at_the_same_time_is_worked_on_once() {
    let engine = open(&EngineOptions { vision_cache: 0, ..options(4) });
    let requests = vec![about(vec![volume(4)], "What is shown?"); 4];
    let replies = all_at_once(&engine, &requests);
    let counts = engine.counts();
    assert_eq!(counts.image_misses, 4, "{counts:?}");
    // Each runs its last two tokens at least.
    let most = replies[0].usage.prompt_tokens + 4 * 64;
    assert!(counts.prefilled_tokens <= most as u64, "{counts:?}");
    assert!(replies.iter().all(|reply| reply.completion_ids == replies[0].completion_ids));
}

#[test]
fn between_two_chunks_of_a_long_prompt_every_answer_gets_a_token() {
    let engine = open(&EngineOptions { chunk: 64, ..options(2) });
    let text = about(vec![], "What is CT?");
    let [beside, before_it] = [0, 1].map(|_| engine.submit(&text, &tokens(1900)).unwrap());
    settled(&engine, 2);
    // It is prepared, and waits.
    let long = engine.submit(&about(vec![volume(6)], "What is shown?"), &tokens(1)).unwrap();
    let before = engine.counts();
    drop(before_it);
    let mut pieces = 0;
    let reply = long
        .wait(&mut |event| match event {
            Event::Encoding { done: 1.., .. } | Event::Prefilling { done: 1.., .. } => pieces += 1,
            _ => {}
        })
        .unwrap();
    let after = engine.counts();
    let chunks = reply.usage.prompt_tokens.div_ceil(64);
    assert!(pieces >= chunks + 6, "{pieces} pieces of 6 tiles and {chunks} chunks");
    // One step between any two pieces: the other answer was never held up by more than one.
    assert!(after.steps - before.steps >= (chunks + 6 - 1) as u64, "{before:?}, {after:?}");
    assert_eq!(after.active, 1, "the other was under way all the time");
    drop(beside);
}

#[test]
fn a_panic_in_a_callback_is_its_callers_alone() {
    let engine = open(&options(2));
    let request = about(vec![], "What is CT?");
    let beside = engine.submit(&request, &tokens(40)).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        engine.ask(&request, &tokens(40), &mut |event| {
            assert!(!matches!(event, Event::Text { .. }), "a caller's mistake");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(beside.wait(&mut |_| {}).unwrap().completion_ids.len(), 40);
    assert_eq!(engine.ask(&request, &tokens(5), &mut |_| {}).unwrap().completion_ids.len(), 5);
}

/// A grammar that is harmless at first and has more readings with every token.
fn explosive() -> Constraint {
    let names = ["a", "b", "c", "d", "e"];
    let pairs = names.map(|one| names.map(|other| format!("{one} {other}")).join(" | ")).join(" | ");
    let rules = names.map(|name| format!("{name}: {pairs} | \"x\"\n"));
    Constraint::Lark(format!("start: {}\n{}", "a ".repeat(300), rules.concat()))
}

#[test]
fn an_answer_that_fails_on_its_way_harms_no_other() {
    let engine = open(&options(4));
    let request = |shade| about(vec![picture([shade, 0, 9])], "What is shown?");
    let beside: Vec<_> =
        [1, 2, 3].map(|shade| engine.submit(&request(shade), &tokens(60)).unwrap()).into_iter().collect();
    let failing = AskOptions { constraint: Some(explosive()), stop: StopRule::EndOfTurn, ..tokens(500) };
    let failed = engine.submit(&request(4), &failing).unwrap().wait(&mut |_| {}).unwrap_err();
    assert_eq!(failed.code(), ErrorCode::Request, "{failed}");
    for (beside, shade) in beside.into_iter().zip([1, 2, 3]) {
        let alone = open(&options(1)).ask(&request(shade), &tokens(60), &mut |_| {}).unwrap();
        assert_eq!(beside.wait(&mut |_| {}).unwrap().completion_ids, alone.completion_ids);
    }
    // Its slot is free again.
    settled(&engine, 0);
    assert_eq!(all_at_once(&engine, &[1, 2, 3, 4].map(request)).len(), 4);
}

#[test]
fn a_session_outlives_the_engine() {
    let scratch = Scratch::new();
    let file = scratch.path("study.session");
    let request = about(vec![volume(4)], "What is shown?");
    let engine = open(&options(2));
    let first = engine.ask(&request, &tokens(8), &mut |_| {}).unwrap();
    // Another's file of the name that a fixed temporary one would have is left alone.
    let beside = scratch.file("study.session.partial", b"another's");
    engine.save_session(first.conversation, &file).unwrap();
    assert_eq!(std::fs::read(beside).unwrap(), b"another's");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    drop(engine);

    let engine = open(&options(2));
    engine.load_session(&file).unwrap();
    let again = engine.ask(&request, &tokens(8), &mut |_| {}).unwrap();
    assert_eq!(again.completion_ids, first.completion_ids);
    assert_eq!(again.usage.cached_tokens, again.usage.prompt_tokens - 2);
    assert_eq!(engine.counts().image_misses, 0);

    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let altered = scratch.file("altered.session", &bytes);
    assert_eq!(engine.load_session(&altered).unwrap_err().code(), ErrorCode::Input);
    let small = open(&EngineOptions { context: Some(256), ..options(1) });
    assert_eq!(small.load_session(&file).unwrap_err().code(), ErrorCode::Request);
    assert_eq!(small.save_session(first.conversation, &file).unwrap_err().code(), ErrorCode::Request);
    let other = Engine::open(&package_at("int8"), &options(1)).unwrap();
    let refusal = other.load_session(&file).unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::Input);
    assert!(refusal.facts().wanted.contains(other.package().digest()), "{refusal}");
}

#[test]
fn memory_is_known_before_loading() {
    let package = Package::open(&package()).unwrap();
    let needs = |options: &EngineOptions| MemoryNeeds::of(&package, options).unwrap();
    let (one, four) = (needs(&options(1)), needs(&options(4)));
    // 2 layers, keys and values, 2 heads of 16, 4 bytes
    assert_eq!(one.slots, 2 * 2 * 2 * 16 * 4 * 2048);
    assert_eq!(four.slots, 4 * one.slots);
    assert_eq!(one.weights, four.weights);
    assert_eq!(open(&options(4)).memory(), four);
    let huge = EngineOptions { vision_cache: 1 << 40, ..options(1) };
    let refusal = Engine::open(&crate::support::package(), &huge).err().unwrap();
    assert_eq!((refusal.code(), refusal.facts().thing.as_str()), (ErrorCode::Request, "memory"));
    for wrong in [
        EngineOptions { slots: 0, ..options(1) },
        EngineOptions { queue: 0, ..options(1) },
        EngineOptions { chunk: 1, ..options(1) },
    ] {
        assert_eq!(
            Engine::open(&crate::support::package(), &wrong).err().unwrap().code(),
            ErrorCode::Request
        );
    }
}

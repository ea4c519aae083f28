//! What becomes of requests: how they are taken, stopped, counted and kept apart.

use std::time::Duration;

use fleming::{
    AskOptions, Cancel, Constraint, Counts, EngineOptions, ErrorCode, Event, Finish, FrameCount, Look, Part,
    Request, Sampling, StudyInput, Turn,
};

use crate::support::{
    Scratch, about, answer, example, ids, input, open, options, picture, settled, tokens, volume,
};

#[test]
fn a_full_queue_says_so() {
    let engine = open(&EngineOptions { queue: 2, ..options(1) });
    let running = engine.submit(&about(vec![], "What is CT?"), &tokens(1900)).unwrap();
    settled(&engine, 1);
    let submit = || engine.submit(&about(vec![], "Why?"), &tokens(3));
    let waiting = [submit().unwrap(), submit().unwrap()];
    let refusal = submit().err().unwrap();
    assert_eq!(refusal.code(), ErrorCode::Busy);
    assert!(!refusal.facts().hint.is_empty());
    // Before anything is read.
    let nowhere = about(vec![StudyInput::image("nowhere.png")], "What is shown?");
    assert_eq!(engine.submit(&nowhere, &tokens(3)).err().unwrap().code(), ErrorCode::Busy);
    // Dropping cancels, wherever the request is: the next one has the slot.
    let steps = engine.counts().steps;
    drop(running);
    drop(waiting);
    settled(&engine, 0);
    assert_eq!(submit().unwrap().wait(&mut |_| {}).unwrap().completion_ids.len(), 3);
    assert!(engine.counts().steps < steps + 200, "the dropped answer went on");
}

#[test]
fn time_that_is_up_ends_an_answer_wherever_it_is() {
    let engine = open(&options(1));
    let running = engine.submit(&about(vec![], "Why?"), &tokens(1500)).unwrap();
    let brief = AskOptions { timeout: Some(Duration::from_millis(20)), ..tokens(1500) };
    let waiting = engine.ask(&about(vec![], "What is CT?"), &brief, &mut |_| {}).unwrap();
    assert_eq!((waiting.finish, waiting.completion_ids.len()), (Finish::TimedOut, 0));
    drop(running);
    let request = about(vec![], "What is CT?");
    // Longer and longer, until there is time for a token but, a hundred times sooner, not for all.
    let cut = (0..60)
        .map(|number| Duration::from_micros(500).mul_f64(1.3_f64.powi(number)))
        .map(|timeout| answer(&engine, &request, &AskOptions { timeout: Some(timeout), ..tokens(2000) }))
        .find(|reply| !reply.completion_ids.is_empty())
        .unwrap();
    assert_eq!(cut.finish, Finish::TimedOut);
    let whole = ids(&open(&options(1)), &request);
    let common = whole.len().min(cut.completion_ids.len());
    assert_eq!(cut.completion_ids[..common], whole[..common]);
}

#[test]
fn several_answers_share_one_prefill() {
    let engine = open(&options(4));
    let request = about(vec![picture([9, 90, 200])], "What is shown?");
    let drawn = |seed: u64, answers| AskOptions {
        sampling: Sampling { temperature: 1.2, seed, ..Sampling::default() },
        answers,
        ..tokens(10)
    };
    let all: Vec<_> = engine
        .submit_all(&request, &drawn(5, Some(4)))
        .unwrap()
        .into_iter()
        .map(|answering| answering.wait(&mut |_| {}).unwrap())
        .collect();
    let counts = engine.counts();
    let prompt = all[0].usage.prompt_tokens as u64;
    // The last two tokens of a prompt are run for every answer.
    assert_eq!((counts.prefilled_tokens, counts.image_misses), (prompt + 3 * 2, 1), "{counts:?}");
    for (number, reply) in all.iter().enumerate() {
        let alone = open(&options(1)).ask(&request, &drawn(5 + number as u64, None), &mut |_| {}).unwrap();
        assert_eq!(reply.completion_ids, alone.completion_ids, "answer {number}");
    }
    assert_ne!(all[0].completion_ids, all[1].completion_ids);
    assert_eq!(engine.ask(&request, &drawn(5, Some(2)), &mut |_| {}).unwrap_err().code(), ErrorCode::Request);
}

#[test]
fn an_answer_that_is_cancelled_ends_alone() {
    let engine = open(&options(2));
    let asked = tokens(40);
    let [first, second] = [(), ()].map(|()| engine.submit(&about(vec![], "Why?"), &asked).unwrap());
    first.cancel();
    assert_eq!(second.wait(&mut |_| {}).unwrap().completion_ids.len(), 40);
    assert_eq!(first.wait(&mut |_| {}).unwrap().finish, Finish::Cancelled);
    assert!(!asked.cancel.is_cancelled(), "the caller's own switch was not thrown");
    // Of several answers from one prefill too.
    let several = AskOptions { answers: Some(2), ..tokens(40) };
    let mut all = engine.submit_all(&about(vec![], "Why?"), &several).unwrap();
    all[0].switch().cancel();
    assert_eq!(all.pop().unwrap().wait(&mut |_| {}).unwrap().completion_ids.len(), 40);
    assert_eq!(all.pop().unwrap().wait(&mut |_| {}).unwrap().finish, Finish::Cancelled);
    // The switch that requests share ends them all.
    let cancel = Cancel::default();
    let shared = AskOptions { cancel: cancel.clone(), ..tokens(1900) };
    let both = [(), ()].map(|()| engine.submit(&about(vec![], "Why?"), &shared).unwrap());
    cancel.cancel();
    for pending in both {
        assert_eq!(pending.wait(&mut |_| {}).unwrap().finish, Finish::Cancelled);
    }
}

#[test]
fn who_stopped_an_answer_hears_no_more_of_it() {
    let engine = open(&options(1));
    let cancel = Cancel::default();
    // The last letters are held back: they could begin the stop string.
    let constraint = Some(Constraint::Choice(vec!["the left".into()]));
    let stop_strings = vec!["ft side".into()];
    let asked = AskOptions { constraint, stop_strings, cancel: cancel.clone(), ..AskOptions::default() };
    let mut heard = String::new();
    let reply = engine.ask(&about(vec![], "Where?"), &asked, &mut |event| {
        if let Event::Text { text, .. } = event {
            assert!(!cancel.is_cancelled(), "{text:?} after the stop");
            heard += text;
            if heard.ends_with("the le") {
                cancel.cancel();
            }
        }
    });
    assert!(reply.is_ok());
    assert!(heard.starts_with("the le"), "{heard:?}");
}

#[test]
fn more_answers_than_an_engine_ever_has_room_for_are_no_busy_engine() {
    let engine = open(&EngineOptions { queue: 2, ..options(2) });
    let ask = |answers| {
        let several = AskOptions { answers: Some(answers), ..tokens(3) };
        engine.submit_all(&about(vec![], "Why?"), &several)
    };
    assert_eq!(ask(5).err().unwrap().code(), ErrorCode::Request);
    for pending in ask(4).unwrap() {
        assert_eq!(pending.wait(&mut |_| {}).unwrap().completion_ids.len(), 3);
    }
    let running = ask(3).unwrap();
    assert_eq!(ask(2).err().unwrap().code(), ErrorCode::Busy);
    drop(running);
}

#[test]
fn stages_take_their_own_time() {
    let engine = open(&options(1));
    let clip = StudyInput::video(example("clip.mp4")).look(Look::default().frames(FrameCount::Exactly(3)));
    for study in [clip, StudyInput::image(input("chest.png")), volume(3)] {
        let times =
            engine.ask(&about(vec![study], "What is shown?"), &tokens(2), &mut |_| {}).unwrap().timings;
        let stages = times.queue + times.read + times.preprocess + times.vision + times.prefill;
        assert!(stages <= times.first_token, "{times:?}");
    }
}

#[test]
fn embeddings_are_held_for_the_prefill_alone() {
    let engine = open(&EngineOptions { vision_cache: 0, ..options(2) });
    let study = picture([9, 90, 30]);
    let mut first = engine.submit(&about(vec![study.clone()], "What is shown?"), &tokens(1500)).unwrap();
    let mut begun = false;
    while !begun {
        first.poll(Duration::MAX, &mut |event| begun |= matches!(event, Event::Text { .. })).unwrap();
        begun |= engine.counts().steps > 0;
    }
    assert_eq!(engine.counts().image_misses, 1);
    // Another beginning, so that no keys and values are of use.
    let other = Request { system: Some(vec!["Be brief.".into()]), ..about(vec![study], "Why?") };
    engine.ask(&other, &tokens(2), &mut |_| {}).unwrap();
    let Counts { image_hits, image_misses, .. } = engine.counts();
    assert_eq!((image_hits, image_misses), (0, 2));
}

#[test]
fn nothing_is_reused_across_scopes() {
    for (request, pictures) in
        [(about(vec![volume(3)], "What is shown?"), 3), (about(vec![], "What is CT?"), 0)]
    {
        let engine = open(&options(3));
        let ask = |scope: Option<&str>| {
            let scope = scope.map(|scope| scope.as_bytes().into());
            let reply = engine.ask(&request, &AskOptions { scope, ..tokens(6) }, &mut |_| {}).unwrap();
            (reply.usage.cached_tokens, reply.completion_ids)
        };
        let scopes = [Some("ward 1"), Some("ward 2"), None];
        let first = scopes.map(ask);
        assert!(first.iter().all(|(cached, answer)| *cached == 0 && *answer == first[0].1), "{first:?}");
        assert_eq!(engine.counts().image_misses, 3 * pictures);
        for (scope, (_, answer)) in scopes.into_iter().zip(&first) {
            let (cached, again) = ask(scope);
            assert!(cached > 0 && again == *answer, "{scope:?}: {cached}");
        }
        assert_eq!(engine.counts().image_misses, 3 * pictures);
    }
}

#[test]
fn a_session_of_a_scope_stays_in_it() {
    let folder = Scratch::new();
    let file = folder.path("session");
    let request = about(vec![], "What is CT?");
    let scoped = AskOptions { scope: Some(b"ward".as_slice().into()), ..tokens(4) };
    let engine = open(&options(1));
    let reply = engine.ask(&request, &scoped, &mut |_| {}).unwrap();
    engine.save_session(reply.conversation, &file).unwrap();
    for (asked, reused) in [(tokens(4), false), (scoped, true)] {
        let engine = open(&options(1));
        engine.load_session(&file).unwrap();
        let usage = engine.ask(&request, &asked, &mut |_| {}).unwrap().usage;
        assert_eq!(usage.cached_tokens > 0, reused);
    }
}

#[test]
fn a_turn_out_of_turn_is_refused() {
    let engine = open(&options(1));
    let turns = vec![Turn::user(["a".into()]), Turn::user([Part::Study])];
    let request = Request { turns, ..Request::default() };
    let error = engine.ask(&request, &tokens(2), &mut |_| {}).unwrap_err();
    assert_eq!((error.code(), error.facts().thing.as_str()), (ErrorCode::Request, "turn 1"));
}

#[test]
fn counts_are_there_while_the_loop_works() {
    let engine = open(&options(1));
    assert_eq!((engine.counts().active, engine.counts().last_round), (0, None));
    let running = engine.submit(&about(vec![], "Why?"), &tokens(1900)).unwrap();
    settled(&engine, 1);
    let before = engine.counts();
    while engine.counts().steps == before.steps {}
    assert!(engine.counts().last_round > before.last_round);
    drop(running);
}

#[test]
fn tokens_are_counted_without_pixels() {
    let engine = open(&options(1));
    let clip = StudyInput::video(example("clip.mp4"));
    let picture = StudyInput::image(input("chest.png"));
    for (studies, max_tiles) in [
        (vec![], None),
        (vec![clip.clone().look(Look::default().frames(FrameCount::Exactly(3)))], None),
        (vec![picture.clone(), volume(2)], None),
        (vec![picture], Some(6)),
    ] {
        let request = about(studies, "What is shown?");
        let asked = AskOptions { max_tiles, ..tokens(1) };
        let count = engine.count_tokens(&request, &asked).unwrap();
        let reply = engine.ask(&request, &asked, &mut |_| {}).unwrap();
        assert_eq!(count.prompt_tokens, reply.usage.prompt_tokens);
        assert_eq!((count.image_tokens, count.frames), (reply.usage.image_tokens, reply.frames.len()));
        assert!(count.fits());
    }
    // What does not fit is counted, and refused without a pixel: so many would be gigabytes.
    let many = about(vec![clip.look(Look::default().frames(FrameCount::Exactly(4096)))], "What is shown?");
    let count = engine.count_tokens(&many, &tokens(1)).unwrap();
    assert!(!count.fits() && count.image_tokens >= 4096 * 256, "{count:?}");
    let refusal = engine.ask(&many, &tokens(1), &mut |event| panic!("{event:?}")).unwrap_err();
    assert_eq!(refusal.code(), ErrorCode::Request);
}

#[test]
fn more_studies_than_any_context_holds_are_refused_before_they_are_opened() {
    let engine = open(&options(1));
    let nowhere = vec![StudyInput::image("nowhere.png"); 513];
    let error = engine.ask(&about(nowhere, "What is shown?"), &tokens(1), &mut |_| {}).unwrap_err();
    assert_eq!((error.code(), error.facts().thing.as_str()), (ErrorCode::Request, "studies"));
}

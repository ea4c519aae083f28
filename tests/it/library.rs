//! The public API, as a program that embeds it would use it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use fleming::{
    AskOptions, Cancel, Engine, EngineOptions, ErrorCode, Event, Finish, Frame, Instruction, Modality,
    ReplyPart, Request, Source, StopRule, Study, StudyInput, Tracing, Watch,
};

use crate::support::{input, package};

fn engine() -> Engine {
    Engine::open(&package(), &EngineOptions::default()).unwrap()
}

fn short() -> AskOptions {
    AskOptions { max_new_tokens: Some(6), stop: StopRule::LengthOnly, ..AskOptions::default() }
}

fn about(study: StudyInput) -> Request {
    Request::about(vec![study], "What is shown?")
}

#[test]
fn the_streamed_text_is_the_reply() {
    let mut streamed = String::new();
    let mut stages = Vec::new();
    let request = about(StudyInput::image(input("chest.png")));
    let reply = engine()
        .ask(&request, &short(), &mut |event| match event {
            Event::Encoding { done, total } => stages.push(("encoding", done, total)),
            Event::Prefilling { done, total } => stages.push(("prefilling", done, total)),
            Event::Text { part: ReplyPart::Answer, text } => streamed += text,
            _ => {}
        })
        .unwrap();
    assert_eq!(streamed.trim(), reply.text);
    assert_eq!(reply.finish, Finish::Length);
    assert_eq!(reply.completion_ids.len(), 6);
    assert_eq!((stages[0], stages[1]), (("encoding", 0, 1), ("encoding", 1, 1)));
    let prompt = reply.usage.prompt_tokens;
    assert_eq!(stages.last(), Some(&("prefilling", prompt, prompt)));
}

#[test]
fn pixels_in_memory_are_as_good_as_a_file() {
    let engine = engine();
    let path = input("chest.png");
    let picture = image::open(&path).unwrap().to_rgb8();
    let frame = Frame::rgb(picture.width(), picture.height(), picture.into_raw()).unwrap();
    let study = Study {
        modality: Modality::Image,
        source: "camera".into(),
        frames: vec![frame],
        warnings: Vec::new(),
    };
    let bytes = Source::Bytes { name: "upload".into(), bytes: std::fs::read(&path).unwrap().into() };
    let options = AskOptions { tracing: Tracing::Tensors, ..short() };
    let replies: Vec<_> =
        [StudyInput::image(Source::Path(path)), StudyInput::image(bytes), StudyInput::Frames(study)]
            .into_iter()
            .map(|study| engine.ask(&about(study), &options, &mut |_| {}).unwrap())
            .collect();
    let [file, upload, camera] = &replies[..] else { unreachable!() };
    assert_eq!(upload.trace.as_ref().unwrap().pixels, file.trace.as_ref().unwrap().pixels);
    assert_eq!(camera.trace.as_ref().unwrap().pixels, file.trace.as_ref().unwrap().pixels);
    assert_eq!(upload.completion_ids, file.completion_ids);
    assert_eq!(camera.completion_ids, file.completion_ids);
    assert_eq!((upload.frames[0].source.as_str(), camera.frames[0].source.as_str()), ("upload", "camera"));
}

#[test]
fn a_failed_request_leaves_the_engine_usable() {
    let engine = engine();
    let error = engine.ask(&about(StudyInput::image("nowhere.png")), &short(), &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Input);
    assert!(error.facts().thing.contains("nowhere.png"));
    let request = Request::about(Vec::new(), "What is CT?");
    assert_eq!(engine.ask(&request, &short(), &mut |_| {}).unwrap().completion_ids.len(), 6);
}

#[test]
fn an_answer_can_be_cancelled_at_every_stage() {
    let engine = engine();
    let request = about(StudyInput::image(input("chest.png")));
    let whole = engine.ask(&request, &short(), &mut |_| {}).unwrap();
    let stages: [fn(Event<'_>) -> bool; 3] = [
        |event| matches!(event, Event::Encoding { .. }),
        |event| matches!(event, Event::Prefilling { .. }),
        |event| matches!(event, Event::Text { .. }),
    ];
    for stage in stages {
        let cancel = Cancel::default();
        let options = AskOptions { cancel: cancel.clone(), ..short() };
        let reply = engine
            .ask(&request, &options, &mut |event| {
                if stage(event) {
                    cancel.cancel();
                }
            })
            .unwrap();
        assert_eq!(reply.finish, Finish::Cancelled);
        assert!(reply.completion_ids.len() < whole.completion_ids.len());
        assert!(whole.completion_ids.starts_with(&reply.completion_ids));
        // What was cut off leaves nothing behind.
        assert_eq!(engine.ask(&request, &short(), &mut |_| {}).unwrap().completion_ids, whole.completion_ids);
    }
}

#[test]
fn two_threads_take_turns() {
    let engine = engine();
    let ask = |question: &str| {
        let request = Request { instruction: Instruction::Direct, ..Request::about(Vec::new(), question) };
        engine.ask(&request, &short(), &mut |_| {}).unwrap().completion_ids
    };
    let alone = [ask("What is CT?"), ask("What is MRI?")];
    let together = std::thread::scope(|scope| {
        let [one, two] = ["What is CT?", "What is MRI?"].map(|question| scope.spawn(move || ask(question)));
        [one.join().unwrap(), two.join().unwrap()]
    });
    assert_eq!(together, alone);
}

#[test]
fn the_context_is_the_limit() {
    let options = EngineOptions { context: Some(40), ..EngineOptions::default() };
    let engine = Engine::open(&package(), &options).unwrap();
    let request = Request {
        system: Some(vec!["S".into()]),
        instruction: Instruction::Direct,
        ..Request::about(Vec::new(), "Why?")
    };
    let options =
        AskOptions { max_new_tokens: Some(1000), stop: StopRule::LengthOnly, ..AskOptions::default() };
    let reply = engine.ask(&request, &options, &mut |_| {}).unwrap();
    assert_eq!(reply.usage.prompt_tokens + reply.usage.completion_tokens, 40);
    assert_eq!(reply.finish, Finish::Length);
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn whoever_waits_elsewhere_is_woken() {
    let engine = engine();
    let request = about(StudyInput::image(input("chest.png")));
    let wanted = engine.ask(&request, &short(), &mut |_| {}).unwrap();
    let mut pending = engine.submit(&request, &short()).unwrap();
    let (sender, wakes) = mpsc::channel();
    pending.on_message(move || sender.send(()).unwrap_or_default());
    let mut streamed = String::new();
    let reply = loop {
        wakes.recv_timeout(LONG).unwrap();
        let heard = pending.poll(Duration::ZERO, &mut |event| {
            if let Event::Text { text, .. } = event {
                streamed += text;
            }
        });
        if let Some(reply) = heard.unwrap() {
            break reply;
        }
    };
    assert_eq!((reply.completion_ids, streamed.trim()), (wanted.completion_ids, wanted.text.as_str()));
    // After the end too, there is a wake for whoever asks late.
    let pending = engine.submit(&request, &short()).unwrap();
    while engine.counts().preparing + engine.counts().waiting + engine.counts().active > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (sender, wakes) = mpsc::channel();
    pending.on_message(move || sender.send(()).unwrap_or_default());
    wakes.recv_timeout(LONG).unwrap();
}

#[test]
fn an_engine_that_is_shut_down_ends_its_answers() {
    let engine = engine();
    let request = about(StudyInput::image(input("chest.png")));
    let endless = AskOptions { max_new_tokens: Some(100_000), ..short() };
    let pending: Vec<_> = (0..12).map(|_| engine.submit(&request, &endless).unwrap()).collect();
    let other = engine.clone();
    std::thread::scope(|scope| {
        scope.spawn(|| other.shut_down());
        engine.shut_down();
    });
    for answer in pending {
        assert_eq!(answer.wait(&mut |_| {}).unwrap().finish, Finish::Cancelled);
    }
    let refused = engine.submit(&request, &short()).err().unwrap();
    assert_eq!(
        (refused.code(), refused.facts().got.as_str()),
        (ErrorCode::Runtime, "one that was shut down")
    );
    assert_eq!(engine.embed(&request.studies, &short()).unwrap_err().code(), ErrorCode::Runtime);
    assert_eq!(engine.count_tokens(&request, &short()).unwrap_err().code(), ErrorCode::Runtime);
    assert_eq!(engine.load_session_bytes(b"").unwrap_err().code(), ErrorCode::Input);
    assert!(!engine.is_alive());
    engine.shut_down();
}

#[test]
fn a_session_in_memory_is_that_of_a_file() {
    let engine = engine();
    let request = about(StudyInput::image(input("chest.png")));
    let reply = engine.ask(&request, &short(), &mut |_| {}).unwrap();
    let bytes = engine.session_bytes(reply.conversation).unwrap();
    let other = self::engine();
    other.load_session_bytes(&bytes).unwrap();
    let again = other.ask(&request, &short(), &mut |_| {}).unwrap();
    assert_eq!(again.completion_ids, reply.completion_ids);
    assert!(again.usage.cached_tokens > again.usage.prompt_tokens / 2, "{:?}", again.usage);
    for spoilt in [&bytes[..bytes.len() - 1], b"session"] {
        assert_eq!(other.load_session_bytes(spoilt).unwrap_err().code(), ErrorCode::Input);
    }
    let small = EngineOptions { context: Some(8), ..EngineOptions::default() };
    let small = Engine::open(&package(), &small).unwrap();
    assert_eq!(small.load_session_bytes(&bytes).unwrap_err().code(), ErrorCode::Request);
}

#[test]
fn loading_ends_when_its_watch_does() {
    let open = |watch: &Watch| Engine::open_watched(&package(), &EngineOptions::default(), watch);
    let cancel = Cancel::default();
    let watch = Watch::default().switch(&cancel);
    open(&watch).unwrap();
    cancel.cancel();
    assert_eq!(open(&watch).err().unwrap().code(), ErrorCode::Cancelled);
    let late = Watch::default().deadline(Instant::now());
    assert_eq!(open(&late).err().unwrap().code(), ErrorCode::TimedOut);
}

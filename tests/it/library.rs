//! The public API, as a program that embeds it would use it.

use fleming::{
    AskOptions, Cancel, Engine, EngineOptions, ErrorCode, Event, Finish, Frame, Instruction, Modality,
    ReplyPart, Request, Source, StopRule, Study, StudyInput, Tracing,
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

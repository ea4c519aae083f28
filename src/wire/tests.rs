use std::path::Path;

use serde_json::{Map, Value, json};

use super::*;
use crate::conversation::Conversation;
use crate::error::ErrorCode;
use crate::frame::{Modality, Provenance};
use crate::request::{FrameUsed, Part, Request, Role, Turn};
use crate::study::{FrameCount, Look, Source, StudyInput, Window};

const TAG: &str = "<image>";

fn here() -> Files<'static> {
    Files::Read(Path::new("f"))
}

fn fields(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn case(value: Value) -> crate::error::Result<Case> {
    Case::read(&fields(value), &Chosen::default(), here())
}

fn asked(value: Value) -> Request {
    case(value).unwrap().request(TAG)
}

fn names(studies: &[StudyInput]) -> Vec<String> {
    let name = |study: &StudyInput| match study {
        StudyInput::File { source, modality, .. } => {
            format!("{} {}", modality.map_or("file", Modality::name), source.name())
        }
        _ => unreachable!(),
    };
    studies.iter().map(name).collect()
}

/// A turn with `[study]` where one stands.
fn text(turn: &Turn) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Study => "[study]".into(),
    };
    turn.parts.iter().map(text).collect()
}

fn look(study: &StudyInput) -> &Look {
    let StudyInput::File { look, .. } = study else { panic!("{study:?}") };
    look
}

#[test]
fn studies_of_a_case_keep_their_order() {
    let request = asked(json!({
        "id": 1, "question": "Q", "video": "c", "image": ["a", "b"], "volumes": null, "files": "d",
        "studies": [{"volume": "x"}, {"image": "y"}, {"file": "/z"}],
    }));
    let wanted = ["volume f/x", "image f/y", "file /z", "image f/a", "image f/b", "video f/c", "file f/d"];
    assert_eq!(names(&request.studies), wanted);
    assert_eq!(text(&request.turns[0]), "Q");
}

#[test]
fn a_study_has_options_of_its_own_over_those_of_its_case() {
    let request = asked(json!({
        "question": "Q", "slices": 7, "volume": "v",
        "studies": [{"volume": "x", "slices": 3}, {"volume": "y"}, {"video": "c", "frames": 2}],
    }));
    let slices: Vec<_> = request.studies.iter().map(|study| look(study).slices).collect();
    assert_eq!(slices, [Some(3), Some(7), Some(7), Some(7)]);
    assert_eq!(look(&request.studies[2]).frames, Some(FrameCount::Exactly(2)));
    assert!(look(&request.studies[2]).is_shared() && look(&request.studies[3]).is_shared());
    let own = asked(json!({"question": "Q", "studies": [{"volume": "x", "slices": 3}]}));
    assert!(!look(&own.studies[0]).is_shared());
}

#[test]
fn a_case_says_what_it_asks_and_what_is_not_read() {
    let read = case(json!({
        "id": 1, "kind": "k", "answer": "a", "fact": 5, "temperature": 1, "site": 2,
        "question": "Q", "history": [["q <image>", "a"]], "system": "S <image>", "prompt": "direct", "images": ["a", "b"],
    }))
    .unwrap();
    assert_eq!(read.unread, ["fact", "site"]);
    assert_eq!(read.warnings().count(), 2);
    assert_eq!(read.options.ask.sampling.temperature, 1.0);
    let request = read.request(TAG);
    assert_eq!(request.system, Some(vec!["S <image>".into()]), "a tag in the system text is its letters");
    let turns: Vec<_> = request.turns.iter().map(|turn| (turn.role, text(turn))).collect();
    let wanted = [(Role::User, "q [study]"), (Role::Assistant, "a"), (Role::User, "[study]\nQ")];
    assert_eq!(turns, wanted.map(|(role, text)| (role, text.to_owned())));
    // A new study comes before the question, but in reference mode only where the text says.
    let new = |mode: &str| {
        let request =
            asked(json!({"question": "Q", "history": [["q", "a"]], "image": "a", "preprocessing": mode}));
        text(request.turns.last().unwrap())
    };
    assert_eq!((new("clinical"), new("reference")), ("[study]\nQ".into(), "Q".into()));
    // Parts say where studies stand, whatever their texts hold.
    let parts = asked(json!({"question": [{"text": "a <image> "}, "study"], "image": "a"}));
    assert_eq!(text(&parts.turns[0]), "a <image> [study]");
}

#[test]
fn what_is_no_case_is_refused_by_name() {
    for (value, name) in [
        (json!({}), "question"),
        (json!({"question": 5}), "question"),
        (json!({"question": "Q", "slots": 2}), "slots"),
        (json!({"question": "Q", "max_new_token": 2}), "max_new_token"),
        (json!({"question": "Q", "images": [5]}), "images"),
        (json!({"question": "Q", "images": {"a": 1}}), "images"),
        (json!({"question": "Q", "images": "a", "image": "b"}), "image"),
        (json!({"question": "Q", "history": {}}), "conversation"),
        (json!({"question": "Q", "history": [["only a question"]]}), "history"),
        (json!({"question": "Q", "studies": "a"}), "studies"),
        (json!({"question": "Q", "studies": [{"slices": 5}]}), "study"),
        (json!({"question": "Q", "studies": [{"image": "a", "volume": "b"}]}), "study"),
        (json!({"question": "Q", "studies": [{"image": "a", "slices": 5}]}), "study"),
        (json!({"question": "Q", "studies": [{"image": "a", "model": "y"}]}), "study"),
        (json!({"question": "Q", "studies": [{"volume": "a", "slices": 5000}]}), "slices"),
        (json!({"question": "Q", "max_new_tokens": "many"}), "max_new_tokens"),
        (json!({"question": "Q", "slices": 5}), "slices"),
        (json!({"question": "Q", "images": ["a", "b"], "slices": 5}), "slices"),
    ] {
        let error = case(value.clone()).map(drop).unwrap_err();
        assert_eq!((error.code(), &*error.facts().thing), (ErrorCode::Request, name), "{value}: {error}");
    }
    // What a file is, its reader finds out.
    for fits in [
        json!({"question": "Q", "file": "a", "slices": 5}),
        json!({"question": "Q", "volume": "a", "slices": 5}),
    ] {
        case(fits).unwrap();
    }
    let url = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(5000));
    for value in
        [json!({"question": "Q", "studies": [{"image": url, "more": 1}]}), json!({"question": [url]})]
    {
        let message = case(value).map(drop).unwrap_err().to_string();
        assert!(message.len() < 500 && !message.contains("iVBOR"), "{message}");
    }
    let elsewhere = Case::read(
        &fields(json!({"question": "Q", "image": "/etc/passwd"})),
        &Chosen::default(),
        Files::Refused,
    );
    assert!(!elsewhere.map(drop).unwrap_err().to_string().contains("passwd"));
}

#[test]
fn a_study_is_read_as_it_was_written() {
    let looks = Look::default().frames(FrameCount::Seconds(2.5)).start(0.5);
    let volume = Look::default().slices(3).axis(2).range([4, 9]).window(Window::sigmoid(-600.0, 1500.0));
    for (input, wanted) in [
        (StudyInput::image("/a b.png"), json!({"image": "/a b.png"})),
        (StudyInput::file("/a"), json!({"file": "/a"})),
        (
            StudyInput::file("/a").look(Look::default().slices(3).shared()),
            json!({"file": "/a", "slices": 3, "shared": true}),
        ),
        (StudyInput::video("/c").look(looks), json!({"video": "/c", "seconds": 2.5, "start": 0.5})),
        (
            StudyInput::volume("/v").look(volume),
            json!({"volume": "/v", "slices": 3, "axis": 2, "range": "4-9", "window": "-600/1500/sigmoid"}),
        ),
        (
            // What does not fit was meant for another.
            StudyInput::image("/a").look(Look::default().slices(3).shared()),
            json!({"image": "/a"}),
        ),
    ] {
        let written = study(&input).unwrap();
        assert_eq!(written, wanted);
        let read = read_study(&written, &Chosen::default(), Files::Read(Path::new(""))).unwrap();
        assert_eq!(study(&read).unwrap(), wanted);
        assert_eq!(names(&[read]), names(&[input]));
    }
    let bytes = StudyInput::image(Source::Bytes { name: "n".into(), bytes: vec![0].into() });
    assert!(study(&bytes).is_none());
}

#[test]
fn a_conversation_is_read_as_it_was_written() {
    let turns = vec![
        Turn::user([Part::Study, "\nWhat?".into()]),
        Turn::assistant(["It looks like <image> to me.".into()]),
        Turn::user(["<ima".into(), "ge>".into()]),
        Turn::assistant(["a".into()]),
    ];
    let studies = vec![StudyInput::volume("/v"), StudyInput::image("/new")];
    let conversation = Conversation::after(turns, studies, Some(vec!["Be brief.".into()]));
    let written = transcript(&conversation, TAG).unwrap();
    assert_eq!(written["history"][0], json!(["<image>\nWhat?", [{"text": "It looks like <image> to me."}]]));
    assert_eq!(written["history"][1][0], json!([{"text": "<ima"}, {"text": "ge>"}]));
    assert_eq!(written["studies"], json!([{"volume": "/v"}]), "what nobody asked about is not written");
    assert_eq!(written["system"], "Be brief.");
    let read = Transcript::read(&written, here()).unwrap().conversation(TAG);
    assert_eq!(read.turns(), conversation.turns());
    assert_eq!(transcript(&read, TAG).unwrap(), written);

    let bare = Transcript::read(&json!([["q", "a"]]), here()).unwrap();
    assert!(bare.system.is_none() && bare.studies.is_empty() && bare.history.len() == 1);
    let packages = Transcript::read(&json!({"history": [], "system": null}), here()).unwrap();
    assert_eq!(packages.system, Some(None));
    for wrong in [
        json!(5),
        json!([[1, 2]]),
        json!([["q", "a", "more"]]),
        json!({"history": [], "more": 1}),
        json!({"history": [["q", [{"image": "x"}]]]}),
    ] {
        assert!(Transcript::read(&wrong, here()).is_err(), "{wrong}");
    }
}

#[test]
fn a_frame_has_every_fact_that_is_known_of_it() {
    let used = |provenance| FrameUsed { source: "s".into(), study: 1, provenance, tiles: 2 };
    let mut slice = Provenance::volume(7, [0.0, 1.0]);
    slice.spacing_mm = Some([5.0, 0.5, 0.5]);
    slice.axis = Some(0);
    slice.position_mm = Some(-12.5);
    slice.part = Some("IM7".into());
    for (provenance, wanted) in [
        (Provenance::default(), json!({"source": "s", "study": 1, "tiles": 2})),
        (
            Provenance::video(3, 0.25),
            json!({"source": "s", "study": 1, "tiles": 2, "frame_index": 3, "time": 0.25}),
        ),
        (
            slice,
            json!({"source": "s", "study": 1, "tiles": 2, "slice_index": 7, "window": [0.0, 1.0], "axis": 0,
                   "spacing_mm": [5.0, 0.5, 0.5], "position_mm": -12.5, "part": "IM7"}),
        ),
    ] {
        assert_eq!(frame(&used(provenance)), wanted);
    }
}

#[test]
fn an_error_has_a_name_and_four_facts() {
    let failure = crate::Error::input("x.png", "a picture", "none").hint("look again");
    let wanted = json!({
        "code": "input", "thing": "x.png", "wanted": "a picture", "got": "none", "hint": "look again",
        "message": "x.png: wanted a picture, got none (look again)",
    });
    assert_eq!(error(&failure), wanted);
}

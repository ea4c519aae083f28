//! What the demo model answers through the library: a mix-up of studies, slots or kept keys and values would be heard.

use fleming::{
    AskOptions, Engine, EngineOptions, Instruction, Part, ReadOptions, Request, Source, StudyInput, Turn,
};

use crate::support::{demo_model, example};

fn file(name: &str) -> Source {
    Source::Path(example(name))
}

fn open(slots: usize) -> Engine {
    Engine::open(&demo_model(), &EngineOptions { slots, ..EngineOptions::default() }).unwrap()
}

fn about(study: StudyInput, question: &str) -> Request {
    Request::about(vec![study], question)
}

fn volume() -> StudyInput {
    StudyInput::volume(file("volume.npz"))
}

#[test]
fn who_asks_at_once_is_told_of_the_own_study() {
    let engine = open(3);
    let retina = "What does the retina show?";
    let asked = [
        (about(StudyInput::image(file("fundus.png")), retina), "haemorrhages"),
        (about(volume(), "In which third of the chest is the nodule?"), "lower third"),
        (about(StudyInput::image(file("fundus_clear.png")), retina), "no haemorrhages"),
        (about(StudyInput::video(file("clip.mp4")), "From which side does the instrument enter?"), "left"),
        (about(StudyInput::image(file("fundus.png")), retina), "haemorrhages"),
    ];
    let options = AskOptions::default();
    let answerings: Vec<_> =
        asked.iter().map(|(request, _)| engine.submit(request, &options).unwrap()).collect();
    for (answering, (_, wanted)) in answerings.into_iter().zip(&asked) {
        let reply = answering.wait(&mut |_| {}).unwrap();
        assert_eq!(&reply.answer, wanted);
        assert!(reply.thought.is_some());
    }
}

#[test]
fn a_further_question_is_answered_from_what_was_kept() {
    let engine = open(1);
    let (first, second) =
        ("What device is observed on the chest wall?", "In which third of the chest is the nodule?");
    let options = AskOptions::default();
    let reply = engine.ask(&about(volume(), first), &options, &mut |_| {}).unwrap();
    assert_eq!(reply.answer, "pacemaker");
    // A turn is kept as it was sent, its instruction included: only then does the next prompt begin with it.
    let instruction = engine.package().manifest().instruction(&Instruction::Reasoning).unwrap();
    let turns = vec![
        Turn::user([format!("{instruction}\n").into(), Part::Study, format!("\n{first}").into()]),
        Turn::assistant([reply.text.into()]),
        Turn::user([second.into()]),
    ];
    let on = Request { turns, ..about(volume(), second) };
    let reply = engine.ask(&on, &options, &mut |_| {}).unwrap();
    assert_eq!(reply.answer, "lower third");
    assert!(reply.usage.cached_tokens > 11 * 64, "{:?}", reply.usage);
}

#[test]
fn the_ids_are_the_same_however_they_are_asked() {
    let clip = StudyInput::video(file("clip.mp4"));
    let asked = [
        about(volume(), "What device is observed on the chest wall?"),
        about(volume(), "In which third of the chest is the nodule?"),
        about(clip, "From which side does the instrument enter?"),
        about(StudyInput::image(file("fundus.png")), "What does the retina show?"),
        about(StudyInput::image(file("chest.png")), "Is there a nodule, and on which side?"),
    ];
    let ids = |slots: usize, chunk: usize, speculation| {
        let options = EngineOptions { slots, chunk, ..EngineOptions::default() };
        let engine = Engine::open(&demo_model(), &options).unwrap();
        let options = AskOptions { speculation, ..AskOptions::default() };
        let round = || {
            let all: Vec<_> = asked.iter().map(|request| engine.submit(request, &options).unwrap()).collect();
            let ids = all.into_iter().map(|answering| answering.wait(&mut |_| {}).unwrap().completion_ids);
            ids.collect::<Vec<_>>()
        };
        // The second time from what was kept.
        [round(), round()].concat()
    };
    let alone = ids(1, 512, None);
    assert_eq!(alone[..5], alone[5..]);
    for (slots, chunk, speculation) in [(1, 64, None), (8, 512, None), (8, 64, None), (3, 64, Some(8))] {
        assert_eq!(ids(slots, chunk, speculation), alone, "{slots} slots, chunk {chunk}, {speculation:?}");
    }
}

#[test]
fn a_chest_is_the_same_as_a_series_and_as_nifti() {
    let engine = open(1);
    let names = ["chest_ct", "chest.nii.gz"];
    let asked = [
        ("What device is observed on the chest wall?", "pacemaker"),
        ("On which side of the chest is the device?", "left"),
        ("In which region is the largest lymph node?", "mediastinum"),
    ];
    for (name, (question, wanted)) in names.iter().flat_map(|name| asked.map(|asked| (name, asked))) {
        let request = about(StudyInput::file(file(name)), question);
        let reply = engine.ask(&request, &AskOptions::default(), &mut |_| {}).unwrap();
        assert_eq!(reply.answer, wanted, "{name}: {question}");
    }
    let [series, nifti] = names.map(|name| {
        let study = fleming::read(&StudyInput::file(file(name)), &ReadOptions::default()).unwrap();
        study.frames.into_iter().map(|frame| frame.at(Default::default())).collect::<Vec<_>>()
    });
    assert_eq!(series.len(), 11);
    assert_eq!(series, nifti);
}

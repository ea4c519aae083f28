//! How an engine is set up.

use super::row::{Form, Row, number};
use crate::engine::EngineOptions;
use crate::limits::Subject;

const fn row(name: &'static str, value: &'static str, form: Form, help: &'static str) -> Row {
    Row::new(Subject::Engine.option(name), value, form, help)
}

pub(super) static ENGINE: [Row; 10] = [
    row(
        "provider",
        "NAME",
        Form::Text(|o, name| o.engine.provider = name, |o| Some(o.engine.provider.clone())),
        "What runs the model: cpu, cuda, tensorrt; cuda:1 is the second GPU",
    ),
    row(
        "provider_option",
        "KEY=VALUE",
        Form::Pairs("KEY=VALUE", |o, key, value| {
            o.engine.provider_options.push((key.into(), value.into()));
            true
        }),
        "An option of the provider, by ONNX Runtime's name of it; may be repeated",
    ),
    number!(EngineOptions::THREADS, engine.threads as Option<usize>, "N", "Threads inside an operator")
        .absent("one for each physical core"),
    number!(EngineOptions::CONTEXT, engine.context as Option<usize>, "N", "Most tokens in the conversation")
        .absent("the model's limit"),
    number!(
        EngineOptions::SLOTS,
        engine.slots as usize,
        "N",
        "Conversations in memory, each of --context tokens; the most that are answered at once"
    )
    .absent("as many as are asked at once"),
    number!(
        EngineOptions::QUEUE,
        engine.queue as usize,
        "N",
        "Questions that may wait for a slot; more are refused"
    ),
    number!(
        EngineOptions::CHUNK,
        engine.chunk as usize,
        "N",
        "Prompt tokens that run together; other answers go on in between"
    ),
    number!(
        EngineOptions::IMAGE_CACHE,
        engine.vision_cache as usize,
        "BYTES",
        "Most bytes of image embeddings that are kept for a picture that is asked about again"
    ),
    row(
        "engine_cache",
        "DIR",
        Form::Path(|o, folder| o.engine.plan_cache = Some(folder), |o| o.engine.plan_cache.clone()),
        "Folder for the plans that TensorRT builds",
    )
    .absent("fleming in the user's cache folder"),
    row(
        "onnxruntime",
        "FILE",
        Form::Path(|o, file| o.engine.library = Some(file), |o| o.engine.library.clone()),
        "The ONNX Runtime library",
    )
    .absent("searched for"),
];

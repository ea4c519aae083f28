//! The binary, the synthetic package, engines of it, requests and small inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use fleming::{
    AskOptions, Engine, EngineOptions, Frame, Instruction, Look, Modality, Reply, Request, StopRule, Study,
    StudyInput,
};
use serde_json::Value;
use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The synthetic package that `make test` exports.
pub fn package() -> PathBuf {
    made("models/synthetic")
}

/// The same checkpoint at another precision.
pub fn package_at(precision: &str) -> PathBuf {
    made(&format!("models/synthetic-{precision}"))
}

/// The same checkpoint in the form of another target, in f32.
pub fn package_for(target: &str) -> PathBuf {
    made(&format!("models/synthetic-{target}"))
}

/// ONNX Runtime's build for CUDA, which `make test` installs: its library, and the headers of CUDA.
pub fn gpu_build() -> [PathBuf; 2] {
    let folder = made(".venv/gpu/site/onnxruntime/capi");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let is_library =
        |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("libonnxruntime.so");
    [files.into_iter().find(is_library).unwrap(), made(".venv/gpu/headers/cu13/include")]
}

/// The demo model, which is part of the repository.
pub fn demo_model() -> PathBuf {
    Path::new(ROOT).join("models/demo")
}

/// One of the repository's `examples`.
pub fn example(name: &str) -> PathBuf {
    Path::new(ROOT).join("examples").join(name)
}

/// One of the inputs that `make test` draws: `chest.png`, `clip.mp4`, `volume_f32.npy`.
pub fn input(name: &str) -> PathBuf {
    made("examples/generated/inputs").join(name)
}

fn made(path: &str) -> PathBuf {
    let path = Path::new(ROOT).join(path);
    assert!(path.exists(), "{} is missing: `make test` makes it", path.display());
    path
}

/// `fleming ask` on the synthetic package with these options, ready to be given more.
pub fn ask(options: &[&str]) -> Command {
    ask_of(&package(), options)
}

/// A verb on the synthetic package.
pub fn fleming(verb: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg(verb).arg("--model").arg(package());
    command
}

/// `fleming ask` on another package.
pub fn ask_of(package: &Path, options: &[&str]) -> Command {
    let mut command = ask_long(package, 4);
    command.args(options);
    command
}

/// `fleming ask` on a package, for a reply of at most this many tokens.
pub fn ask_long(package: &Path, tokens: usize) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("ask").arg("--model").arg(package).arg("--max-new-tokens").arg(tokens.to_string());
    command
}

/// Runs a command that must succeed and print one JSON object.
pub fn reply(command: &mut Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs a command that must fail with this exit code, one message and nothing on stdout; returns the message.
pub fn refusal(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let said = stderr(&output);
    // What the memory comes to is told before anything is loaded.
    let message = match said.split_once('\n') {
        Some((first, rest)) if first.starts_with("memory: ") => rest.to_owned(),
        _ => said,
    };
    assert_eq!(output.status.code(), Some(code), "{command:?}: {message}");
    assert!(message.starts_with("error: ") && message.lines().count() == 1, "{command:?}: {message}");
    assert!(!message.contains("panicked"), "{message}");
    assert!(output.stdout.is_empty(), "{command:?} wrote to stdout");
    message
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Options of an engine that uses one thread, for conversations of at most 2048 tokens.
pub fn options(slots: usize) -> EngineOptions {
    EngineOptions { slots, context: Some(2048), threads: Some(1), ..EngineOptions::default() }
}

/// An engine of the synthetic package.
pub fn open(options: &EngineOptions) -> Engine {
    Engine::open(&package(), options).unwrap()
}

/// Options for a reply of exactly so many tokens.
pub fn tokens(count: usize) -> AskOptions {
    AskOptions { max_new_tokens: Some(count), stop: StopRule::LengthOnly, ..AskOptions::default() }
}

/// A flat picture of one colour.
pub fn picture(colour: [u8; 3]) -> StudyInput {
    let frame = Frame::rgb(8, 8, colour.repeat(64)).unwrap();
    let (modality, source) = (Modality::Image, "flat".to_owned());
    StudyInput::Frames(Study { modality, source, frames: vec![frame], warnings: Vec::new() })
}

/// A question that is asked as it is.
pub fn about(studies: Vec<StudyInput>, question: &str) -> Request {
    Request { instruction: Instruction::Direct, ..Request::about(studies, question) }
}

/// A reply, whatever happens on the way.
pub fn answer(engine: &Engine, request: &Request, options: &AskOptions) -> Reply {
    engine.ask(request, options, &mut |_| {}).unwrap()
}

/// So many slices of the drawn volume.
pub fn volume(slices: usize) -> StudyInput {
    StudyInput::volume(input("volume_f32.npy")).look(Look::default().slices(slices))
}

/// Requests of every kind: long and short, with and without pictures, with common beginnings.
pub fn mixture() -> Vec<Request> {
    let mut requests = Vec::new();
    for (number, question) in ["What is CT?", "Is there an effusion?", "Why?", "List all findings, in order."]
        .into_iter()
        .enumerate()
    {
        let shade = 60 * number as u8;
        requests.push(about(vec![], question));
        requests.push(about(vec![picture([shade, 0, 0])], question));
        requests.push(about(vec![picture([0, shade, 9]), picture([7, 7, shade])], question));
        requests.push(about(vec![volume(3)], question));
    }
    requests
}

/// The first tokens of a reply.
pub fn ids(engine: &Engine, request: &Request) -> Vec<u32> {
    answer(engine, request, &tokens(12)).completion_ids
}

/// The replies to requests that are asked at the same time, in the order of the requests.
pub fn asked_at_once(engine: &Engine, asked: &[(Request, AskOptions)]) -> Vec<Reply> {
    let pending: Vec<_> =
        asked.iter().map(|(request, options)| engine.submit(request, options).unwrap()).collect();
    pending.into_iter().map(|pending| pending.wait(&mut |_| {}).unwrap()).collect()
}

/// Waits until so many requests have a slot and none waits for one.
pub fn settled(engine: &Engine, active: usize) {
    // Only an engine that hangs takes so long.
    let end = Instant::now() + Duration::from_secs(600);
    loop {
        let counts = engine.counts();
        if (counts.active, counts.waiting) == (active, 0) {
            return;
        }
        assert!(Instant::now() < end, "{counts:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A folder of its own for a test, with files of the given content.
pub struct Scratch(TempDir);

impl Scratch {
    pub fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A pipe that nobody writes to.
    pub fn pipe(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// A copy of the synthetic package whose files may be altered.
    pub fn package(&self) -> PathBuf {
        self.copy_of(&package())
    }

    /// A copy of a package whose files may be altered.
    pub fn copy_of(&self, folder: &Path) -> PathBuf {
        let copy = self.path("package");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    }
}

/// The bytes of an `.npy` file with this header text and data.
pub fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16 + 1).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.push(b'\n');
    bytes.extend(data);
    bytes
}

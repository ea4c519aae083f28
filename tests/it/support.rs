//! The binary, the synthetic package and small inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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

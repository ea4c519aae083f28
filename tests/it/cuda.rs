//! ONNX Runtime's CUDA provider without a GPU: on libraries of CUDA whose kernels do nothing (`tests/cuda`).
//!
//! No number is checked here. That a package's nodes are all taken by the provider is, that its steps can be recorded, that
//! a recording is played back as often as there are steps, and that nothing is done while one is made which a GPU refuses.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs, thread};

use fleming::{AskOptions, Engine, EngineOptions, Request, StopRule};

use serde_json::{Value, json};

use crate::support::{Scratch, ask_long, ask_of, gpu_build, input, package_at, package_for, stderr};

/// What the stand-in for CUDA's runtime was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    kernels: u64,
    captures: u64,
    replays: u64,
    refused: u64,
}

/// Of a reply.
const TOKENS: usize = 12;

/// The folder with the libraries, compiled once.
fn libraries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/cuda");
        fs::create_dir_all(&folder).unwrap();
        let [_, headers] = gpu_build();
        for name in ["cudart.so.13", "cuda.so.1", "cublas.so.13", "cublasLt.so.13", "curand.so.10"] {
            let name = format!("lib{name}");
            // ONNX Runtime asks for CUDA's functions by the version that bears the library's name
            let versions = folder.join(format!("{name}.map"));
            fs::write(&versions, format!("{name} {{ global: *; }};\n")).unwrap();
            let source = if name.starts_with("libcudart") { "runtime.c" } else { "libraries.c" };
            let mut command = Command::new("cc");
            command.args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I"]).arg(&headers);
            command.arg(root.join("tests/cuda").join(source)).arg("-o").arg(folder.join(&name));
            command.arg(format!("-Wl,-soname,{name},--version-script={}", versions.display()));
            let output = command.output().unwrap();
            assert!(output.status.success(), "{command:?}: {}", stderr(&output));
        }
        folder
    })
}

/// A command on these libraries.
fn with_libraries(mut command: Command, options: &[&str]) -> Command {
    let [library, _] = gpu_build();
    command.env("LD_LIBRARY_PATH", libraries()).arg("--onnxruntime").arg(library);
    command.args(["--context", "1024"]).args(options);
    command
}

/// The same with the provider.
fn on_cuda(mut command: Command, options: &[&str]) -> Command {
    command.args(["--provider", "cuda"]);
    with_libraries(command, options)
}

fn asked(output: &Output) -> Asked {
    let said = stderr(output);
    assert!(output.status.success(), "{said}");
    let line = said.lines().find(|line| line.starts_with("cuda: ")).expect(&said);
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let &[kernels, captures, replays, _, refused] = numbers.as_slice() else { panic!("{line}") };
    Asked { kernels, captures, replays, refused }
}

/// One question about a picture.
fn ask(package: &Path, options: &[&str]) -> Asked {
    let mut command = on_cuda(ask_long(package, TOKENS), &["-q", "Why?", "--ignore-eos", "--json"]);
    let output = command.args(options).arg("--image").arg(input("chest.png")).output().unwrap();
    let asked = asked(&output);
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reply["completion_ids"].as_array().unwrap().len(), TOKENS);
    asked
}

#[test]
fn every_package_for_cuda_is_taken_whole_and_recorded() {
    for package in ["f16", "cuda-bf16", "cuda-int8", "cuda-int4"].map(package_at) {
        let recorded = ask(&package, &[]);
        assert!(recorded.kernels > 50, "{recorded:?}");
        // the first token is the prompt's
        assert_eq!(
            (recorded.captures, recorded.replays, recorded.refused),
            (1, TOKENS as u64 - 1, 0),
            "{}",
            package.display()
        );
        let plain = ask(&package, &["--provider-option", "enable_cuda_graph=false"]);
        assert_eq!((plain.captures, plain.replays), (0, 0));
        assert!(plain.kernels > recorded.kernels, "{plain:?} {recorded:?}");
    }
}

/// The mangled names of the kernels that one question about a picture was answered with.
fn kernels(package: &Path, options: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    let file = scratch.path("kernels");
    let mut command = on_cuda(ask_long(package, TOKENS), &["-q", "Why?", "--ignore-eos"]);
    command.args(options).arg("--image").arg(input("chest.png")).env("CUDA_KERNELS", &file);
    asked(&command.output().unwrap());
    let lines = fs::read_to_string(file).unwrap();
    lines.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn the_fast_kernels_are_taken() {
    let has = |kernels: &[String], part: &str| kernels.iter().any(|name| name.contains(part));
    for package in ["f16", "cuda-bf16", "cuda-int8", "cuda-int4"] {
        let taken = kernels(&package_at(package), &[]);
        assert!(taken.len() > 20 && has(&taken, "flash_fwd"), "{package}: {taken:?}");
        // ONNX Runtime's other ways of attention, in which scores are written out, or heads copied
        for other in ["SoftmaxKernel", "AttentionKernel", "TransposeQKV", "AddBiasTranspose"] {
            assert!(!has(&taken, other), "{package}: {other} in {taken:?}");
        }
        // weights in 4 or 8 bits are never written out in 16
        assert_eq!(has(&taken, "fpA_intB"), package.contains("int"), "{package}: {taken:?}");
        assert!(!has(&taken, "Dequantize"), "{package}: {taken:?}");
    }
    let plain = kernels(&package_at("cuda-int4"), &["--provider-option", "ep.cuda.fpa_intb_gemm=false"]);
    assert!(has(&plain, "Dequantize") && !has(&plain, "fpA_intB"), "{plain:?}");
}

#[test]
fn a_package_for_tensorrt_is_taken_whole_and_not_recorded() {
    for package in [package_at("tensorrt-bf16"), package_for("tensorrt")] {
        let asked = ask(&package, &[]);
        assert_eq!((asked.captures, asked.replays, asked.refused), (0, 0, 0), "{}", package.display());
    }
}

#[test]
fn there_is_a_recording_for_each_number_of_answers() {
    let scratch = Scratch::new();
    let question = |number: usize| {
        let question = "Why? ".repeat(1 + number % 5 * 7);
        json!({"id": number, "question": question, "max_new_tokens": 3 + number * 7 % 40}).to_string()
    };
    let lines: Vec<_> = (0..12).map(question).collect();
    let (questions, answers) =
        (scratch.file("in.jsonl", lines.join("\n").as_bytes()), scratch.path("out.jsonl"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("batch").arg(questions).arg(&answers).arg("--model").arg(package_at("cuda-bf16"));
    let options = ["--ignore-eos", "--concurrency", "4", "--chunk", "16", "--prompt", "direct"];
    let asked = asked(&on_cuda(command, &options).output().unwrap());
    assert!((2..=4).contains(&asked.captures) && asked.replays > 40 && asked.refused == 0, "{asked:?}");
    let answers = fs::read_to_string(answers).unwrap();
    assert_eq!((answers.lines().count(), answers.contains("\"error\"")), (12, false));
}

/// Where the next test has its other process work: with the libraries, in which nothing else may run beside it.
const TWO_ENGINES: &str = "cuda::what_two_engines_do";

#[test]
#[ignore = "the process of another test"]
fn what_two_engines_do() {
    let [library, _] = gpu_build();
    let options = EngineOptions {
        provider: "cuda".into(),
        library: Some(library),
        context: Some(1024),
        slots: 3,
        ..EngineOptions::default()
    };
    let open = || Engine::open(&package_at("cuda-bf16"), &options).unwrap();
    let engines = [open(), open()];
    thread::scope(|scope| {
        for number in 0..6 {
            let engine = &engines[number % 2];
            scope.spawn(move || {
                for round in 0..8 {
                    let request = Request::about(Vec::new(), "Why? ".repeat(1 + round));
                    let length = Some(5 + 7 * number + round);
                    let options = AskOptions {
                        max_new_tokens: length,
                        stop: StopRule::LengthOnly,
                        ..AskOptions::default()
                    };
                    engine.ask(&request, &options, &mut |_| ()).unwrap();
                }
            });
        }
    });
}

#[test]
fn two_engines_in_a_process_do_not_disturb_each_others_recordings() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", TWO_ENGINES, "--ignored", "--nocapture"]).env("LD_LIBRARY_PATH", libraries());
    let asked = asked(&command.output().unwrap());
    // up to three streams, in each engine
    assert!((4..=6).contains(&asked.captures) && asked.replays > 100, "{asked:?}");
    assert_eq!(asked.refused, 0, "{asked:?}");
}

#[test]
fn doctor_knows_the_device() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("doctor").arg("--model").arg(package_at("cuda-bf16"));
    let output = on_cuda(command, &["--no-self-test", "--json"]).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["ok"], &found["problems"]), (&json!(true), &json!([])), "{found}");
    let cuda = found["providers"].as_array().unwrap().iter().find(|facts| facts["name"] == "cuda").unwrap();
    assert_eq!(cuda["ready"], true, "{cuda}");
    assert_eq!(found["graphs"], json!({"vision.onnx": "cuda", "decoder.onnx": "cuda"}));
    assert_eq!(
        found["cuda"],
        json!({"gpu": "no GPU", "compute_capability": "9.0", "driver_for": "13.1", "problem": null})
    );
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let command = ask_of(&package_at("cuda-bf16"), &["-q", "Why?", "--provider", "cuda:1"]);
    let output = with_libraries(command, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("CUDA error 101 for GPU 1"), "{}", stderr(&output));
}

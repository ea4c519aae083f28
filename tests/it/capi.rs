//! The C library through its front door: programs in C, C++ and Python against the header alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::readme::blocks;
use crate::support::{Scratch, demo_model, example, input, package, stderr};

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// With warnings that strict programs turn on: the headers cause none.
pub const C: &[&str] =
    &["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"];
const CPP: &[&str] =
    &["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"];
const CPP20: &[&str] =
    &["c++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"];

pub fn root(path: &str) -> PathBuf {
    Path::new(ROOT).join(path)
}

/// The library that cargo built beside this test.
pub fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let library = test.parent().unwrap().join("libfleming.so");
    assert!(library.exists(), "{} is missing", library.display());
    library
}

/// Compiles a program against the header and links it with the library.
pub fn build(compiler: &[&str], source: &Path, program: &Path) -> PathBuf {
    build_against(&root("include"), compiler, source, program)
}

/// The same against the headers of this folder.
pub fn build_against(headers: &Path, compiler: &[&str], source: &Path, program: &Path) -> PathBuf {
    let folder = library().parent().unwrap().to_owned();
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).arg("-g").arg("-I").arg(headers).arg(source).arg("-o").arg(program);
    command.arg("-L").arg(&folder).arg("-lfleming").arg("-lpthread");
    // As RPATH, which goes before LD_LIBRARY_PATH: Cargo puts a folder there where an older library may lie.
    command.arg(format!("-Wl,--disable-new-dtags,-rpath,{}", folder.display()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    program.to_owned()
}

/// Runs a program that must succeed and say nothing on stderr; returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{command:?}: {:?} {}", output.status, stderr(&output));
    assert_eq!(stderr(&output), "", "{command:?}");
    stdout(&output)
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The program at the top of a header, its `//` taken off.
pub fn program_of(header: &Path) -> String {
    let text = fs::read_to_string(header).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("//     #include"));
    let lines = lines.take_while(|line| line.starts_with("//     ") || *line == "//");
    let program: Vec<_> = lines.map(|line| line.strip_prefix("//     ").unwrap_or("")).collect();
    assert!(program.len() > 15, "{program:#?}");
    program.join("\n") + "\n"
}

pub const QUESTION: &str = "Is there a nodule, and on which side?";

/// What the command line answers.
pub fn answer() -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("ask").arg("--model").arg(demo_model()).arg("--image").arg(example("chest.png"));
    let output = command.args(["-q", QUESTION]).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).trim().to_owned()
}

#[test]
fn the_programs_of_the_headers_answer_like_the_command_line() {
    let scratch = Scratch::new();
    let c = scratch.file("program.c", program_of(&root("include/fleming.h")).as_bytes());
    let cpp_from_c = scratch.file("from_c.cpp", program_of(&root("include/fleming.h")).as_bytes());
    let cpp = scratch.file("program.cpp", program_of(&root("include/fleming.hpp")).as_bytes());
    let answer = answer();
    for (compiler, source, program) in [(C, c, "c"), (CPP, cpp_from_c, "from_c"), (CPP, cpp, "cpp")] {
        let program = build(compiler, &source, &scratch.path(program));
        let mut command = Command::new(program);
        let said = run(command.arg(demo_model()).arg(example("chest.png")).arg(QUESTION));
        let (streamed, rest) = said.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(streamed.trim(), answer);
        assert!(rest.contains(" tokens"), "{rest}");
    }
}

#[test]
fn the_readmes_c_answers_like_the_command_line() {
    let [(_, code)] = &blocks("README.md", &["c"])[..] else { panic!("README.md shows C once") };
    let scratch = Scratch::new();
    let text = format!("#include <fleming.h>\n#include <stdio.h>\nint main(void) {{\n{code}return 0;\n}}\n");
    let program = build(C, &scratch.file("readme.c", text.as_bytes()), &scratch.path("readme"));
    assert_eq!(run(&mut Command::new(program)).trim(), answer());
}

#[test]
fn the_cpp_of_the_documents_is_cpp() {
    let [(_, code)] = &blocks("docs/c.md", &["cpp"])[..] else { panic!("docs/c.md shows C++ once") };
    let scratch = Scratch::new();
    let text = format!("#include <fleming.hpp>\n#include <iostream>\nint main() {{\n{code}}}\n");
    build(CPP, &scratch.file("page.cpp", text.as_bytes()), &scratch.path("page"));
}

#[test]
fn the_c_of_the_documents_is_c() {
    let codes = blocks("docs/c.md", &["c"]);
    assert!(codes.len() > 1, "{codes:?}");
    let scratch = Scratch::new();
    for (_, code) in codes {
        let given = "fleming_request *request = NULL;\nstatic const uint16_t detector[3072 * 2560];\n\
                     fleming_engine *engine = NULL;\nfleming_reply_facts facts = FLEMING_REPLY_FACTS_INIT;\n";
        let used = "(void)detector;\n(void)engine;\n(void)facts;\n";
        let include = "#include <fleming.h>\n#include <stdio.h>\n";
        let text = format!("{include}int main(void) {{\n{given}{used}{code}return 0;\n}}\n");
        build(C, &scratch.file("page.c", text.as_bytes()), &scratch.path("page"));
    }
}

#[test]
fn a_program_that_fails_says_why() {
    let scratch = Scratch::new();
    let source = scratch.file("program.c", program_of(&root("include/fleming.h")).as_bytes());
    let program = build(C, &source, &scratch.path("program"));
    let mut command = Command::new(program);
    let output = command.arg(demo_model()).args(["nowhere.png", "Why?"]).current_dir(ROOT).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error 1: nowhere.png: wanted a readable file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn all_of_the_interface_works() {
    let scratch = Scratch::new();
    let program = build(C, &root("tests/capi/use.c"), &scratch.path("use"));
    let mut command = Command::new(program);
    command.arg(demo_model()).arg(example("chest.png")).arg(example("volume.npz")).arg(example("clip.mp4"));
    assert_eq!(run(command.arg(scratch.path("session"))).trim(), answer());
}

#[test]
fn all_of_the_wrapper_works() {
    let scratch = Scratch::new();
    let source = root("tests/capi/use.cpp");
    let arguments = [demo_model(), example("chest.png"), example("clip.mp4")];
    let program = build(CPP, &source, &scratch.path("use"));
    assert_eq!(run(Command::new(program).args(&arguments)).trim(), answer());
    let plain = [CPP, &["-fno-exceptions"]].concat();
    let program = build(&plain, &source, &scratch.path("plain"));
    assert_eq!(run(Command::new(program).args(&arguments)), "");
    let program = build(CPP20, &source, &scratch.path("cpp20"));
    assert_eq!(run(Command::new(program).args(&arguments)).trim(), answer());
}

#[test]
fn studies_in_memory_are_those_of_files() {
    let scratch = Scratch::new();
    let strict = |compiler: &[&'static str]| [compiler, &["-Wshadow", "-Wconversion"]].concat();
    let program = build(&strict(C), &root("tests/capi/inputs.c"), &scratch.path("inputs"));
    let (series, sheet) = (example("chest_ct"), scratch.path("sheet.png"));
    let mut command = Command::new(program);
    command.arg(demo_model()).arg(example("chest.png")).arg(&series).arg(example("chest.nii.gz")).arg(&sheet);
    assert_eq!(run(&mut command).trim(), "all is seen");
    let wanted = scratch.path("preview.png");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("preview").arg("--model").arg(demo_model()).arg("--volume").arg(series);
    let output = command.arg("-o").arg(&wanted).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(fs::read(sheet).unwrap() == fs::read(wanted).unwrap(), "the sheet of `fleming preview`");
    for standard in ["-std=c++17", "-std=c++20"] {
        let compiler = [&["c++", standard], &CPP[2..]].concat();
        let program = build(&strict(&compiler), &root("tests/capi/inputs.cpp"), &scratch.path("wrapped"));
        let mut command = Command::new(program);
        command.arg(demo_model()).arg(example("chest.png")).arg(example("chest_ct"));
        assert_eq!(run(&mut command).trim(), "all is seen", "{standard}");
    }
}

#[test]
fn misuse_is_a_status() {
    let scratch = Scratch::new();
    let program = build(C, &root("tests/capi/misuse.c"), &scratch.path("misuse"));
    let said = run(Command::new(program).arg(package()).arg(input("chest.png")));
    assert_eq!(said.trim(), "nothing came of it");
}

/// A thread of a host has a small stack, and the library keeps to a part of it.
#[test]
fn a_small_stack_is_enough() {
    let scratch = Scratch::new();
    let program = build(C, &root("tests/capi/host.c"), &scratch.path("host"));
    for kilobytes in [256, 128] {
        let mut command = Command::new(&program);
        command.arg("stack").arg(kilobytes.to_string()).arg(package()).arg(input("chest.png"));
        command.args([input("clip.mp4"), input("volume_f32.npy"), scratch.path("session")]);
        let said = run(&mut command);
        assert!(said.ends_with("bytes used\n"), "{said}");
    }
}

#[test]
fn a_host_may_fork_and_exit() {
    let scratch = Scratch::new();
    let program = build(C, &root("tests/capi/host.c"), &scratch.path("host"));
    let command = |verb: &str| {
        let mut command = Command::new(&program);
        command.arg(verb).arg(package()).arg(input("chest.png"));
        command
    };
    assert_eq!(run(&mut command("fork")), "");
    let output = command("leave").current_dir(ROOT).output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(7), String::new()));
}

#[test]
fn a_host_may_close_the_library() {
    let scratch = Scratch::new();
    let program = scratch.path("unload");
    let mut compiler = Command::new("cc");
    compiler.args(&C[1..]).arg("-I").arg(root("include")).arg(root("tests/capi/unload.c"));
    let output = compiler.arg("-o").arg(&program).arg("-ldl").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(run(Command::new(program).arg(library()).arg(package())).trim(), "closed twice");
}

/// `make sanitize` asks more, under the sanitizers.
#[test]
fn threads_share_an_engine() {
    let scratch = Scratch::new();
    let threads = [C, &["-D_DEFAULT_SOURCE"]].concat();
    let program = build(&threads, &root("tests/capi/threads.c"), &scratch.path("threads"));
    let said = run(Command::new(program).arg(package()).arg(input("chest.png")).args(["6", "12"]));
    assert!(said.contains("answered"), "{said}");
}

#[test]
fn the_examples_run() {
    let scratch = Scratch::new();
    let (model, chest) = (demo_model(), example("chest.png"));
    let ask = build(C, &root("examples/c/ask.c"), &scratch.path("ask"));
    let mut command = Command::new(ask);
    command.arg(&model).arg(&chest).arg(example("clip.mp4")).arg(example("volume.npz")).arg("What is shown?");
    let said = run(&mut command);
    assert!(said.contains("[answer] ") && said.contains("volume.npz, slice 31, values"), "{said}");

    let camera = build(C, &root("examples/c/camera.c"), &scratch.path("camera"));
    let said = run(Command::new(camera).arg(&model).arg("24"));
    assert!(said.contains("4 frames: ") && !said.contains("\n0 answers"), "{said}");

    let several = build(CPP, &root("examples/cpp/ask.cpp"), &scratch.path("several"));
    let said = run(Command::new(several).arg(&model).arg(&chest).args([QUESTION, "Which organ is shown?"]));
    assert!(said.contains(&answer()) && said.contains("prompt tokens were in memory"), "{said}");

    let mut python = Command::new(root(".venv/bin/python"));
    python.arg(root("examples/python/ask.py")).arg(library()).arg(&model).arg(&chest).arg(QUESTION);
    let said = run(&mut python);
    assert_eq!(said.lines().next(), Some(answer().as_str()));
}

/// What a compiled program depends on: `tests/capi/abi.txt` may grow, and nothing in it may change.
#[test]
fn the_binary_interface_is_kept() {
    let header = fs::read_to_string(root("include/fleming.h")).unwrap();
    let scratch = Scratch::new();
    scratch.file("layouts.inc", layouts(&header).as_bytes());
    let folder = scratch.path("").display().to_string();
    let compiler = [C, &["-I", &folder]].concat();
    let program = build(&compiler, &root("tests/capi/layouts.c"), &scratch.path("layouts"));
    let sizes = run(&mut Command::new(program));
    assert!(!sizes.contains("GAP"), "a struct with a gap cannot grow into it: {sizes}");
    let found = sizes + &symbols().join("\n") + "\n";
    let path = root("tests/capi/abi.txt");
    if std::env::var_os("FLEMING_WRITE_HEADER").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == found, "the interface is not what {} says; it is\n{found}", path.display());
}

/// What the library exports: its functions, and nothing of what it is built from.
fn symbols() -> Vec<String> {
    let exported = defined(&library());
    let header = fs::read_to_string(root("include/fleming.h")).unwrap();
    for name in &exported {
        assert!(header.contains(&format!("{name}(")), "{name} is not in the header");
    }
    exported
}

/// The names that a file defines for others, in order.
fn defined(file: &Path) -> Vec<String> {
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    let mut names: Vec<_> =
        text.lines().filter_map(|line| Some(line.split_whitespace().last()?.to_owned())).collect();
    names.sort_unstable();
    names
}

/// FFmpeg's calls of OpenJPEG, say, would otherwise end in a crate that has functions of the same names.
#[test]
fn the_program_exports_nothing() {
    let program = Path::new(env!("CARGO_BIN_EXE_fleming"));
    assert_eq!(defined(program), Vec::<String>::new());
}

/// The header's structs and numbers as a program that prints them.
fn layouts(header: &str) -> String {
    let mut lines = Vec::new();
    let mut inside: Option<&str> = None;
    for line in header.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(name) = line.strip_prefix("typedef struct ").and_then(|line| line.strip_suffix(" {")) {
            inside = Some(name);
            lines.push(format!("STRUCT({name});"));
        } else if line.starts_with('}') {
            lines.extend(inside.take().map(|name| format!("LAST({name});")));
        } else if let (Some(name), Some(field)) = (inside, line.strip_suffix(';')) {
            let field = field.split('[').next().unwrap_or_default();
            let field = field.rsplit([' ', '*']).next().unwrap_or_default();
            lines.push(format!("FIELD({name}, {field});"));
        } else if let Some((name, _)) =
            line.split_once(" = ").filter(|(name, _)| name.starts_with("FLEMING_"))
        {
            lines.push(format!("NUMBER({name});"));
        }
    }
    assert!(lines.len() > 100, "{lines:#?}");
    lines.join("\n")
}

//! The programs of the first edition of the C library, compiled against its headers in `tests/capi/v1`. They run with the
//! library of today as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::capi::{QUESTION, answer, build_against, library, program_of, root, run};
use crate::support::{Scratch, demo_model, example, input, package};

const C: &[&str] = &["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic"];
const CPP: &[&str] = &["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic"];

fn build(compiler: &[&str], source: &Path, program: &Path) -> PathBuf {
    build_against(&root("tests/capi/v1"), compiler, source, program)
}

fn built(scratch: &Scratch, name: &str) -> PathBuf {
    let c = [C, &["-D_POSIX_C_SOURCE=200809L"]].concat();
    build(&c, &root(&format!("tests/capi/v1/{name}.c")), &scratch.path(name))
}

#[test]
fn its_first_programs_answer() {
    let scratch = Scratch::new();
    let text = |header: &str| program_of(&root("tests/capi/v1").join(header));
    let c = scratch.file("program.c", text("fleming.h").as_bytes());
    let cpp = scratch.file("program.cpp", text("fleming.hpp").as_bytes());
    for (compiler, source, program) in [(C, c, "c"), (CPP, cpp, "cpp")] {
        let program = build(compiler, &source, &scratch.path(program));
        let said = run(Command::new(program).arg(demo_model()).arg(example("chest.png")).arg(QUESTION));
        assert_eq!(said.trim_end().rsplit_once('\n').unwrap().0.trim(), answer());
    }
}

#[test]
fn all_of_it_works() {
    let scratch = Scratch::new();
    let mut command = Command::new(built(&scratch, "use"));
    command.arg(demo_model()).arg(example("chest.png")).arg(example("volume.npz")).arg(example("clip.mp4"));
    assert_eq!(run(command.arg(scratch.path("session"))).trim(), answer());
    let program = build(CPP, &root("tests/capi/v1/use.cpp"), &scratch.path("wrapper"));
    let arguments = [demo_model(), example("chest.png"), example("clip.mp4")];
    assert_eq!(run(Command::new(program).args(&arguments)).trim(), answer());
}

#[test]
fn its_misuse_is_a_status() {
    let scratch = Scratch::new();
    let said = run(Command::new(built(&scratch, "misuse")).arg(package()).arg(input("chest.png")));
    assert_eq!(said.trim(), "nothing came of it");
}

#[test]
fn its_hosts_live() {
    let scratch = Scratch::new();
    let mut command = Command::new(built(&scratch, "host"));
    command.arg("stack").arg("256").arg(package()).arg(input("chest.png"));
    command.args([input("clip.mp4"), input("volume_f32.npy"), scratch.path("session")]);
    assert!(run(&mut command).ends_with("bytes used\n"));
    assert_eq!(
        run(Command::new(scratch.path("host")).arg("fork").arg(package()).arg(input("chest.png"))),
        ""
    );
    let said = run(Command::new(built(&scratch, "threads")).arg(package()).args([
        input("chest.png").as_os_str(),
        "4".as_ref(),
        "6".as_ref(),
    ]));
    assert!(said.contains("answered"), "{said}");
    // It loads the library by itself.
    let said = run(Command::new(built(&scratch, "unload")).arg(library()).arg(package()));
    assert_eq!(said.trim(), "closed twice");
}

/// What its programs depend on is a part of what programs of today depend on.
#[test]
fn its_binary_interface_is_kept() {
    let lines = |path: &str| -> Vec<_> {
        fs::read_to_string(root(path)).unwrap().lines().map(str::to_owned).collect()
    };
    let (then, now) = (lines("tests/capi/v1/abi.txt"), lines("tests/capi/abi.txt"));
    // Structs may have become larger.
    let is_size = |line: &str| line.starts_with("fleming_") && line.contains(' ') && !line.contains('.');
    for line in &then {
        match line.split_once(' ').filter(|_| is_size(line)) {
            Some((name, size)) => {
                let same = |other: &&String| other.split_once(' ').is_some_and(|(other, _)| other == name);
                let grown = now.iter().find(same).unwrap().split_once(' ').unwrap().1;
                assert!(grown.parse::<usize>().unwrap() >= size.parse().unwrap(), "{line}: {grown}");
            }
            None => assert!(now.contains(line), "{line} is gone"),
        }
    }
}

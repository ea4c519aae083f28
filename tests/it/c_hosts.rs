//! What C programs live with: event loops, the log, the beginning and the end, many asks; and how they are built.

use std::fs;
use std::process::Command;
use std::time::Instant;

use fleming::{AskOptions, Engine, EngineOptions, Request};

use crate::capi::{C, QUESTION, ROOT, answer, build, library, root, run, stdout};
use crate::support::{Scratch, demo_model, example, input, package, stderr};

#[test]
fn tokens_are_counted_chosen_and_told() {
    let scratch = Scratch::new();
    let program = build(C, &root("tests/capi/tokens.c"), &scratch.path("tokens"));
    assert_eq!(run(Command::new(program).arg(demo_model()).arg(example("chest.png"))), "counted\n");
}

#[test]
fn a_program_is_told_what_it_may_do() {
    let scratch = Scratch::new();
    let program = build(C, &root("tests/capi/told.c"), &scratch.path("told"));
    assert_eq!(run(Command::new(program).arg(demo_model()).arg(example("chest.png"))), "told\n");
}

#[test]
#[cfg(target_os = "linux")]
fn an_event_loop_waits_for_answers() {
    let scratch = Scratch::new();
    let c = [C, &["-D_DEFAULT_SOURCE"]].concat();
    let program = build(&c, &root("tests/capi/loop.c"), &scratch.path("loop"));
    assert_eq!(run(Command::new(program).arg(package()).arg(input("chest.png"))), "looped\n");
}

#[test]
fn a_process_begins_logs_and_ends() {
    let scratch = Scratch::new();
    let c = [C, &["-D_DEFAULT_SOURCE"]].concat();
    let program = build(&c, &root("tests/capi/life.c"), &scratch.path("life"));
    let mut command = Command::new(&program);
    assert_eq!(run(command.arg(package()).arg(input("chest.png")).env_remove("FLEMING_LOG")), "lived\n");
    let asked = |levels: &str| {
        let program = build(C, &root("tests/capi/unload.c"), &scratch.path("unload"));
        let mut command = Command::new(program);
        let output = command
            .arg(library())
            .arg(package())
            .env("FLEMING_LOG", levels)
            .current_dir(ROOT)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(asked("info,ort=off").contains("bytes of memory"), "{}", asked("info"));
    assert_eq!(asked("off"), "");
    assert!(asked("=loud=").contains("WARN") && asked("=loud=").contains("FLEMING_LOG is no list of levels"));
}

/// Every kind of ask, many times: what is left in memory, and open.
fn growth(asks: usize) -> [i64; 4] {
    let scratch = Scratch::new();
    let c = [C, &["-D_DEFAULT_SOURCE"]].concat();
    let program = build(&c, &root("tests/capi/growth.c"), &scratch.path("growth"));
    let said = run(Command::new(program).arg(package()).arg(input("chest.png")).arg(asks.to_string()));
    let numbers: Vec<_> = said.split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

#[test]
fn asks_leave_no_descriptor_open() {
    let [_, _, before, after] = growth(60);
    assert_eq!(before, after);
}

#[test]
#[ignore = "minutes: cargo test --test it ten_thousand_asks_of_c -- --ignored --nocapture"]
fn ten_thousand_asks_of_c() {
    let [before, after, open_before, open_after] = growth(10_000);
    println!("resident memory {before} kB after 2,000 asks, {after} kB after 10,000");
    assert_eq!(open_before, open_after);
    assert!(after < before + (8 << 10), "{before} kB, then {after} kB");
}

#[test]
#[ignore = "measures: cargo test --test it what_c_costs -- --ignored --nocapture"]
fn what_c_costs() {
    let asks = 2000;
    let scratch = Scratch::new();
    let c = [C, &["-D_DEFAULT_SOURCE"]].concat();
    let program = build(&c, &root("tests/capi/growth.c"), &scratch.path("growth"));
    let setup = EngineOptions { slots: 2, vision_cache: 1 << 20, ..EngineOptions::default() };
    let engine = Engine::open(&package(), &setup).unwrap();
    let options = AskOptions { max_new_tokens: Some(1), ..AskOptions::default() };
    let request = Request::about(Vec::new(), "Why?");
    // The least of several: what else the machine does only makes it more.
    let mut least = [f64::MAX; 2];
    for _ in 0..10 {
        let began = Instant::now();
        for _ in 0..asks {
            engine.ask(&request, &options, &mut |_| {}).unwrap();
        }
        let rust = began.elapsed().as_secs_f64() * 1e3 / f64::from(asks);
        let said = run(Command::new(&program).arg(package()).arg("-").arg(asks.to_string()));
        least = [least[0].min(rust), least[1].min(said.trim().parse().unwrap())];
    }
    println!("milliseconds an ask: {:.3} in Rust, {:.3} in C", least[0], least[1]);
}

/// As in docs/c.md, with a tree like the tarball's.
#[test]
fn the_example_builds_with_cmake() {
    let scratch = Scratch::new();
    let (prefix, build) = (scratch.path("prefix"), scratch.path("build"));
    for folder in ["lib/pkgconfig", "share/cmake/fleming"] {
        fs::create_dir_all(prefix.join(folder)).unwrap();
    }
    let version = env!("CARGO_PKG_VERSION");
    fs::write(prefix.join("lib/pkgconfig/fleming.pc"), format!("Version: {version}\n")).unwrap();
    std::os::unix::fs::symlink(library(), prefix.join("lib/libfleming.so")).unwrap();
    std::os::unix::fs::symlink(root("include"), prefix.join("include")).unwrap();
    for file in fs::read_dir(root("packaging/cmake")).unwrap().map(|file| file.unwrap()) {
        fs::copy(file.path(), prefix.join("share/cmake/fleming").join(file.file_name())).unwrap();
    }
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(root("examples/cpp")).arg("-B").arg(&build);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    for command in [&mut configure, Command::new("cmake").arg("--build").arg(&build)] {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {}{}", stdout(&output), stderr(&output));
    }
    let (model, chest) = (demo_model(), example("chest.png"));
    let said = run(Command::new(build.join("ask")).arg(&model).arg(&chest).arg(QUESTION));
    assert!(said.contains(&answer()), "{said}");
    let said = run(Command::new(build.join("loop")).arg(&model).arg(&chest).args([QUESTION, "Why?"]));
    assert!(said.contains(&answer()), "{said}");
}

//! README.md and `docs/`: every command works, and what stands below it is what it prints; every option, every field of a
//! reply and every link is there. ARCHITECTURE.md names files that exist.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::capi::library;
use crate::support::{self, Scratch, ask, input, package, package_at, stderr};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Commands that would change the environment of the tests.
const NOT_RUN: [&str; 5] = [
    "pip uninstall onnxruntime",
    "pip install 'onnxruntime-gpu[cuda]>=1.31'",
    // A test of the C library does the same with a tree of its own.
    "cmake -S examples/cpp -B build -DCMAKE_PREFIX_PATH=$PWD",
    "cmake --build build",
    "build/ask models/demo examples/chest.png 'Is there a nodule, and on which side?'",
];
/// Options of other programs than `fleming`, the exporter and the GPU kit.
const FOREIGN: [&str; 6] =
    ["--build", "--editable", "--features", "--lib", "--no-default-features", "--release"];

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// README.md and the pages of `docs/`, by their paths.
fn pages() -> Vec<String> {
    let folder = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let texts = names.filter(|name| name.ends_with(".md"));
    let mut pages: Vec<_> = texts.map(|name| format!("docs/{name}")).collect();
    pages.sort();
    assert!(pages.len() >= 8, "{pages:?}");
    [vec!["README.md".to_owned()], pages].concat()
}

/// A command of a page, and what the page shows as its output.
struct Shown {
    page: String,
    line: String,
    output: Option<String>,
}

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.page, self.line)
    }
}

/// The content of the fenced blocks in one of these languages.
pub fn blocks(page: &str, languages: &[&str]) -> Vec<(String, String)> {
    let text = text(page);
    let parts: Vec<_> = text.split("```").collect();
    let fenced = parts.iter().skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let wanted = fenced.filter(|(language, _)| languages.contains(language));
    wanted.map(|(language, block)| (language.to_owned(), block.to_owned())).collect()
}

fn commands() -> Vec<Shown> {
    let mut found: Vec<Shown> = Vec::new();
    for page in pages() {
        for (language, block) in blocks(&page, &["sh", "console"]) {
            for line in block.replace("\\\n", " ").lines() {
                let shown = |line: &str, output| Shown { page: page.clone(), line: line.into(), output };
                match (language.as_str(), line.strip_prefix("$ "), found.last_mut()) {
                    ("console", Some(line), _) => found.push(shown(line, Some(String::new()))),
                    ("console", None, Some(Shown { output: Some(output), .. })) => {
                        *output += &format!("{line}\n");
                    }
                    _ => found.push(shown(line, None)),
                }
            }
        }
    }
    found
}

/// The arguments of a command line, quotes resolved.
fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate().flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().map(String::from).collect(),
        _ => vec![part.to_owned()],
    });
    quoted.collect()
}

#[test]
fn every_command_of_the_documents_works() {
    let (commands, scratch, recipes) = (commands(), Scratch::new(), recipes());
    assert!(commands.len() >= 25, "{} commands", commands.len());
    for shown in &commands {
        let line = shown.line.as_str();
        let (program, rest) = line.split_once(' ').unwrap();
        match program {
            "target/release/fleming" => fleming(shown, rest, &scratch),
            _ if recipes.contains(line) || NOT_RUN.contains(&line) => {}
            "sudo" => {
                assert_eq!(rest, format!("apt-get install {}", variable("SYSTEM_PACKAGES")), "{shown}")
            }
            "make" => is_target(shown, rest),
            "." => assert!(Path::new(ROOT).join(rest).is_file(), "{shown}"),
            "cargo" => {
                let (_, features) = rest.rsplit_once("--features ").unwrap();
                assert!(variable("FEATURE_SETS").split(' ').any(|set| set == features), "{shown}");
            }
            ".venv/bin/python" => python(shown, rest, &scratch),
            "PYTHONPATH=tests" => is_script(shown, &words(rest)[1]),
            "cc" | "./ask" => in_c(line, &scratch),
            _ => panic!("no test knows this command: {shown}"),
        }
    }
}

/// Runs `fleming` in the repository. What only a reader has (another model, own files) is stood in for.
fn fleming(shown: &Shown, line: &str, scratch: &Scratch) {
    let mut arguments = words(line);
    let after = |arguments: &[String], option: &str| {
        arguments.iter().position(|word| word == option).and_then(|place| arguments.get(place + 1).cloned())
    };
    let provider = after(&arguments, "--provider");
    let is_there = |word: &str| Path::new(ROOT).join(word).exists();
    for place in 1..arguments.len() {
        let (option, word) = (arguments[place - 1].clone(), arguments[place].clone());
        let stand_in = match (option.as_str(), &provider) {
            _ if is_there(&word) => continue,
            ("--model", None) => package(),
            ("--model", Some(provider)) => package_at(&format!("{provider}-bf16")),
            ("--output", _) => scratch.path(&word),
            _ if word.ends_with(".png") => input("chest.png"),
            _ if word.ends_with(".mp4") => input("clip.mp4"),
            _ if word.ends_with(".npy") => input("volume_f32.npy"),
            _ if word.ends_with(".jsonl") => scratch.path(&word),
            _ => continue,
        };
        arguments[place] = stand_in.display().to_string();
        // A model with random weights does not end its turn.
        if option == "--model" && ["ask", "batch"].contains(&arguments[0].as_str()) {
            arguments.extend(["--max-new-tokens", "4"].map(String::from));
        }
    }
    if arguments[0] == "serve" {
        return serve(shown, arguments, scratch);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    let output = command.args(&arguments).current_dir(ROOT).stdin(Stdio::null()).output().unwrap();
    let code = output.status.code();
    // So few tokens may not make up the form that is asked for.
    let has_form = ["--choice", "--json-schema"].iter().any(|option| line.contains(option));
    match provider {
        None if has_form => {
            assert!(matches!(code, Some(0 | 4)), "{shown} {arguments:?}: {}", stderr(&output))
        }
        None => assert_eq!(code, Some(0), "{shown} {arguments:?}: {}", stderr(&output)),
        // The machine may lack the GPU, but nothing is wrong with the command.
        Some(_) => assert!(matches!(code, Some(0 | 1)), "{shown} {arguments:?}: {}", stderr(&output)),
    }
    if let Some(wanted) = &shown.output {
        assert_eq!(&String::from_utf8_lossy(&output.stdout), wanted, "{shown}");
    }
}

/// Starts a server at a free port, and ends it when it listens.
fn serve(shown: &Shown, mut arguments: Vec<String>, scratch: &Scratch) {
    if let Some(place) = arguments.iter().position(|word| word == "--keys") {
        let keys = scratch.path("keys");
        fs::write(&keys, format!("sha256:{}\n", "0".repeat(64))).unwrap();
        arguments[place + 1] = keys.display().to_string();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.args(&arguments).args(["--port", "0"]).current_dir(ROOT).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let listens = lines.map_while(Result::ok).any(|line| line.starts_with("listening: http://"));
    assert!(listens, "{shown}");
    let ended = Command::new("kill").arg(server.id().to_string()).status().unwrap();
    assert!(ended.success() && server.wait().unwrap().success(), "{shown}");
}

/// Exports the small checkpoint in place of the one that is named, or looks whether an extra or a script exists.
fn python(shown: &Shown, line: &str, scratch: &Scratch) {
    let mut arguments = words(line);
    if arguments[0].ends_with(".py") {
        return is_script(shown, &arguments[0]);
    }
    if let ["-m", "pip", "install", extra] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        let name = extra.strip_prefix("export[").and_then(|name| name.strip_suffix(']')).unwrap();
        assert!(text("export/pyproject.toml").contains(&format!("\n{name} = [")), "{shown}");
        return;
    }
    assert_eq!(arguments[..2], ["-m", "fleming_export"], "{shown}");
    arguments[2] = "examples/generated/checkpoint".into();
    arguments[3] = scratch.path(&arguments[3].replace('/', "-")).display().to_string();
    succeeds(Command::new(".venv/bin/python").args(arguments));
}

/// Compiles and runs against the library that these tests have, in place of an optimised one.
fn in_c(line: &str, scratch: &Scratch) {
    let folder = library().parent().unwrap().display().to_string();
    let program = scratch.path("ask").display().to_string();
    let line = line.replace("$PWD/target/release", &folder).replace("target/release", &folder);
    let line = line.replace("-o ask", &format!("-o {program}")).replace("./ask", &program);
    succeeds(Command::new("sh").args(["-c", &line]));
}

/// A script that others test, or that takes long.
fn is_script(shown: &Shown, path: &str) {
    assert!(Path::new(ROOT).join(path).is_file(), "{shown}");
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    output
}

fn is_target(shown: &Shown, line: &str) {
    let makefile = text("Makefile");
    let mut words = line.split(' ');
    let target = format!("{}:", words.next().unwrap());
    assert!(makefile.lines().any(|line| line.starts_with(&target)), "{shown}");
    for (variable, _) in words.map(|word| word.split_once('=').unwrap()) {
        assert!(makefile.contains(&format!("$({variable})")), "{shown}");
    }
}

/// The value of a variable of the Makefile.
fn variable(name: &str) -> String {
    let makefile = text("Makefile");
    let value = makefile.lines().find_map(|line| line.strip_prefix(&format!("{name} := ")));
    expanded(value.unwrap_or_else(|| panic!("the Makefile has no {name}")))
}

fn expanded(line: &str) -> String {
    let names = ["PYTHON", "VENV", "GENERATED", "PACKAGE"];
    names.iter().fold(line.to_owned(), |line, name| match line.contains(&format!("$({name})")) {
        true => line.replace(&format!("$({name})"), &variable(name)),
        false => line,
    })
}

/// The commands that `make` runs, less what keeps them quiet and has them done again.
fn recipes() -> BTreeSet<String> {
    let mut target = String::new();
    let mut recipes = BTreeSet::new();
    for line in text("Makefile").lines() {
        match (line.strip_prefix('\t'), line.split_once(':')) {
            (Some(recipe), _) => {
                let recipe = expanded(recipe).replace("$@", &target);
                let recipe =
                    recipe.replace(" --quiet --disable-pip-version-check", "").replace(" --force", "");
                recipes.insert(recipe);
            }
            (None, Some((name, _))) => target = expanded(name),
            _ => {}
        }
    }
    recipes
}

/// What begins with `--` and a letter.
fn options(text: &str) -> BTreeSet<String> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words = text.split(|c: char| !of_word(c)).map(|word| word.trim_end_matches('-'));
    let options = words
        .filter(|word| word.strip_prefix("--").is_some_and(|name| name.starts_with(char::is_alphabetic)));
    options.map(String::from).collect()
}

/// The options that `--help` of every verb lists, by verb.
fn options_of_verbs() -> Vec<(String, BTreeSet<String>)> {
    let help = |arguments: &[&str]| {
        let output = succeeds(Command::new(env!("CARGO_BIN_EXE_fleming")).args(arguments));
        String::from_utf8(output.stdout).unwrap()
    };
    let overview = help(&["--help"]);
    let verbs = overview.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = verbs.map_while(|line| line.split_whitespace().next()).filter(|verb| *verb != "help");
    let all: Vec<_> = verbs.map(|verb| (verb.to_owned(), options(&help(&[verb, "--help"])))).collect();
    assert!(all.len() >= 8, "{overview}");
    all
}

#[test]
fn every_option_of_the_documents_exists() {
    let sources = ["export/fleming_export/__main__.py", "benches/gpu/kit.py", "benches/peers/compare.py"];
    let known: BTreeSet<_> = options_of_verbs().into_iter().flat_map(|(_, options)| options).collect();
    let known: BTreeSet<_> =
        known.into_iter().chain(sources.iter().flat_map(|path| options(&text(path)))).collect();
    let others = ["ARCHITECTURE.md", "models/README.md", "benches/gpu/README.md", "benches/peers/README.md"]
        .map(String::from);
    for page in pages().into_iter().chain(others) {
        let unknown: Vec<_> =
            options(&text(&page)).into_iter().filter(|option| !known.contains(option)).collect();
        let unknown: Vec<_> = unknown.iter().filter(|option| !FOREIGN.contains(&option.as_str())).collect();
        assert!(unknown.is_empty(), "{page}: {unknown:?}");
    }
}

#[test]
fn every_verb_and_every_option_stands_in_the_documents() {
    let pages: Vec<_> = pages().into_iter().skip(1).map(|page| text(&page)).collect();
    let told: BTreeSet<_> = pages.iter().flat_map(|page| options(page)).collect();
    for (verb, options) in options_of_verbs() {
        assert!(text("docs/cli.md").contains(&format!("| `fleming {verb}` |")), "fleming {verb}");
        let missing: Vec<_> = options.difference(&told).collect();
        assert!(missing.is_empty(), "fleming {verb}: {missing:?}");
    }
}

#[test]
fn every_file_that_the_architecture_names_exists() {
    let page = text("ARCHITECTURE.md");
    let of_path = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let is_file = |word: &&str| {
        word.chars().all(of_path)
            && !word.starts_with('/')
            && (word.contains('/') || [".rs", ".py", ".sh"].iter().any(|end| word.ends_with(end)))
    };
    let named = page.split('`').skip(1).step_by(2).filter(is_file);
    let named: Vec<_> = named.filter(|name| *name != "mod.rs").collect();
    assert!(named.len() > 60, "{named:?}");
    let homes = ["", "src", "export/fleming_export", "packaging"].map(|home| Path::new(ROOT).join(home));
    let missing: Vec<_> =
        named.iter().filter(|name| !homes.iter().any(|home| home.join(name).exists())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_link_leads_somewhere_and_every_page_is_linked() {
    let mut linked = BTreeSet::new();
    let others = ["models/README.md", "benches/gpu/README.md", "benches/peers/README.md"].map(String::from);
    for page in pages().into_iter().chain(others) {
        let folder = Path::new(ROOT).join(&page).parent().unwrap().to_owned();
        for link in text(&page).split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()) {
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            if path.starts_with("https://") {
                continue;
            }
            let file = folder.join(path);
            assert!(file.exists(), "{page} links {link}");
            if page == "README.md" {
                linked.insert(PathBuf::from(path));
            }
            let heading =
                |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().replace(' ', "-") == anchor;
            let of_page = || fs::read_to_string(&file).unwrap();
            assert!(anchor.is_empty() || of_page().lines().any(heading), "{page} links {link}");
        }
    }
    let unlinked: Vec<_> =
        pages().into_iter().skip(1).filter(|page| !linked.contains(Path::new(page))).collect();
    assert!(unlinked.is_empty(), "{unlinked:?}");
}

/// The names in the first column of the table with this head.
fn names(page: &str, head: &str) -> BTreeSet<String> {
    let text = text(page);
    let rows = text.lines().skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2);
    let cells = rows.map_while(|line| line.strip_prefix("| ")?.split(" |").next());
    let names =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(String::from).collect::<Vec<_>>());
    names.collect()
}

#[test]
fn the_tables_of_fields_are_those_of_a_reply() {
    let picture = input("chest.png").display().to_string();
    let mut asked = ask(&["--image", &picture, "-q", "Q", "--logprobs", "1"]);
    let reply = support::reply(asked.args(["--prompt", "direct", "--choice", "a"]));
    let keys = |value: &serde_json::Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(names("docs/output.md", "field"), keys(&reply));
    for field in ["usage", "timings_ms"] {
        let told = names("docs/output.md", &format!("in `{field}`"));
        assert_eq!(told, keys(&reply[field]), "{field}");
    }
    for [option, name] in [["--volume", "volume_f32.npy"], ["--video", "clip.mp4"]] {
        let file = input(name).display().to_string();
        let seen = support::reply(&mut ask(&[option, &file, "-q", "Q"]))["frames"][0].clone();
        let told = names("docs/output.md", "in `frames`");
        assert!(keys(&seen).is_subset(&told), "{seen} {told:?}");
    }
    let short = names("README.md", "field");
    assert!(short.len() > 6 && short.is_subset(&keys(&reply)), "{short:?}");
}

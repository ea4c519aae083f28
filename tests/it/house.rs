//! The walls of ARCHITECTURE.md, as tests.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const MOST_LINES_OF_FILE: usize = 400;
const MOST_LINES_OF_FUNCTION: usize = 60;
const MOST_PARAMETERS: usize = 5;

/// Every Rust file under `src`, with its path from there and the text without its unit tests.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(ROOT).join("src");
    let mut files: Vec<_> = files_below(&root)
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            let text = fs::read_to_string(&path).unwrap();
            (name, text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned())
        })
        .collect();
    files.sort();
    assert!(files.len() > 10, "found only {files:?}");
    files
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The code of a line, without the comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// The modules of `lib.rs` in their order.
fn order() -> Vec<String> {
    let map = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let module = |line: &str| {
        let line = line.trim_start_matches("pub ");
        Some(line.strip_prefix("mod ")?.strip_suffix(';')?.to_owned())
    };
    map.lines().filter_map(module).collect()
}

/// The first folder or file of a path below `src`.
fn top(name: &str) -> &str {
    name.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

#[test]
fn a_module_imports_only_modules_declared_above_it() {
    let order = order();
    assert!(order.len() > 10, "{order:?}");
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let Some(place) = order.iter().position(|module| module == top(&name)) else { continue };
        for line in text.lines().map(code) {
            for imported in line.split("crate::").skip(1) {
                let imported = imported.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
                match order.iter().position(|module| module == imported) {
                    Some(other) if other > place => wrong.push(format!("{name} imports {imported}")),
                    _ => {}
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_map_holds_no_logic() {
    let map = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    for line in map.lines().map(code).map(str::trim).filter(|line| !line.is_empty()) {
        let declares = ["mod ", "pub mod ", "pub use ", "#[cfg(", "#![", "#[doc"]
            .iter()
            .any(|word| line.starts_with(word));
        assert!(declares, "lib.rs: {line}");
    }
}

/// What may be named only in some places: the word, the places, the reason.
const WALLS: [(&str, &[&str], &str); 5] = [
    ("ort::", &["onnx/"], "ONNX Runtime is known to one folder"),
    ("unsafe", &["capi/", "onnx/raw.rs"], "unsafe code is in two places"),
    ("println!", &["cli/"], "stdout is data, and the command line's"),
    (
        "serde_json",
        &["server/", "cli/", "package.rs", "store.rs"],
        "wire formats are the surfaces', the package's and the store's",
    ),
    ("std::net", &["server/"], "nothing but the server touches the network"),
];

#[test]
fn walls() {
    let mut breaches = Vec::new();
    for (word, places, reason) in WALLS {
        for (name, text) in sources() {
            if places.iter().any(|place| name.starts_with(place)) {
                continue;
            }
            for (number, line) in text.lines().enumerate() {
                if names(code(line), word) {
                    breaches.push(format!("src/{name}:{}: {word}: {reason}", number + 1));
                }
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

/// Whether a line holds the word as a word of its own, so that `eprintln!` is not `println!`.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[test]
fn surfaces_do_not_import_one_another() {
    let surfaces = ["server", "capi", "cli"];
    for (name, text) in sources() {
        if !surfaces.contains(&top(&name)) {
            continue;
        }
        for other in surfaces.iter().filter(|other| **other != top(&name)) {
            assert!(!text.contains(&format!("{other}::")), "src/{name} names {other}");
        }
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    for (name, text) in sources() {
        let lines = text.lines().count();
        if lines > MOST_LINES_OF_FILE {
            long.push(format!("src/{name}: {lines} lines"));
        }
        for function in functions(&text) {
            if function.lines > MOST_LINES_OF_FUNCTION {
                long.push(format!("src/{name}: fn {}: {} lines", function.name, function.lines));
            }
            if function.parameters.len() > MOST_PARAMETERS {
                long.push(format!(
                    "src/{name}: fn {}: {} parameters",
                    function.name,
                    function.parameters.len()
                ));
            }
            if function.parameters.iter().any(|parameter| parameter.trim_end().ends_with(": bool")) {
                long.push(format!("src/{name}: fn {}: a boolean parameter", function.name));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

struct Function {
    name: String,
    lines: usize,
    /// Without the receiver.
    parameters: Vec<String>,
}

/// The functions of a rustfmt-formatted text.
fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter(|(_, line)| {
        let line = line.trim_start();
        let words = ["pub ", "pub(crate) ", "pub(super) ", "const ", "unsafe ", "extern \"C\" "];
        let bare = words.iter().fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
        bare.starts_with("fn ")
    });
    starts.map(|(start, line)| function(&lines[start..], line)).collect()
}

fn function(lines: &[&str], first: &str) -> Function {
    let indent = first.len() - first.trim_start().len();
    let ends = |line: &&str| {
        line.len() - line.trim_start().len() == indent && (line.ends_with('}') || line.ends_with(';'))
    };
    let length = lines.iter().position(ends).map_or(lines.len(), |end| end + 1);
    let text = lines[..length].join("\n");
    let (_, signature) = text.split_once("fn ").unwrap();
    let (head, list) = signature.split_once('(').unwrap();
    let name = head.split('<').next().unwrap().to_owned();
    Function { name, lines: length, parameters: parameters(list) }
}

/// The parameters of a list up to its closing parenthesis.
fn parameters(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut found = vec![String::new()];
    for letter in list.replace("->", "").chars() {
        match letter {
            '(' | '[' | '<' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '>' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = found.last_mut() {
            last.push(letter);
        }
    }
    let real = |parameter: &String| parameter.contains(':');
    found.into_iter().filter(real).collect()
}

#[test]
fn the_reading_of_functions_reads_functions() {
    let text = "pub(crate) fn a<T>(x: Vec<(u8, u8)>, f: impl Fn(u8) -> bool) -> u8 {\n    1\n}\n\
                    fn b(\n        &self,\n        yes: bool,\n    ) {\n    }\n";
    let found = functions(text);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].name.as_str(), found[0].lines, found[0].parameters.len()), ("a", 3, 2));
    assert_eq!(found[1].parameters, ["\n        yes: bool"]);
}

//! The walls of ARCHITECTURE.md, as tests.

mod imports;
mod tokens;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use imports::House;
use tokens::{Source, functions};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const MOST_LINES_OF_FILE: usize = 400;
const MOST_LINES_OF_FUNCTION: usize = 60;
const MOST_PARAMETERS: usize = 5;

fn house() -> House {
    let house = House::read(&Path::new(ROOT).join("src"));
    assert!(house.files.len() > 100, "found only {} files", house.files.len());
    house
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] });
    below.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

/// Python files that are modules of their own, in no package: `import` and pytest know them by their names alone.
fn top_modules(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let of_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !path.is_symlink()
            && !name.starts_with('.')
            && !["generated", "corpus", "node_modules"].contains(&name)
    };
    let is_package = folder.join("__init__.py").exists();
    let found = entries.filter(of_ours).flat_map(|path| match path.is_dir() {
        true => top_modules(&path),
        false => vec![path],
    });
    let is_module = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "py");
    found.filter(|path| !(is_package && path.parent() == Some(folder)) && is_module(path)).collect()
}

/// Two of one name would be one for Python: the second that is imported is the first.
#[test]
fn python_modules_have_names_of_their_own() {
    let mut places = BTreeMap::<String, Vec<String>>::new();
    let folders = ["benches", "bindings", "examples", "export", "fuzz", "packaging", "tests"];
    for path in folders.iter().flat_map(|folder| top_modules(&Path::new(ROOT).join(folder))) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        places.entry(name).or_default().push(path.strip_prefix(ROOT).unwrap().display().to_string());
    }
    assert!(places.len() > 80 && places.contains_key("test_python_ask.py"), "{places:#?}");
    // pytest imports each of these for its folder.
    places.remove("conftest.py");
    let wrong: Vec<_> = places.values().filter(|same| same.len() > 1).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_file_imports_only_what_is_declared_above_it() {
    let house = house();
    let mut wrong: Vec<_> = house.imports().into_iter().filter_map(|import| house.breach(import)).collect();
    let heads = house.files.iter().filter(|file| file.path.ends_with("/mod.rs") && !file.is_map);
    wrong.extend(heads.map(|head| format!("src/{} is no map", head.path)));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_files_import_one_another_in_a_circle() {
    let house = house();
    let names = |circle: &Vec<usize>| circle.iter().map(|file| house.files[*file].path.clone()).collect();
    let all: Vec<Vec<String>> = house.circles().iter().map(names).collect();
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn every_file_belongs_to_the_house() {
    let src = Path::new(ROOT).join("src");
    let house = house();
    let in_tests = |path: &Path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let heads =
            [path.parent().unwrap().with_extension("rs"), path.with_file_name("mod.rs"), src.join("lib.rs")];
        let declared = heads.iter().filter(|head| head.exists()).flat_map(|head| tokens::modules(head));
        declared.into_iter().any(|module| module.name == name && module.in_tests)
    };
    for path in files_below(&src) {
        let name = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        let known = house.files.iter().any(|file| file.path == name);
        assert!(known || in_tests(&path), "src/{name} is declared nowhere");
    }
}

#[test]
fn the_map_holds_no_logic() {
    let house = house();
    assert!(house.files.iter().any(|file| file.path == "lib.rs" && file.is_map), "src/lib.rs");
}

/// What may be named only in some places: the word, the places, the reason.
const WALLS: [(&str, &[&str], &str); 5] = [
    ("ort::", &["onnx/"], "ONNX Runtime is known to one folder"),
    (
        "unsafe",
        &["capi/", "kernels/", "onnx/raw.rs", "onnx/foreign.rs", "input/video/raw.rs", "server/allocator.rs"],
        "unsafe code is in six places",
    ),
    ("println!", &["cli/"], "stdout is data, and the command line's"),
    (
        "serde_json::",
        &["wire/", "cli/", "server/", "package/manifest.rs", "plan_store/list.rs"],
        "JSON is the surfaces', the package's and the plan store's",
    ),
    ("std::net", &["server/", "cli/serve.rs"], "only the server opens a socket"),
];

#[test]
fn walls() {
    let mut breaches = Vec::new();
    for file in &house().files {
        for (word, places, reason) in WALLS {
            let allowed = places.iter().any(|place| file.path.starts_with(place));
            if !allowed && file.names(word) {
                breaches.push(format!("src/{}: {word}: {reason}", file.path));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn surfaces_do_not_import_one_another() {
    let surfaces = ["capi", "cli"];
    let house = house();
    for (one, other) in house.imports() {
        let [one, other] = [one, other].map(|file| &house.files[file]);
        let both = [one, other].map(|file| file.module.get(1).filter(|top| surfaces.contains(&top.as_str())));
        if let [Some(here), Some(there)] = both {
            assert!(here == there, "src/{} imports src/{}", one.path, other.path);
        }
    }
}

#[test]
fn files_and_functions_are_short() {
    let mut long = Vec::new();
    let measure =
        |name: &str, lines: usize| (lines > MOST_LINES_OF_FILE).then(|| format!("{name}: {lines} lines"));
    for file in &house().files {
        let name = &file.path;
        long.extend(measure(&format!("src/{name}"), file.source.lines));
        for function in functions(&file.source.tokens) {
            let complain = |what: String| format!("src/{name}: fn {}: {what}", function.name);
            if function.lines > MOST_LINES_OF_FUNCTION {
                long.push(complain(format!("{} lines", function.lines)));
            }
            if function.parameters > MOST_PARAMETERS {
                long.push(complain(format!("{} parameters", function.parameters)));
            }
            // One of serde's visitors has it from its trait.
            if function.has_boolean && function.name != "visit_bool" {
                long.push(complain("a boolean parameter".into()));
            }
        }
    }
    let tests = Path::new(ROOT).join("tests/it");
    for path in files_below(&tests) {
        let name = format!("tests/it/{}", path.strip_prefix(&tests).unwrap().to_str().unwrap());
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        long.extend(measure(&name, lines));
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn functions_are_read_as_they_are() {
    let text = "pub(crate) fn a<T>(x: Vec<(u8, u8)>, f: impl Fn(u8) -> bool) -> u8 {\n    1\n}\n\
                impl B {\n    fn b(\n        &self,\n        yes: bool,\n    ) {\n    }\n}\n\
                #[cfg(test)]\nmod tests {\n    fn c(x: u8) {}\n}\nfn d(mut self, one: &[u8; 3]) {}\n";
    let source = Source::parse(text).unwrap();
    let found = functions(&source.tokens);
    let read: Vec<_> = found
        .iter()
        .map(|function| (function.name.as_str(), function.lines, function.parameters, function.has_boolean))
        .collect();
    assert_eq!(read, [("a", 3, 2, false), ("b", 5, 1, true), ("d", 1, 1, false)]);
    assert_eq!(source.lines, 11, "without the four lines of tests");
}

/// The imports and the circles of a house of these files.
fn built(files: &[(&str, &str)]) -> (Vec<String>, Vec<Vec<String>>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let house = House::read(folder.path());
    let name = |file: usize| house.files[file].path.clone();
    let breaches = house.imports().into_iter().filter_map(|import| house.breach(import)).collect();
    let circles = house.circles().into_iter().map(|circle| circle.into_iter().map(name).collect()).collect();
    (breaches, circles)
}

#[test]
fn imports_are_followed_through_maps_and_super() {
    let map = ("lib.rs", "mod words;\nmod room;\n");
    let words = ("words.rs", "pub struct Word;");
    let head = ("room.rs", "mod one;\nmod two;\n#[cfg(test)]\nmod tests;\npub use two::Two;\n");
    let order = built(&[
        map,
        words,
        head,
        ("room/one.rs", "use crate::words::Word;\npub struct One;"),
        ("room/two.rs", "use super::{one, one::One as Other};\npub struct Two;"),
    ]);
    assert_eq!(order, (vec![], vec![]));
    // down the folder, through the head's re-export, through `crate`, and within a macro
    for import in ["use super::Two;", "use crate::room::Two;", "fn a() { b!(super::two::Two) }"] {
        let (breaches, circles) = built(&[
            map,
            words,
            head,
            ("room/one.rs", &format!("pub struct One;\n{import}")),
            ("room/two.rs", "pub struct Two;\nfn two(_: super::one::One) {}"),
        ]);
        assert_eq!(
            breaches,
            ["src/room/one.rs imports src/room/two.rs, but src/room.rs declares two below one"]
        );
        assert_eq!(circles, [["room/one.rs", "room/two.rs"]]);
    }
    // what is above the room may not know it, and no file may import a head with logic
    let (breaches, _) = built(&[
        map,
        ("words.rs", "use crate::room;\nfn word() { room::shared(); }"),
        ("room.rs", "mod one;\npub fn shared() { one::ask() }"),
        (
            "room/one.rs",
            "pub(in crate::room) fn ask() { super::shared() }\n#[cfg(test)]\nmod tests { use super::super::shared; }",
        ),
    ]);
    assert_eq!(
        breaches,
        [
            "src/words.rs imports src/room.rs, but src/lib.rs declares room below words",
            "src/room/one.rs imports src/room.rs, the head of its folder, which is no map",
        ]
    );
}

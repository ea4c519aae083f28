//! `include/fleming.h` is what `src/capi` says.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The order in which a reader meets them.
const FILES: [&str; 13] = [
    "status",
    "enums",
    "log",
    "options",
    "study",
    "request",
    "event",
    "reply",
    "pending",
    "embeddings",
    "engine",
    "arguments",
    "version",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn header() -> String {
    let capi = Path::new(ROOT).join("src/capi");
    let mut config = cbindgen::Config::from_file(capi.join("cbindgen.toml")).unwrap();
    let version: Vec<_> = env!("CARGO_PKG_VERSION").split('.').collect();
    let macros = format!(
        "#define FLEMING_VERSION \"{}\"\n#define FLEMING_VERSION_MAJOR {}\n#define FLEMING_VERSION_MINOR {}",
        env!("CARGO_PKG_VERSION"),
        version[0],
        version[1],
    );
    config.header = Some(format!("{}\n", read("src/capi/preamble.h").trim_end()));
    config.after_includes = Some(format!("\n{macros}"));
    config.trailer = Some(read("src/capi/trailer.h"));
    let files: Vec<PathBuf> = FILES.iter().map(|file| capi.join(format!("{file}.rs"))).collect();
    let builder = files.iter().fold(cbindgen::Builder::new(), |builder, file| builder.with_src(file));
    let mut text = Vec::new();
    builder.with_config(config).generate().unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn the_header_is_up_to_date() {
    let path = Path::new(ROOT).join("include/fleming.h");
    let wanted = header();
    if std::env::var_os("FLEMING_WRITE_HEADER").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == wanted, "include/fleming.h is not what src/capi says: `make header` writes it");
}

#[test]
fn every_file_of_the_c_library_is_in_the_header() {
    let mut there: Vec<_> = fs::read_dir(Path::new(ROOT).join("src/capi"))
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".rs")?.to_owned()))
        .filter(|name| !["mod", "tests"].contains(&name.as_str()))
        .collect();
    there.sort();
    let mut known = FILES.to_vec();
    known.sort();
    assert_eq!(there, known);
}

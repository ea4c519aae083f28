//! `include/fleming.h` is what `src/capi` says.

use std::fs;
use std::path::{Path, PathBuf};

use fleming::wire::{Form, Options, Row, Subject, Whole, option, options};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The order in which a reader meets them.
const FILES: [&str; 26] = [
    "status",
    "error",
    "enums",
    "log",
    "options",
    "study",
    "frames",
    "volume",
    "request",
    "event",
    "picture",
    "reply",
    "pending",
    "bell",
    "embeddings",
    "buffer",
    "engine",
    "asking",
    "session",
    "doctor",
    "preview",
    "names",
    "arguments",
    "aside",
    "version",
    "operators",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

fn header() -> String {
    let capi = Path::new(ROOT).join("src/capi");
    let mut config = cbindgen::Config::from_file(capi.join("cbindgen.toml")).unwrap();
    let version: Vec<_> = env!("CARGO_PKG_VERSION").split('.').collect();
    let macros = format!(
        "#define FLEMING_VERSION \"{}\"\n#define FLEMING_VERSION_MAJOR {}\n#define FLEMING_VERSION_MINOR {}\n\
         #define FLEMING_VERSION_PATCH {}\n\
         // major * 10000 + minor * 100 + patch, for #if.\n\
         #define FLEMING_VERSION_NUMBER \\\n    (FLEMING_VERSION_MAJOR * 10000 + FLEMING_VERSION_MINOR * 100 + FLEMING_VERSION_PATCH)",
        env!("CARGO_PKG_VERSION"),
        version[0],
        version[1],
        version[2],
    );
    config.header = Some(format!("{}\n", read("src/capi/preamble.h").trim_end()));
    config.after_includes = Some(format!("\n{macros}"));
    config.trailer = Some(read("src/capi/trailer.h"));
    let files: Vec<PathBuf> = FILES.iter().map(|file| capi.join(format!("{file}.rs"))).collect();
    let builder = files.iter().fold(cbindgen::Builder::new(), |builder, file| builder.with_src(file));
    let mut text = Vec::new();
    builder.with_config(config).generate().unwrap().write(&mut text);
    told(&String::from_utf8(text).unwrap())
}

/// The text with what stands in braces in comments, names of options, told: what each may be, and what holds without it.
fn told(text: &str) -> String {
    let line = |line: &str| {
        let Some((head, rest)) = line.split_once('{').filter(|_| line.trim_start().starts_with("//")) else {
            return vec![line.to_owned()];
        };
        let Some((name, rest)) = rest.split_once('}').filter(|(name, _)| option(name).is_some()) else {
            return vec![line.to_owned()];
        };
        wrapped(&format!("{head}{}{rest}", in_words(option(name).unwrap(), rest)))
    };
    text.lines().flat_map(line).map(|line| line + "\n").collect()
}

/// A line of a comment in lines that are as long as the others.
fn wrapped(line: &str) -> Vec<String> {
    let margin = line.split_once("//").unwrap().0;
    let mut lines = vec![format!("{margin}//")];
    for word in line.trim_start()[2..].split_whitespace() {
        let last = lines.last_mut().unwrap();
        match last.len() + 1 + word.len() > 130 {
            true => lines.push(format!("{margin}// {word}")),
            false => *last += &format!(" {word}"),
        }
    }
    lines
}

/// What an option may be in C, where 0 is its default, and what that is.
fn in_words(row: &Row, rest: &str) -> String {
    let options = Options::default();
    let default = match &row.form {
        Form::Whole(_, _, get) => get(&options).map(|number| number.to_string()),
        _ => row.default(),
    };
    let default = default.or_else(|| (!row.absent.is_empty()).then(|| row.absent.to_owned()));
    let range = match &row.form {
        Form::Whole(range, ..) if default.as_deref() == Some("0") => Some(range.to_string()),
        Form::Whole(range, ..) => Some(Whole { least: range.least.max(1), ..*range }.to_string()),
        _ => row.may_be(),
    };
    let zero = match &row.form {
        Form::Whole(range, ..) if range.least == 0 && default.as_deref() != Some("0") => {
            ", or FLEMING_ZERO for 0"
        }
        _ => "",
    };
    let words = match (&range, default) {
        (Some(range), Some(default)) => format!("{range}{zero}; {default} by default"),
        (Some(range), None) => format!("{range}{zero}; none by default"),
        (None, default) => format!("By default {}", default.unwrap_or_else(|| "none".into())),
    };
    // Within a sentence it is the range alone.
    match rest.starts_with(['.', ':']) {
        true => range.unwrap_or_default(),
        false => capital(&words) + ".",
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
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

/// A new option of an engine, of reading or of an answer is one of C too, and its range stands in the header.
#[test]
fn every_option_of_the_table_is_told() {
    let source: String = FILES.iter().map(|file| read(&format!("src/capi/{file}.rs"))).collect();
    // What is said in words: by the form of C, by a unit of its own, or by more than a number.
    let in_words = [
        "provider_option",
        "onnxruntime",
        "preprocessing",
        "stop",
        "timeout",
        "choice",
        "json_schema",
        "regex",
        "grammar",
        "ignore_eos",
        "logit_bias",
    ];
    // Others that say what is looked at go through the text `options`.
    let fields = ["slices", "max_frames", "frames", "seconds", "start", "end"];
    let of_c = |row: &&Row| {
        matches!(row.subject, Subject::Engine | Subject::Generation) || fields.contains(&row.name)
    };
    for row in options().filter(of_c).filter(|row| !in_words.contains(&row.name)) {
        assert!(source.contains(&format!("{{{}}}", row.name)), "{} stands nowhere in src/capi", row.name);
    }
    let header = header();
    for line in [
        "// Answers that may wait beside those with a slot; more are FLEMING_STATUS_BUSY. 1 to 65536; 64 by default.",
        "// Most tokens in a conversation, prompt and reply together. 1 to 16777216; the model's limit by default.",
    ] {
        assert!(header.contains(line), "{line}");
    }
}

/// The header, the documents and the soname promise the same.
#[test]
fn there_is_one_promise_of_compatibility() {
    let words = |text: &str| {
        let text = text.replace("//", " ").replace('`', "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let promise = "program works with every later library of its series, which the soname names: 0.1, 0.2 and so on \
                   before version 1 (libfleming.so.0.1), then 1, 2 and so on (libfleming.so.1).";
    for path in ["include/fleming.h", "docs/c.md", "README.md"] {
        assert!(words(&read(path)).contains(promise), "{path}");
    }
    // What makes the soname.
    assert!(
        read("packaging/dist.py")
            .contains(r#"return f"libfleming.so.{major}" if major != "0" else f"libfleming.so.0.{minor}""#)
    );
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

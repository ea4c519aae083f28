use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;
use crate::error::{Error, ErrorCode};
use crate::limits::Subject;
use crate::request::{Constraint, Instruction};
use crate::study::{FrameCount, Look, Preprocessing};

fn fields(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn chosen(value: Value) -> crate::error::Result<Chosen> {
    Ok(Chosen::of(&fields(value), |_| true, Files::Read("".as_ref()))?.0)
}

fn set(value: Value) -> Options {
    chosen(value).unwrap().options().unwrap()
}

/// The options of a command line, `["--slices", "5"]`.
fn words(words: &[(&str, &[&str])]) -> crate::error::Result<Chosen> {
    let mut chosen = Chosen::default();
    for (name, values) in words {
        let values: Vec<_> = values.iter().map(std::ffi::OsString::from).collect();
        chosen.add(option(name).unwrap(), &values)?;
    }
    Ok(chosen)
}

#[test]
fn names_are_one_an_option_and_exclude_each_other() {
    let names: BTreeSet<_> = options().map(|row| row.name).collect();
    assert_eq!(names.len(), options().count());
    for row in options() {
        let letters = |name: &str| name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_');
        assert!(letters(row.name) && !row.help.is_empty() && !row.help.ends_with('.'), "{}", row.name);
        assert_eq!(row.value.is_empty(), matches!(row.form, Form::Switch(..)), "{}", row.name);
        for other in row.excludes {
            assert!(option(other).unwrap().excludes.contains(&row.name), "{} and {other}", row.name);
        }
    }
}

/// What a row sets is what it gets, given as JSON and as words, and null takes it back.
#[test]
fn every_row_sets_what_it_gets() {
    for row in options() {
        let name = row.name;
        let (value, text) = match &row.form {
            Form::Whole(range, ..) => (json!(range.most), range.most.to_string()),
            Form::Real(range, ..) => {
                let value =
                    if range.most == f64::MAX { -1.5 } else { (range.least + 3.0 * range.most) / 4.0 };
                (json!(value), value.to_string())
            }
            Form::Switch(..) => (json!(true), String::new()),
            Form::Word(words, ..) => (json!(words[0]), words[0].to_owned()),
            Form::Texts(..) => (json!(["a", "b"]), "a".to_owned()),
            Form::Parsed(..) => {
                let text = if name == "window" { "-600/1500/sigmoid" } else { "3-7" };
                (json!(text), text.to_owned())
            }
            Form::Pairs(..) => (json!(["1=2"]), "1=2".to_owned()),
            _ => (json!("{}"), "{}".to_owned()),
        };
        let got = |options: &Options| match &row.form {
            Form::Whole(_, _, get) => json!(get(options)),
            Form::Real(_, _, get) => json!(get(options)),
            Form::Switch(_, get) => json!(get(options)),
            Form::Word(_, _, get) => json!(get(options)),
            Form::Text(_, get) => json!(get(options)),
            Form::Path(_, get) => json!(get(options)),
            Form::Parsed(_, _, get) => json!(get(options)),
            Form::Texts(_, get) => json!(get(options)),
            // They have no one value to get.
            _ => Value::Null,
        };
        if matches!(row.form, Form::Document(..)) {
            continue;
        }
        let read = set(json!({name: value}));
        if !matches!(row.form, Form::Pairs(..)) {
            assert_eq!(got(&read), value, "{name}");
        }
        assert_ne!(format!("{read:?}"), format!("{:?}", Options::default()), "{name}");
        let values = if text.is_empty() { vec![] } else { vec![text.as_str()] };
        let written = words(&[(name, &values)]).unwrap().options().unwrap();
        if !row.repeats() {
            assert_eq!(got(&written), value, "{name}");
        }
        assert_eq!(got(&set(json!({name: null}))), got(&Options::default()), "{name}");
    }
}

#[test]
fn every_number_is_held_against_its_range() {
    for row in options() {
        let (least, beyond) = match &row.form {
            Form::Whole(range, ..) => {
                (range.least.checked_sub(1).map(|n| json!(n)), range.most.checked_add(1).map(|n| json!(n)))
            }
            Form::Real(range, ..) => (
                (range.least > f64::MIN)
                    .then(|| json!(if range.open { range.least } else { range.least - 0.5 })),
                (range.most < f64::MAX).then(|| json!(range.most + 0.5)),
            ),
            _ => continue,
        };
        let wrong = [least, beyond].into_iter().flatten();
        let never =
            [json!("many"), json!(true), json!(false), json!([1, 2]), json!("NaN"), json!("inf"), json!("")];
        for value in wrong.chain(never) {
            let error = chosen(json!({row.name: value})).map(drop).unwrap_err();
            assert_eq!((error.code(), &*error.facts().thing), (ErrorCode::Request, row.name), "{value}");
            let Value::String(text) = value else { continue };
            let error = words(&[(row.name, &[&text])]).map(drop).unwrap_err();
            assert_eq!(error.facts().thing, format!("--{}", row.long()));
            assert!(error.facts().wanted.contains(&row.may_be().unwrap()), "{error}");
        }
    }
    let slip = words(&[("threads", &["44444444444444444444"])]).map(drop).unwrap_err();
    let wanted = "--threads: wanted a whole number, 1 to 1024, got 44444444444444444444 \
                  (without it: one for each physical core)";
    assert_eq!(slip.to_string(), wanted);
    let long = words(&[("window", &[&"x".repeat(50_000)])]).map(drop).unwrap_err();
    assert!(long.to_string().len() < 500, "{long}");
}

#[test]
fn what_holds_without_an_option_is_what_the_library_does() {
    let default = |name: &str| option(name).unwrap().default();
    assert_eq!(default("temperature").as_deref(), Some("0"));
    assert_eq!(default("chunk").as_deref(), Some("512"));
    assert_eq!(default("provider").as_deref(), Some("cpu"));
    assert_eq!(default("preprocessing").as_deref(), Some("clinical"));
    assert_eq!(default("max_new_tokens").as_deref(), Some("the package's"));
    assert_eq!((default("top_k"), default("ignore_eos")), (None, None));
    let FrameCount::PerSecond { max_frames } = Look::FRAMES else { panic!("{:?}", Look::FRAMES) };
    assert_eq!(default("max_frames"), Some(max_frames.to_string()));
    assert_eq!(default("slices"), Some(Look::SLICES.to_string()));
    // A default in words is one that the types do not have.
    let fixed = ["slots", "max_frames", "slices"];
    for row in options().filter(|row| !row.absent.is_empty() && !fixed.contains(&row.name)) {
        let none = match &row.form {
            Form::Whole(_, _, get) => get(&Options::default()).is_none(),
            Form::Path(_, get) => get(&Options::default()).is_none(),
            _ => true,
        };
        assert!(none, "{}", row.name);
    }
}

#[test]
fn a_field_takes_the_place_of_what_was_chosen_before() {
    let given = words(&[("slices", &["5"]), ("seconds", &["3"]), ("ignore_eos", &[])]).unwrap();
    let read = |own| given.under(&chosen(own).unwrap()).options().unwrap();
    assert_eq!(read(json!({})).look.slices, Some(5));
    assert_eq!(read(json!({"slices": 7})).look.slices, Some(7));
    assert_eq!(read(json!({"slices": null})).look.slices, None);
    assert_eq!(read(json!({"start": -1.5})).look.start, Some(-1.5));
    assert_eq!(read(json!({})).look.frames, Some(FrameCount::Seconds(3.0)));
    // And of what it contradicts.
    assert_eq!(read(json!({"frames": 2})).look.frames, Some(FrameCount::Exactly(2)));
    assert_eq!(read(json!({"seconds": null, "frames": 2})).look.frames, Some(FrameCount::Exactly(2)));
    let stop = |own| read(own).ask.stop;
    assert_ne!(stop(json!({})), stop(json!({"ignore_eos": false})));

    let both = words(&[("frames", &["2"]), ("seconds", &["2"])]).unwrap();
    let Err(Error::Request(facts)) = both.options() else { panic!("both were taken") };
    assert_eq!((&*facts.thing, &*facts.got), ("--frames", "both --frames and --seconds"));
    assert!(chosen(json!({"choice": ["a"], "regex": "b"})).unwrap().options().is_err());
    for other in ["frames", "seconds"] {
        assert!(chosen(json!({"max_frames": 5, other: 3})).unwrap().options().is_err(), "{other}");
    }
}

#[test]
fn an_option_for_a_kind_of_which_there_is_none_is_refused() {
    use crate::frame::Modality::{Image, Video, Volume};
    let given = words(&[("slices", &["5"]), ("temperature", &["1"])]).unwrap();
    for kinds in [&[Volume][..], &[Image, Volume, Video]] {
        given.fit(kinds).unwrap();
    }
    for (kinds, got) in [
        (&[][..], "no input"),
        (&[Image], "an image"),
        (&[Image, Image], "2 inputs, each an image"),
        (&[Image, Video], "2 inputs of other kinds"),
    ] {
        let error = given.fit(kinds).unwrap_err();
        assert_eq!((&*error.facts().thing, &*error.facts().got), ("--slices", got));
    }
    given.under(&chosen(json!({"slices": null})).unwrap()).fit(&[]).unwrap();
}

#[test]
fn other_fields_are_named() {
    let looks = |subject| matches!(subject, Subject::Look(_));
    let (chosen, others) = Chosen::of(
        &fields(json!({"slices": 2, "imagse": "x", "temperature": 1})),
        looks,
        Files::Read("".as_ref()),
    )
    .unwrap();
    assert!(chosen.has("slices") && !chosen.has("temperature"));
    assert_eq!(others, ["imagse", "temperature"]);
}

#[test]
fn values_in_json() {
    assert_eq!(set(json!({"seed": u64::MAX})).ask.sampling.seed, u64::MAX);
    assert_eq!(set(json!({"slices": "7"})).look.slices, Some(7), "a text that is a number");
    assert_eq!(set(json!({"slices": 7.0})).look.slices, Some(7), "JSON has one kind of number");
    assert_eq!(set(json!({"stop": "a"})).ask.stop_strings, ["a"]);
    assert_eq!(set(json!({"window": "lung"})).look.window, set(json!({"window": "-600/1500"})).look.window);
    assert_eq!(
        set(json!({"choice": [1, "b"]})).ask.constraint,
        Some(Constraint::Choice(vec!["1".into(), "b".into()]))
    );
    for biases in [json!({"5": 1, "6": -2.5}), json!(["5=1", "6=-2.5"])] {
        assert_eq!(set(json!({"logit_bias": biases})).ask.sampling.logit_bias, [(5, 1.0), (6, -2.5)].into());
    }
    for wrong in [
        json!({"logit_bias": {"5": 101}}),
        json!({"logit_bias": "5"}),
        json!({"slices": 5.5}),
        json!({"range": "7-3"}),
        json!({"range": "7"}),
        json!({"window": "40"}),
        json!({"window": "40/0"}),
        json!({"window": "40/0.5/linear"}),
        json!({"window": "40/400/cubic"}),
        json!({"window": "nan/400"}),
        json!({"window": "lungs"}),
        json!({"slices": -1}),
        json!({"ignore_eos": "yes"}),
        json!({"preprocessing": "shouting"}),
        json!({"stop": {"a": 1}}),
        json!({"system": ["a"]}),
    ] {
        assert!(chosen(wrong.clone()).is_err(), "{wrong}");
    }
    assert_eq!(set(json!({"preprocessing": "reference"})).ask.preprocessing, Preprocessing::Reference);
}

#[test]
fn a_text_may_stand_in_a_file_where_files_may_be_named() {
    let folder = std::env::temp_dir().join(format!("fleming-documents-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("text").display().to_string();
    std::fs::write(&file, "Be brief.\n").unwrap();
    let prompt = |value: Value| set(json!({"prompt": value})).instruction;
    assert_eq!(prompt(json!("direct")), Instruction::Direct);
    assert_eq!(prompt(json!("reasoning")), Instruction::Reasoning);
    assert_eq!(prompt(json!(format!("@{file}"))), Instruction::Custom("Be brief.".into()));
    assert_eq!(prompt(json!({"text": "Be brief.\n"})), Instruction::Custom("Be brief.\n".into()));
    let constraint = |value: Value| set(value).ask.constraint.unwrap();
    assert_eq!(constraint(json!({"grammar": file})), Constraint::Lark("Be brief.\n".into()));
    assert_eq!(constraint(json!({"grammar": {"text": "start: x"}})), Constraint::Lark("start: x".into()));
    let schema = Constraint::JsonSchema("{\"type\":\"object\"}".into());
    assert_eq!(constraint(json!({"json_schema": {"type": "object"}})), schema);
    assert_eq!(constraint(json!({"json_schema": "{\"type\":\"object\"}"})), schema);
    std::fs::remove_dir_all(&folder).unwrap();

    for (name, value) in [("prompt", "shouting"), ("grammar", &file), ("prompt", "@/nowhere")] {
        let error = chosen(json!({name: value})).map(drop).unwrap_err();
        assert_eq!(error.facts().thing, name, "{error}");
    }
    for (name, value) in
        [("prompt", "@/etc/passwd"), ("grammar", "/etc/passwd"), ("json_schema", "/etc/passwd")]
    {
        let refused = Chosen::of(&fields(json!({name: value})), |_| true, Files::Refused);
        let error = refused.map(drop).unwrap_err();
        assert!(
            error.facts().wanted == "the text itself" && !error.to_string().contains("passwd"),
            "{error}"
        );
    }
}

//! The store: found, altered, built twice at once, and left behind.

use std::sync::Barrier;
use std::thread;

use tempfile::TempDir;

use super::*;

fn facts(pairs: &[(&str, &str)]) -> Facts {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn built(store: &Store, facts: &Facts, content: &str) -> Entry {
    let draft = store.start(facts).unwrap();
    fs::write(draft.folder().join("graph.engine"), content).unwrap();
    fs::write(draft.folder().join("graph.timing"), "times").unwrap();
    draft.publish().unwrap()
}

fn here(folder: &TempDir) -> Store {
    Store::new(vec![folder.path().join("cache")])
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names = names(folder).unwrap();
    names.sort();
    names
}

#[test]
fn every_fact_is_in_the_key() {
    let usual = facts(&[("package", "a"), ("tensorrt", "10.15.1"), ("driver", "13000")]);
    assert_eq!(key(&usual), key(&usual.clone()));
    assert_eq!(key(&usual).len(), 64);
    let others = [
        facts(&[("package", "b"), ("tensorrt", "10.15.1"), ("driver", "13000")]),
        facts(&[("package", "a"), ("tensorrt", "10.15.2"), ("driver", "13000")]),
        facts(&[("package", "a"), ("tensorrt", "10.15.1"), ("driver", "13010")]),
        facts(&[("package", "a"), ("tensorrt", "10.15.1")]),
        facts(&[("package", "a"), ("tensorrt", "10.15.1"), ("driver", "13000"), ("more", "")]),
        // the same bytes in a row
        facts(&[("packagea", ""), ("tensorrt", "10.15.1"), ("driver", "13000")]),
    ];
    for (place, other) in others.iter().enumerate() {
        assert_ne!(key(other), key(&usual), "{place}");
        assert!(others[..place].iter().all(|earlier| key(earlier) != key(other)), "{place}");
    }
}

#[test]
fn what_was_built_is_found_and_only_for_what_it_was_built_for() {
    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), facts(&[("driver", "13000")]));
    assert_eq!(store.look_up(&this), None);
    let entry = built(&store, &this, "engine");
    assert_eq!(store.look_up(&this), Some(entry.clone()));
    assert_eq!((entry.bytes, entry.key.as_str()), (11, key(&this).as_str()));
    assert_eq!(listing(&entry.folder), ["graph.engine", "graph.timing"]);
    assert_eq!(store.look_up(&facts(&[("driver", "13010")])), None);
    assert_eq!(listing(&folder.path().join("cache")), [entry.key], "nothing is left of the draft");
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let store = here(&folder);
    let draft = store.start(&facts(&[])).unwrap();
    fs::write(draft.folder().join("graph.engine"), "half").unwrap();
    assert!(draft.has(".engine") && !draft.has(".timing"));
    drop(draft);
    assert!(listing(&folder.path().join("cache")).is_empty());
}

#[test]
fn what_was_altered_is_removed_and_built_again() {
    type Damage = fn(&Path);
    let table: [(&str, Damage); 6] = [
        ("graph.engine has SHA-256", |entry| fs::write(entry.join("graph.engine"), "enginE").unwrap()),
        ("graph.engine has 3 bytes", |entry| fs::write(entry.join("graph.engine"), "eng").unwrap()),
        ("graph.timing: No such file", |entry| fs::remove_file(entry.join("graph.timing")).unwrap()),
        ("stranger is not listed", |entry| fs::write(entry.join("stranger"), "").unwrap()),
        ("entry.json: No such file", |entry| fs::remove_file(entry.join(LIST)).unwrap()),
        ("entry.json is of another entry", |entry| {
            let text = fs::read_to_string(entry.join(LIST)).unwrap();
            fs::write(entry.join(LIST), text.replace("13000", "13010")).unwrap();
        }),
    ];
    for (wanted, damage) in table {
        let folder = TempDir::new().unwrap();
        let (store, this) = (here(&folder), facts(&[("driver", "13000")]));
        let entry = built(&store, &this, "engine");
        damage(&entry.folder);
        match store.state(&this) {
            State::Damaged(place, reason) => {
                assert!(place == entry.folder && reason.contains(wanted), "{reason}");
            }
            other => panic!("{wanted}: {other:?}"),
        }
        assert_eq!(store.look_up(&this), None, "{wanted}");
        assert!(!entry.folder.exists(), "{wanted}");
        assert_eq!(built(&store, &this, "engine"), entry);
        assert_eq!(store.look_up(&this), Some(entry));
    }
}

#[test]
fn two_that_build_at_once_both_end_well() {
    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), facts(&[("driver", "13000")]));
    let start = Barrier::new(4);
    let entries: Vec<_> = thread::scope(|scope| {
        let build = |content: &'static str| {
            let (store, this, start) = (&store, &this, &start);
            scope.spawn(move || {
                let draft = store.start(this).unwrap();
                fs::write(draft.folder().join("graph.engine"), content).unwrap();
                start.wait();
                draft.publish().unwrap()
            })
        };
        let all: Vec<_> = ["one", "two", "three", "four"].into_iter().map(build).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let found = store.look_up(&this).unwrap();
    assert!(entries.iter().all(|entry| *entry == found), "{entries:?}");
    assert_eq!(listing(&folder.path().join("cache")), [found.key]);
}

#[test]
fn a_damaged_entry_gives_way_to_a_whole_one() {
    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), facts(&[("driver", "13000")]));
    let entry = built(&store, &this, "engine");
    let draft = store.start(&this).unwrap();
    fs::write(draft.folder().join("graph.engine"), "anew").unwrap();
    fs::write(entry.folder.join("graph.engine"), "broken").unwrap();
    let published = draft.publish().unwrap();
    assert_eq!(fs::read_to_string(published.folder.join("graph.engine")).unwrap(), "anew");
}

#[test]
fn what_was_shipped_comes_first_and_is_never_touched() {
    let folder = TempDir::new().unwrap();
    let (shipped, cache) = (folder.path().join("engines"), folder.path().join("cache"));
    let this = facts(&[("driver", "13000")]);
    let both = Store::new(vec![shipped.clone(), cache.clone()]);
    let own = built(&both, &this, "own");
    assert!(own.folder.starts_with(&cache) && !shipped.exists());
    let into = Store::new(vec![shipped.clone()]);
    let copy = own.copy_to(&into, &this).unwrap().publish().unwrap();
    assert!(copy.folder.starts_with(&shipped) && copy.bytes == own.bytes);
    assert_eq!(both.look_up(&this), Some(copy.clone()));
    fs::write(copy.folder.join("graph.engine"), "off").unwrap();
    assert_eq!(both.look_up(&this), Some(own.clone()));
    assert!(copy.folder.exists());
    assert_eq!(both.state(&this), State::Present(own));
}

#[test]
fn times_are_taken_from_the_newest_entry_of_the_same_kind() {
    let folder = TempDir::new().unwrap();
    let store = here(&folder);
    let this = |option: &str, gpu: &str| facts(&[("option", option), ("gpu", gpu), ("tensorrt", "10")]);
    let newest = |facts: &Facts| store.newest(".timing", facts, &["gpu", "tensorrt"]);
    assert_eq!(newest(&this("1", "a")), None);
    let first = built(&store, &this("1", "a"), "engine");
    built(&store, &this("1", "b"), "engine");
    assert_eq!(newest(&this("2", "a")), Some(first.folder.join("graph.timing")));
    assert_eq!(newest(&this("2", "c")), None);
    fs::write(first.folder.join("graph.timing"), "TIMES").unwrap();
    assert_eq!(newest(&this("2", "a")), None);
}

#[test]
fn what_killed_processes_left_behind_is_swept() {
    let folder = TempDir::new().unwrap();
    let store = here(&folder);
    let living = store.start(&facts(&[("a", "")])).unwrap();
    let killed = folder.path().join("cache").join(format!("{}{PARTIAL}00000001", key(&facts(&[]))));
    fs::create_dir(&killed).unwrap();
    let long_ago = SystemTime::now() - 2 * LOCKED_AFTER;
    for path in [living.folder(), &killed] {
        File::open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let draft = store.start(&facts(&[("b", "")])).unwrap();
    assert!(living.folder().exists() && draft.folder().exists() && !killed.exists());
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::new(vec![file.clone()]).start(&facts(&[])).err().unwrap().to_string();
    assert!(error.contains(file.to_str().unwrap()) && error.contains("--engine-cache"), "{error}");
}

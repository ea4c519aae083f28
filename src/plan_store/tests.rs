//! Plans that are found, altered, built twice at once, and left behind.

use std::sync::Barrier;
use std::thread;

use tempfile::TempDir;

use super::*;

fn inputs(pairs: &[(&str, &str)]) -> BuildInputs {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

fn built(store: &PlanStore, inputs: &BuildInputs, content: &str) -> StoredPlan {
    let draft = store.start(inputs).unwrap();
    fs::write(draft.folder().join("graph.engine"), content).unwrap();
    fs::write(draft.folder().join("graph.timing"), "times").unwrap();
    draft.publish().unwrap()
}

fn here(folder: &TempDir) -> PlanStore {
    PlanStore::new(vec![folder.path().join("cache")], None)
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names = list::names(folder).unwrap();
    names.sort();
    names
}

#[test]
fn every_build_input_is_in_the_key() {
    let usual = inputs(&[("package", "a"), ("tensorrt", "10.15.1"), ("driver", "13000")]);
    assert_eq!(key(&usual), key(&usual.clone()));
    assert_eq!(key(&usual).len(), 64);
    let others = [
        inputs(&[("package", "b"), ("tensorrt", "10.15.1"), ("driver", "13000")]),
        inputs(&[("package", "a"), ("tensorrt", "10.15.2"), ("driver", "13000")]),
        inputs(&[("package", "a"), ("tensorrt", "10.15.1"), ("driver", "13010")]),
        inputs(&[("package", "a"), ("tensorrt", "10.15.1")]),
        inputs(&[("package", "a"), ("tensorrt", "10.15.1"), ("driver", "13000"), ("more", "")]),
        // the same bytes in a row
        inputs(&[("packagea", ""), ("tensorrt", "10.15.1"), ("driver", "13000")]),
    ];
    for (place, other) in others.iter().enumerate() {
        assert_ne!(key(other), key(&usual), "{place}");
        assert!(others[..place].iter().all(|earlier| key(earlier) != key(other)), "{place}");
    }
}

#[test]
fn a_plan_is_found_only_with_its_build_inputs() {
    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), inputs(&[("driver", "13000")]));
    assert_eq!(store.find(&this).unwrap(), None);
    let entry = built(&store, &this, "engine");
    assert_eq!(store.find(&this).unwrap(), Some(entry.clone()));
    assert_eq!((entry.bytes, entry.key.as_str()), (11, key(&this).as_str()));
    assert_eq!(listing(&entry.folder), ["graph.engine", "graph.timing"]);
    assert_eq!(store.find(&inputs(&[("driver", "13010")])).unwrap(), None);
    assert_eq!(listing(&folder.path().join("cache")), [entry.key], "nothing is left of the draft");
}

#[test]
fn a_draft_that_is_given_up_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let store = here(&folder);
    let draft = store.start(&inputs(&[])).unwrap();
    fs::write(draft.folder().join("graph.engine"), "half").unwrap();
    assert!(draft.has(".engine") && !draft.has(".timing"));
    drop(draft);
    assert!(listing(&folder.path().join("cache")).is_empty());
}

#[test]
fn an_altered_plan_is_removed_and_built_again() {
    type Damage = fn(&Path);
    let table: [(&str, Damage); 6] = [
        ("graph.engine has SHA-256", |entry| fs::write(entry.join("graph.engine"), "enginE").unwrap()),
        ("graph.engine has 3 bytes", |entry| fs::write(entry.join("graph.engine"), "eng").unwrap()),
        ("graph.timing: No such file", |entry| fs::remove_file(entry.join("graph.timing")).unwrap()),
        ("stranger is not listed", |entry| fs::write(entry.join("stranger"), "").unwrap()),
        ("entry.json: No such file", |entry| fs::remove_file(entry.join(list::LIST)).unwrap()),
        ("entry.json is of another plan", |entry| {
            let text = fs::read_to_string(entry.join(list::LIST)).unwrap();
            fs::write(entry.join(list::LIST), text.replace("13000", "13010")).unwrap();
        }),
    ];
    for (wanted, damage) in table {
        let folder = TempDir::new().unwrap();
        let (store, this) = (here(&folder), inputs(&[("driver", "13000")]));
        let entry = built(&store, &this, "engine");
        damage(&entry.folder);
        match store.look_up(&this) {
            LookUp::Damaged(place, reason) => {
                assert!(place == entry.folder && reason.contains(wanted), "{reason}");
            }
            other => panic!("{wanted}: {other:?}"),
        }
        assert_eq!(store.find(&this).unwrap(), None, "{wanted}");
        assert!(!entry.folder.exists(), "{wanted}");
        assert_eq!(built(&store, &this, "engine"), entry);
        assert_eq!(store.find(&this).unwrap(), Some(entry));
    }
}

#[test]
fn two_that_build_at_once_both_end_well() {
    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), inputs(&[("driver", "13000")]));
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
    let found = store.find(&this).unwrap().unwrap();
    assert!(entries.iter().all(|entry| *entry == found), "{entries:?}");
    assert_eq!(listing(&folder.path().join("cache")), [found.key]);
}

#[test]
fn a_damaged_plan_gives_way_to_a_whole_one() {
    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), inputs(&[("driver", "13000")]));
    let entry = built(&store, &this, "engine");
    let draft = store.start(&this).unwrap();
    fs::write(draft.folder().join("graph.engine"), "anew").unwrap();
    fs::write(entry.folder.join("graph.engine"), "broken").unwrap();
    let published = draft.publish().unwrap();
    assert_eq!(fs::read_to_string(published.folder.join("graph.engine")).unwrap(), "anew");
}

#[test]
fn a_shipped_plan_comes_first_and_is_never_touched() {
    let folder = TempDir::new().unwrap();
    let (shipped, cache) = (folder.path().join("engines"), folder.path().join("cache"));
    let this = inputs(&[("driver", "13000")]);
    let both = PlanStore::new(vec![shipped.clone(), cache.clone()], None);
    let own = built(&both, &this, "own");
    assert!(own.folder.starts_with(&cache) && !shipped.exists());
    let into = PlanStore::new(vec![shipped.clone()], None);
    let copy = own.copy_to(&into, &this).unwrap().publish().unwrap();
    assert!(copy.folder.starts_with(&shipped) && copy.bytes == own.bytes);
    assert_eq!(both.find(&this).unwrap(), Some(copy.clone()));
    fs::write(copy.folder.join("graph.engine"), "off").unwrap();
    assert_eq!(both.find(&this).unwrap(), Some(own.clone()));
    assert!(copy.folder.exists());
    assert_eq!(both.look_up(&this), LookUp::Present(own));
}

#[test]
fn kernel_timings_are_those_of_the_newest_plan_of_the_same_kind() {
    let folder = TempDir::new().unwrap();
    let store = here(&folder);
    let this = |option: &str, gpu: &str| inputs(&[("option", option), ("gpu", gpu), ("tensorrt", "10")]);
    let newest = |inputs: &BuildInputs| store.newest(".timing", inputs, &["gpu", "tensorrt"]);
    assert_eq!(newest(&this("1", "a")), None);
    let first = built(&store, &this("1", "a"), "engine");
    built(&store, &this("1", "b"), "engine");
    assert_eq!(newest(&this("2", "a")), Some(first.folder.join("graph.timing")));
    assert_eq!(newest(&this("2", "c")), None);
    fs::write(first.folder.join("graph.timing"), "TIMES").unwrap();
    assert_eq!(newest(&this("2", "a")), None);
}

#[test]
fn drafts_of_killed_processes_are_swept() {
    let folder = TempDir::new().unwrap();
    let store = here(&folder);
    let living = store.start(&inputs(&[("a", "")])).unwrap();
    let killed = folder.path().join("cache").join(format!("{}{PARTIAL}00000001", key(&inputs(&[]))));
    fs::create_dir(&killed).unwrap();
    let long_ago = SystemTime::now() - 2 * LOCKED_AFTER;
    for path in [living.folder(), &killed] {
        File::open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let draft = store.start(&inputs(&[("b", "")])).unwrap();
    assert!(living.folder().exists() && draft.folder().exists() && !killed.exists());
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = PlanStore::new(vec![file.clone()], None).start(&inputs(&[])).err().unwrap().to_string();
    assert!(error.contains(file.to_str().unwrap()) && error.contains("--engine-cache"), "{error}");
}

#[test]
fn what_others_may_write_to_is_neither_loaded_nor_written_to() {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), inputs(&[("a", "")]));
    let plan = built(&store, &this, "engine");
    let cache = folder.path().join("cache");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    for path in
        [cache.clone(), plan.folder.clone(), plan.folder.join("graph.engine"), plan.folder.join("entry.json")]
    {
        let closed = mode(&path);
        fs::set_permissions(&path, Permissions::from_mode(closed | 0o020)).unwrap();
        let error = store.find(&this).unwrap_err().to_string();
        for part in [path.to_str().unwrap(), "others may write", "chmod -R go-w", "--engine-cache"] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert!(matches!(store.look_up(&this), LookUp::Exposed(exposed) if exposed.path == path));
        assert_eq!(store.newest(".timing", &this, &["a"]), None);
        assert_eq!(store.start(&inputs(&[("b", "")])).is_err(), path == cache);
        fs::set_permissions(&path, Permissions::from_mode(closed)).unwrap();
    }
    assert_eq!(store.find(&this).unwrap(), Some(plan.clone()));
    // A link to all plans is the user's own; one in their midst is not.
    symlink(&cache, folder.path().join("link")).unwrap();
    let linked = PlanStore::new(vec![folder.path().join("link")], None);
    assert!(linked.find(&this).unwrap().is_some());
    let aside = folder.path().join("aside");
    fs::rename(&plan.folder, &aside).unwrap();
    symlink(&aside, &plan.folder).unwrap();
    assert!(store.find(&this).unwrap_err().to_string().contains("a link"));
}

#[test]
fn a_plan_is_closed_to_others_whatever_the_builder_left_open() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let (store, this) = (here(&folder), inputs(&[("a", "")]));
    let draft = store.start(&this).unwrap();
    let file = draft.folder().join("graph.engine");
    fs::write(&file, "engine").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
    let plan = draft.publish().unwrap();
    assert_eq!(fs::metadata(plan.folder.join("graph.engine")).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(store.find(&this).unwrap(), Some(plan));
}

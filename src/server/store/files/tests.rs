use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::super::name::clean_name;
use super::super::record::About;
use super::*;
use crate::input::{ReadOptions, read};
use crate::study::{Source, StudyInput};

const ONE: &[u8] = b"one key";
const OTHER: &[u8] = b"another key";
const HOUR: Duration = Duration::from_secs(3600);

fn settings(folder: &Path) -> FileSettings {
    FileSettings { folder: Some(folder.into()), ..FileSettings::default() }
}

fn store() -> (tempfile::TempDir, PathBuf, Store) {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("files");
    let store = Store::open(&settings(&folder)).unwrap();
    (base, folder, store)
}

fn about(name: &str, lifetime: Duration) -> About {
    About { name: clean_name(name), purpose: "user_data".into(), lifetime, facts: json!({"format": "PNG"}) }
}

fn put(store: &Store, scope: &[u8], content: &[u8]) -> Arc<StoredFile> {
    let mut upload = store.begin(scope).unwrap();
    content.chunks(7).for_each(|chunk| upload.write(chunk).unwrap());
    upload.keep(about("scan.png", HOUR)).unwrap()
}

/// The names in the folder, without the lock.
fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| name != ".lock").collect();
    names.sort();
    names
}

#[test]
fn a_file_is_found_by_its_owner_alone_until_it_is_deleted() {
    let (_base, folder, store) = store();
    let held = put(&store, ONE, b"a study of some bytes");
    let record = held.record().clone();
    assert_eq!((record.bytes, record.name.as_str()), (21, "scan.png"));
    assert_eq!(
        record.sha256,
        crate::digest::hex(&{
            use sha2::Digest;
            sha2::Sha256::digest(b"a study of some bytes")
        })
    );
    assert_eq!(record.expires_at() - record.created_at(), 3600);
    let id = &record.id;
    assert_eq!(names(&folder), [id.clone(), format!("{id}.json")]);
    for name in names(&folder) {
        assert_eq!(fs::metadata(folder.join(name)).unwrap().mode() & 0o777, 0o600);
    }
    assert_eq!(store.get(ONE, id).unwrap().record(), &record);
    // Whoever asks cannot tell another's file from none.
    let foreign = store.get(OTHER, id).unwrap_err();
    let mut none = store.get(ONE, &id.replace("file-", "file-x")).unwrap_err();
    assert!(matches!(store.delete(OTHER, id), Err(Refusal::NotFound(_))));
    if let Refusal::NotFound(facts) = &mut none {
        facts.thing = foreign.facts().thing.clone();
    }
    assert_eq!(foreign, none);
    assert_eq!((store.list(ONE).len(), store.list(OTHER).len()), (1, 0));
    assert_eq!(store.usage(), Usage { files: 1, bytes: 21 });
    drop(held);
    store.delete(ONE, id).unwrap();
    assert!(store.get(ONE, id).is_err() && store.list(ONE).is_empty());
    assert_eq!((names(&folder), store.usage()), (vec![], Usage { files: 0, bytes: 0 }));
}

#[test]
fn what_is_deleted_or_has_expired_can_be_read_to_the_end_by_those_who_have_it() {
    let (_base, folder, store) = store();
    let chest = fs::read("examples/chest.png").unwrap();
    let mut upload = store.begin(ONE).unwrap();
    upload.write(&chest).unwrap();
    let held = upload.keep(about("patient.png", Duration::from_millis(1))).unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert!(store.get(ONE, &held.record().id).is_err(), "before anybody sweeps");
    let study = StudyInput::file(Source::Kept(held.clone()));
    assert_eq!(store.sweep(), [held.record().id.clone()]);
    assert_eq!(names(&folder), [held.record().id.clone()], "the record is gone at once");
    drop(held);
    let seen = read(&study, &ReadOptions::default()).unwrap();
    assert_eq!((seen.source.as_str(), store.usage().bytes), ("patient.png", chest.len() as u64));
    drop(study);
    assert_eq!((names(&folder), store.usage().bytes), (vec![], 0));
}

#[test]
fn an_upload_that_is_not_kept_leaves_nothing() {
    let (_base, folder, store) = store();
    let mut upload = store.begin(ONE).unwrap();
    upload.write(b"half a stu").unwrap();
    let source = upload.source("half.png");
    assert!(read(&StudyInput::file(source), &ReadOptions::default()).is_err());
    assert_eq!((names(&folder).len(), store.usage()), (1, Usage { files: 0, bytes: 10 }));
    assert!(store.list(ONE).is_empty());
    drop(upload);
    assert_eq!((names(&folder), store.usage().bytes), (vec![], 0));
}

#[test]
fn limits_hold_while_a_file_is_written() {
    let base = tempfile::tempdir().unwrap();
    let limited = FileSettings {
        file_bytes: 10,
        key_bytes: 16,
        bytes: 20,
        count: 2,
        ..settings(&base.path().join("files"))
    };
    let store = Store::open(&limited).unwrap();
    let mut upload = store.begin(ONE).unwrap();
    upload.write(&[0; 10]).unwrap();
    assert!(matches!(upload.write(&[0]), Err(Refusal::TooLarge(_))));
    drop(upload);
    let first = put(&store, ONE, &[0; 10]);
    assert!(matches!(store.begin(ONE).unwrap().write(&[0; 7]), Err(Refusal::Share(_))));
    put(&store, ONE, &[0; 6]);
    assert!(matches!(store.begin(ONE), Err(Refusal::Share(_))));
    let mut other = store.begin(OTHER).unwrap();
    assert!(matches!(other.write(&[0; 5]), Err(Refusal::Full(_))));
    store.delete(ONE, &first.record().id).unwrap();
    assert!(matches!(other.write(&[0; 5]), Err(Refusal::Full(_))), "it is still read");
    drop(first);
    other.write(&[0; 5]).unwrap();
}

#[test]
fn after_a_kill_files_are_whole_or_gone() {
    let (base, folder, store) = store();
    let kept = put(&store, ONE, b"a study").record().clone();
    let short = put(&store, ONE, b"another study").record().id.clone();
    let bare = put(&store, ONE, b"without a record").record().id.clone();
    let alone = put(&store, ONE, b"without content").record().id.clone();
    let renamed = put(&store, ONE, b"of another id").record().id.clone();
    let mut expiring = store.begin(ONE).unwrap();
    expiring.write(b"of yesterday").unwrap();
    expiring.keep(about("a", Duration::ZERO)).unwrap();
    let mut writing = store.begin(ONE).unwrap();
    writing.write(b"half").unwrap();
    // What a process does that is killed: nothing.
    let copy = base.path().join("copy");
    fs::create_dir(&copy).unwrap();
    fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for name in names(&folder) {
        fs::copy(folder.join(&name), copy.join(&name)).unwrap();
    }
    fs::write(copy.join(&short), b"another").unwrap();
    fs::remove_file(copy.join(format!("{bare}.json"))).unwrap();
    fs::remove_file(copy.join(&alone)).unwrap();
    fs::copy(copy.join(format!("{}.json", kept.id)), copy.join(format!("{renamed}.json"))).unwrap();
    fs::write(copy.join(format!("{bare}.json.part")), b"{").unwrap();
    fs::write(copy.join("thesis.txt"), b"not ours").unwrap();

    let again = Store::open(&settings(&copy)).unwrap();
    assert_eq!(again.get(ONE, &kept.id).unwrap().record(), &kept);
    assert_eq!(again.list(ONE).len(), 1);
    assert_eq!(again.usage(), Usage { files: 1, bytes: 7 });
    assert_eq!(names(&copy), [kept.id.clone(), format!("{}.json", kept.id), "thesis.txt".into()]);
    assert!(matches!(again.get(OTHER, &kept.id), Err(Refusal::NotFound(_))));
}

#[test]
fn two_servers_do_not_share_a_folder() {
    let (_base, folder, store) = store();
    let kept = put(&store, ONE, b"a study");
    let error = Store::open(&settings(&folder)).unwrap_err();
    assert_eq!(error.facts().got, "one that another server uses");
    assert!(store.get(ONE, &kept.record().id).is_ok());
    drop((store, kept));
    assert_eq!(Store::open(&settings(&folder)).unwrap().usage().files, 1);
}

#[test]
fn files_are_listed_in_the_order_of_their_coming() {
    let (_base, _folder, store) = store();
    let ids: Vec<_> = (0..4)
        .map(|place: u8| {
            std::thread::sleep(Duration::from_millis(2));
            put(&store, ONE, &[place]).record().id.clone()
        })
        .collect();
    let listed: Vec<_> = store.list(ONE).iter().map(|held| held.record().id.clone()).collect();
    assert_eq!(listed, ids);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn whatever_a_client_calls_its_file_only_our_names_are_in_the_folder(
        name in prop_oneof![
            Just("../x".to_owned()), Just("/etc/x".to_owned()), Just("a\0b".to_owned()), Just("x".repeat(4096)),
            Just("\u{202e}gnp.exe".to_owned()), Just(".lock".to_owned()), Just("..\\..\\x".to_owned()), "\\PC{0,300}",
        ],
        id in "\\PC{0,60}",
    ) {
        let (base, folder, store) = store();
        let mut upload = store.begin(ONE).unwrap();
        upload.write(b"x").unwrap();
        let held = upload.keep(about(&name, HOUR)).unwrap();
        let made = &held.record().id;
        prop_assert_eq!(names(&folder), [made.clone(), format!("{made}.json")]);
        prop_assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
        prop_assert!(!held.record().name.contains('/'));
        prop_assert!(store.get(ONE, &id).is_err() && store.delete(ONE, &id).is_err());
        let again = name.clone();
        prop_assert!(store.get(ONE, &again).is_err());
    }
}

//! How much is stored, and by whom. What is being written is counted as it comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::Owner;
use super::refusal::Refusal;
use crate::server::settings::FileSettings;

/// How much is stored, and by whom.
#[derive(Debug)]
pub(super) struct Ledger {
    limits: Limits,
    account: Mutex<Account>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    file_bytes: u64,
    key_bytes: u64,
    bytes: u64,
    count: usize,
}

#[derive(Debug, Default)]
struct Account {
    bytes: u64,
    owners: HashMap<Owner, Share>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    files: usize,
    bytes: u64,
}

/// The place of a file in the ledger. Dropping it gives the place back.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    owner: Owner,
    bytes: u64,
}

impl Ledger {
    pub(super) fn new(settings: &FileSettings) -> Self {
        let FileSettings { file_bytes, key_bytes, bytes, count, .. } = *settings;
        Self { limits: Limits { file_bytes, key_bytes, bytes, count }, account: Mutex::default() }
    }

    /// The place of a new file.
    ///
    /// # Errors
    /// [`Refusal::Share`] if its owner has as many as they may have.
    pub(super) fn open(self: &Arc<Self>, owner: Owner) -> Result<Entry, Refusal> {
        let most = self.limits.count;
        let mut account = self.lock();
        if account.owners.get(&owner).is_some_and(|share| share.files >= most) || most == 0 {
            return Err(Refusal::share(format!("at most {most} files of one key")));
        }
        account.owners.entry(owner.clone()).or_default().files += 1;
        Ok(Entry { ledger: Arc::clone(self), owner, bytes: 0 })
    }

    /// The place of a file that was there before, whatever the limits are now.
    pub(super) fn enter(self: &Arc<Self>, owner: Owner, bytes: u64) -> Entry {
        let mut account = self.lock();
        account.bytes = account.bytes.saturating_add(bytes);
        let share = account.owners.entry(owner.clone()).or_default();
        share.files += 1;
        share.bytes = share.bytes.saturating_add(bytes);
        Entry { ledger: Arc::clone(self), owner, bytes }
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Every change of the account is made in one go: what a thread left behind that panicked is sound.
    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Counts so many bytes more.
    ///
    /// # Errors
    /// If that is more than the file, its owner or the store may have.
    pub(super) fn grow(&mut self, more: u64) -> Result<(), Refusal> {
        let Limits { file_bytes, key_bytes, bytes, .. } = self.ledger.limits;
        if self.bytes.saturating_add(more) > file_bytes {
            return Err(Refusal::too_large(file_bytes));
        }
        let mut account = self.ledger.lock();
        let all = account.bytes.saturating_add(more);
        if all > bytes {
            return Err(Refusal::full(format!("at most {bytes} bytes of all files"), "more"));
        }
        let share = account.owners.entry(self.owner.clone()).or_default();
        let own = share.bytes.saturating_add(more);
        if own > key_bytes {
            return Err(Refusal::share(format!("at most {key_bytes} bytes of one key")));
        }
        share.bytes = own;
        account.bytes = all;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut account = self.ledger.lock();
        account.bytes = account.bytes.saturating_sub(self.bytes);
        if let Some(share) = account.owners.get_mut(&self.owner) {
            share.bytes = share.bytes.saturating_sub(self.bytes);
            share.files = share.files.saturating_sub(1);
            if share.files == 0 {
                account.owners.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_holds_while_files_are_written_and_what_is_gone_counts_no_more() {
        let settings =
            FileSettings { file_bytes: 10, key_bytes: 15, bytes: 20, count: 2, ..FileSettings::default() };
        let ledger = Arc::new(Ledger::new(&settings));
        let [one, other] = [b"one", b"two"].map(|scope| Owner::of(scope));
        let mut first = ledger.open(one.clone()).unwrap();
        first.grow(10).unwrap();
        assert!(matches!(first.grow(1), Err(Refusal::TooLarge(_))));
        let mut second = ledger.open(one.clone()).unwrap();
        second.grow(5).unwrap();
        assert!(matches!(second.grow(1), Err(Refusal::Share(_))));
        assert!(matches!(ledger.open(one.clone()), Err(Refusal::Share(_))));
        let mut third = ledger.open(other).unwrap();
        third.grow(5).unwrap();
        assert!(matches!(third.grow(1), Err(Refusal::Full(_))));
        assert!(matches!(third.grow(u64::MAX), Err(Refusal::TooLarge(_))));
        drop(first);
        assert_eq!(ledger.bytes(), 10);
        ledger.open(one.clone()).unwrap().grow(10).unwrap();
        drop((second, third));
        assert_eq!(ledger.bytes(), 0);
        assert!(ledger.lock().owners.is_empty());
    }
}

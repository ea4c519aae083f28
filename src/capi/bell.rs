//! What wakes a host that waits for many things in one place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use descriptor::Descriptor;

use super::event::Listener;
use super::status::{CallResult, Failure};

/// Rings when there may be something to wait for: a descriptor becomes readable, and the host's function is called.
pub(super) struct Bell {
    /// None once the host freed the answer: the engine's threads may ring a little longer.
    ends: RwLock<Option<Ends>>,
    /// Whether the descriptor is readable, so that many messages are one write.
    rung: AtomicBool,
}

/// Who hears it.
struct Ends {
    listener: Listener,
    descriptor: Option<Descriptor>,
}

impl Bell {
    pub(super) fn new(listener: Listener) -> Self {
        let ends = RwLock::new(Some(Ends { listener, descriptor: None }));
        Self { ends, rung: AtomicBool::new(false) }
    }

    pub(super) fn ring(&self) {
        let ends = self.read();
        let Some(Ends { listener, descriptor }) = &*ends else { return };
        if let Some(descriptor) = descriptor
            && !self.rung.swap(true, Ordering::SeqCst)
        {
            descriptor.ring();
        }
        listener.wake();
    }

    /// What rang is being looked at. In this order: what rings in between is looked at too.
    pub(super) fn silence(&self) {
        let ends = self.read();
        let descriptor = ends.as_ref().and_then(|ends| ends.descriptor.as_ref());
        if let Some(descriptor) = descriptor.filter(|_| self.rung.load(Ordering::SeqCst)) {
            descriptor.silence();
            self.rung.store(false, Ordering::SeqCst);
        }
    }

    /// Closes the descriptor. After this the host's function is not called any more.
    pub(super) fn part(&self) {
        *self.write() = None;
    }

    /// The number of the descriptor, which lives until [`part`](Self::part).
    pub(super) fn descriptor(&self) -> CallResult<i32> {
        let number = match &mut *self.write() {
            Some(Ends { descriptor: Some(there), .. }) => return Ok(there.number()),
            Some(Ends { descriptor, .. }) => {
                let made = Descriptor::new().map_err(|error| {
                    Failure::of_system("descriptor", "an eventfd", &error, "raise the limit (`ulimit -n`)")
                })?;
                descriptor.insert(made).number()
            }
            None => return Err(Failure::argument("pending", "an object", "one that was freed")),
        };
        // There may be something already.
        self.ring();
        Ok(number)
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Ends>> {
        self.ends.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Ends>> {
        self.ends.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(target_os = "linux")]
mod descriptor {
    use std::io;
    use std::os::fd::{AsRawFd, OwnedFd};

    use rustix::event::{EventfdFlags, eventfd};

    /// A counter of the system, which is readable unless it is 0.
    pub(super) struct Descriptor(OwnedFd);

    impl Descriptor {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
        }

        pub(super) fn number(&self) -> i32 {
            self.0.as_raw_fd()
        }

        pub(super) fn ring(&self) {
            // Fails only where the counter is full: it is readable.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }

        pub(super) fn silence(&self) {
            // Fails only where it is 0 already.
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod descriptor {
    use std::io;

    /// Other systems have none.
    pub(super) struct Descriptor;

    impl Descriptor {
        pub(super) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn number(&self) -> i32 {
            -1
        }

        pub(super) fn ring(&self) {}

        pub(super) fn silence(&self) {}
    }
}

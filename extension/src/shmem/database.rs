//! The databases of the cluster and their schedulers.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};

use super::dirty::DirtySet;
use super::load::Load;
use crate::pg::process::{self, Process};

/// How many databases can have a scheduler.
pub const DATABASES: usize = 256;

/// What is known of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Presence {
    /// Nothing yet.
    Unknown = 0,
    /// A scheduler is being started.
    Starting = 1,
    /// Its scheduler runs.
    Running = 2,
    /// It has no extension.
    Absent = 3,
    /// Its scheduler has gone, and is to come again.
    Stopped = 4,
    /// Its extension has another version than the library.
    Outdated = 5,
}

/// An entry. All zero: free.
#[derive(Debug)]
pub struct Database {
    oid: AtomicU32,
    presence: AtomicU32,
    /// Its scheduler.
    pub scheduler: Process,
    /// The process for which it is kept free of sessions, 0 for none.
    held_by: AtomicI32,
    /// Whether its scheduler waits for a worker to become free.
    pub wants_worker: AtomicBool,
    /// Buffers with new rows.
    pub dirty: DirtySet,
    /// How busy its workers are.
    pub load: Load,
}

impl Database {
    /// The database's OID, 0 if the entry is free.
    pub fn oid(&self) -> u32 {
        self.oid.load(Ordering::SeqCst)
    }

    /// What is known of it.
    pub fn presence(&self) -> Presence {
        match self.presence.load(Ordering::SeqCst) {
            1 => Presence::Starting,
            2 => Presence::Running,
            3 => Presence::Absent,
            4 => Presence::Stopped,
            5 => Presence::Outdated,
            _ => Presence::Unknown,
        }
    }

    /// Says what is known of it.
    pub fn set_presence(&self, presence: Presence) {
        self.presence.store(presence as u32, Ordering::SeqCst);
    }

    /// Frees the entry: the database is gone.
    pub fn release(&self) {
        self.set_presence(Presence::Unknown);
        self.dirty.take();
        self.load.clear();
        self.held_by.store(0, Ordering::SeqCst);
        self.oid.store(0, Ordering::SeqCst);
    }

    /// Keeps it free of the extension's sessions, for this process.
    pub fn hold(&self) {
        self.held_by.store(process::own_pid(), Ordering::SeqCst);
        self.scheduler.wake();
    }

    /// No longer.
    pub fn let_go(&self) {
        self.held_by.store(0, Ordering::SeqCst);
    }

    /// Whether a live process wants it free of sessions.
    pub fn is_held(&self) -> bool {
        let holder = self.held_by.load(Ordering::SeqCst);
        holder != 0 && process::is_alive(holder)
    }
}

/// The entry of a database.
pub fn find(databases: &[Database], oid: u32) -> Option<&Database> {
    databases.iter().find(|database| database.oid() == oid)
}

/// The entry of a database, claimed if necessary; `None` if all are taken.
pub fn find_or_claim(databases: &[Database], oid: u32) -> Option<&Database> {
    if let Some(found) = find(databases, oid) {
        return Some(found);
    }
    databases.iter().find(|database| {
        let claimed = database
            .oid
            .compare_exchange(0, oid, Ordering::SeqCst, Ordering::SeqCst);
        claimed.is_ok() || claimed == Err(oid)
    })
}

//! Which relations the server has invalidated, for the extension's caches.

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::pg_sys;

use super::row_security::OF_ROLES;
use super::transaction_end::{self, End, end_level};

/// Beyond this many relations the log is dropped, and everything counts as changed.
const CAPACITY: usize = 4096;

#[derive(Debug, Default)]
struct Log {
    registered: bool,
    generation: u64,
    /// Everything changed at this generation.
    all: u64,
    changed: HashMap<u32, u64>,
}

thread_local! {
    static LOG: RefCell<Log> = RefCell::default();
    /// The nest levels of the transaction that have altered or dropped something.
    static ALTERS: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

/// Puts the hooks in place, once per process or before it forks: what has been read after an alteration that is then
/// rolled back counts as changed. The server does not tell of every relation whose children were others meanwhile.
pub fn init() {
    transaction_end::listen(|end| {
        if !ALTERS.take().is_empty() && end == End::Abort {
            all_changed();
        }
    });
    transaction_end::listen_to_subtransactions(|end, level| {
        let is_undone = ALTERS.with_borrow_mut(|levels| {
            let before = levels.len();
            end_level(levels, end, level, |at| at);
            levels.len() < before
        });
        if is_undone {
            all_changed();
        }
    });
}

/// The current (sub)transaction alters or drops something.
pub fn alters() {
    let level = transaction_end::nest_level();
    ALTERS.with_borrow_mut(|levels| {
        if levels.last() != Some(&level) {
            levels.push(level);
        }
    });
}

/// The present generation; each notice of a change begins a new one. The first call of a session
/// registers for the notices.
pub fn generation() -> u64 {
    LOG.with_borrow_mut(|log| {
        if !log.registered {
            log.registered = true;
            // SAFETY: registered once per session; the callbacks take no lock and cannot fail.
            unsafe {
                pg_sys::CacheRegisterRelcacheCallback(Some(on_change), pg_sys::Datum::from(0));
                // The names of schemas are in the text of kept statements, and labels of enums in
                // printed values; renaming one changes no relation.
                use pg_sys::SysCacheIdentifier::{AUTHMEMROLEMEM, AUTHOID, ENUMOID, NAMESPACEOID};
                for cache in [NAMESPACEOID, ENUMOID] {
                    pg_sys::CacheRegisterSyscacheCallback(
                        cache as i32,
                        Some(on_name_change),
                        pg_sys::Datum::from(0),
                    );
                }
                for cache in [AUTHMEMROLEMEM, AUTHOID] {
                    pg_sys::CacheRegisterSyscacheCallback(
                        cache as i32,
                        Some(on_role_change),
                        pg_sys::Datum::from(0),
                    );
                }
            }
        }
        log.generation
    })
}

/// Whether one of the relations has changed after `generation`.
pub fn any_since(generation: u64, relations: &[pg_sys::Oid]) -> bool {
    LOG.with_borrow(|log| {
        log.all > generation
            || (log.generation > generation
                && relations.iter().any(|relation| {
                    log.changed
                        .get(&relation.to_u32())
                        .is_some_and(|at| *at > generation)
                }))
    })
}

/// The server's notice. It may come at any time a cache is read, so it only takes a note.
unsafe extern "C-unwind" fn on_change(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    LOG.with(|log| {
        let Ok(mut log) = log.try_borrow_mut() else {
            return;
        };
        log.generation += 1;
        let at = log.generation;
        if relation == pg_sys::InvalidOid || log.changed.len() >= CAPACITY {
            log.all = at;
            log.changed.clear();
        } else {
            log.changed.insert(relation.to_u32(), at);
        }
    });
}

/// The server's notice of a role, or a membership, that was made, changed or dropped.
unsafe extern "C-unwind" fn on_role_change(argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    // SAFETY: as the server calls it.
    unsafe { on_change(argument, OF_ROLES) }
}

/// The server's notice of a schema, or a label of an enum, that was made, changed or dropped.
unsafe extern "C-unwind" fn on_name_change(_argument: pg_sys::Datum, _cache: i32, _hash: u32) {
    all_changed();
}

fn all_changed() {
    LOG.with(|log| {
        if let Ok(mut log) = log.try_borrow_mut() {
            log.generation += 1;
            log.all = log.generation;
        }
    });
}

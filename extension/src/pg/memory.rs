//! Memory contexts.

use super::is_aborting;
use pgrx::pg_sys;

/// An own memory context, deleted with all that was allocated in it.
#[derive(Debug)]
pub struct MemoryContext {
    raw: pg_sys::MemoryContext,
}

impl MemoryContext {
    /// A new context below the current one. `name` appears in memory statistics.
    pub fn new(name: &'static std::ffi::CStr) -> Self {
        // SAFETY: always valid.
        Self::below(unsafe { pg_sys::CurrentMemoryContext }, name)
    }

    /// A new context that no transaction ends.
    pub fn lasting(name: &'static std::ffi::CStr) -> Self {
        // SAFETY: always valid.
        Self::below(unsafe { pg_sys::CacheMemoryContext }, name)
    }

    fn below(parent: pg_sys::MemoryContext, name: &'static std::ffi::CStr) -> Self {
        // SAFETY: the callers' context is valid; the name is static as the server wants it.
        let raw = unsafe {
            pg_sys::AllocSetContextCreateExtended(
                parent,
                name.as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        MemoryContext { raw }
    }

    /// Runs `work` with this as the current context.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _switched = Switched::to(self.raw);
        work()
    }

    /// Frees all that was allocated in it.
    pub fn reset(&self) {
        // SAFETY: the context lives as long as self.
        unsafe { pg_sys::MemoryContextReset(self.raw) }
    }

    /// For calls to the server.
    pub fn as_ptr(&self) -> pg_sys::MemoryContext {
        self.raw
    }
}

impl Drop for MemoryContext {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: created by new, deleted once; its parent outlives the scope that made it.
            unsafe { pg_sys::MemoryContextDelete(self.raw) }
        }
    }
}

/// The current memory context, set back on drop.
pub struct Switched {
    previous: pg_sys::MemoryContext,
}

impl Switched {
    /// Makes `context` the current one until the guard is dropped.
    pub fn to(context: pg_sys::MemoryContext) -> Self {
        // SAFETY: the caller's context is a live one of the server.
        let previous = unsafe {
            let previous = pg_sys::CurrentMemoryContext;
            pg_sys::CurrentMemoryContext = context;
            previous
        };
        Switched { previous }
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        // SAFETY: as in `to`; while aborting, the error handler sets its own context anyway.
        unsafe { pg_sys::CurrentMemoryContext = self.previous }
    }
}

//! A block of the server's shared memory, which exists only if the library is preloaded.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pgrx::pg_sys;

/// A type all of whose bytes may be zero, and that processes may share: made of atomics only.
///
/// # Safety
/// The implementor promises it.
pub unsafe trait Shareable: Sync + 'static {}

/// A static name of a block; the block is there once the server has attached it.
#[derive(Debug)]
pub struct SharedMemory<T> {
    name: &'static CStr,
    at: AtomicPtr<T>,
    _type: PhantomData<T>,
}

impl<T: Shareable> SharedMemory<T> {
    /// A name without a block.
    pub const fn new(name: &'static CStr) -> Self {
        SharedMemory {
            name,
            at: AtomicPtr::new(ptr::null_mut()),
            _type: PhantomData,
        }
    }

    /// The block; `None` if the library was not preloaded.
    pub fn get(&self) -> Option<&'static T> {
        // SAFETY: set by `attach` to a block that lives as long as the process.
        unsafe { self.at.load(Ordering::Relaxed).as_ref() }
    }

    fn request(&self) {
        // SAFETY: called within the server's request hook only.
        unsafe { pg_sys::RequestAddinShmemSpace(size_of::<T>()) }
    }

    fn attach(&self) {
        let mut found = false;
        // SAFETY: called within the server's startup hook, by one process; a fresh block is made
        // valid by zeroes.
        unsafe {
            let block = pg_sys::ShmemInitStruct(self.name.as_ptr(), size_of::<T>(), &mut found);
            if !found {
                ptr::write_bytes(block.cast::<u8>(), 0, size_of::<T>());
            }
            self.at.store(block.cast(), Ordering::Relaxed);
        }
    }
}

/// What the hooks need; there is one block.
trait Block: Sync {
    fn on_request(&self);
    fn on_startup(&self);
}

impl<T: Shareable> Block for SharedMemory<T> {
    fn on_request(&self) {
        self.request();
    }

    fn on_startup(&self) {
        self.attach();
    }
}

static mut BLOCK: Option<&'static dyn Block> = None;
static mut PREVIOUS_REQUEST: pg_sys::shmem_request_hook_type = None;
static mut PREVIOUS_STARTUP: pg_sys::shmem_startup_hook_type = None;

/// Whether the postmaster is loading the library, which is when shared memory can be asked for.
pub fn is_preloading() -> bool {
    // SAFETY: a variable of the server.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Asks for the block. Called once, while the library is preloaded.
pub fn install<T: Shareable>(block: &'static SharedMemory<T>) {
    // SAFETY: the postmaster has one thread; the hooks that were there are called by ours.
    unsafe {
        BLOCK = Some(block);
        PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(on_request);
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(on_startup);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_request() {
    // SAFETY: set by `install`.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST {
            previous();
        }
        if let Some(block) = BLOCK {
            block.on_request();
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_startup() {
    // SAFETY: set by `install`.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP {
            previous();
        }
        if let Some(block) = BLOCK {
            block.on_startup();
        }
    }
}

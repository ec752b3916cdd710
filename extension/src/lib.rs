//! pg_trickle: stream tables for PostgreSQL, exact and at a cost proportional to the change.

#![deny(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

::pgrx::pg_module_magic!();

pub mod api;
pub mod catalog;
pub mod cdc;
mod citus;
pub mod config;
pub mod dag;
pub mod ddl;
pub mod error;
pub mod frontier;
pub mod monitor;
pub mod parse;
#[allow(unsafe_code)]
pub mod pg;
pub mod refresh;
pub mod scheduler;
pub mod shmem;

pub use pgtrickle_dvm::capability;

/// Called by the server when it loads the library.
#[pgrx::pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    pg::guc::without_backtraces();
    config::init();
    pg::running_writes::init();
    pg::file_moves::init();
    pg::invalidation::init();
    ddl::protect::init();
    shmem::init();
    refresh::immediate::init();
    refresh::watch::init();
    ddl::distributed::init();
    ddl::dropped::init();
    scheduler::init();
}

// `#[pg_guard]` on foreign functions expects the guard's module at the crate root.
use pgrx::pg_sys::ffi;

//! The boundary to the server: one RAII guard or safe wrapper per resource, one file each, and
//! nearly all `unsafe` of the extension.
//!
//! Invariant: a guard's `Drop` does nothing while the thread is panicking. An `ereport(ERROR)`
//! unwinds as a panic, and the abort of the (sub)transaction then releases what the guard holds.

// Server pointers that safe functions here take come from the server or from other wrappers.
// Marking all of these functions unsafe would push `unsafe` out of this room into every other.
#![allow(clippy::not_unsafe_ptr_arg_deref)]

pub mod acl;
pub mod alter_table_hook;
pub mod altered_node;
pub mod background;
pub mod before_row;
pub mod bulk_insert;
pub mod capture_trigger;
pub mod catalog_row;
pub mod catalog_scan;
pub mod catalog_table;
pub mod caught;
pub mod change_index;
pub mod change_insert;
pub mod change_pages;
pub mod change_scan;
pub mod changed_columns;
pub mod citus;
pub mod cluster;

pub mod comment;
pub mod constant;
pub mod constraint_index;
pub mod database;
pub mod deparse;
pub mod depend;
pub mod error_context;
pub mod error_detail;
pub mod event_trigger;
pub mod extension;
pub mod failure;
pub mod ffi;
pub mod file_moves;
pub mod fmgr;
pub mod from_item;
pub mod function;
pub mod guc;
pub mod image;
pub mod index_hook;
pub mod index_lookup;
pub mod inherit;
pub mod inner_query;
pub mod invalidation;
pub mod key_index;
pub mod late_checks;
pub mod late_triggers;
pub mod levels;
pub mod libpq;
pub mod local_settings;
pub mod lock;
pub mod lock_mode;
pub mod make_node;
pub mod memory;
pub mod merge_moves;
mod merge_versions;
pub mod multi_insert;
pub mod name;
pub mod node;
pub mod notable_statement;
pub mod object_hook;
pub mod place;
pub mod printed;
pub mod process;
pub mod query;
pub mod reads;
pub mod receiver;
pub mod relation;
pub mod removal;
pub mod replica_identity;
pub mod report;
pub mod rewritten;
pub mod row;
pub mod row_equality;
pub mod row_security;
pub mod row_version;
pub mod rows_of;
pub mod running_writes;
pub mod settings;
pub mod settle;
pub mod shard_name;
pub mod shards;
pub mod shared;
pub mod slot;
pub mod snapshot;
pub mod spi;
pub mod statement_triggers;
pub mod subtransaction;
pub mod table;
pub mod table_scan;
pub mod table_writer;
pub mod time_zone;
pub mod timescale;
pub mod transaction;
pub mod transaction_end;
pub mod transition;
pub mod trigger;
pub mod tupdesc;
pub mod tuplestore;
pub mod type_name;
pub mod types;
pub mod unguarded;
pub mod unique_keys;
pub mod user;
pub mod utility;
mod utility_hook;
pub mod varlena;
pub mod version;
pub mod view;
pub mod whole_row;
pub mod written;

/// Whether an error is on its way to abort the (sub)transaction, which will clean up for us.
pub fn is_aborting() -> bool {
    std::thread::panicking()
}

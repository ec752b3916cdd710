//! The extension's catalog: one typed row per table, read with the latest snapshot at any
//! isolation level (another refresh may have committed since the transaction's own snapshot), and
//! written natively for any caller. The `api` room checks privileges.

mod action;
mod definitions;
mod dependency;
mod failure;
mod history;
mod last_writer;
mod modes;
mod names;
mod overview;
mod stream_table;
mod stream_table_changes;
mod unseen;
mod version;

pub use action::{Action, Reason};
pub use definitions::{Definitions, Known, note_change, renew};
pub use dependency::{
    Consumer, Dependency, ImmediateReader, consumers_of, delete_dependencies, dependencies,
    immediate_readers_of, insert_dependency, is_read, readers_in_full, set_files, sources,
};
pub use failure::{FailureRow, clear_failure, failure, failures, set_failure};
pub use history::{HistoryRow, PastRefresh, delete_history, insert_history, past_refreshes};
pub use last_writer::{delete_last_writer, last_writer, set_last_writer};
pub use modes::{RefreshMode, RequestedMode, Status};
pub use names::{by_name, id_by_name};
pub use overview::{has_immediate, immediate};
pub use stream_table::{
    Home, StreamTable, all, existing, exists, ids, is_stream_table, load, load_by_relid, lock,
    lock_as, new_id, query_of,
};
pub use stream_table_changes::{
    delete, forget_plan, insert, set_definition, set_home, set_mode, set_polled, set_schedule,
    set_settings, set_status, set_zone_rules, store_frontier,
};
pub use unseen::{UnseenCause, record_unseen};
pub use version::{LIBRARY, is_current, require_current};

pgrx::extension_sql_file!("bootstrap.sql", name = "bootstrap", bootstrap);

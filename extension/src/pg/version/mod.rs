//! Where PostgreSQL 17, 18 and 19 differ in what we call: one file per difference. What is newer than a server has an
//! answer for it, too. No other file outside of `parse/` asks for the version.

pub mod attributes;
pub mod bitmap;
pub mod buffer_lock;
pub mod domain;
pub mod generated;
pub mod group_entry;
pub mod index_scan;
pub mod null_treatment;
pub mod planner;
pub mod process_exit;
pub mod range_table;
pub mod repack;
pub mod result_relations;
pub mod row_deletion;
pub mod row_type;
pub mod row_variable;
pub mod row_writing;
pub mod signal;
pub mod table_scan;
pub mod temporary;

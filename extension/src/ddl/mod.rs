//! The life of a stream table as an object of the database: creation, change, removal, guard,
//! owner, restore; and what follows when PostgreSQL itself drops or alters one of its parts.
//!
//! A stream table owns its parts by INTERNAL dependencies, like a table its TOAST table: the
//! internal view and the state tables are dropped with it and cannot be dropped without it, and dropping
//! the view by CASCADE drops the stream table.

pub mod alter;
mod aside;
pub mod columns;
mod commands;
pub mod convert;
pub mod create;
pub mod definition;
pub mod distributed;
mod divided;
pub mod dropped;
pub mod events;
mod functions;
mod internal_view;
mod keeper;
mod kept;
pub mod locks;
pub mod mode;
pub mod nodes;
pub mod owner;
pub mod parts;
pub mod protect;
mod rebuild;
pub mod recreate;
pub mod remove;
pub mod restore;
pub mod shards;
pub mod spread;
pub mod ties;
mod told;
mod types;
mod unplanned;
mod wake;

//! The pure delta engine: it knows only relational algebra and the *text* of PostgreSQL's
//! expressions. It has no server, no catalog and no I/O, so every
//! rule can be tested and measured without a database.
//!
//! Bottom-up:
//! - [`tree`]: the operator tree that the extension's `parse` room produces.
//! - [`rewrite`]: rules that normalise a tree, one per file.
//! - [`plan`]: the normal form, a short pipeline of nodes, each a linear block with at most one
//!   stateful operator on top.
//! - [`operators`]: the delta rule of each operator, one per file, its algebra in the header.
//! - [`sql`]: building the text of statements.
//!
//! Also here: [`frontier`], which changes a refresh has consumed; [`capability`], the table
//! of supported constructs; and [`canary`], the bugs that the harness must catch.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod canary;
pub mod capability;
pub mod capture_sql;
pub mod frontier;
pub mod operators;
pub mod plan;
pub mod rewrite;
pub mod schedule;
pub mod sql;
pub mod tree;
pub mod weight;

mod error;
#[cfg(test)]
mod oracle;

pub use error::Error;

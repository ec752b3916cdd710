//! G17-SOAK: one server under writers, schema changes and faults, watched by checkers, for minutes or days.
//!
//! An [`arena::Arena`] is what all of them share. [`writer`] changes sources, [`ddl`] definitions,
//! [`nemesis`] breaks things on a schedule that follows from the seed, and each file in [`check`] watches one
//! invariant. Everything that happens is a line of the [`journal`], of which `cargo xtask report` makes a page.
//!
//! **Invariant:** no checker is told what a fault was meant to do. It may only ask whether a fault was going
//! on ([`window`]), and then only to excuse an error, never a wrong result.

pub mod arena;
pub mod check;
pub mod ddl;
pub mod folder;
pub mod journal;
pub mod nemesis;
pub mod options;
pub mod profile;
pub mod progress;
pub mod run;
pub mod sample;
pub mod schema;
pub mod server;
pub mod sometimes;
pub mod window;
pub mod writer;

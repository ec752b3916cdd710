//! The delta rule of each operator, one per file, with its algebra in the header.
//!
//! Notation: `ΔR` is the delta of R as a Z-set, `R⁺` its state at the refresh's snapshot,
//! `R⁻ = R⁺ − ΔR` its state before. The rules read only `R⁺` and `ΔR`.

pub mod aggregate;
mod block_columns;
mod bound;
mod condition;
mod conjunction;
mod first_rows;
pub mod image;
pub mod join;
mod links;
mod order;
pub mod outer_join;
pub mod output;
pub mod partition;
pub mod prefix_join;
pub mod reach;
pub mod recursion;
mod rows;
pub mod script;
pub mod state;
pub mod statement;
pub mod stored;
mod term;
#[cfg(test)]
mod testing;
mod touched;
mod visible;
mod weight;

pub use links::Links;
pub use order::states_its_order;

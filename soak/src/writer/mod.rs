//! Sessions that change the sources: skewed keys, bursts, long transactions, rollbacks, savepoints and prepared
//! transactions. Each notes in the [`Ledger`] what it knows to have committed.

mod ledger;
mod session;

pub use ledger::{Fate, Ledger};
pub use session::{beat, resolve_all_prepared, resolve_prepared, write, write_chain};

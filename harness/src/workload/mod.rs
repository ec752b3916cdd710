//! Sources, and random changes of them: by the writers of the soak, and by those around refreshes that are judged in
//! their own snapshot.

pub mod change;
mod judged;
pub mod sources;

pub use judged::{Complaint, Counters, STREAM_TABLES, refresh, run, set_up};

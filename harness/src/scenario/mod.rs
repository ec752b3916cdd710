//! Stories told as data, and their replay.
//!
//! A scenario says what is set up, which stream tables exist, and what happens in which order. It
//! does not say how it is refreshed: the replayer runs each one in every [`Variant`], and the
//! oracle judges every refresh.

mod axes;
mod format;
mod replay;
mod variant;
mod world;

pub use axes::{Cadence, Mode, Writer};
pub use format::{
    Beside, Expectation, OnCitus, Query, Run, Scenario, ScenarioError, Step, StreamTable, load_all,
    load_beside,
};
pub use replay::{Failure, Replayer, replay_all};
pub use variant::Variant;
pub use world::{World, orphans, unseen_writes};

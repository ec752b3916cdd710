//! The life of stream tables in the background: one launcher per cluster, one scheduler per database
//! that has the extension, and refresh workers.
//!
//! ```text
//! commit ──latch──▶ scheduler ──job──▶ worker: lock, one snapshot, each table in a subtransaction
//!                      ▲───outcomes────┘
//! ```
//!
//! Nothing polls: a scheduler sleeps until a commit, a changed definition, a finished job or the next
//! due time wakes it. A wake-up may be unnecessary, and a crash may lose one; then the
//! backstop timer checks everything.

mod courtesy;
pub mod drain;
mod due;
mod hold;
mod job;
mod launcher;
pub mod load;
mod member;
mod pool;
mod scheduler_main;
mod tables;
mod turn;
mod upkeep;
mod watermark;
mod worker_main;

use std::time::Duration;

use crate::pg::background::{self, Kind};
use crate::pg::{notable_statement, shared};

pub use watermark::{Watermark, watermark};

/// Looks at everything at least so often.
const BACKSTOP: Duration = Duration::from_secs(60);

const LAUNCHER: Kind = Kind {
    name: "pg_trickle launcher",
    function: "pgtrickle_launcher_main",
};
const SCHEDULER: Kind = Kind {
    name: "pg_trickle scheduler",
    function: "pgtrickle_scheduler_main",
};
const WORKER: Kind = Kind {
    name: "pg_trickle worker",
    function: "pgtrickle_worker_main",
};

/// Has the launcher started, if the library is being preloaded.
pub fn init() {
    if shared::is_preloading() {
        background::register(LAUNCHER);
        notable_statement::install(hold::around);
    }
}

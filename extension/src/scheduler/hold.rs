//! Statements to which the scheduler gives way, or that only a hook reports.

use std::panic::AssertUnwindSafe;

use pgrx::prelude::PgTryBuilder;

use crate::pg::notable_statement::Notable;
use crate::shmem::{self, database, notes};

/// Runs a notable statement, and does what goes with it.
pub fn around(notable: Notable, run: &mut dyn FnMut()) {
    match notable {
        Notable::CommitPrepared => {
            run();
            notes::all_dirty();
        }
        Notable::Extension => {
            run();
            notes::installed();
        }
        Notable::Database(oid) => {
            let Some(block) = shmem::block() else {
                run();
                return;
            };
            let entry = database::find(&block.databases, oid.to_u32());
            if let Some(entry) = entry {
                entry.hold();
            }
            PgTryBuilder::new(AssertUnwindSafe(run))
                .finally(|| {
                    if let Some(entry) = entry {
                        entry.let_go();
                    }
                    block.launcher.wake();
                })
                .execute();
        }
    }
}

//! Definitions that change now and then: columns, indexes, views, schedules, stream tables that come and go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::client::{Session, SqlError};
use harness::random::Random;

use crate::arena::{Arena, is_contention};
use crate::journal::Event;

/// Changes something every few seconds until told to stop.
pub async fn change_definitions(arena: Arc<Arena>) {
    let who = "definitions";
    let mut random = Random::new(arena.seed ^ 0xDD1);
    let mut number = 0;
    while arena.writers_run() {
        let Some(session) = arena.connect(who).await else {
            return;
        };
        loop {
            let pause = 2_000 + random.below(4_000);
            arena.rest(Duration::from_millis(pause)).await;
            if !arena.writers_run() {
                return;
            }
            if !arena.definitions_may_change.load(Ordering::Relaxed) {
                continue;
            }
            number += 1;
            let sql = change(&mut random, number);
            arena.journal.write(Event::Definition { sql: sql.clone() });
            if let Err(error) = run(&session, &sql).await {
                arena.report(who, &error);
                if !is_contention(&error) {
                    break;
                }
            }
        }
    }
}

async fn run(session: &Session, sql: &str) -> Result<(), SqlError> {
    session.execute("SET client_min_messages = warning").await?;
    session.execute(sql).await
}

/// A change of a definition. What it makes for a while it removes the next time round.
fn change(random: &mut Random, number: u64) -> String {
    let which = random.below(4);
    match random.below(8) {
        0 => format!(
            "ALTER TABLE account ADD COLUMN IF NOT EXISTS extra_{which} int DEFAULT {which}"
        ),
        1 => format!("ALTER TABLE account DROP COLUMN IF EXISTS extra_{which}"),
        2 => "CREATE INDEX IF NOT EXISTS account_t ON account (t)".to_owned(),
        3 => "DROP INDEX IF EXISTS account_t".to_owned(),
        4 => format!(
            "CREATE OR REPLACE VIEW factors AS SELECT id, region, factor * {} AS factor FROM branch",
            2 + number % 3
        ),
        5 => format!(
            "SELECT pgtrickle.create_or_replace_stream_table('passing_{which}', 'SELECT v, count(*) + {number} AS n FROM account GROUP BY v')"
        ),
        6 => format!(
            "DO $$ BEGIN IF to_regclass('passing_{which}') IS NOT NULL THEN PERFORM pgtrickle.drop_stream_table('passing_{which}'); END IF; END $$"
        ),
        _ => format!(
            "SELECT pgtrickle.alter_stream_table('filtered', schedule => '{}')",
            if number.is_multiple_of(2) {
                "calculated"
            } else {
                "300ms"
            }
        ),
    }
}

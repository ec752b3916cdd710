//! Frontiers never go back, and the time that a stream table shows does neither.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::client::SqlError;

use crate::arena::Arena;

const WHO: &str = "frontier";

/// What was seen last of a stream table, by id: its snapshot's xmin and xmax, and its time.
type Seen = BTreeMap<u64, [u64; 3]>;

/// Looks again and again.
pub async fn watch(arena: Arc<Arena>) {
    let seen = Arc::new(Mutex::new(Seen::new()));
    super::watch(arena, WHO, Duration::from_secs(1), |arena, session| {
        let seen = Arc::clone(&seen);
        async move {
            let rows = session
                .rows(
                    "SELECT pgt_id, pg_snapshot_xmin(frontier), pg_snapshot_xmax(frontier),
                            (EXTRACT(epoch FROM data_timestamp) * 1000000)::bigint
                     FROM pgtrickle.pgt_stream_tables WHERE frontier IS NOT NULL",
                )
                .await?;
            let now: Seen = rows
                .iter()
                .filter_map(|row| {
                    let number = |at: usize| row.get(at)?.as_deref()?.parse::<u64>().ok();
                    Some((number(0)?, [number(1)?, number(2)?, number(3)?]))
                })
                .collect();
            note(&arena, &seen, now);
            Ok::<(), SqlError>(())
        }
    })
    .await;
}

fn note(arena: &Arena, seen: &Mutex<Seen>, now: Seen) {
    let Ok(mut seen) = seen.lock() else { return };
    for complaint in steps_back(&seen, &now) {
        arena.violation(WHO, &complaint);
    }
    *seen = now;
}

/// What has gone back.
fn steps_back(before: &Seen, now: &Seen) -> Vec<String> {
    let names = ["xmin", "xmax", "data timestamp"];
    let mut complaints = Vec::new();
    for (id, new) in now {
        let Some(old) = before.get(id) else { continue };
        for (name, (old, new)) in names.iter().zip(old.iter().zip(new)) {
            if new < old {
                complaints.push(format!(
                    "{name} of stream table {id} went back from {old} to {new}"
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_found_and_a_new_stream_table_is_none() {
        let before = Seen::from([(1, [5, 9, 100])]);
        assert!(steps_back(&before, &Seen::from([(1, [5, 10, 100]), (2, [1, 1, 1])])).is_empty());
        assert_eq!(
            steps_back(&before, &Seen::from([(1, [5, 8, 100])])),
            ["xmax of stream table 1 went back from 9 to 8"]
        );
    }
}

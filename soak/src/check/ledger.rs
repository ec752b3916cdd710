//! No change is lost, and none comes from a transaction that was rolled back: the rows of writers whose COMMIT was
//! acknowledged arrive in `ledger_copy`, those of rolled-back ones do not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::client::{Session, SqlError};

use crate::arena::Arena;
use crate::writer::Fate;

const WHO: &str = "ledger";

/// How soon a commit has to arrive, faults included.
const PATIENCE: Duration = Duration::from_secs(120);

/// Checks what writers have noted since the last look, again and again.
pub async fn watch(arena: Arc<Arena>) {
    super::watch(
        arena,
        WHO,
        Duration::from_secs(5),
        |arena, session| async move { check(&arena, &session).await },
    )
    .await;
}

/// Checks what writers have noted since the last look.
pub async fn check(arena: &Arena, session: &Session) -> Result<(), SqlError> {
    let fates = arena.ledger.take();
    let result = compare(arena, session, &fates).await;
    if result.is_err() {
        arena.ledger.put_back(fates);
    }
    result
}

async fn compare(
    arena: &Arena,
    session: &Session,
    fates: &BTreeMap<(u64, u64), Fate>,
) -> Result<(), SqlError> {
    if fates.is_empty() {
        return Ok(());
    }
    let end = Instant::now() + PATIENCE;
    loop {
        let present = present(session, fates).await?;
        let unborn = wrong(fates, Fate::RolledBack, |key| present.contains(key));
        if !unborn.is_empty() {
            arena.violation(
                WHO,
                &format!("rolled back, and there nevertheless: {unborn:?}"),
            );
        }
        let lost = wrong(fates, Fate::Committed, |key| !present.contains(key));
        if lost.is_empty() {
            break;
        }
        if Instant::now() > end {
            arena.violation(WHO, &format!("committed, and never arrived: {lost:?}"));
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    arena.checked(WHO, "ledger_copy", format!("{} transactions", fates.len()));
    Ok(())
}

/// Transactions of this fate for which the condition holds.
fn wrong(
    fates: &BTreeMap<(u64, u64), Fate>,
    fate: Fate,
    is_wrong: impl Fn(&(u64, u64)) -> bool,
) -> Vec<(u64, u64)> {
    fates
        .iter()
        .filter(|(key, known)| **known == fate && is_wrong(key))
        .map(|(key, _)| *key)
        .take(10)
        .collect()
}

/// Which of them are in the stream table.
async fn present(
    session: &Session,
    fates: &BTreeMap<(u64, u64), Fate>,
) -> Result<std::collections::BTreeSet<(u64, u64)>, SqlError> {
    let mut ranges: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for (writer, number) in fates.keys() {
        let range = ranges.entry(*writer).or_insert((*number, *number));
        range.0 = range.0.min(*number);
        range.1 = range.1.max(*number);
    }
    let conditions: Vec<String> = ranges
        .iter()
        .map(|(writer, (low, high))| format!("(writer = {writer} AND n BETWEEN {low} AND {high})"))
        .collect();
    let rows = session
        .rows(&format!(
            "SELECT writer, n FROM ledger_copy WHERE {}",
            conditions.join(" OR ")
        ))
        .await?;
    let number = |cell: &Option<String>| cell.as_deref()?.parse::<u64>().ok();
    Ok(rows
        .iter()
        .filter_map(|row| Some((number(row.first()?)?, number(row.get(1)?)?)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_is_absent_is_lost_and_an_unknown_one_may_be_either() {
        let fates = BTreeMap::from([
            ((1, 1), Fate::Committed),
            ((1, 2), Fate::Unknown),
            ((1, 3), Fate::RolledBack),
        ]);
        assert_eq!(wrong(&fates, Fate::Committed, |_| true), [(1, 1)]);
        assert_eq!(wrong(&fates, Fate::RolledBack, |key| key.1 == 1), []);
    }
}

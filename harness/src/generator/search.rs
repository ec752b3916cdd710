//! Searches for findings, seed by seed, and shrinks them.

use std::path::PathBuf;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::case::{Case, case};
use super::finding::Finding;
use super::report::write_report;
use super::run::Arena;
use crate::client::SqlError;
use crate::scenario::World;

/// How a search is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// The first seed; each case has the next one.
    pub first_seed: u64,
    /// Runs spent on making a finding smaller.
    pub shrink_runs: u32,
    /// The search ends after so many findings.
    pub max_findings: usize,
    /// Whether findings are written to `target/fuzz`.
    pub write: bool,
}

/// What a search did.
#[derive(Debug, Default)]
pub struct SearchReport {
    /// Cases run.
    pub cases: u64,
    /// Cases that PostgreSQL itself refused.
    pub void: u32,
    /// Refreshes and initial fills that the oracle judged.
    pub judged: u64,
    /// Refreshes that changed rows by delta.
    pub applied: u64,
    /// Findings: seed, what, and where it is written down.
    pub findings: Vec<(u64, Finding, Option<PathBuf>)>,
}

impl Search {
    /// Runs cases while `go_on` says so, given the number of cases so far.
    pub async fn run(
        &self,
        world: &World<'_>,
        settings: &[(&str, &str)],
        mut go_on: impl FnMut(u64) -> bool,
    ) -> Result<SearchReport, SqlError> {
        let mut arena = Arena::new(world, settings);
        let mut report = SearchReport::default();
        while report.findings.len() < self.max_findings && go_on(report.cases) {
            let seed = self.first_seed.wrapping_add(report.cases);
            report.cases += 1;
            if let Some((case, finding)) = self.one(&mut arena, seed).await? {
                let written = self
                    .write
                    .then(|| write_report(seed, &case, &finding).ok())
                    .flatten();
                report.findings.push((seed, finding, written));
            }
        }
        arena.leave().await?;
        report.void = arena.void;
        report.judged = arena.judged;
        report.applied = arena.applied;
        Ok(report)
    }

    /// Runs the case of a seed; a finding comes back as small as the budget made it.
    async fn one(
        &self,
        arena: &mut Arena<'_>,
        seed: u64,
    ) -> Result<Option<(Case, Finding)>, SqlError> {
        let Ok(mut tree) = case().new_tree(&mut runner(seed)) else {
            return Ok(None);
        };
        let Some(first) = arena.run(&tree.current()).await? else {
            return Ok(None);
        };
        let mut best = (tree.current(), first);
        // proptest's own loop: simplify while it still fails in the same way, else go back.
        if !tree.simplify() {
            return Ok(Some(best));
        }
        for _ in 0..self.shrink_runs {
            let again = arena.run(&tree.current()).await?;
            let moved = match again {
                Some(finding) if finding.kind == best.1.kind => {
                    best = (tree.current(), finding);
                    tree.simplify()
                }
                _ => tree.complicate(),
            };
            if !moved {
                break;
            }
        }
        Ok(Some(best))
    }
}

/// A runner whose choices follow from the seed.
pub(super) fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_case() {
        let print = |seed| {
            let tree = case().new_tree(&mut runner(seed)).expect("a case");
            tree.current().script().psql(usize::MAX - 1)
        };
        assert_eq!(print(7), print(7));
        assert_ne!(print(7), print(8));
    }
}

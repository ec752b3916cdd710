//! Runs cases on a cluster of Citus, their tables spread by chance.
//!
//! The judge asks copies of all tables on the coordinator, so that it may ask what Citus does not plan. A case that
//! PostgreSQL or Citus refuses is void; whatever the extension accepts must be exact after each batch.

use std::collections::BTreeMap;

use proptest::strategy::{Strategy, ValueTree};

use super::case::{Case, case};
use super::distribution::{Distribution, distribution};
use super::finding::{Finding, FindingKind};
use super::script::{Act, Script};
use super::search::runner;
use crate::backend::Backend;
use crate::client::{Session, SqlError, quote_literal};
use crate::oracle::Question;

/// Where a statement that runs on the cluster ends.
const PATIENCE: &str = "SET statement_timeout = '60s'";

/// What a statement that takes too long ends with.
const TIMEOUT: &str = "57014";

/// What Citus says of rows that settle ties.
const ANONYMOUS_ROWS: &str = "input of anonymous composite types is not implemented";

/// What a search on a cluster did.
#[derive(Debug, Default)]
pub struct NodesReport {
    /// Cases run.
    pub cases: u64,
    /// Those that PostgreSQL or Citus refused.
    pub void: u64,
    /// Stream tables that were judged, each time.
    pub judged: u64,
    /// Stream tables by the way in which they were kept.
    pub kept: BTreeMap<String, u64>,
    /// Findings: seed, what, and a script.
    pub findings: Vec<(u64, String)>,
}

/// Why a run ended early.
enum Stop {
    Void,
    Found(Finding),
}

fn found(act: usize, kind: FindingKind, what: String) -> Stop {
    Stop::Found(Finding {
        kind,
        what,
        act,
        explain: String::new(),
    })
}

/// Runs the cases of these seeds while `go_on` says so; ends at the third finding.
///
/// # Errors
/// If the coordinator does not answer.
pub async fn search(
    coordinator: &dyn Backend,
    first_seed: u64,
    mut go_on: impl FnMut(u64) -> bool,
) -> Result<NodesReport, SqlError> {
    let mut report = NodesReport::default();
    while report.findings.len() < 3 && go_on(report.cases) {
        let seed = first_seed.wrapping_add(report.cases);
        report.cases += 1;
        let Ok(mut tree) = (case(), distribution()).new_tree(&mut runner(seed)) else {
            continue;
        };
        let Some(mut best) = one(coordinator, tree.current(), &mut report).await? else {
            continue;
        };
        let mut smallest = tree.current();
        let mut goes_on = tree.simplify();
        let mut unjudged = NodesReport::default();
        for _ in 0..number("PGT_FUZZ_SHRINK").unwrap_or(0) {
            if !goes_on {
                break;
            }
            goes_on = match one(coordinator, tree.current(), &mut unjudged).await? {
                Some(finding) if finding.kind == best.kind => {
                    (best, smallest) = (finding, tree.current());
                    tree.simplify()
                }
                _ => tree.complicate(),
            };
        }
        let (case, distribution) = smallest;
        let case = distribution.fitting(case);
        let spread = distribution.statements(&case).join(";\n");
        let script = case.script().psql(best.act);
        report.findings.push((
            seed,
            format!(
                "{best}\n{}\n-- spread after the tables by:\n{spread};\n{script}",
                best.explain
            ),
        ));
    }
    Ok(report)
}

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

async fn one(
    coordinator: &dyn Backend,
    (case, distribution): (Case, Distribution),
    report: &mut NodesReport,
) -> Result<Option<Finding>, SqlError> {
    let main = Session::connect(coordinator, "postgres").await?;
    let judge = Session::connect(coordinator, "postgres").await?;
    clear(&main).await?;
    main.execute("CREATE SCHEMA arena; SET search_path = arena")
        .await?;
    main.execute(PATIENCE).await?;
    judge.execute("SET search_path = arena").await?;
    judge.execute("SET statement_timeout = '10s'").await?;
    let case = distribution.fitting(case);
    let mut run = Run {
        main,
        judge,
        script: case.script(),
        spread: distribution.statements(&case),
        tables: (0..case.tables.len())
            .map(|index| format!("t{index}"))
            .collect(),
        asks_differential: distribution.asks_differential,
        live: Vec::new(),
        judged: 0,
        kept: Vec::new(),
    };
    let outcome = run.all().await;
    report.judged += run.judged;
    for kept in std::mem::take(&mut run.kept) {
        *report.kept.entry(kept).or_default() += 1;
    }
    match outcome {
        Ok(()) => {
            let left = clear(&run.main).await;
            Ok(left.err().map(|error| Finding {
                kind: FindingKind::Orphans,
                what: error.to_string(),
                act: run.script.acts.len(),
                explain: String::new(),
            }))
        }
        Err(Stop::Void) => {
            report.void += 1;
            Ok(None)
        }
        Err(Stop::Found(finding)) => Ok(Some(finding)),
    }
}

/// Whether Citus itself does not run the query, as the documentation says.
fn is_documented(error: &SqlError) -> bool {
    let text = error.to_string();
    ["(CITUS_UNPLANNED)", ANONYMOUS_ROWS]
        .iter()
        .any(|said| text.contains(said))
}

/// Drops all of the case before.
async fn clear(session: &Session) -> Result<(), SqlError> {
    session.execute("ROLLBACK").await?;
    let left =
        "SELECT pgt_relid::regclass::text FROM pgtrickle.pgt_stream_tables ORDER BY pgt_id DESC";
    for table in session.rows(left).await?.into_iter().flatten().flatten() {
        let drop = format!(
            "SELECT pgtrickle.drop_stream_table({}, true)",
            quote_literal(&table)
        );
        session.execute(&drop).await?;
    }
    session.execute("DROP SCHEMA IF EXISTS arena CASCADE").await
}

struct Run {
    main: Session,
    judge: Session,
    script: Script,
    spread: Vec<String>,
    tables: Vec<String>,
    asks_differential: bool,
    /// Names, queries, and whether they are recomputed.
    live: Vec<(String, String, bool)>,
    judged: u64,
    kept: Vec<String>,
}

impl Run {
    async fn all(&mut self) -> Result<(), Stop> {
        if self.script.clock {
            return Err(Stop::Void);
        }
        let acts = self.script.acts.clone();
        let mut is_spread = false;
        for (number, act) in acts.iter().enumerate() {
            if !matches!(act, Act::Setup(_)) && !is_spread {
                is_spread = true;
                for statement in &self.spread {
                    self.main.execute(statement).await.map_err(|_| Stop::Void)?;
                }
            }
            self.act(number, act).await?;
        }
        let end = acts.len();
        for (name, _, is_recomputed) in self.live.clone() {
            let action = self.refresh(end, &name).await?;
            if action != "NO_DATA" && !is_recomputed {
                let what = format!("{name} is {action} after nothing has changed");
                return Err(found(end, FindingKind::NotNothing, what));
            }
        }
        Ok(())
    }

    async fn act(&mut self, number: usize, act: &Act) -> Result<(), Stop> {
        match act {
            Act::Setup(sql) | Act::View(sql) => {
                self.main.execute(sql).await.map_err(|_| Stop::Void)
            }
            Act::Create(name, query) => self.create(number, name, query).await,
            Act::Change(sql) => match self.main.execute(sql).await {
                Err(error) if error.is_connection_loss() => {
                    Err(found(number, FindingKind::Crash, error.to_string()))
                }
                // Citus refuses many; only capture would meet such errors.
                Err(error) if error.to_string().contains("pgtrickle") => {
                    let kind = FindingKind::ChangeFailed(error.sqlstate.clone());
                    Err(found(number, kind, error.to_string()))
                }
                _ => Ok(()),
            },
            // A transaction that has failed is not committed.
            Act::Control(sql) => {
                let _ = self.main.execute(sql).await;
                Ok(())
            }
            Act::RefreshAll { .. } => {
                for (name, ..) in self.live.clone() {
                    self.refresh(number, &name).await?;
                }
                self.judge_all(number).await
            }
            // Nodes do not take part in transactions; and what they keep is not altered.
            Act::CreateImmediate(..)
            | Act::Alter(_)
            | Act::RefreshHere { .. }
            | Act::RefreshGuarded => Ok(()),
        }
    }

    async fn create(&mut self, number: usize, name: &str, query: &str) -> Result<(), Stop> {
        self.copy().await?;
        let probe = format!("SELECT * FROM ({query}) q");
        self.judge.execute(&probe).await.map_err(|_| Stop::Void)?;
        let modes: &[&str] = match self.asks_differential {
            true => &["DIFFERENTIAL", "AUTO"],
            false => &["AUTO"],
        };
        for mode in modes {
            let create = format!(
                "SELECT pgtrickle.create_stream_table({}, {}, '1d', '{mode}')",
                quote_literal(name),
                quote_literal(query)
            );
            match self.main.execute(&create).await {
                Ok(()) => break,
                Err(error) if *mode == "DIFFERENTIAL" && error.sqlstate == "0A000" => {}
                Err(error) if error.sqlstate == TIMEOUT || is_documented(&error) => {
                    return Err(Stop::Void);
                }
                Err(error) => {
                    // What Citus says of the query alone is not the extension's.
                    return Err(match self.main.execute(&probe).await {
                        Err(other) if other.sqlstate == error.sqlstate => Stop::Void,
                        _ => found(
                            number,
                            FindingKind::Refused(error.sqlstate.clone()),
                            error.to_string(),
                        ),
                    });
                }
            }
        }
        let mode = format!(
            "SELECT s.refresh_mode || ' ' || COALESCE(s.mode_code, '-') FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = {}::regclass",
            quote_literal(name)
        );
        let kept = self.main.scalar(&mode).await.map_err(|_| Stop::Void)?;
        let is_recomputed = kept.starts_with("FULL");
        self.live
            .push((name.to_owned(), query.to_owned(), is_recomputed));
        self.kept.push(kept);
        self.refresh(number, name).await?;
        self.judge_all(number).await
    }

    /// What a refresh did.
    async fn refresh(&self, number: usize, name: &str) -> Result<String, Stop> {
        let sql = format!(
            "SELECT action FROM pgtrickle.refresh_stream_table({})",
            quote_literal(name)
        );
        let error = match self.main.scalar(&sql).await {
            Ok(action) => return Ok(action),
            Err(error) => error,
        };
        if error.is_connection_loss() {
            return Err(found(number, FindingKind::Crash, error.to_string()));
        }
        let Some((_, query, is_recomputed)) = self.live.iter().find(|(live, ..)| live == name)
        else {
            return Err(Stop::Void);
        };
        self.copy().await?;
        let probe = format!("SELECT * FROM ({query}) q");
        let fails = error.sqlstate == TIMEOUT
            || *is_recomputed && is_documented(&error)
            || self.judge.execute(&probe).await.is_err()
            || *is_recomputed && self.main.execute(&probe).await.is_err();
        match fails {
            true => Err(Stop::Void),
            false => Err(found(
                number,
                FindingKind::RefreshFailed(error.sqlstate.clone()),
                format!("{name}: {error}"),
            )),
        }
    }

    /// Copies all tables for the judge, and makes the views over them.
    async fn copy(&self) -> Result<(), Stop> {
        let mut statements = vec!["DISCARD TEMP".to_owned()];
        let live = self.live.iter().map(|(name, ..)| name);
        for table in self.tables.iter().chain(live) {
            statements.push(format!(
                "CREATE TEMP TABLE {table} (LIKE arena.{table} INCLUDING INDEXES);
                 INSERT INTO pg_temp.{table} SELECT * FROM arena.{table}"
            ));
        }
        let views = self.script.acts.iter().filter_map(|act| match act {
            Act::View(sql) => Some(sql.clone()),
            _ => None,
        });
        // One over a stream table that is not there yet comes later.
        for (statement, may_fail) in
            (statements.into_iter().map(|sql| (sql, false))).chain(views.map(|sql| (sql, true)))
        {
            let done = self.judge.execute(&statement).await;
            if !may_fail {
                done.map_err(|_| Stop::Void)?;
            }
        }
        Ok(())
    }

    async fn judge_all(&mut self, number: usize) -> Result<(), Stop> {
        self.copy().await?;
        for (name, query, _) in &self.live {
            let tied = format!(
                "SELECT obj_description(s.view_relid, 'pg_class') IS NOT NULL FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = 'arena.{name}'::regclass"
            );
            if self.main.scalar(&tied).await.is_ok_and(|tied| tied == "t") {
                continue;
            }
            let question = Question::query(&format!("pg_temp.{name}"), query);
            let verdict = question.ask(&self.judge).await.map_err(|_| Stop::Void)?;
            self.judged += 1;
            if verdict.is_exact() {
                continue;
            }
            let kept = format!(
                "SELECT s.refresh_mode || ' ' || COALESCE(s.mode_code, '-') FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = 'arena.{name}'::regclass"
            );
            let kept = self.main.scalar(&kept).await.unwrap_or_default();
            let what = format!("{name}, kept as {kept}, is {verdict}\n{query}");
            return Err(found(number, FindingKind::Wrong, what));
        }
        Ok(())
    }
}

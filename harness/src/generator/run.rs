//! Runs a case and says what was wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use super::case::Case;
use super::finding::{Finding, FindingKind};
use super::script::{Act, Script};
use super::session_settings;
use crate::client::{Session, SqlError, quote_literal};
use crate::oracle::{self, Question};
use crate::scenario::{World, orphans, unseen_writes};

mod judge;
mod refresh;

/// Why a run ended early.
enum Stop {
    /// PostgreSQL itself refuses the case.
    Void,
    /// A finding.
    Found(Box<Finding>),
}

/// A database in which cases run one after the other.
#[derive(Debug)]
pub struct Arena<'a> {
    world: &'a World<'a>,
    database: Option<(String, Session)>,
    runs: u32,
    /// Settings of the databases.
    settings: Vec<(String, String)>,
    /// How many cases PostgreSQL refused.
    pub void: u32,
    /// How many refreshes were judged.
    pub judged: u64,
    /// How many refreshes changed rows by delta.
    pub applied: u64,
}

/// The SQLSTATE of a statement that took too long.
const TIMEOUT: &str = "57014";

/// Cases per database: dropping one costs more than emptying it, until its catalogs grow.
const CASES_PER_DATABASE: u32 = 40;

impl<'a> Arena<'a> {
    /// An arena with these settings in each of its databases.
    pub fn new(world: &'a World<'a>, settings: &[(&str, &str)]) -> Self {
        Self {
            world,
            database: None,
            runs: 0,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            void: 0,
            judged: 0,
            applied: 0,
        }
    }

    /// Runs a case.
    pub async fn run(&mut self, case: &Case) -> Result<Option<Finding>, SqlError> {
        let script = case.script();
        self.enter().await?;
        let Some((_, session)) = &self.database else {
            return Ok(None);
        };
        let mut run = Run {
            session,
            script: &script,
            queries: BTreeMap::new(),
            failed: BTreeSet::new(),
            judged: 0,
            applied: 0,
        };
        let outcome = run.all().await;
        self.judged += run.judged;
        self.applied += run.applied;
        match outcome {
            Ok(()) => Ok(None),
            Err(Stop::Void) => {
                self.void += 1;
                self.leave().await?;
                Ok(None)
            }
            Err(Stop::Found(finding)) => {
                self.leave().await?;
                Ok(Some(*finding))
            }
        }
    }

    /// Makes the database empty, or a new one.
    async fn enter(&mut self) -> Result<(), SqlError> {
        self.runs += 1;
        if self.runs.is_multiple_of(CASES_PER_DATABASE) {
            self.leave().await?;
        }
        if self.database.is_none() {
            let settings: Vec<(&str, &str)> = self
                .settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            let name = self.world.database("fuzz", &settings).await?;
            let session = Session::connect(self.world.server, &name).await?;
            self.database = Some((name, session));
        }
        if let Some((_, session)) = &self.database {
            session
                .execute(
                    "RESET ROLE; DROP SCHEMA IF EXISTS arena CASCADE; CREATE SCHEMA arena; \
                     SET search_path = arena",
                )
                .await?;
        }
        Ok(())
    }

    /// Gives the database up.
    pub async fn leave(&mut self) -> Result<(), SqlError> {
        match self.database.take() {
            Some((name, session)) => {
                drop(session);
                self.world.remove(&name).await
            }
            None => Ok(()),
        }
    }
}

/// One run.
struct Run<'a> {
    session: &'a Session,
    script: &'a Script,
    queries: BTreeMap<String, String>,
    /// Stream tables whose last refresh failed as the query does.
    failed: BTreeSet<String>,
    judged: u64,
    applied: u64,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<(), Stop> {
        self.session
            .execute(&self.script.settings.join("; "))
            .await
            .map_err(|error| self.found(0, FindingKind::Crash, error.to_string()))?;
        let script = self.script;
        for (number, act) in script.acts.iter().enumerate() {
            self.act(number, act).await?;
        }
        let end = script.acts.len();
        for name in self.queries.keys() {
            let drop = format!(
                "SELECT pgtrickle.drop_stream_table({}, true) \
                 WHERE to_regclass({0}) IS NOT NULL",
                quote_literal(name)
            );
            self.session
                .execute(&drop)
                .await
                .map_err(|error| self.found(end, FindingKind::Orphans, error.to_string()))?;
        }
        let crash = |error: SqlError| self.found(end, FindingKind::Crash, error.to_string());
        let mut left = orphans(self.session).await.map_err(crash)?;
        left.extend(unseen_writes(self.session).await.map_err(crash)?);
        if left.is_empty() {
            Ok(())
        } else {
            Err(self.found(end, FindingKind::Orphans, left.join(", ")))
        }
    }

    async fn act(&mut self, number: usize, act: &Act) -> Result<(), Stop> {
        match act {
            Act::Setup(sql) => self.session.execute(sql).await.map_err(|_| Stop::Void),
            Act::View(sql) => {
                self.become_owner().await;
                let made = self.session.execute(sql).await;
                self.become_itself().await;
                made.map_err(|_| Stop::Void)
            }
            Act::Create(name, query) => {
                self.begin().await;
                self.become_owner().await;
                self.create(number, name, query, "DIFFERENTIAL").await?;
                self.commit(number).await
            }
            Act::CreateImmediate(name, query) => {
                self.create(number, name, query, "IMMEDIATE").await
            }
            Act::Change(sql) | Act::Alter(sql) => {
                match session_settings::execute(self.session, number, sql).await {
                    Err(error) if error.sqlstate == TIMEOUT => Err(Stop::Void),
                    Err(error) if error.is_connection_loss() => {
                        Err(self.found(number, FindingKind::Crash, error.to_string()))
                    }
                    Err(error) if matches!(act, Act::Alter(_)) || !is_ordinary(&error) => {
                        let kind = FindingKind::ChangeFailed(error.sqlstate.clone());
                        Err(self.found(number, kind, error.to_string()))
                    }
                    _ => self.judge_immediate(number).await,
                }
            }
            Act::Control(sql) => match self.session.execute(sql).await {
                Err(error) if error.is_connection_loss() => {
                    Err(self.found(number, FindingKind::Crash, error.to_string()))
                }
                // ROLLBACK TO a savepoint that a failed transaction never reached.
                _ => Ok(()),
            },
            Act::RefreshHere { judge } => {
                for name in &self.script.tables {
                    if self.refresh(number, name).await?.is_some() && *judge {
                        self.judge(number, name).await?;
                    }
                }
                Ok(())
            }
            Act::RefreshGuarded => {
                self.begin().await;
                for name in &self.script.tables {
                    if self.refresh_guarded(number, name).await? {
                        self.judge(number, name).await?;
                    }
                }
                self.commit(number).await
            }
            Act::RefreshAll {
                may_recompute,
                nothing,
                last,
            } => {
                self.begin().await;
                let nothing = *nothing && !self.script.clock;
                self.refresh_all(number, *may_recompute, nothing, *last)
                    .await?;
                self.commit(number).await
            }
        }
    }

    /// Opens a transaction if there must be one clock for what is refreshed and judged.
    async fn begin(&self) {
        if self.script.clock {
            // A lost connection shows at the next statement.
            let _ = self.session.execute("BEGIN").await;
        }
    }

    async fn commit(&self, number: usize) -> Result<(), Stop> {
        if !self.script.clock {
            return Ok(());
        }
        let committed = self.session.execute("COMMIT").await;
        committed.map_err(|error| {
            let kind = FindingKind::RefreshFailed(error.sqlstate.clone());
            self.found(number, kind, error.to_string())
        })
    }

    async fn create(
        &mut self,
        number: usize,
        name: &str,
        query: &str,
        mode: &str,
    ) -> Result<(), Stop> {
        // Not the extension's fault if PostgreSQL cannot run it; a count would leave its expressions alone.
        let probe = format!("SELECT * FROM ({query}) q");
        self.session.execute(&probe).await.map_err(|_| Stop::Void)?;
        let create = format!(
            "SELECT pgtrickle.create_stream_table({}, {}, refresh_mode => '{mode}')",
            quote_literal(name),
            quote_literal(query)
        );
        let created = self.session.execute(&create).await;
        self.become_itself().await;
        if let Err(error) = created {
            let text = error.to_string();
            // Parts of a table are followed row by row.
            if mode == "IMMEDIATE" && text.contains("APART_NOT_IMMEDIATE") {
                return Ok(());
            }
            if error.sqlstate == TIMEOUT || self.is_documented(&text) {
                return Err(Stop::Void);
            }
            let kind = if error.is_connection_loss() {
                FindingKind::Crash
            } else {
                FindingKind::Refused(error.sqlstate.clone())
            };
            return Err(self.found(number, kind, text));
        }
        self.queries.insert(name.to_owned(), query.to_owned());
        self.judge(number, name).await
    }

    /// All refreshes of a batch.
    async fn refresh_all(
        &mut self,
        number: usize,
        may_recompute: bool,
        nothing: bool,
        last: bool,
    ) -> Result<(), Stop> {
        for name in &self.script.tables {
            let before = self.count(number, name).await?;
            let Some(report) = self.refresh(number, name).await? else {
                continue;
            };
            let after = self.count(number, name).await?;
            let by_delta = ["DIFFERENTIAL", "NO_DATA"].contains(&report.action.as_str());
            let say = format!("{name}: {report:?}, from {before} to {after} rows");
            if !by_delta && !may_recompute {
                return Err(self
                    .explained(number, FindingKind::NotByDelta, say, name)
                    .await);
            }
            if before + report.inserted - report.deleted != after {
                return Err(self
                    .explained(number, FindingKind::Miscounted, say, name)
                    .await);
            }
            if nothing && !may_recompute && report.inserted + report.updated + report.deleted != 0 {
                return Err(self
                    .explained(number, FindingKind::NotNothing, say, name)
                    .await);
            }
        }
        for name in &self.script.tables {
            self.judge(number, name).await?;
        }
        self.judge_immediate(number).await?;
        if last {
            self.refresh(number, &self.script.late).await?;
            self.judge(number, &self.script.late).await?;
        }
        if !self.script.parts.is_empty() {
            let whole: Vec<String> = self
                .script
                .parts
                .iter()
                .map(|name| format!("SELECT * FROM {name}"))
                .collect();
            let question = Question::query("st", &whole.join(" UNION ALL "));
            if let Ok(verdict) = question.ask(self.session).await
                && !verdict.is_exact()
            {
                let what = format!("the three parts are {verdict}");
                return Err(self
                    .explained(number, FindingKind::PartsDiffer, what, "st")
                    .await);
            }
        }
        Ok(())
    }

    /// From now on the session is the owner of the stream tables.
    async fn become_owner(&self) {
        if let Some(owner) = self.script.owner {
            // In a transaction that has failed nothing else works either.
            let _ = self.session.execute(&format!("SET ROLE {owner}")).await;
        }
    }

    /// And again whoever it was.
    async fn become_itself(&self) {
        if self.script.owner.is_some() {
            let _ = self.session.execute("RESET ROLE").await;
        }
    }

    /// Whether the refusal is one that the documentation tells of: of ties that cannot be settled, of policies that
    /// a view or a recursion is under.
    fn is_documented(&self, text: &str) -> bool {
        let is_view = |act: &Act| match act {
            Act::View(_) => true,
            Act::Create(_, query) => query.contains("RECURSIVE"),
            _ => false,
        };
        text.contains("UNSETTLED_ORDER")
            || self.script.owner.is_some()
                && text.contains("ROW_SECURITY")
                && self.script.acts.iter().any(is_view)
    }

    async fn count(&self, number: usize, name: &str) -> Result<i64, Stop> {
        let count = self
            .session
            .scalar(&format!("SELECT count(*) FROM {name}"))
            .await;
        match count {
            Ok(count) => Ok(count.parse().unwrap_or(-1)),
            Err(error) => Err(self.found(number, FindingKind::Crash, error.to_string())),
        }
    }

    fn found(&self, act: usize, kind: FindingKind, what: String) -> Stop {
        Stop::Found(Box::new(Finding {
            kind,
            what: format!("{what}\nunder {}", session_settings::others(act as u64)),
            act,
            explain: String::new(),
        }))
    }

    /// A finding with the plan.
    async fn explained(&self, act: usize, kind: FindingKind, what: String, name: &str) -> Stop {
        // Leaves a failed transaction, in which nothing can be asked.
        if self.session.execute("SELECT 1").await.is_err() {
            let _ = self.session.execute("ROLLBACK").await;
        }
        let explain = oracle::explain(self.session, name).await;
        Stop::Found(Box::new(Finding {
            kind,
            what: format!("{what}\nunder {}", session_settings::others(act as u64)),
            act,
            explain,
        }))
    }
}

/// Errors that made-up changes may run into: bad values, violated constraints, and whatever
/// follows in the same transaction.
fn is_ordinary(error: &SqlError) -> bool {
    ["22", "23", "25", "40"]
        .iter()
        .any(|class| error.sqlstate.starts_with(class))
}

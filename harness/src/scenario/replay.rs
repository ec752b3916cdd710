//! Replays scenarios and judges every refresh.

use std::fmt;
use std::sync::Arc;

use super::axes::{Cadence, Mode, Writer};
use super::format::{Expectation, Scenario, Step};
use super::variant::Variant;
use super::world::{World, orphans, unseen_writes};
use crate::client::{Session, Sessions, SqlError, Table, quote_literal};
use crate::oracle;

/// What was not as it should be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The scenario.
    pub scenario: String,
    /// The variant.
    pub variant: Variant,
    /// The step, or what happened outside of the steps.
    pub step: String,
    /// What was wrong.
    pub what: String,
    /// Whether it is the oracle that says so.
    pub by_oracle: bool,
    /// Whether a session was lost.
    pub connection_lost: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            variant,
            step,
            what,
            ..
        } = self;
        write!(f, "{scenario} ({variant}), {step}: {what}")
    }
}

/// Replays one scenario in one variant.
pub struct Replayer<'a> {
    scenario: &'a Scenario,
    variant: Variant,
    sessions: Sessions<'a>,
    /// Those that are there, in the order of creation.
    live: Vec<Live>,
}

/// A stream table that is there.
#[derive(Debug, Clone)]
struct Live {
    /// Its present name.
    name: String,
    mode: Mode,
    /// Whether it has content.
    is_filled: bool,
}

impl<'a> Replayer<'a> {
    /// Replays in a database of its own, which stays for inspection only while the cluster does.
    pub async fn replay(
        world: &'a World<'a>,
        scenario: &'a Scenario,
        variant: Variant,
    ) -> Result<(), Failure> {
        Self::replay_with(world, scenario, variant, &[]).await
    }

    /// The same with further settings of the database.
    pub async fn replay_with(
        world: &'a World<'a>,
        scenario: &'a Scenario,
        variant: Variant,
        more: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let failure = |error: SqlError| Failure {
            scenario: scenario.name.clone(),
            variant,
            step: "database".into(),
            what: error.to_string(),
            by_oracle: false,
            connection_lost: error.is_connection_loss(),
        };
        let mut settings = vec![("pg_trickle.cdc_trigger_mode", variant.writer.setting())];
        if variant.mode == Mode::Immediate {
            // One session's writes would wait for another's that never comes to its end.
            settings.push(("lock_timeout", "5s"));
        }
        settings.extend(more);
        let database = world
            .database("scenario", &settings)
            .await
            .map_err(failure)?;
        let mut replayer = Self {
            scenario,
            variant,
            sessions: Sessions::new(world.server, &database),
            live: Vec::new(),
        };
        let result = replayer.run().await;
        replayer.sessions.close();
        world.remove(&database).await.map_err(failure)?;
        result
    }

    /// The whole story.
    async fn run(&mut self) -> Result<(), Failure> {
        let scenario = self.scenario;
        let main = self.main("setup").await?;
        self.sql("setup", main.execute(&scenario.setup).await)?;
        for table in &scenario.stream_tables {
            let mode = table.mode.unwrap_or(self.variant.mode);
            let create = format!(
                "SELECT pgtrickle.create_stream_table(name => {}, query => {}, \
                 refresh_mode => {}, initialize => {})",
                quote_literal(&table.name),
                quote_literal(&table.query),
                quote_literal(mode.sql()),
                table.initialize,
            );
            let step = format!("creation of {}", table.name);
            self.sql(&step, main.execute(&create).await)?;
            self.live.push(Live {
                name: table.name.clone(),
                mode,
                is_filled: table.initialize,
            });
            if table.initialize {
                self.judge(&step, &main, &table.name, None).await?;
            }
        }
        let last = scenario.steps.len().saturating_sub(1);
        for (index, step) in scenario.steps.iter().enumerate() {
            let refresh = match self.variant.cadence {
                Cadence::EachStep => step.refresh,
                Cadence::AtEnd => index == last,
            };
            self.step(step, refresh).await?;
        }
        self.check_nothing_to_do().await?;
        self.drop_everything().await
    }

    /// One step, then the refreshes.
    async fn step(&mut self, step: &Step, refresh: bool) -> Result<(), Failure> {
        let main = self.main(&step.name).await?;
        if let Some(sql) = &step.sql {
            let result = main.execute(sql).await;
            self.outcome(
                &step.name,
                result,
                step.error.as_deref(),
                step.error_text.as_deref(),
            )?;
        }
        for run in &step.run {
            let session = self.sessions.get(&run.session).await;
            let session = self.sql(&step.name, session)?;
            let result = session.execute(&run.sql).await;
            self.outcome(&step.name, result, run.error.as_deref(), None)?;
        }
        for (old, new) in &step.renamed {
            for table in &mut self.live {
                if table.name == *old {
                    table.name.clone_from(new);
                }
            }
        }
        self.live
            .retain(|table| !step.dropped.contains(&table.name));
        for table in &self.live {
            if table.mode == Mode::Immediate && table.is_filled {
                self.judge(&step.name, &main, &table.name, None).await?;
            }
        }
        if refresh {
            for table in &self.live {
                self.refresh(step, &main, table).await?;
            }
            // Judged again at the end: a later refresh must not disturb an earlier table.
            for table in &mut self.live {
                table.is_filled = true;
            }
            for table in &self.live {
                self.judge(&step.name, &main, &table.name, step.expect.get(&table.name))
                    .await?;
            }
        }
        if self.variant.cadence == Cadence::EachStep {
            for query in &step.query {
                let session = self.sessions.get(&query.session).await;
                let session = self.sql(&step.name, session)?;
                let table = self.sql(&step.name, session.table(&query.sql).await)?;
                let shown = show(&table);
                if shown != query.returns.trim_end_matches('\n') {
                    let what =
                        format!("{} returns\n{shown}\nand not\n{}", query.sql, query.returns);
                    return Err(self.failure(&step.name, what));
                }
            }
        }
        Ok(())
    }

    /// One refresh and what it must report.
    async fn refresh(&self, step: &Step, main: &Session, table: &Live) -> Result<(), Failure> {
        let (name, mode) = (table.name.as_str(), table.mode);
        let before = self.count(step, main, name).await?;
        let sql = format!(
            "SELECT * FROM pgtrickle.refresh_stream_table({})",
            quote_literal(name)
        );
        let report = self.sql(&step.name, main.table(&sql).await)?;
        let after = self.count(step, main, name).await?;
        let value = |column: &str| report.value(0, column).unwrap_or_default().to_owned();
        let number = |column: &str| value(column).parse::<i64>().unwrap_or(0);
        let action = value("action");
        let mut wrong = Vec::new();
        if before + number("rows_inserted") - number("rows_deleted") != after {
            wrong.push(format!(
                "reports {} inserted and {} deleted, but went from {before} to {after} rows",
                number("rows_inserted"),
                number("rows_deleted")
            ));
        }
        let expected = step.expect.get(name);
        let says_action = step.expect.values().any(|e| e.action.is_some());
        if mode == Mode::Immediate && table.is_filled && action != "NO_DATA" && !says_action {
            wrong.push(format!("was {action}, though it is up to date"));
        }
        if mode == Mode::Differential {
            let by_delta = ["DIFFERENTIAL", "NO_DATA"].contains(&action.as_str());
            let each_step = self.variant.cadence == Cadence::EachStep;
            if !by_delta && each_step && !says_action {
                wrong.push(format!("was {action} ({}), not by delta", value("reason")));
            }
            if let Some(expected) = expected.filter(|_| each_step) {
                check(&mut wrong, "action", expected.action.as_ref(), &action);
                check(
                    &mut wrong,
                    "reason",
                    expected.reason.as_ref(),
                    &value("reason"),
                );
                for (column, wanted) in [
                    ("rows_inserted", expected.inserted),
                    ("rows_updated", expected.updated),
                    ("rows_deleted", expected.deleted),
                ] {
                    let wanted = wanted.map(|number| number.to_string());
                    check(&mut wrong, column, wanted.as_ref(), &value(column));
                }
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let what = format!("refresh of {name} {}", wrong.join("; "));
        Err(self.failure(&step.name, what))
    }

    /// How many rows the stream table has.
    async fn count(&self, step: &Step, main: &Session, name: &str) -> Result<i64, Failure> {
        let count = main.scalar(&format!("SELECT count(*) FROM {name}")).await;
        Ok(self.sql(&step.name, count)?.parse().unwrap_or(-1))
    }

    /// Asks the oracle.
    async fn judge(
        &self,
        step: &str,
        main: &Session,
        name: &str,
        expected: Option<&Expectation>,
    ) -> Result<(), Failure> {
        let verdict = self.sql(step, oracle::check(main, name).await)?;
        if !verdict.is_exact() {
            let explain = oracle::explain(main, name).await;
            return Err(Failure {
                by_oracle: true,
                ..self.failure(step, format!("{name} is {verdict}\n{explain}"))
            });
        }
        let rows = expected
            .filter(|_| self.variant.cadence == Cadence::EachStep)
            .and_then(|expected| expected.rows);
        match rows {
            Some(rows) if rows != verdict.had => Err(self.failure(
                step,
                format!("{name} has {} rows, expected {rows}", verdict.had),
            )),
            _ => Ok(()),
        }
    }

    /// A refresh with nothing new must find nothing to do.
    async fn check_nothing_to_do(&mut self) -> Result<(), Failure> {
        let step = "refresh with nothing new";
        let main = self.main(step).await?;
        for Live { name, mode, .. } in &self.live {
            let sql = format!(
                "SELECT action FROM pgtrickle.refresh_stream_table({})",
                quote_literal(name)
            );
            let action = self.sql(step, main.scalar(&sql).await)?;
            if matches!(mode, Mode::Differential | Mode::Immediate) && action != "NO_DATA" {
                return Err(self.failure(step, format!("of {name} was {action}")));
            }
            self.judge(step, &main, name, None).await?;
        }
        Ok(())
    }

    /// Drops the stream tables; nothing may be left.
    async fn drop_everything(&mut self) -> Result<(), Failure> {
        let step = "drop of all stream tables";
        let main = self.main(step).await?;
        for Live { name, .. } in self.live.iter().rev() {
            let sql = format!(
                "SELECT pgtrickle.drop_stream_table({})",
                quote_literal(name)
            );
            self.sql(step, main.execute(&sql).await)?;
        }
        let unseen = self.sql(step, unseen_writes(&main).await)?;
        // A generated function does not count what it is given, so that the watch is blind to some.
        let may_be_missed = self.scenario.unseen && self.variant.writer == Writer::Sql;
        if !may_be_missed && self.scenario.unseen == unseen.is_empty() {
            let what = format!("the watch reports: {}", unseen.join(", "));
            return Err(self.failure("what no trigger saw", what));
        }
        let left = self.sql(step, orphans(&main).await)?;
        if left.is_empty() {
            return Ok(());
        }
        Err(self.failure(step, format!("left behind: {}", left.join(", "))))
    }

    /// Compares how a statement ended with how it should.
    fn outcome(
        &self,
        step: &str,
        result: Result<(), SqlError>,
        expected: Option<&str>,
        text: Option<&str>,
    ) -> Result<(), Failure> {
        match (result, expected) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(sqlstate)) => {
                Err(self.failure(step, format!("succeeded, expected {sqlstate}")))
            }
            (Err(error), Some(sqlstate)) if error.sqlstate == sqlstate => {
                let said = format!("{error}");
                match text {
                    Some(text) if !said.contains(text) => {
                        Err(self
                            .failure(step, format!("the error does not say \"{text}\": {said}")))
                    }
                    _ => Ok(()),
                }
            }
            (Err(error), Some(sqlstate)) if !error.is_connection_loss() => {
                Err(self.failure(step, format!("expected {sqlstate}, got {error}")))
            }
            (Err(error), _) => Err(self.sql_failure(step, &error)),
        }
    }

    /// The main session.
    async fn main(&mut self, step: &str) -> Result<Arc<Session>, Failure> {
        let session = self.sessions.get("main").await;
        self.sql(step, session)
    }

    /// A statement that must succeed.
    fn sql<T>(&self, step: &str, result: Result<T, SqlError>) -> Result<T, Failure> {
        result.map_err(|error| self.sql_failure(step, &error))
    }

    /// A statement that failed and should not have.
    fn sql_failure(&self, step: &str, error: &SqlError) -> Failure {
        Failure {
            connection_lost: error.is_connection_loss(),
            ..self.failure(step, error.to_string())
        }
    }

    /// A failure of this replay.
    fn failure(&self, step: &str, what: String) -> Failure {
        Failure {
            scenario: self.scenario.name.clone(),
            variant: self.variant,
            step: step.to_owned(),
            what,
            by_oracle: false,
            connection_lost: false,
        }
    }
}

/// Notes a difference.
fn check(wrong: &mut Vec<String>, what: &str, wanted: Option<&String>, got: &str) {
    if let Some(wanted) = wanted.filter(|wanted| *wanted != got) {
        wrong.push(format!("has {what} {got}, expected {wanted}"));
    }
}

/// A result in the form of [`super::Query::returns`].
fn show(table: &Table) -> String {
    let lines: Vec<String> = table
        .rows
        .iter()
        .map(|row| {
            let values: Vec<&str> = row.iter().map(|v| v.as_deref().unwrap_or("")).collect();
            values.join("|")
        })
        .collect();
    lines.join("\n")
}

/// Replays every scenario in every variant, two at a time, and returns what failed and how many
/// replays there were.
pub async fn replay_all(world: &World<'_>, scenarios: &[Scenario]) -> (usize, Vec<Failure>) {
    let jobs: Vec<(&Scenario, Variant)> = scenarios
        .iter()
        .flat_map(|scenario| {
            Variant::of(scenario)
                .into_iter()
                .map(move |variant| (scenario, variant))
        })
        .collect();
    let (left, right) = jobs.split_at(jobs.len() / 2);
    let (mut failures, more) = tokio::join!(replay_some(world, left), replay_some(world, right));
    failures.extend(more);
    (jobs.len(), failures)
}

/// One after the other.
async fn replay_some(world: &World<'_>, jobs: &[(&Scenario, Variant)]) -> Vec<Failure> {
    let mut failures = Vec::new();
    for (scenario, variant) in jobs {
        let mut result = Replayer::replay(world, scenario, *variant).await;
        // The crash may be another scenario's, which takes every session with it.
        for _ in 0..2 {
            match &result {
                Err(failure) if failure.connection_lost => {
                    result = Replayer::replay(world, scenario, *variant).await;
                }
                _ => break,
            }
        }
        failures.extend(result.err());
    }
    failures
}

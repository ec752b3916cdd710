//! Scenarios on a cluster: those that say how their sources are spread. Stream tables are created in DIFFERENTIAL, and in
//! AUTO where that is refused, and are refreshed after each step.
//!
//! The judge asks copies of all tables on the coordinator, so that it may ask what Citus does not plan.

use std::collections::BTreeMap;

use super::Citus;
use crate::client::{Session, Sessions, SqlError, quote_ident, quote_literal};
use crate::oracle::Question;
use crate::scenario::{OnCitus, Scenario, Step};

/// How a stream table is kept, as the catalog says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    Local,
    ShardLocal,
    TwoSteps,
    Refused,
    Unplanned,
}

/// Replays a scenario; afterwards nothing is left of it.
///
/// # Errors
/// What was not as it should be.
pub async fn replay(citus: &Citus, scenario: &Scenario) -> Result<(), String> {
    let Some(on_citus) = &scenario.citus else {
        return Err(format!("{} has no table [citus]", scenario.name));
    };
    let mut replayer = Replayer {
        scenario,
        on_citus,
        sessions: Sessions::new(citus, "postgres"),
        live: Vec::new(),
    };
    let result = replayer.run().await;
    replayer.sessions.close();
    let cleaned = clean(citus, on_citus).await;
    let cleaned = cleaned.map_err(|error| format!("{}, the end: {error}", scenario.name));
    match (result, cleaned) {
        (Err(one), Err(other)) => Err(format!("{one}\n{other}")),
        (one, other) => one.and(other),
    }
}

/// Drops what a scenario has left.
async fn clean(citus: &Citus, on_citus: &OnCitus) -> Result<(), SqlError> {
    let root = Session::connect(citus, "postgres").await?;
    let left =
        "SELECT pgt_relid::regclass::text FROM pgtrickle.pgt_stream_tables ORDER BY pgt_id DESC";
    for table in root.rows(left).await?.into_iter().flatten().flatten() {
        let drop = format!(
            "SELECT pgtrickle.drop_stream_table({})",
            quote_literal(&table)
        );
        root.execute(&drop).await?;
    }
    for table in on_citus.distributed.keys().chain(&on_citus.reference) {
        let drop = format!("DROP TABLE IF EXISTS {} CASCADE", quote_ident(table));
        root.execute(&drop).await?;
    }
    Ok(())
}

struct Replayer<'a> {
    scenario: &'a Scenario,
    on_citus: &'a OnCitus,
    sessions: Sessions<'a>,
    /// Names and queries.
    live: Vec<(&'a str, &'a str)>,
}

impl<'a> Replayer<'a> {
    async fn run(&mut self) -> Result<(), String> {
        self.spread().await?;
        let mut kept = BTreeMap::new();
        for table in &self.scenario.stream_tables {
            let found = self.create(&table.name, &table.query).await?;
            kept.entry(found).or_insert_with(Vec::new).push(&table.name);
            if found != Kept::Unplanned {
                self.live.push((&table.name, &table.query));
            }
        }
        let compared = self.compare(&kept);
        let result = self.tell().await;
        match (compared, result) {
            (Err(one), Err(other)) => Err(format!("{one}\n{other}")),
            (one, other) => one.and(other),
        }
    }

    /// What happens to them.
    async fn tell(&mut self) -> Result<(), String> {
        self.refresh("creation").await?;
        self.judge("creation", None).await?;
        for step in &self.scenario.steps {
            if !self.on_citus.left_out.contains(&step.name) {
                self.step(step).await?;
            }
        }
        for (name, _) in self.live.clone() {
            let action = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
            let action = self.main("the end").await?.scalar(&action).await;
            let action = self.sql("the end", action)?;
            let is_recomputed = self.on_citus.refused.iter().any(|refused| refused == name);
            if action != "NO_DATA" && !is_recomputed {
                return Err(self.failure("the end", &format!("refresh of {name} was {action}")));
            }
        }
        let live = std::mem::take(&mut self.live);
        for (name, _) in live.iter().rev() {
            self.execute(
                "the end",
                &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
            )
            .await?;
        }
        Ok(())
    }

    /// Makes the sources.
    async fn spread(&mut self) -> Result<(), String> {
        let OnCitus {
            before,
            distributed,
            reference,
            ..
        } = self.on_citus;
        let mut all = vec![self.scenario.setup.clone(), before.clone()];
        for table in reference {
            all.push(format!(
                "SELECT create_reference_table({})",
                quote_literal(table)
            ));
        }
        for (table, column) in distributed {
            all.push(format!(
                "SELECT create_distributed_table({}, {})",
                quote_literal(table),
                quote_literal(column)
            ));
        }
        for sql in all.iter().filter(|sql| !sql.is_empty()) {
            self.execute("setup", sql).await?;
        }
        Ok(())
    }

    async fn create(&mut self, name: &str, query: &str) -> Result<Kept, String> {
        let create = |mode: &str| {
            format!(
                "SELECT pgtrickle.create_stream_table({}, {}, '1d', '{mode}')",
                quote_literal(name),
                quote_literal(query)
            )
        };
        let step = format!("creation of {name}");
        let main = self.main(&step).await?;
        match main.execute(&create("DIFFERENTIAL")).await {
            Ok(()) => {}
            Err(error) if error.sqlstate == "0A000" => {
                return match main.execute(&create("AUTO")).await {
                    Ok(()) => Ok(Kept::Refused),
                    Err(error) if error.to_string().contains("(CITUS_UNPLANNED)") => {
                        Ok(Kept::Unplanned)
                    }
                    Err(error) => Err(self.failure(&step, &error.to_string())),
                };
            }
            Err(error) => return Err(self.failure(&step, &error.to_string())),
        }
        let code = format!(
            "SELECT mode_code FROM pgtrickle.pgt_stream_tables WHERE pgt_relid = {}::regclass",
            quote_literal(name)
        );
        match self.sql(&step, main.scalar(&code).await)?.as_str() {
            "" | "CITUS_LOCAL_SHARD" => Ok(Kept::Local),
            "CITUS_SHARD_LOCAL" => Ok(Kept::ShardLocal),
            "CITUS_TWO_STEPS" | "CITUS_IMAGES" => Ok(Kept::TwoSteps),
            other => Err(self.failure(&step, &format!("is kept as {other}"))),
        }
    }

    /// Stream tables are kept as the scenario says.
    fn compare(&self, kept: &BTreeMap<Kept, Vec<&String>>) -> Result<(), String> {
        let said = [
            ("local", Kept::Local, &self.on_citus.local),
            ("shard_local", Kept::ShardLocal, &self.on_citus.shard_local),
            ("two_steps", Kept::TwoSteps, &self.on_citus.two_steps),
            ("refused", Kept::Refused, &self.on_citus.refused),
            ("unplanned", Kept::Unplanned, &self.on_citus.unplanned),
        ];
        let (mut differ, mut lines) = (false, Vec::new());
        for (list, how, wanted) in said {
            let mut found = kept.get(&how).cloned().unwrap_or_default();
            let mut wanted: Vec<&String> = wanted.iter().collect();
            lines.push(format!("{list} = {found:?}"));
            found.sort();
            wanted.sort();
            differ |= found != wanted;
        }
        match differ {
            true => Err(self.failure("creation", &format!("is kept so:\n{}", lines.join("\n")))),
            false => Ok(()),
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let own = step.sql.as_ref().map(|sql| ("main", sql, &step.error));
        let others = step.run.iter();
        let others = others.map(|run| (run.session.as_str(), &run.sql, &run.error));
        for (session, sql, wanted) in own.into_iter().chain(others) {
            let session = self.sessions.get(session).await;
            let result = self.sql(&step.name, session)?.execute(sql).await;
            match (result, wanted) {
                (Ok(()), None) => {}
                (Err(error), Some(wanted)) if error.sqlstate == *wanted => {}
                (Ok(()), Some(wanted)) => {
                    return Err(self.failure(&step.name, &format!("succeeded, expected {wanted}")));
                }
                (Err(error), _) => return Err(self.failure(&step.name, &error.to_string())),
            }
        }
        if !step.refresh {
            return Ok(());
        }
        self.refresh(&step.name).await?;
        self.judge(&step.name, Some(step)).await?;
        for query in &step.query {
            let session = self.sessions.get(&query.session).await;
            let rows = self.sql(&step.name, session)?.rows(&query.sql).await;
            let rows = self.sql(&step.name, rows)?;
            let lines: Vec<String> = (rows.into_iter())
                .map(|row| {
                    row.into_iter()
                        .map(Option::unwrap_or_default)
                        .collect::<Vec<_>>()
                        .join("|")
                })
                .collect();
            let shown = lines.join("\n");
            if shown != query.returns.trim_end_matches('\n') {
                return Err(self.failure(&step.name, &format!("{} returns\n{shown}", query.sql)));
            }
        }
        Ok(())
    }

    async fn refresh(&mut self, step: &str) -> Result<(), String> {
        for (name, _) in self.live.clone() {
            self.execute(
                step,
                &format!("SELECT pgtrickle.refresh_stream_table('{name}')"),
            )
            .await?;
        }
        Ok(())
    }

    /// Compares every stream table with its query over copies.
    async fn judge(&mut self, step: &str, told: Option<&Step>) -> Result<(), String> {
        let session = self.sessions.get("judge").await;
        let session = self.sql(step, session)?;
        let OnCitus {
            distributed,
            reference,
            ..
        } = self.on_citus;
        let sources = distributed.keys().chain(reference).map(String::as_str);
        let all: Vec<&str> = sources
            .chain(self.live.iter().map(|(name, _)| *name))
            .collect();
        for table in &all {
            let table = quote_ident(table);
            let copy = format!(
                "DROP TABLE IF EXISTS pg_temp.{table};
                 CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING INDEXES);
                 INSERT INTO pg_temp.{table} SELECT * FROM public.{table}"
            );
            self.sql(step, session.execute(&copy).await)?;
        }
        for (name, query) in &self.live {
            let have = format!("pg_temp.{}", quote_ident(name));
            let verdict = Question::query(&have, query).ask(&session).await;
            let verdict = self.sql(step, verdict)?;
            if !verdict.is_exact() {
                return Err(self.failure(step, &format!("{name} is {verdict}")));
            }
            let rows = told.and_then(|step| step.expect.get(*name)?.rows);
            if rows.is_some_and(|rows| rows != verdict.had) {
                return Err(self.failure(step, &format!("{name} has {} rows", verdict.had)));
            }
        }
        Ok(())
    }

    async fn main(&mut self, step: &str) -> Result<std::sync::Arc<Session>, String> {
        let session = self.sessions.get("main").await;
        self.sql(step, session)
    }

    async fn execute(&mut self, step: &str, sql: &str) -> Result<(), String> {
        let result = self.main(step).await?.execute(sql).await;
        self.sql(step, result)
    }

    fn sql<T>(&self, step: &str, result: Result<T, SqlError>) -> Result<T, String> {
        result.map_err(|error| self.failure(step, &error.to_string()))
    }

    fn failure(&self, step: &str, what: &str) -> String {
        format!("{}, {step}: {what}", self.scenario.name)
    }
}

//! Refreshes among everything else that happens to their tables: each change of a definition, each rewrite and
//! each maintenance command, in every order of steps with a refresh and with a writer.
//!
//! Afterwards no session waits, what failed has failed with an error that PostgreSQL gives for it, and the next refresh is
//! exact. A refresh that ended last is exact already.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use harness::client::{Session, SqlError};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, value};
use harness::oracle::Question;
use harness::permutation::{Actor, interleavings};
use harness::runtime::{connect, scheduled_cluster};
use harness::scenario::{Scenario, World, orphans};
use serde::Deserialize;

/// What the events happen to, and the events: `scenarios/isolation/events.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Play {
    setup: String,
    fill: String,
    write: String,
    stream_table: Vec<Table>,
    event: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: String,
    query: String,
    /// Whether each refresh recomputes it.
    #[serde(default)]
    recomputed: bool,
}

/// Something that happens to the tables.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    sql: String,
    undo: Option<String>,
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    alone: bool,
    #[serde(default)]
    for_good: bool,
    #[serde(default)]
    refreshed: bool,
}

static PLAY: LazyLock<Play> = LazyLock::new(|| {
    let file = Scenario::folder().join("isolation/events.toml");
    let text = fs::read_to_string(file).expect("the events are readable");
    toml::from_str(&text).expect("the events are as the file says")
});

/// How the stream tables come to be up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upkeep {
    /// By refreshes.
    Refreshed,
    /// In the writer's transaction.
    Following,
}

const NOTHING: &str = "SELECT 1";

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

/// The stage: sessions that take turns, and one that judges.
struct Stage {
    witness: Session,
    actors: Vec<Actor>,
    upkeep: Upkeep,
    tables: Vec<Table>,
    buffer: String,
    outcomes: BTreeMap<String, usize>,
    plays: usize,
    complaints: Vec<String>,
}

impl Stage {
    async fn new(cluster: &Cluster, database: &str, upkeep: Upkeep) -> Self {
        let witness = Session::connect(cluster, database)
            .await
            .expect("a session");
        let mut actors = Vec::new();
        for _ in 0..3 {
            actors.push(Actor::new(cluster, database).await);
        }
        let mut tables = PLAY.stream_table.clone();
        if upkeep == Upkeep::Following {
            tables.retain(|table| !table.recomputed);
        }
        let mut stage = Stage {
            witness,
            actors,
            upkeep,
            tables,
            buffer: String::new(),
            outcomes: BTreeMap::new(),
            plays: 0,
            complaints: Vec::new(),
        };
        stage.set_up().await;
        stage
    }

    async fn set_up(&mut self) {
        run(&self.witness, "SET client_min_messages = warning").await;
        run(&self.witness, &PLAY.setup).await;
        for table in &self.tables {
            let Table { name, query, .. } = table;
            let mode = match self.upkeep {
                Upkeep::Following => "IMMEDIATE",
                Upkeep::Refreshed if table.recomputed => "FULL",
                Upkeep::Refreshed => "DIFFERENTIAL",
            };
            let sql = format!(
                "SELECT pgtrickle.create_stream_table('{name}', '{query}', refresh_mode => '{mode}')"
            );
            run(&self.witness, &sql).await;
        }
        run(&self.witness, "CREATE INDEX joined_by_y ON joined (y)").await;
        let buffer =
            "SELECT COALESCE(to_regclass('pgtrickle_changes.changes_' || 'a'::regclass::oid), 'a')";
        self.buffer = value(&self.witness, buffer).await;
    }

    /// Everything is dropped, and leaves nothing.
    async fn tear_down(&self) {
        run(&self.witness, "DROP TABLE IF EXISTS a, a_old, b CASCADE").await;
        let left = orphans(&self.witness).await.expect("a list");
        assert_eq!(left, Vec::<String>::new());
    }

    fn refreshes(&self, force_full: bool) -> String {
        // The recomputed one first where only that shows what it finds itself, after waiting.
        let is_first = |table: &&Table| table.recomputed && !force_full;
        let (first, others): (Vec<&Table>, Vec<&Table>) = self.tables.iter().partition(is_first);
        let calls = first.iter().chain(&others).map(|Table { name, .. }| {
            format!("SELECT pgtrickle.refresh_stream_table('{name}', force_full => {force_full})")
        });
        calls.collect::<Vec<_>>().join("; ")
    }

    /// Plays an event beside these scripts, the first of which refreshes, in every order.
    async fn play(&mut self, event: &Event, others: &[Vec<String>]) {
        let sql = event.sql.replace("{buffer}", &self.buffer);
        let script = if !event.alone {
            vec![format!("BEGIN; {sql}"), "COMMIT".to_owned()]
        } else {
            vec![sql]
        };
        let scripts: Vec<Vec<String>> = others.iter().cloned().chain([script]).collect();
        let lengths: Vec<usize> = scripts.iter().map(Vec::len).collect();
        for order in interleavings(&lengths) {
            let when = format!("{scripts:?}, {order:?}");
            self.plays += 1;
            let refreshed_last = self.take_turns(&scripts, order, event, &when).await;
            if let Err(complaint) = self.judge(event, refreshed_last).await {
                self.complaints.push(format!("{when}: {complaint}"));
                self.set_up().await;
                break;
            }
        }
    }

    /// Lets them take turns. Whether the refresh, by itself and without a writer, was the last to end, and came to
    /// its end.
    async fn take_turns(
        &mut self,
        scripts: &[Vec<String>],
        order: Vec<usize>,
        event: &Event,
        when: &str,
    ) -> bool {
        for (actor, script) in self.actors.iter_mut().zip(scripts) {
            actor.prepare(script.clone());
        }
        let mut left: Vec<usize> = scripts.iter().map(Vec::len).collect();
        let mut turns: VecDeque<usize> = order.into();
        let mut last = None;
        let mut has_failed = false;
        let deadline = Instant::now() + Duration::from_secs(20);
        while !turns.is_empty() || self.actors.iter().any(|a| a.running.is_some()) {
            assert!(Instant::now() < deadline, "{when}: a session still waits");
            if let Some(turn) = turns.pop_front() {
                self.actors[turn].due += 1;
                left[turn] -= 1;
            }
            for _ in 0..scripts.len() {
                for (at, actor) in self.actors.iter_mut().enumerate().take(scripts.len()) {
                    let was_busy = actor.due > 0 || actor.running.is_some();
                    if let Some(error) = actor.advance(&self.witness).await {
                        if !may_end(event, &error) {
                            self.complaints.push(format!("{when}: {error}"));
                        }
                        *self.outcomes.entry(error.sqlstate).or_default() += 1;
                        has_failed |= at == 0;
                    }
                    if was_busy && actor.running.is_none() && left[at] == 0 {
                        last = Some(at);
                    }
                }
            }
        }
        scripts.len() == 2 && scripts[0].len() == 1 && last == Some(0) && !has_failed
    }

    /// Sees whether all is as it should be, and makes it as it was.
    async fn judge(&mut self, event: &Event, refreshed_last: bool) -> Result<(), String> {
        let follows = self.upkeep == Upkeep::Following && !event.sql.contains("suspend");
        if refreshed_last || follows {
            self.are_exact("at the end").await?;
        }
        if event.for_good {
            self.tear_down().await;
            self.set_up().await;
        } else if let Some(undo) = &event.undo {
            self.run(undo).await?;
        }
        self.run(&self.refreshes(false)).await?;
        self.are_exact("after the next refresh").await?;
        self.run(&PLAY.fill).await?;
        // By the session that will refresh: it keeps its plans.
        let done = self.actors[0].session.execute(&self.refreshes(false)).await;
        done.map_err(|error| error.to_string())
    }

    async fn run(&self, sql: &str) -> Result<(), String> {
        let done = self.witness.execute(sql).await;
        done.map_err(|error| error.to_string())
    }

    async fn are_exact(&self, moment: &str) -> Result<(), String> {
        let there =
            "SELECT s.pgt_relid, s.view_relid FROM pgtrickle.pgt_stream_tables s ORDER BY s.pgt_id";
        let there = self.witness.rows(there).await;
        for row in there.map_err(|error| error.to_string())? {
            let [Some(table), Some(view)] = row.as_slice() else {
                return Err(format!("{row:?}"));
            };
            let question = Question::query(table, &format!("SELECT * FROM {view}"));
            let verdict = question.ask(&self.witness).await;
            let verdict = verdict.map_err(|error| error.to_string())?;
            if !verdict.is_exact() {
                return Err(format!("{table} {moment} is {verdict}"));
            }
        }
        Ok(())
    }
}

/// Beside a concurrent transaction, any of these may be told to try again.
fn may_end(event: &Event, error: &SqlError) -> bool {
    let state = error.sqlstate.as_str();
    ["40001", "40P01"].contains(&state) || event.errors.iter().any(|allowed| allowed == state)
}

/// A refresh in a transaction that has looked at the source before, and has changed it.
fn in_transaction(level: &str, refreshes: &str) -> Vec<String> {
    vec![
        format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM a"),
        format!("{}; {refreshes}", PLAY.write),
        "COMMIT".to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_exact_beside_whatever_else_happens() {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let options = ClusterOptions::new()
        .extension(extension)
        .setting("deadlock_timeout", "20ms");
    let cluster = Cluster::start(&options).expect("a private cluster starts");
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let mark = cluster.log_mark();
    let database = async |name: &str| world.database(name, &[]).await.expect("a database");
    let one = database("one").await;
    let two = database("two").await;
    let three = database("three").await;
    let (one, two, three) = tokio::join!(
        beside_one(&cluster, &one),
        beside_two(&cluster, &two),
        beside_writers(&cluster, &three),
    );
    let complaints = [one, two, three].concat();
    let some: Vec<_> = complaints.iter().take(10).cloned().collect();
    let count = complaints.len();
    assert!(some.is_empty(), "{count} plays: {}", some.join("\n\n"));
    assert_eq!(cluster.crashes_since(mark), Vec::<String>::new());
}

/// A refresh in a longer transaction.
async fn beside_one(cluster: &Cluster, database: &str) -> Vec<String> {
    let mut stage = Stage::new(cluster, database, Upkeep::Refreshed).await;
    let start = Instant::now();
    for (at, event) in PLAY.event.iter().enumerate() {
        let script = in_transaction(LEVELS[at % 2], &stage.refreshes(false));
        stage.play(event, &[script]).await;
    }
    println!(
        "in a transaction: {} plays in {:?}, {:?}",
        stage.plays,
        start.elapsed(),
        stage.outcomes
    );
    stage.tear_down().await;
    stage.complaints
}

/// A refresh by itself, beside a writer.
async fn beside_two(cluster: &Cluster, database: &str) -> Vec<String> {
    let mut stage = Stage::new(cluster, database, Upkeep::Refreshed).await;
    let start = Instant::now();
    for (at, event) in PLAY.event.iter().enumerate() {
        let level = LEVELS[at / 3 % 3];
        let writer = vec![format!(
            "BEGIN ISOLATION LEVEL {level}; {}; COMMIT",
            PLAY.write
        )];
        let refresh = |force_full| vec![stage.refreshes(force_full)];
        let (plain, forced) = (refresh(false), refresh(true));
        stage.play(event, &[forced]).await;
        // Every third one beside a writer as well, which makes four times as many orders.
        if at % 3 == 2 {
            stage.play(event, &[plain, writer]).await;
        } else {
            stage.play(event, &[plain]).await;
        }
    }
    println!(
        "by itself: {} plays in {:?}, {:?}",
        stage.plays,
        start.elapsed(),
        stage.outcomes
    );
    stage.tear_down().await;
    stage.complaints
}

/// Writers whose stream tables follow.
async fn beside_writers(cluster: &Cluster, database: &str) -> Vec<String> {
    let mut stage = Stage::new(cluster, database, Upkeep::Following).await;
    let start = Instant::now();
    let events = PLAY.event.iter().filter(|event| !event.refreshed);
    for (at, event) in events.enumerate() {
        let script = in_transaction(LEVELS[at % 3], NOTHING);
        stage.play(event, &[script]).await;
    }
    println!(
        "with followers: {} plays in {:?}, {:?}",
        stage.plays,
        start.elapsed(),
        stage.outcomes
    );
    stage.tear_down().await;
    stage.complaints
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_refresh_beside_whatever_else_happens() {
    let cluster = scheduled_cluster(&[("deadlock_timeout", "20ms")]).expect("a cluster");
    let session = connect(&cluster, "postgres").await.expect("a session");
    let stage = Stage::new(&cluster, "postgres", Upkeep::Refreshed).await;
    for event in PLAY.event.iter().filter(|event| !event.for_good) {
        let sql = event.sql.replace("{buffer}", &stage.buffer);
        // The worker begins beside it, and waits for it or is waited for.
        run(&session, &PLAY.write).await;
        let begin = if event.alone { "" } else { "BEGIN; " };
        let mut done = session.execute(&format!("{begin}{sql}")).await;
        if done.is_ok() && !event.alone {
            let (written, committed) = tokio::join!(
                stage.witness.execute("INSERT INTO b VALUES (30, 1, 30)"),
                session.execute("COMMIT"),
            );
            written.expect("another row");
            done = committed;
        }
        if let Err(error) = done {
            assert!(may_end(event, &error), "{error}");
            run(&session, "ROLLBACK").await;
        }
        run(&session, event.undo.as_deref().unwrap_or(NOTHING)).await;
        run(&session, &PLAY.write).await;
        let names: Vec<&str> = stage
            .tables
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        exact(&session, &names).await;
        run(&session, &PLAY.fill).await;
        exact(&session, &names).await;
    }
    stage.tear_down().await;
}

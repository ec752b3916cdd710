//! Refreshes among everything else that happens to their tables: each change of a definition, each rewrite and
//! each maintenance command, in every order of steps with a refresh and with a writer.
//!
//! Afterwards nobody waits, what failed has failed with an error that PostgreSQL gives for it, and the next refresh is
//! exact. A refresh that ended last is exact already.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use harness::client::{Session, SqlError};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, value};
use harness::oracle::Question;
use harness::permutation::{Actor, interleavings};
use harness::runtime::{connect, scheduled_cluster};
use harness::scenario::{World, orphans};

const SOURCES: &str = "
    DROP TABLE IF EXISTS a, a_old, b CASCADE;
    CREATE TABLE a (id int PRIMARY KEY, g int, x int, unread int);
    CREATE TABLE b (id int PRIMARY KEY, aid int, y int);
    CREATE INDEX ON b (aid);
    CREATE VIEW v AS SELECT g, x FROM a WHERE x < 100;
    CREATE SCHEMA IF NOT EXISTS other;
    INSERT INTO a SELECT i, i % 3, i, i FROM generate_series(1, 9) i;
    INSERT INTO b SELECT i, 1 + i % 9, i FROM generate_series(1, 9) i;";

/// Puts back what is missing.
const FILL: &str = "
    INSERT INTO a SELECT i, i % 3, i, i FROM generate_series(1, 9) i ON CONFLICT DO NOTHING;
    DELETE FROM b WHERE id > 9;
    INSERT INTO b SELECT i, 1 + i % 9, i FROM generate_series(1, 9) i ON CONFLICT DO NOTHING;";

/// A stream table: name, query, mode.
type Table = (&'static str, &'static str, &'static str);

/// State of their own, a join, one over both, a view, and one that is recomputed.
const REFRESHED: [Table; 5] = [
    (
        "sums",
        "SELECT g, avg(x) AS m, sum(x) AS s FROM a GROUP BY g",
        "DIFFERENTIAL",
    ),
    (
        "joined",
        "SELECT a.id, a.g, b.y, a.x FROM a JOIN b ON b.aid = a.id",
        "DIFFERENTIAL",
    ),
    (
        "chained",
        "SELECT j.g, s.s, sum(j.y) AS y FROM joined j JOIN sums s USING (g) GROUP BY j.g, s.s",
        "DIFFERENTIAL",
    ),
    (
        "viewed",
        "SELECT g, count(*) AS n FROM v GROUP BY g",
        "DIFFERENTIAL",
    ),
    ("whole", "SELECT g, max(x) AS m FROM a GROUP BY g", "FULL"),
];

/// The same, each in the writer's transaction.
const FOLLOWING: [Table; 4] = [
    ("sums", REFRESHED[0].1, "IMMEDIATE"),
    ("joined", REFRESHED[1].1, "IMMEDIATE"),
    ("chained", REFRESHED[2].1, "IMMEDIATE"),
    ("viewed", REFRESHED[3].1, "IMMEDIATE"),
];

/// Something that happens to the tables.
struct Event {
    /// Its statements. `{buffer}` is the change buffer of `a`.
    sql: &'static str,
    /// What takes it back, whether it has happened or not; `None` if only a new beginning does.
    undo: Option<&'static str>,
    /// With which errors it, a refresh, or a statement beside it may end: none but what PostgreSQL gives for
    /// names that are gone or changed.
    errors: &'static [&'static str],
    /// Whether it runs in a transaction.
    in_transaction: bool,
}

const fn event(sql: &'static str, undo: &'static str) -> Event {
    Event {
        sql,
        undo: Some(undo),
        errors: &[],
        in_transaction: true,
    }
}

impl Event {
    const fn alone(self) -> Self {
        Event {
            in_transaction: false,
            ..self
        }
    }

    const fn or(self, errors: &'static [&'static str]) -> Self {
        Event { errors, ..self }
    }

    const fn for_good(self) -> Self {
        Event { undo: None, ..self }
    }
}

const NOTHING: &str = "SELECT 1";

/// The table that was meant is not there any more.
const GONE: &[&str] = &["42P01"];

const EVENTS: &[Event] = &[
    // Storage.
    event("VACUUM FULL a", NOTHING).alone(),
    event("VACUUM FULL sums", NOTHING).alone(),
    event("VACUUM FULL {buffer}", NOTHING).alone(),
    event("CLUSTER a USING a_pkey", NOTHING),
    event("CLUSTER joined USING joined_by_y", NOTHING),
    event("TRUNCATE a", NOTHING),
    event("TRUNCATE a, b; INSERT INTO a VALUES (1, 7, 7, 7); INSERT INTO b VALUES (1, 1, 1)", NOTHING),
    event("REINDEX TABLE a", NOTHING),
    event("REINDEX TABLE sums", NOTHING),
    event("REINDEX TABLE {buffer}", NOTHING),
    event("REINDEX TABLE CONCURRENTLY joined", NOTHING).alone(),
    event("CREATE INDEX by_x ON a (x)", "DROP INDEX IF EXISTS by_x"),
    event("CREATE UNIQUE INDEX by_m ON sums (g, m)", "DROP INDEX IF EXISTS by_m"),
    // Columns and names.
    event("ALTER TABLE a ADD COLUMN extra int DEFAULT 5", "ALTER TABLE a DROP COLUMN IF EXISTS extra"),
    event("ALTER TABLE a ADD COLUMN extra float8 DEFAULT random()", "ALTER TABLE a DROP COLUMN IF EXISTS extra"),
    event("ALTER TABLE a ALTER unread TYPE bigint", "ALTER TABLE a ALTER unread TYPE int"),
    event("ALTER TABLE a ALTER x TYPE bigint", NOTHING).or(&["0A000"]),
    event(
        "ALTER TABLE a RENAME TO a_old; CREATE TABLE a (LIKE a_old INCLUDING ALL); INSERT INTO a VALUES (1, 1, 1, 1)",
        "DO $$ BEGIN IF to_regclass('a_old') IS NOT NULL THEN DROP TABLE a; ALTER TABLE a_old RENAME TO a; END IF; END $$",
    ),
    event(
        "ALTER TABLE a RENAME g TO t; ALTER TABLE a RENAME x TO g; ALTER TABLE a RENAME t TO x",
        "DO $$ BEGIN IF (SELECT attname = 'x' FROM pg_attribute WHERE attrelid = 'a'::regclass AND attnum = 2)
         THEN ALTER TABLE a RENAME g TO t; ALTER TABLE a RENAME x TO g; ALTER TABLE a RENAME t TO x; END IF; END $$",
    ),
    event("ALTER TABLE a SET SCHEMA other", "ALTER TABLE IF EXISTS other.a SET SCHEMA public").or(GONE),
    event("ALTER TABLE sums SET SCHEMA other", "ALTER TABLE IF EXISTS other.sums SET SCHEMA public").or(GONE),
    event("ALTER TABLE joined RENAME TO j", "ALTER TABLE IF EXISTS j RENAME TO joined").or(GONE),
    event("ALTER TABLE a DROP CONSTRAINT a_pkey", "ALTER TABLE a DROP CONSTRAINT IF EXISTS a_pkey; ALTER TABLE a ADD PRIMARY KEY (id)"),
    event("CREATE OR REPLACE VIEW v AS SELECT g, x FROM a WHERE x > 3", "CREATE OR REPLACE VIEW v AS SELECT g, x FROM a WHERE x < 100"),
    event("ALTER TABLE viewed ALTER n TYPE bigint USING 0", NOTHING).or(&["42809"]),
    // Definitions.
    event(
        "SELECT pgtrickle.alter_stream_table('sums', query => 'SELECT g, avg(x) AS m, sum(x + 1) AS s FROM a GROUP BY g')",
        "SELECT pgtrickle.alter_stream_table('sums', query => 'SELECT g, avg(x) AS m, sum(x) AS s FROM a GROUP BY g')",
    ),
    event("SELECT pgtrickle.suspend_stream_table('sums')", "SELECT pgtrickle.resume_stream_table('sums')"),
    event(
        "SELECT pgtrickle.create_stream_table('more', 'SELECT id, unread FROM a')",
        "DO $$ BEGIN IF to_regclass('more') IS NOT NULL THEN PERFORM pgtrickle.drop_stream_table('more'); END IF; END $$",
    ),
    event("SELECT pgtrickle.drop_stream_table('joined', cascade => true)", NOTHING).or(GONE).for_good(),
    event("DROP TABLE viewed", NOTHING).or(GONE).for_good(),
    event("DROP TABLE a CASCADE", NOTHING).or(GONE).for_good(),
    event("DROP TABLE b", NOTHING).or(&["2BP01"]),
];

/// Other modes are for stream tables that are refreshed.
const MODES: &[Event] = &[
    event(
        "SELECT pgtrickle.alter_stream_table('sums', refresh_mode => 'FULL')",
        "SELECT pgtrickle.alter_stream_table('sums', refresh_mode => 'DIFFERENTIAL')",
    ),
    event(
        "SELECT pgtrickle.alter_stream_table('joined', refresh_mode => 'IMMEDIATE')",
        "SELECT pgtrickle.alter_stream_table('joined', refresh_mode => 'DIFFERENTIAL')",
    ),
    event(
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        "ALTER TABLE a DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY",
    ),
];

const WRITE: &str = "UPDATE a SET x = x + 1 WHERE id < 4; DELETE FROM b WHERE id = 2; INSERT INTO b VALUES (20, 3, 20) ON CONFLICT DO NOTHING";
const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

/// The stage: sessions that take turns, and one that judges.
struct Stage {
    witness: Session,
    actors: Vec<Actor>,
    tables: &'static [Table],
    buffer: String,
    outcomes: BTreeMap<String, usize>,
    plays: usize,
    complaints: Vec<String>,
}

impl Stage {
    async fn new(cluster: &Cluster, database: &str, tables: &'static [Table]) -> Self {
        let witness = Session::connect(cluster, database)
            .await
            .expect("a session");
        let mut actors = Vec::new();
        for _ in 0..3 {
            actors.push(Actor::new(cluster, database).await);
        }
        let mut stage = Stage {
            witness,
            actors,
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
        run(&self.witness, SOURCES).await;
        for (name, query, mode) in self.tables {
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
        let is_first = |table: &&Table| table.2 == "FULL" && !force_full;
        let (first, others): (Vec<&Table>, Vec<&Table>) = self.tables.iter().partition(is_first);
        let calls = first.iter().chain(&others).map(|(name, ..)| {
            format!("SELECT pgtrickle.refresh_stream_table('{name}', force_full => {force_full})")
        });
        calls.collect::<Vec<_>>().join("; ")
    }

    /// Plays an event beside these scripts, the first of which refreshes, in every order.
    async fn play(&mut self, event: &Event, others: &[Vec<String>]) {
        let sql = event.sql.replace("{buffer}", &self.buffer);
        let script = if event.in_transaction {
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
            assert!(Instant::now() < deadline, "{when}: somebody still waits");
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
        let follows = self.tables[0].2 == "IMMEDIATE" && !event.sql.contains("suspend");
        if refreshed_last || follows {
            self.are_exact("at the end").await?;
        }
        match event.undo {
            Some(undo) => self.run(undo).await?,
            None => {
                self.tear_down().await;
                self.set_up().await;
            }
        }
        self.run(&self.refreshes(false)).await?;
        self.are_exact("after the next refresh").await?;
        self.run(FILL).await?;
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
    ["40001", "40P01"].contains(&state) || event.errors.contains(&state)
}

/// A refresh in a transaction that has looked at the source before, and has changed it.
fn in_transaction(level: &str, refreshes: &str) -> Vec<String> {
    vec![
        format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM a"),
        format!("{WRITE}; {refreshes}"),
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
    let mut stage = Stage::new(cluster, database, &REFRESHED).await;
    let start = Instant::now();
    for (at, event) in EVENTS.iter().chain(MODES).enumerate() {
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
    let mut stage = Stage::new(cluster, database, &REFRESHED).await;
    let start = Instant::now();
    for (at, event) in EVENTS.iter().chain(MODES).enumerate() {
        let level = LEVELS[at / 3 % 3];
        let writer = vec![format!("BEGIN ISOLATION LEVEL {level}; {WRITE}; COMMIT")];
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
    let mut stage = Stage::new(cluster, database, &FOLLOWING).await;
    let start = Instant::now();
    for (at, event) in EVENTS.iter().enumerate() {
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
    let stage = Stage::new(&cluster, "postgres", &REFRESHED).await;
    for event in EVENTS
        .iter()
        .chain(MODES)
        .filter(|event| event.undo.is_some())
    {
        let sql = event.sql.replace("{buffer}", &stage.buffer);
        // The worker begins beside it, and waits for it or is waited for.
        run(&session, WRITE).await;
        let begin = if event.in_transaction { "BEGIN; " } else { "" };
        let mut done = session.execute(&format!("{begin}{sql}")).await;
        if done.is_ok() && event.in_transaction {
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
        run(&session, event.undo.unwrap_or(NOTHING)).await;
        run(&session, WRITE).await;
        let names: Vec<&str> = stage.tables.iter().map(|table| table.0).collect();
        exact(&session, &names).await;
        run(&session, FILL).await;
        exact(&session, &names).await;
    }
    stage.tear_down().await;
}

//! IMMEDIATE stream tables among concurrent writers: every interleaving of short scripts, and a crowd.
//!
//! Whatever is committed agrees, in every snapshot; so does what a transaction sees of its own changes.
//! An older snapshot gets a serialization failure, never a wrong result.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::client::{Session, SqlError};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle::{self, Question};
use harness::permutation::{Actor, interleavings};
use harness::random::Random;
use harness::scenario::{World, orphans};

#[path = "immediate/scripts.rs"]
mod scripts;

use scripts::{MEETINGS, SCRIPTS, THREE};

const SOURCES: &str = "
    CREATE TABLE a (id int PRIMARY KEY, g int, x int);
    CREATE TABLE b (id int PRIMARY KEY, aid int, y int);
    CREATE INDEX ON b (aid);";

const FILL: &str = "
    TRUNCATE a, b;
    INSERT INTO a SELECT i, i % 3, i FROM generate_series(1, 9) i;
    INSERT INTO b SELECT i, 1 + i % 9, i FROM generate_series(1, 9) i;";

/// Sums of one table, a join of both, and a stream table over them.
const TABLES: [(&str, &str); 3] = [
    (
        "sums",
        "SELECT g, count(*) AS n, sum(x) AS s, max(x) AS m FROM a GROUP BY g",
    ),
    (
        "joined",
        "SELECT a.g, b.y, a.x FROM a JOIN b ON b.aid = a.id",
    ),
    (
        "chained",
        "SELECT j.g, s.n, sum(j.y) AS y FROM joined j JOIN sums s USING (g) GROUP BY j.g, s.n",
    ),
];

/// What is followed row by row: visible and hidden state, keys, whole rows, and a stream table over one.
const BY_ROW: [(&str, &str); 5] = [
    (
        "sums",
        "SELECT g, count(*) AS n, sum(x) AS s FROM a GROUP BY g",
    ),
    (
        "means",
        "SELECT g, avg(x) AS m FROM a GROUP BY g HAVING count(*) > 1",
    ),
    ("small", "SELECT id, g, x FROM a WHERE x < 15"),
    ("bag", "SELECT g, x < 5 AS is_small FROM a"),
    ("sizes", "SELECT n, count(*) AS groups FROM sums GROUP BY n"),
];

/// Joins of two tables and extrema, which read more than the change.
const READING: [(&str, &str); 3] = [
    (
        "pairs",
        "SELECT a.id, b.id AS bid, a.g, b.y FROM a JOIN b ON b.aid = a.id",
    ),
    (
        "greatest",
        "SELECT g, count(*) AS n, max(x) AS m FROM a GROUP BY g",
    ),
    (
        "totals",
        "SELECT a.g, count(*) AS n, sum(b.y) AS y, min(b.y) AS least FROM a JOIN b ON b.aid = a.id GROUP BY a.g",
    ),
];

/// Aggregates alone: who changes different groups never waits.
const GROUPED: [(&str, &str); 1] = [("sums", BY_ROW[0].1)];

type Tables<'a> = &'a [(&'a str, &'a str)];

const LEVELS: [&str; 3] = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];

async fn set_up(cluster: &Cluster, database: &str, tables: Tables<'_>) -> (Session, Vec<Question>) {
    let session = Session::connect(cluster, database)
        .await
        .expect("a session");
    session.execute(SOURCES).await.expect("sources");
    session.execute(FILL).await.expect("rows");
    let mut questions = Vec::new();
    for (name, query) in tables {
        session
            .execute(&format!(
                "SELECT pgtrickle.create_stream_table('{name}', '{query}', refresh_mode => 'IMMEDIATE')"
            ))
            .await
            .expect("a stream table");
        questions.push(Question::view(&session, name).await.expect("its view"));
    }
    (session, questions)
}

async fn judge(session: &Session, questions: &[Question], when: &str) {
    for (at, question) in questions.iter().enumerate() {
        let verdict = question.ask(session).await.expect("a verdict");
        assert!(verdict.is_exact(), "{when}: stream table {at} is {verdict}");
    }
}

fn may_happen(error: &SqlError) -> bool {
    ["40001", "40P01"].contains(&error.sqlstate.as_str())
}

/// The steps as a transaction that looks at the source first.
fn as_transaction(level: &str, steps: &[&str]) -> Vec<String> {
    let begin = format!("BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM a");
    let steps = steps.iter().copied().map(str::to_owned);
    std::iter::once(begin)
        .chain(steps)
        .chain(["COMMIT".to_owned()])
        .collect()
}

/// What happened in all interleavings.
#[derive(Debug, Default)]
struct Tally {
    refused: usize,
    deadlocked: usize,
    waits: usize,
}

/// The stage of permutations: sessions that write, and one that judges.
struct Stage {
    witness: Session,
    questions: Vec<Question>,
    actors: Vec<Actor>,
}

impl Stage {
    async fn new(cluster: &Cluster, database: &str, tables: Tables<'_>, actors: usize) -> Self {
        let (witness, questions) = set_up(cluster, database, tables).await;
        let mut stage = Stage {
            witness,
            questions,
            actors: Vec::new(),
        };
        for _ in 0..actors {
            stage.actors.push(Actor::new(cluster, database).await);
        }
        stage
    }

    /// Plays the scripts in every order.
    async fn play(&mut self, scripts: &[Vec<String>], tally: &mut Tally) {
        let lengths: Vec<usize> = scripts.iter().map(Vec::len).collect();
        let Stage {
            witness,
            questions,
            actors,
        } = self;
        for order in interleavings(&lengths) {
            witness.execute(FILL).await.expect("rows");
            for (actor, script) in actors.iter_mut().zip(scripts) {
                actor.prepare(script.clone());
            }
            let when = format!("{scripts:?}, {order:?}");
            let mut turns: VecDeque<usize> = order.into();
            let deadline = Instant::now() + Duration::from_secs(20);
            // At the end, two that wait for each other are parted by the server.
            while !turns.is_empty() || actors.iter().any(|a| a.running.is_some()) {
                assert!(Instant::now() < deadline, "{when}: a session still waits");
                if let Some(turn) = turns.pop_front() {
                    actors[turn].due += 1;
                }
                // Another round lets go on who has waited for the one before.
                for _ in 0..actors.len() {
                    for actor in actors.iter_mut() {
                        if let Some(error) = actor.advance(witness).await {
                            assert!(may_happen(&error), "{when}: {error}");
                            let is_refused = error.sqlstate == "40001";
                            tally.refused += usize::from(is_refused);
                            tally.deadlocked += usize::from(!is_refused);
                        }
                    }
                }
                judge(witness, questions, &when).await;
                for actor in actors.iter() {
                    match &actor.running {
                        Some(_) => tally.waits += 1,
                        None if actor.is_open => judge(&actor.session, questions, &when).await,
                        None => {}
                    }
                }
            }
            assert!(actors.iter().all(|actor| !actor.is_open), "{when}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interleaving_of_two_writers_is_exact() {
    let cluster = start();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let database = world.database("permuted", &[]).await.expect("a database");
    let mut stage = Stage::new(&cluster, &database, &TABLES, 2).await;
    for level in LEVELS {
        let mut tally = Tally::default();
        for scripts in SCRIPTS {
            let scripts = scripts.map(|steps| as_transaction(level, steps));
            stage.play(&scripts, &mut tally).await;
        }
        println!("{level}: {tally:?}");
        assert!(tally.waits > 0, "no session ever waited");
        assert_eq!(tally.refused > 0, level != "READ COMMITTED");
    }
    finish(&stage.witness, &TABLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interleaving_of_writers_that_follow_row_by_row_is_exact() {
    let cluster = start();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let database = world.database("by_row", &[]).await.expect("a database");
    let mut stage = Stage::new(&cluster, &database, &BY_ROW, 2).await;
    for level in LEVELS {
        let mut tally = Tally::default();
        for scripts in MEETINGS {
            let scripts = scripts.map(|step| as_transaction(level, &[step]));
            stage.play(&scripts, &mut tally).await;
        }
        println!("{level}: {tally:?}");
        assert!(tally.waits > 0, "no session ever waited");
        assert_eq!(tally.refused > 0, level != "READ COMMITTED");
    }
    finish(&stage.witness, &BY_ROW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_pairs_and_groups_do_not_wait() {
    let cluster = start();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let database = world.database("pairs", &[]).await.expect("a database");
    let mut stage = Stage::new(&cluster, &database, &READING, 2).await;
    let mut tally = Tally::default();
    let others = [
        "UPDATE b SET y = 0 WHERE aid = 2",
        "DELETE FROM a WHERE id = 2",
        "UPDATE a SET x = 100 WHERE id = 2",
    ];
    for other in others {
        let scripts = [
            as_transaction("READ COMMITTED", &["UPDATE b SET y = y + 1 WHERE aid = 1"]),
            as_transaction("READ COMMITTED", &[other]),
        ];
        stage.play(&scripts, &mut tally).await;
    }
    assert_eq!(tally.waits, 0, "{tally:?}");
    finish(&stage.witness, &READING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interleaving_of_three_writers_is_exact() {
    let cluster = start();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let database = world.database("three", &[]).await.expect("a database");
    let mut stage = Stage::new(&cluster, &database, &GROUPED, 3).await;
    let [first, second, third] = THREE;
    for level in LEVELS {
        let mut tally = Tally::default();
        let scripts = [
            as_transaction(level, &[first]),
            as_transaction(level, &[second]),
            vec![third.to_owned()],
        ];
        stage.play(&scripts, &mut tally).await;
        println!("{level}: {tally:?}");
        assert!(tally.waits > 0, "no session ever waited");
        assert_eq!(tally.refused > 0, level != "READ COMMITTED");
    }
    finish(&stage.witness, &GROUPED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_different_groups_do_not_wait_and_recomputation_waits_for_them() {
    let cluster = start();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let database = world.database("apart", &[]).await.expect("a database");
    let mut stage = Stage::new(&cluster, &database, &GROUPED, 3).await;
    let scripts = [
        as_transaction("READ COMMITTED", &["UPDATE a SET x = 0 WHERE id = 1"]),
        as_transaction("READ COMMITTED", &["UPDATE a SET x = 0 WHERE id = 2"]),
    ];
    let mut tally = Tally::default();
    stage.play(&scripts, &mut tally).await;
    assert_eq!(tally.waits, 0, "{tally:?}");
    let scripts = [
        as_transaction("READ COMMITTED", &["UPDATE a SET x = 0 WHERE id = 1"]),
        as_transaction("REPEATABLE READ", &["UPDATE a SET x = 0 WHERE id = 2"]),
        vec!["SELECT * FROM pgtrickle.refresh_stream_table('sums', force_full => true)".to_owned()],
    ];
    stage.play(&scripts, &mut tally).await;
    assert!(tally.waits > 0, "{tally:?}");
    finish(&stage.witness, &GROUPED).await;
}

/// What gives the source `a` another name, or another place, while a writer of `b` waits for it.
const RENAMES: [&str; 4] = [
    "ALTER TABLE a RENAME COLUMN x TO other",
    "ALTER TABLE a RENAME TO other_a",
    "ALTER TABLE other_a SET SCHEMA elsewhere",
    "ALTER TABLE elsewhere.other_a ADD COLUMN further int; ALTER TABLE elsewhere.other_a RENAME COLUMN g TO h",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_waits_for_the_new_name_of_another_source() {
    let cluster = start();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let database = world.database("renamed", &[]).await.expect("a database");
    let joins = [TABLES[1], READING[2]];
    let (witness, questions) = set_up(&cluster, &database, &joins).await;
    let run = async |session: &Session, sql: &str| session.execute(sql).await.expect(sql);
    run(&witness, &format!("{FILL} CREATE SCHEMA elsewhere")).await;
    let owner = Session::connect(&cluster, &database)
        .await
        .expect("a session");
    let writer = Session::connect(&cluster, &database)
        .await
        .expect("a session");
    let writer = Arc::new(writer);
    for rename in RENAMES {
        // Its statements for the stream tables are kept from here on.
        run(&writer, "UPDATE b SET y = y + 1 WHERE id < 5").await;
        run(&owner, &format!("BEGIN; {rename}")).await;
        let waiting = tokio::spawn({
            let writer = Arc::clone(&writer);
            async move { writer.execute("UPDATE b SET y = y + 2 WHERE id < 5").await }
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        let waits = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = 'relation'";
        while witness.scalar(waits).await.expect("a value") != "t" {
            assert!(Instant::now() < deadline, "the writer waits for nothing");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        run(&owner, "COMMIT").await;
        let written = waiting.await.expect("the writer ends");
        written.unwrap_or_else(|error| panic!("{rename}: {error}"));
        judge(&witness, &questions, rename).await;
    }
    finish(&witness, &joins).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_writers_leaves_nothing_behind() {
    crowd("crowded", &TABLES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_writers_that_are_followed_row_by_row_leaves_nothing_behind() {
    crowd("crowded_rows", &BY_ROW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_writers_whose_changes_meet_other_rows_leaves_nothing_behind() {
    crowd("crowded_pairs", &READING).await;
}

async fn crowd(name: &str, tables: Tables<'_>) {
    let cluster = start();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let database = world.database(name, &[]).await.expect("a database");
    let (witness, questions) = set_up(&cluster, &database, tables).await;
    let (committed, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for number in 0..6 {
        let session = Session::connect(&cluster, &database)
            .await
            .expect("a session");
        let (committed, refused) = (Arc::clone(&committed), Arc::clone(&refused));
        let is_over = Arc::clone(&is_over);
        writers.push(tokio::spawn(async move {
            let mut random = Random::new(number);
            while !is_over.load(Ordering::Relaxed) {
                match session.execute(&transaction(&mut random)).await {
                    Ok(()) => committed.fetch_add(1, Ordering::Relaxed),
                    Err(error) if may_happen(&error) => refused.fetch_add(1, Ordering::Relaxed),
                    Err(error) => panic!("{error}"),
                };
                session.execute("ROLLBACK").await.expect("rolled back");
            }
        }));
    }
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut judged = 0;
    while committed.load(Ordering::Relaxed) < 600 || judged < 100 {
        assert!(Instant::now() < deadline, "{committed:?} commits");
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
        witness.execute(begin).await.expect("a snapshot");
        judge(&witness, &questions, "among writers").await;
        witness.execute("COMMIT").await.expect("committed");
        judged += 1;
    }
    is_over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("no writer met another error");
    }
    println!("{committed:?} committed, {refused:?} refused, {judged} judged");
    judge(&witness, &questions, "at the end").await;
    finish(&witness, tables).await;
}

/// A transaction of some statements. Ids are few, so that writers meet.
fn transaction(random: &mut Random) -> String {
    let level = LEVELS[random.below(3) as usize];
    let mut sql = format!("BEGIN ISOLATION LEVEL {level};");
    for _ in 0..=random.below(3) {
        let (id, other) = (random.below(12), random.below(12));
        sql.push_str(&match random.below(8) {
            0 => format!("UPDATE a SET x = x + 1 WHERE id = {id};"),
            1 => format!("UPDATE a SET g = {} WHERE id IN ({id}, {other});", id % 4),
            2 => format!("DELETE FROM a WHERE id = {id};"),
            3 => format!("INSERT INTO a VALUES ({id}, {}, {other}) ON CONFLICT (id) DO UPDATE SET x = excluded.x;", id % 4),
            4 => format!("INSERT INTO b VALUES ({id}, {other}, {id}) ON CONFLICT (id) DO UPDATE SET aid = excluded.aid;"),
            5 => format!("WITH d AS (DELETE FROM b WHERE aid = {id}) UPDATE a SET x = x - 1 WHERE id = {id};"),
            6 => format!("SAVEPOINT s; DELETE FROM b WHERE id < {id}; ROLLBACK TO s;"),
            _ => format!("UPDATE b SET y = y + 1 WHERE id = {id};"),
        });
    }
    sql.push_str(if random.percent(85) {
        "COMMIT"
    } else {
        "ROLLBACK"
    });
    sql
}

fn start() -> Cluster {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let options = ClusterOptions::new()
        .extension(extension)
        .setting("deadlock_timeout", "50ms");
    Cluster::start(&options).expect("a private cluster starts")
}

async fn finish(session: &Session, tables: Tables<'_>) {
    for (name, _) in tables.iter().rev() {
        let verdict = oracle::check(session, name).await.expect("a verdict");
        assert!(verdict.is_exact(), "{name} at the end is {verdict}");
        session
            .execute(&format!("SELECT pgtrickle.drop_stream_table('{name}')"))
            .await
            .expect("dropped");
    }
    assert_eq!(
        orphans(session).await.expect("a list"),
        Vec::<String>::new()
    );
}

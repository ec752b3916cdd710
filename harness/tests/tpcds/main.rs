//! The 99 queries of TPC-DS as they are published, at scale factor 0.01, maintained in DIFFERENTIAL through changes of
//! facts and dimensions. `PGT_TPCDS=4,64` tries only those.

mod asked;
mod changes;

use std::time::{Duration, Instant};

use harness::client::{Session, SqlError, quote_literal};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::run;
use harness::oracle::Question;
use harness::scenario::World;
use harness::tpcds::{self, INDEXES, KEYS, Kit};

const SCALE: f64 = 0.01;

/// How many of the queries find rows at some time, at least.
const FILLED: usize = 75;

/// A query, its stream table, and what became of it.
struct Maintained {
    name: String,
    sql: String,
    /// The most rows that it ever had.
    rows: u64,
    refreshing: Duration,
    judging: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_tpcds_are_exact() {
    let Some(kit) = Kit::for_test("the_queries_of_tpcds_are_exact", SCALE) else {
        return;
    };
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("tpcds", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    run(&session, &kit.tables().unwrap()).await;
    let tables = kit.load(&cluster, &database).unwrap();
    run(&session, KEYS).await;
    run(&session, INDEXES).await;
    run(&session, "ANALYZE").await;

    let mut complaints = Vec::new();
    let queries = kit.queries().unwrap();
    let mut rounds = vec![changes::business(1)];
    rounds.push(
        asked::made_frequent(&session, &tables, &queries)
            .await
            .unwrap(),
    );
    rounds.push(changes::business(2));
    rounds.extend(changes::DIMENSIONS.map(str::to_owned));
    rounds.push(changes::DELETIONS.to_owned());

    let only = std::env::var("PGT_TPCDS").ok();
    let mut maintained = Vec::new();
    for (number, sql) in queries {
        let is_wanted = |only: &String| only.split(',').any(|n| n == number.to_string());
        if only.as_ref().is_none_or(is_wanted) {
            match create(&session, number, sql).await {
                Ok(query) => maintained.push(query),
                Err(complaint) => complaints.push(complaint),
            }
        }
    }
    for (number, change) in rounds.iter().enumerate() {
        run(&session, &format!("BEGIN; {change}; COMMIT")).await;
        run(&session, "ANALYZE").await;
        for query in &mut maintained {
            if let Err(complaint) = query.follow(&session).await {
                complaints.push(format!("{}: {complaint} in round {number}", query.name));
            }
        }
    }
    for query in &maintained {
        println!(
            "{}: {} rows at most, {:.1?} for creation and refreshes, {:.1?} for the oracle",
            query.name, query.rows, query.refreshing, query.judging
        );
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    if only.is_none() {
        let filled = maintained.iter().filter(|query| query.rows > 0).count();
        println!(
            "{} maintained, {filled} of them with rows at some time",
            maintained.len()
        );
        assert_eq!(maintained.len(), tpcds::QUERIES as usize);
        assert!(filled >= FILLED, "{filled}");
    }
}

async fn create(session: &Session, number: u32, sql: String) -> Result<Maintained, String> {
    let name = format!("q{number}");
    let create = format!(
        "SELECT pgtrickle.create_stream_table('{name}', {}, refresh_mode => 'DIFFERENTIAL')",
        quote_literal(&sql)
    );
    let began = Instant::now();
    let created = session.execute(&create).await;
    created.map_err(|error| format!("{name}: {error}"))?;
    Ok(Maintained {
        name,
        sql,
        rows: 0,
        refreshing: began.elapsed(),
        judging: Duration::ZERO,
    })
}

impl Maintained {
    /// Refreshes and judges.
    async fn follow(&mut self, session: &Session) -> Result<(), String> {
        let said = |error: SqlError| error.to_string();
        let began = Instant::now();
        let name = &self.name;
        let refresh = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
        let action = session.scalar(&refresh).await.map_err(said)?;
        self.refreshing += began.elapsed();
        let began = Instant::now();
        let question = Question::settled(session, name, &self.sql).await;
        let verdict = question.map_err(said)?.ask(session).await.map_err(said)?;
        self.judging += began.elapsed();
        self.rows = self.rows.max(verdict.wanted);
        match action.as_str() {
            "DIFFERENTIAL" | "NO_DATA" if verdict.is_exact() => Ok(()),
            _ => Err(format!("refreshed by {action}, {verdict}")),
        }
    }
}

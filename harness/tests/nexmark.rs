//! The queries of Nexmark follow a stream of events, late changes and deletions, in DIFFERENTIAL.

use harness::client::{Session, quote_literal};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::nexmark::{self, Events};
use harness::oracle::Question;
use harness::scenario::World;

/// What streams alone would not do: bids withdrawn, auctions prolonged, persons renamed.
const CHANGES: &str = "
UPDATE bid SET price = price * 2 WHERE id % 50 = 7; DELETE FROM bid WHERE id % 20 = 3;;
UPDATE auction SET category = 10, expires = expires + interval '1 second' WHERE id % 11 = 2;
UPDATE bid SET auction = auction + 1, bidder = bidder + 1 WHERE id % 40 = 1;;
UPDATE person SET state = 'OR', name = 'somebody' WHERE id % 7 = 1; DELETE FROM auction WHERE id % 13 = 5;
DELETE FROM bid WHERE auction IN (SELECT auction FROM bid GROUP BY auction ORDER BY count(*) DESC, auction LIMIT 3)";

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_nexmark_are_exact() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("nexmark", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    let mut events = Events::default();
    session.execute(nexmark::TABLES).await.unwrap();
    session.execute(&events.insert(2_000)).await.unwrap();

    let mut complaints = Vec::new();
    let mut maintained = Vec::new();
    for (name, sql) in nexmark::queries() {
        let create = format!(
            "SELECT pgtrickle.create_stream_table('q{name}', {}, refresh_mode => 'DIFFERENTIAL')",
            quote_literal(sql)
        );
        match session.execute(&create).await {
            Ok(()) => maintained.push((format!("q{name}"), sql)),
            Err(error) => complaints.push(format!("q{name}: {error}")),
        }
    }
    let mut steps: Vec<String> = [1, 50, 1_500].map(|count| events.insert(count)).into();
    steps.extend(CHANGES.split(";;").map(str::to_owned));
    steps.push(events.insert(300));
    for step in steps {
        session.execute(&step).await.unwrap();
        for (name, sql) in &maintained {
            let refresh = format!("SELECT pgtrickle.refresh_stream_table('{name}')");
            let outcome = match session.execute(&refresh).await {
                Ok(()) => Question::query(name, sql).ask(&session).await,
                Err(error) => Err(error),
            };
            let step: String = step.chars().take(80).collect();
            match outcome {
                Ok(verdict) if verdict.is_exact() => {}
                Ok(verdict) => complaints.push(format!("{name} is {verdict} after {step}")),
                Err(error) => complaints.push(format!("{name}: {error} after {step}")),
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

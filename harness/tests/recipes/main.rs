//! Every query of `docs/recipes.md` is maintained in DIFFERENTIAL, follows its tables whatever the settings of those
//! who write and refresh, and costs what the document says. `PGT_WRITE_RECIPES=1` writes what it costs there.

mod cost;
mod document;
mod rounds;

use harness::client::{Session, SqlError};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{run, value};
use harness::oracle::Question;
use harness::scenario::World;

use cost::Cost;
use document::Document;
use rounds::{ROUNDS, SETTINGS};

/// How many recipes there are.
const RECIPES: usize = 54;

fn options() -> ClusterOptions {
    ClusterOptions::new().extension(ExtensionDir::installed().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_follows_its_tables_under_any_settings() {
    let cluster = Cluster::start(&options()).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("shop", &[]).await.unwrap();
    let owner = Session::connect(&cluster, &database).await.unwrap();
    let document = Document::read();
    assert_eq!(document.recipes.len(), RECIPES);
    for block in &document.blocks {
        run(&owner, block).await;
    }
    let incremental =
        "SELECT count(*) FROM pgtrickle.pgt_stream_tables WHERE refresh_mode = 'DIFFERENTIAL'";
    assert_eq!(value(&owner, incremental).await, RECIPES.to_string());

    let writer = Session::connect(&cluster, &database).await.unwrap();
    let mut complaints = Vec::new();
    for (number, round) in ROUNDS.iter().enumerate() {
        run(&writer, SETTINGS[number % SETTINGS.len()]).await;
        run(&writer, round).await;
        // Another session than the one that wrote, with other settings than both.
        let refresher = Session::connect(&cluster, &database).await.unwrap();
        run(&refresher, SETTINGS[(number + 1) % SETTINGS.len()]).await;
        for (name, query) in &document.recipes {
            if let Err(complaint) = follow(&refresher, name, query).await {
                complaints.push(format!("{name} in round {number}: {complaint}"));
            }
        }
    }
    let rows = "SELECT count(*) FROM revenue_per_day";
    assert_ne!(value(&owner, rows).await, "0");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Refreshes and judges, at one moment: some recipes read the clock.
async fn follow(session: &Session, name: &str, query: &str) -> Result<(), String> {
    let said = |error: SqlError| error.to_string();
    session.execute("BEGIN").await.map_err(said)?;
    let refresh = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
    let action = session.scalar(&refresh).await.map_err(said)?;
    // What the query means is what it meant to the session that created it.
    let own = "SET LOCAL TimeZone = 'Europe/Vienna'; SET LOCAL DateStyle = DEFAULT; SET LOCAL IntervalStyle = DEFAULT; \
               SET LOCAL extra_float_digits = DEFAULT; SET LOCAL bytea_output = DEFAULT; \
               SET LOCAL default_text_search_config = DEFAULT";
    session.execute(own).await.map_err(said)?;
    let question = Question::settled(session, name, query)
        .await
        .map_err(said)?;
    let verdict = question.ask(session).await.map_err(said)?;
    session.execute("COMMIT").await.map_err(said)?;
    match action.as_str() {
        "DIFFERENTIAL" | "NO_DATA" if verdict.is_exact() => Ok(()),
        _ => Err(format!("refreshed by {action}, {verdict}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_costs_what_the_document_says() {
    // Whoever analyzes a table makes other sessions read its catalog entries again.
    let options = options().setting("autovacuum", "off");
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("shop", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    let document = Document::read();
    for block in &document.blocks {
        run(&session, &cost::enlarged(block)).await;
    }
    run(&session, "VACUUM ANALYZE").await;
    // The first order fills the backend's caches. Of the pages of the other two the fewer count: what another backend
    // does may make this one read catalogs again.
    let mut measured: Vec<Cost> = Vec::new();
    for order in 1..=3 {
        run(&session, &cost::order(order)).await;
        let mut costs = Vec::new();
        for (name, query) in &document.recipes {
            costs.push(Cost::measure(&session, name, query).await.unwrap());
        }
        if order == 3 {
            costs = std::iter::zip(costs, measured)
                .map(|(cost, earlier)| cost.with_fewer_pages(&earlier))
                .collect();
        }
        measured = costs;
    }
    if std::env::var_os("PGT_WRITE_RECIPES").is_some() {
        document::write_costs(&cost::table(&measured));
        return;
    }
    let stated = document::stated_costs();
    let names: Vec<&str> = stated.iter().map(|cost| cost.name.as_str()).collect();
    let recipes: Vec<&str> = document
        .recipes
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, recipes, "PGT_WRITE_RECIPES=1 writes the table");
    let wrong: Vec<String> = std::iter::zip(&stated, &measured)
        .filter(|(stated, measured)| !stated.is_like(measured))
        .map(|(stated, measured)| format!("stated {stated}, measured {measured}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

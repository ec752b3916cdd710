//! The SQL that stream tables are measured against must itself be right. Needs a server, not the extension.

use benches::data;
use benches::views::VIEWS;
use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_expert_maintains_by_hand_equals_the_query() -> anyhow::Result<()> {
    let cluster = Cluster::start(&ClusterOptions::new())?;
    let session = Session::connect(&cluster, "postgres").await?;
    data::create(&session, 2_000).await?;
    for view in VIEWS {
        session.execute(&view.create_by_hand()).await?;
        session.execute(&view.create_materialized_view()).await?;
    }
    for (repetition, changed) in [1, 1, 1, 1, 1, 100, 1_000].into_iter().enumerate() {
        session.execute(&data::change(changed, repetition)).await?;
        for view in VIEWS {
            session.execute(&view.refresh_by_hand()).await?;
            let table = format!("hand_{}", view.letter);
            let differences = session.scalar(&view.differences(&table)).await?;
            assert_eq!(differences, "0", "{table} after {changed} changed rows");
            for concurrently in [true, false] {
                session
                    .execute(&view.refresh_materialized_view(concurrently))
                    .await?;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_touches_as_many_rows_as_it_says() -> anyhow::Result<()> {
    let cluster = Cluster::start(&ClusterOptions::new())?;
    let session = Session::connect(&cluster, "postgres").await?;
    data::create(&session, 2_000).await?;
    session.execute("CREATE TABLE before AS TABLE big").await?;
    session.execute(&data::change(100, 0)).await?;
    let touched = session
        .scalar(
            "SELECT count(*) FROM before FULL JOIN big USING (id)
             WHERE before IS DISTINCT FROM big",
        )
        .await?;
    // A row may be updated and then deleted.
    let touched: u64 = touched.parse()?;
    assert!((95..=100).contains(&touched), "{touched}");
    Ok(())
}

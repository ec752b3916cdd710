//! What the alternative does too: filling a stream table against `CREATE MATERIALIZED VIEW`, computing it again
//! against `REFRESH MATERIALIZED VIEW`, and the disk that both need.

use crate::server;
use crate::stats::{median, paired_ratio, time_ms};
use crate::views::VIEWS;
use anyhow::{Result, ensure};
use harness::client::Session;
use std::fmt::Write;

/// Rounds of each measurement.
const ROUNDS: usize = 5;

/// A view that is created and computed again.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    /// The name in the tables and thresholds.
    pub name: &'static str,
    pub query: &'static str,
    /// The columns that identify a row of the result.
    pub key: &'static str,
}

/// The views of the speed table, then a window and a DISTINCT.
pub fn wholes() -> Vec<Whole> {
    let names = ["agg", "join+agg", "keyed join", "fine agg"];
    let mut wholes: Vec<Whole> = VIEWS
        .iter()
        .zip(names)
        .map(|(view, name)| Whole {
            name,
            query: view.query,
            key: view.key,
        })
        .collect();
    wholes.push(Whole {
        name: "window",
        query: "SELECT id, small_id, amount, row_number() OVER (PARTITION BY small_id ORDER BY amount, id) AS nth FROM big",
        key: "id",
    });
    wholes.push(Whole {
        name: "distinct",
        query: "SELECT DISTINCT small_id, region FROM big",
        key: "small_id, region",
    });
    wholes
}

/// What was measured of one view; medians in milliseconds, commit included.
#[derive(Debug, Clone)]
pub struct Creation {
    pub name: &'static str,
    pub created_ms: f64,
    pub created_ratio: f64,
    pub forced_ms: f64,
    pub forced_ratio: f64,
    /// Bytes of the stream table with its state and all indexes ÷ bytes of the materialized view.
    pub disk_ratio: f64,
}

/// Measures every view. The materialized view has no index when it is created, and a unique one, as CONCURRENTLY needs
/// it, when it is refreshed.
pub async fn measure(session: &Session) -> Result<Vec<Creation>> {
    let mut measured = Vec::new();
    for whole in wholes() {
        let creation = of(session, whole).await?;
        eprintln!("{creation:?}");
        measured.push(creation);
    }
    Ok(measured)
}

async fn of(session: &Session, whole: Whole) -> Result<Creation> {
    let Whole { name, query, key } = whole;
    let create_theirs = format!("CREATE MATERIALIZED VIEW theirs AS {query}");
    let create_ours = format!("SELECT pgtrickle.create_stream_table('ours', $q${query}$q$)");
    let drop_both = "DROP MATERIALIZED VIEW theirs; SELECT pgtrickle.drop_stream_table('ours')";
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round > 0 {
            session.execute(drop_both).await?;
        }
        theirs.push(time_ms(session, &create_theirs).await?);
        ours.push(time_ms(session, &create_ours).await?);
    }
    let disk_ratio = session.scalar(DISK).await?.parse()?;
    session
        .execute(&format!("CREATE UNIQUE INDEX ON theirs ({key})"))
        .await?;
    server::settle(session).await?;
    let (mut forced, mut refreshed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        refreshed.push(time_ms(session, "REFRESH MATERIALIZED VIEW theirs").await?);
        let force = "SELECT pgtrickle.refresh_stream_table('ours', force_full => true)";
        forced.push(time_ms(session, force).await?);
    }
    let differences = session
        .scalar(
            "SELECT count(*) FROM ((TABLE ours EXCEPT ALL TABLE theirs)
                 UNION ALL (TABLE theirs EXCEPT ALL TABLE ours)) d",
        )
        .await?;
    ensure!(differences == "0", "{name} has {differences} wrong rows");
    session.execute(drop_both).await?;
    Ok(Creation {
        name,
        created_ms: median(&ours),
        created_ratio: paired_ratio(&ours, &theirs),
        forced_ms: median(&forced),
        forced_ratio: paired_ratio(&forced, &refreshed),
        disk_ratio,
    })
}

const DISK: &str = "
SELECT (pg_total_relation_size('ours') + coalesce(sum(pg_total_relation_size(oid)), 0))::float8
       / pg_total_relation_size('theirs')
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'pgtrickle_state'::regnamespace";

/// The table.
pub fn markdown(measured: &[Creation]) -> String {
    let mut text = String::from(
        "| view | create, ms | ÷ `CREATE MATERIALIZED VIEW` | recomputation, ms | ÷ `REFRESH MATERIALIZED VIEW` | disk ÷ materialized view |\n|---|---:|---:|---:|---:|---:|\n",
    );
    for m in measured {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {:.1} |",
            m.name, m.created_ms, m.created_ratio, m.forced_ms, m.forced_ratio, m.disk_ratio
        );
    }
    text
}

/// The ratios, by the name of the case.
pub fn ratios(measured: &[Creation]) -> Vec<(String, f64)> {
    let ratios = measured.iter().flat_map(|m| {
        [
            (format!("create {}", m.name), m.created_ratio),
            (format!("force_full {}", m.name), m.forced_ratio),
            (format!("disk {}", m.name), m.disk_ratio),
        ]
    });
    ratios.collect()
}

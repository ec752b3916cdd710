//! TPC-DS: a change touches one sale in a thousand and its returns. 60 % of them are updated, 20 % come, 20 % go.

use crate::queries::Workload;
use anyhow::Result;
use harness::client::Session;
use harness::cluster::Cluster;
use harness::tpcds::{INDEXES, KEYS, Kit};
use std::rc::Rc;

/// Facts, and the column that numbers their sale.
const FACTS: [(&str, &str); 6] = [
    ("store_sales", "ss_ticket_number"),
    ("store_returns", "sr_ticket_number"),
    ("catalog_sales", "cs_order_number"),
    ("catalog_returns", "cr_order_number"),
    ("web_sales", "ws_order_number"),
    ("web_returns", "wr_order_number"),
];

/// What is updated of the sales.
const UPDATES: [(&str, &str, &str); 3] = [
    (
        "store_sales",
        "ss_ticket_number",
        "ss_quantity = ss_quantity % 90 + 5, ss_ext_sales_price = ss_ext_sales_price * 1.01, ss_net_profit = ss_net_profit - 1",
    ),
    (
        "catalog_sales",
        "cs_order_number",
        "cs_quantity = cs_quantity % 90 + 5, cs_ext_sales_price = cs_ext_sales_price * 1.01, cs_net_profit = cs_net_profit - 1",
    ),
    (
        "web_sales",
        "ws_order_number",
        "ws_quantity = ws_quantity % 90 + 5, ws_ext_sales_price = ws_ext_sales_price * 1.01, ws_net_profit = ws_net_profit - 1",
    ),
];

/// The tables at a scale factor.
#[derive(Debug)]
pub struct Tpcds {
    cluster: Rc<Cluster>,
    database: &'static str,
    kit: Kit,
    queries: Vec<(&'static str, &'static str)>,
}

impl Tpcds {
    /// In an empty database. Its queries live as long as the program.
    pub fn new(cluster: Rc<Cluster>, database: &'static str, scale: f64) -> Result<Self> {
        let kit = Kit::at(scale)?;
        let queries = kit.queries()?.into_iter().map(|(number, sql)| {
            let name: &str = number.to_string().leak();
            let sql: &str = sql.leak();
            (name, sql)
        });
        let queries = queries.collect();
        Ok(Self {
            cluster,
            database,
            kit,
            queries,
        })
    }
}

impl Workload for Tpcds {
    fn queries(&self) -> Vec<(&'static str, &'static str)> {
        self.queries.clone()
    }

    async fn load(&mut self, session: &Session) -> Result<()> {
        session.execute(&self.kit.tables()?).await?;
        self.kit.load(&self.cluster, self.database)?;
        session.execute(KEYS).await?;
        session.execute(INDEXES).await?;
        Ok(())
    }

    async fn change(&mut self, session: &Session, round: usize) -> Result<()> {
        // Every 5,000th sale is copied under a new number, and another one goes; other ones in each round.
        let (copied, gone, first) = (round * 11, round * 11 + 1, round * 11 + 2);
        let mut sql = String::from("BEGIN;");
        for (table, number) in FACTS {
            let offset = 100_000_000 * (round + 1);
            sql.push_str(&format!(
                "CREATE TEMP TABLE fresh ON COMMIT DROP AS SELECT * FROM {table} WHERE {number} % 5000 = {copied};
                 UPDATE fresh SET {number} = {number} + {offset};
                 INSERT INTO {table} SELECT * FROM fresh; DROP TABLE fresh;
                 DELETE FROM {table} WHERE {number} % 5000 = {gone};"
            ));
        }
        for (table, number, set) in UPDATES {
            sql.push_str(&format!(
                "UPDATE {table} SET {set} WHERE {number} % 5000 BETWEEN {first} AND {first} + 2;"
            ));
        }
        session.execute(&format!("{sql} COMMIT")).await?;
        Ok(())
    }
}

//! TPC-H: a change touches one order in a thousand and its lineitems. 60 % of them are updated, 20 % come,
//! 20 % go.

use crate::queries::Workload;
use anyhow::Result;
use harness::client::Session;
use harness::cluster::Cluster;
use harness::tpch::{self, NewOrders};
use std::rc::Rc;

/// Indexes from which alone can be read what the queries recompute or look up most: prices and quantities of a
/// part and of an order, costs of a part's suppliers, dates and customers of orders.
const FURTHER_INDEXES: &str = "
CREATE INDEX ON lineitem (l_partkey) INCLUDE (l_suppkey, l_orderkey, l_quantity, l_extendedprice, l_discount);
CREATE INDEX ON lineitem (l_orderkey) INCLUDE (l_partkey, l_suppkey, l_quantity, l_extendedprice, l_discount,
    l_shipdate, l_commitdate, l_receiptdate);
CREATE INDEX ON partsupp (ps_partkey, ps_suppkey) INCLUDE (ps_supplycost, ps_availqty);
CREATE INDEX ON orders (o_orderkey) INCLUDE (o_custkey, o_orderdate, o_orderstatus);
CREATE INDEX ON orders (o_custkey) INCLUDE (o_orderkey, o_orderdate);";

/// The tables at a scale factor.
#[derive(Debug)]
pub struct Tpch {
    cluster: Rc<Cluster>,
    database: &'static str,
    scale: f64,
    new: NewOrders,
}

impl Tpch {
    /// In an empty database.
    pub fn new(cluster: Rc<Cluster>, database: &'static str, scale: f64) -> Self {
        let new = NewOrders::new(scale);
        Self {
            cluster,
            database,
            scale,
            new,
        }
    }
}

impl Workload for Tpch {
    fn queries(&self) -> Vec<(&'static str, &'static str)> {
        tpch::queries()
    }

    async fn load(&mut self, session: &Session) -> Result<()> {
        session.execute(tpch::TABLES).await?;
        tpch::load(&self.cluster, self.database, self.scale, |table| {
            eprintln!("loading {table}");
        })?;
        session.execute(tpch::INDEXES).await?;
        Ok(())
    }

    async fn index_further(&mut self, session: &Session) -> Result<bool> {
        session.execute(FURTHER_INDEXES).await?;
        Ok(true)
    }

    async fn change(&mut self, session: &Session, round: usize) -> Result<()> {
        let fifth = (self.scale * 1_500_000.0 / 5_000.0).max(1.0) as usize;
        self.new.insert(&self.cluster, self.database, fifth)?;
        // Every 5,000th order goes, three times as many are updated; other ones in each round.
        let (go, stay) = (round * 7, round * 7 + 1);
        session
            .execute(&format!(
                "BEGIN;
                 CREATE TEMP TABLE chosen ON COMMIT DROP AS
                     SELECT o_orderkey, row_number() OVER (ORDER BY o_orderkey) % 5000 AS place FROM orders;
                 CREATE INDEX ON chosen (o_orderkey);
                 DELETE FROM lineitem USING chosen WHERE l_orderkey = o_orderkey AND place = {go};
                 DELETE FROM orders o USING chosen c WHERE o.o_orderkey = c.o_orderkey AND place = {go};
                 UPDATE lineitem SET l_quantity = l_quantity % 50 + 1, l_extendedprice = l_extendedprice * 1.01,
                     l_discount = (l_discount * 100 + 1) % 11 / 100, l_shipdate = l_shipdate + 3
                 FROM chosen WHERE l_orderkey = o_orderkey AND place BETWEEN {stay} AND {stay} + 2;
                 UPDATE orders o SET o_totalprice = o_totalprice * 1.01, o_orderdate = o_orderdate + 3,
                     o_orderpriority = '1-URGENT'
                 FROM chosen c WHERE o.o_orderkey = c.o_orderkey AND place BETWEEN {stay} AND {stay} + 2;
                 COMMIT"
            ))
            .await?;
        Ok(())
    }
}

//! Batches of changes: new orders, deleted orders, and updates, each larger than the one before.

use crate::cluster::DATABASE;
use anyhow::Result;
use harness::client::Session;
use harness::cluster::Cluster;
use harness::tpch::NewOrders;

/// Share of the orders that the last batch replaces.
const LARGEST_SHARE: f64 = 0.005;

/// The size of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// From 1.
    pub number: usize,
    /// Orders inserted, and as many deleted; updates are in proportion.
    pub orders: usize,
}

/// What a batch did to the tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    pub inserted: u64,
    pub deleted: u64,
    pub updated: u64,
}

impl Changes {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.inserted + self.deleted + self.updated
    }
}

/// `count` batches that grow by a constant factor from one order to a share of all of them.
pub fn batches(count: usize, all_orders: u64) -> Vec<Batch> {
    let largest = (all_orders as f64 * LARGEST_SHARE).max(1.0);
    (0..count)
        .map(|index| {
            let exponent = if count > 1 {
                index as f64 / (count - 1) as f64
            } else {
                1.0
            };
            Batch {
                number: index + 1,
                orders: largest.powf(exponent).round() as usize,
            }
        })
        .collect()
}

/// Applies one batch, each part in a transaction of its own.
pub async fn apply(
    cluster: &Cluster,
    session: &Session,
    new_orders: &mut NewOrders,
    batch: Batch,
) -> Result<Changes> {
    let inserted = new_orders.insert(cluster, DATABASE, batch.orders)?;
    let deleted = count(session, &deletion(batch)).await?;
    let mut updated = 0;
    for update in updates(batch) {
        updated += count(session, &update).await?;
    }
    Ok(Changes {
        inserted,
        deleted,
        updated,
    })
}

async fn count(session: &Session, sql: &str) -> Result<u64> {
    Ok(session.scalar(sql).await?.parse()?)
}

/// Refresh function 2: orders from all over the table go, with their lineitems.
fn deletion(Batch { number, orders }: Batch) -> String {
    format!(
        "WITH chosen AS MATERIALIZED (
             SELECT o_orderkey FROM orders ORDER BY hashint8extended(o_orderkey, {number}) LIMIT {orders}),
         items AS (
             DELETE FROM lineitem USING chosen WHERE l_orderkey = o_orderkey RETURNING 1),
         heads AS (
             DELETE FROM orders USING chosen WHERE orders.o_orderkey = chosen.o_orderkey RETURNING 1)
         SELECT (SELECT count(*) FROM items) + (SELECT count(*) FROM heads)"
    )
}

/// Lines are shipped, orders change priority, customers move to another segment and nation.
fn updates(Batch { number, orders }: Batch) -> [String; 3] {
    let lines = orders * 2;
    let priorities = orders;
    let customers = orders.div_ceil(4);
    [
        format!(
            "WITH chosen AS MATERIALIZED (
                 SELECT l_orderkey AS k, l_linenumber AS n FROM lineitem
                 ORDER BY hashint8extended(l_orderkey * 8 + l_linenumber, {number}) LIMIT {lines}),
             done AS (
                 UPDATE lineitem
                 SET l_linestatus = CASE l_linestatus WHEN 'O' THEN 'F' ELSE 'O' END,
                     l_returnflag = CASE l_returnflag WHEN 'N' THEN 'R' ELSE 'N' END,
                     l_discount = (l_linenumber + {number}) % 11 / 100.0
                 FROM chosen WHERE l_orderkey = k AND l_linenumber = n RETURNING 1)
             SELECT count(*) FROM done"
        ),
        format!(
            "WITH chosen AS MATERIALIZED (
                 SELECT o_orderkey AS k FROM orders
                 ORDER BY hashint8extended(o_orderkey, -{number}) LIMIT {priorities}),
             done AS (
                 UPDATE orders
                 SET o_orderpriority = CASE WHEN o_orderpriority = '1-URGENT' THEN '5-LOW' ELSE '1-URGENT' END
                 FROM chosen WHERE o_orderkey = k RETURNING 1)
             SELECT count(*) FROM done"
        ),
        format!(
            "WITH chosen AS MATERIALIZED (
                 SELECT c_custkey AS k FROM customer
                 ORDER BY hashint8extended(c_custkey, {number}) LIMIT {customers}),
             done AS (
                 UPDATE customer
                 SET c_mktsegment = CASE c_mktsegment WHEN 'BUILDING' THEN 'MACHINERY' ELSE 'BUILDING' END,
                     c_nationkey = (c_nationkey + {number}) % 25
                 FROM chosen WHERE c_custkey = k RETURNING 1)
             SELECT count(*) FROM done"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_grow_from_one_order_to_a_share_of_all() {
        let sizes: Vec<usize> = batches(5, 150_000).iter().map(|b| b.orders).collect();
        assert_eq!(sizes, [1, 5, 27, 143, 750]);
        assert_eq!(batches(1, 150_000)[0].orders, 750);
    }
}

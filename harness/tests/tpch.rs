//! All queries of TPC-H at scale factor 0.01, maintained in DIFFERENTIAL through its refresh functions and
//! changes of every table.

use harness::client::{Session, quote_literal};
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle::Question;
use harness::scenario::World;
use harness::tpch::{self, NewOrders};

const SCALE: f64 = 0.01;

/// Changes of every table, and of both sides of joins at once; `;;` parts transactions.
const CHANGES: &str = "
-- new and old orders in one transaction
DELETE FROM lineitem WHERE l_orderkey % 50 = 1; DELETE FROM orders WHERE o_orderkey % 50 = 1;;
-- orders and lineitems move together
UPDATE orders SET o_orderdate = o_orderdate + 40, o_custkey = o_custkey % 1500 + 1, o_orderstatus = 'F' WHERE o_orderkey % 23 = 2;
UPDATE lineitem SET l_shipdate = l_shipdate + 40, l_discount = 0.06, l_quantity = l_quantity % 20 + 1 WHERE l_orderkey % 23 = 2;;
UPDATE lineitem SET l_returnflag = 'R', l_receiptdate = l_commitdate + 1 WHERE l_orderkey % 31 = 3;
UPDATE lineitem SET l_suppkey = l_suppkey % 100 + 1, l_shipmode = 'MAIL' WHERE l_orderkey % 37 = 4;;
UPDATE customer SET c_mktsegment = 'BUILDING', c_acctbal = -c_acctbal WHERE c_custkey % 29 = 5;
UPDATE customer SET c_nationkey = (c_nationkey + 1) % 25, c_phone = '13' || substr(c_phone, 3) WHERE c_custkey % 41 = 6;
DELETE FROM customer WHERE c_custkey % 97 = 7;;
UPDATE supplier SET s_nationkey = (s_nationkey + 3) % 25, s_acctbal = s_acctbal + 1 WHERE s_suppkey % 9 = 1;
UPDATE supplier SET s_comment = 'Customer Complaints' WHERE s_suppkey % 17 = 2;
INSERT INTO supplier SELECT s_suppkey + 1000, s_name, s_address, 7, s_phone, s_acctbal, s_comment FROM supplier WHERE s_suppkey % 20 = 0;;
UPDATE part SET p_brand = 'Brand#23', p_container = 'MED BOX', p_size = 15 WHERE p_partkey % 19 = 3;
UPDATE part SET p_type = 'PROMO POLISHED BRASS', p_name = 'forest green' WHERE p_partkey % 43 = 1;
DELETE FROM part WHERE p_partkey % 101 = 1;;
UPDATE partsupp SET ps_supplycost = ps_supplycost / 2, ps_availqty = ps_availqty + 1 WHERE ps_partkey % 13 = 2;
DELETE FROM partsupp WHERE ps_partkey % 61 = 3;;
UPDATE nation SET n_name = 'GERMANY' WHERE n_nationkey = 3; UPDATE nation SET n_name = 'FRANCE' WHERE n_nationkey = 7;
UPDATE region SET r_name = 'EUROPE' WHERE r_regionkey = 2; UPDATE region SET r_name = 'ASIA' WHERE r_regionkey = 3;;
-- every table at once
UPDATE lineitem SET l_extendedprice = l_extendedprice + 1, l_partkey = l_partkey % 2000 + 1 WHERE l_orderkey % 47 = 8;
UPDATE orders SET o_orderpriority = '1-URGENT', o_comment = 'special requests' WHERE o_orderkey % 47 = 8;
UPDATE customer SET c_acctbal = c_acctbal + 1000 WHERE c_custkey % 47 = 8;
UPDATE supplier SET s_name = 'renamed' WHERE s_suppkey % 47 = 8;
UPDATE partsupp SET ps_suppkey = ps_suppkey + 1000 WHERE ps_suppkey = 20;
UPDATE part SET p_size = 49 WHERE p_partkey % 47 = 8;
UPDATE nation SET n_regionkey = (n_regionkey + 1) % 5 WHERE n_nationkey % 5 = 0;
DELETE FROM region WHERE r_regionkey = 0;;
-- everything goes
DELETE FROM lineitem; DELETE FROM orders WHERE o_orderkey % 2 = 0;;
DELETE FROM orders; DELETE FROM partsupp; DELETE FROM supplier";

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_tpch_are_exact() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let world = World::with_extension(&cluster).await.unwrap();
    let database = world.database("tpch", &[]).await.unwrap();
    let session = Session::connect(&cluster, &database).await.unwrap();
    session.execute(tpch::TABLES).await.unwrap();
    tpch::load(&cluster, &database, SCALE, |_| {}).unwrap();
    session.execute(tpch::INDEXES).await.unwrap();
    session.execute("ANALYZE").await.unwrap();

    let mut complaints = Vec::new();
    let mut maintained = Vec::new();
    for (number, sql) in tpch::queries() {
        let create = format!(
            "SELECT pgtrickle.create_stream_table('q{number}', {}, refresh_mode => 'DIFFERENTIAL')",
            quote_literal(sql)
        );
        match session.execute(&create).await {
            Ok(()) => maintained.push((format!("q{number}"), sql)),
            Err(error) => complaints.push(format!("q{number}: {error}")),
        }
    }
    assert_eq!(maintained.len(), 22, "{}", complaints.join("\n"));

    let mut new = NewOrders::new(SCALE);
    new.insert(&cluster, &database, 150).unwrap();
    follow(&session, &maintained, "new orders", &mut complaints).await;
    for transaction in CHANGES.split(";;") {
        session.execute(transaction).await.unwrap();
        follow(&session, &maintained, transaction, &mut complaints).await;
    }
    new.insert(&cluster, &database, 30).unwrap();
    follow(&session, &maintained, "orders come back", &mut complaints).await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Refreshes and judges.
async fn follow(
    session: &Session,
    maintained: &[(String, &str)],
    change: &str,
    complaints: &mut Vec<String>,
) {
    for (name, sql) in maintained {
        let refresh =
            format!("SELECT action, reason FROM pgtrickle.refresh_stream_table('{name}')");
        match session.table(&refresh).await {
            Ok(report) => {
                let action = report.value(0, "action").unwrap_or_default();
                if !["DIFFERENTIAL", "NO_DATA"].contains(&action) {
                    complaints.push(format!("{name} was refreshed by {action} after {change}"));
                }
            }
            Err(error) => complaints.push(format!("{name}: {error} after {change}")),
        }
        match Question::query(name, sql).ask(session).await {
            Ok(verdict) if verdict.is_exact() => {}
            Ok(verdict) => complaints.push(format!("{name} is {verdict} after {change}")),
            Err(error) => complaints.push(format!("{name}: {error} after {change}")),
        }
    }
}

//! TPC-H: tables, rows, the rows of new orders, and the 22 queries.

use std::fmt::Display;
use std::io::{BufWriter, Error, Result, Write};
use std::process::{ChildStdin, Stdio};
use tpchgen::csv::{
    CustomerCsv, LineItemCsv, NationCsv, OrderCsv, PartCsv, PartSuppCsv, RegionCsv, SupplierCsv,
};
use tpchgen::generators::{
    CustomerGenerator, LineItem, LineItemGenerator, NationGenerator, Order, OrderGenerator,
    PartGenerator, PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

use crate::cluster::Cluster;
use crate::named_queries;

/// Tables as the specification has them, with primary keys.
pub const TABLES: &str = "
CREATE TABLE region (
    r_regionkey integer PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (
    n_nationkey integer PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey integer NOT NULL,
    n_comment varchar(152));
CREATE TABLE part (
    p_partkey bigint PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL,
    p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL,
    p_container char(10) NOT NULL, p_retailprice numeric(15,2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE supplier (
    s_suppkey bigint PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL,
    s_nationkey integer NOT NULL, s_phone char(15) NOT NULL, s_acctbal numeric(15,2) NOT NULL,
    s_comment varchar(101) NOT NULL);
CREATE TABLE partsupp (
    ps_partkey bigint, ps_suppkey bigint, ps_availqty integer NOT NULL,
    ps_supplycost numeric(15,2) NOT NULL, ps_comment varchar(199) NOT NULL,
    PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE customer (
    c_custkey bigint PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
    c_nationkey integer NOT NULL, c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL,
    c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE orders (
    o_orderkey bigint PRIMARY KEY, o_custkey bigint NOT NULL, o_orderstatus char(1) NOT NULL,
    o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL,
    o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (
    l_orderkey bigint, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber integer,
    l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL,
    l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL,
    l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
    l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
    l_comment varchar(44) NOT NULL,
    PRIMARY KEY (l_orderkey, l_linenumber));";

/// Indexes on the foreign keys, made after loading.
pub const INDEXES: &str = "
CREATE INDEX ON nation (n_regionkey);
CREATE INDEX ON supplier (s_nationkey);
CREATE INDEX ON partsupp (ps_suppkey);
CREATE INDEX ON customer (c_nationkey);
CREATE INDEX ON orders (o_custkey);
CREATE INDEX ON lineitem (l_partkey);
CREATE INDEX ON lineitem (l_suppkey);";

/// Fills every table at this scale factor; calls `said` with each table's name first.
pub fn load(cluster: &Cluster, database: &str, scale: f64, said: impl Fn(&str)) -> Result<()> {
    let fill = |table: &str, rows: &mut dyn Iterator<Item = String>| {
        said(table);
        copy(cluster, database, table, rows)
    };
    fill(
        "region",
        &mut csv(RegionGenerator::new(scale, 1, 1).iter(), RegionCsv::new),
    )?;
    fill(
        "nation",
        &mut csv(NationGenerator::new(scale, 1, 1).iter(), NationCsv::new),
    )?;
    fill(
        "part",
        &mut csv(PartGenerator::new(scale, 1, 1).iter(), PartCsv::new),
    )?;
    fill(
        "supplier",
        &mut csv(SupplierGenerator::new(scale, 1, 1).iter(), SupplierCsv::new),
    )?;
    fill(
        "partsupp",
        &mut csv(PartSuppGenerator::new(scale, 1, 1).iter(), PartSuppCsv::new),
    )?;
    fill(
        "customer",
        &mut csv(CustomerGenerator::new(scale, 1, 1).iter(), CustomerCsv::new),
    )?;
    fill(
        "orders",
        &mut csv(OrderGenerator::new(scale, 1, 1).iter(), OrderCsv::new),
    )?;
    fill(
        "lineitem",
        &mut csv(LineItemGenerator::new(scale, 1, 1).iter(), LineItemCsv::new),
    )
}

fn csv<T, C: Display>(
    rows: impl Iterator<Item = T>,
    format: impl Fn(T) -> C,
) -> impl Iterator<Item = String> {
    rows.map(move |row| format(row).to_string())
}

/// Streams rows through psql into `COPY`.
fn copy(
    cluster: &Cluster,
    database: &str,
    table: &str,
    rows: &mut dyn Iterator<Item = String>,
) -> Result<()> {
    let mut psql = cluster
        .client_command("psql")
        .args(["-X", "-q", "-d", database, "-v", "ON_ERROR_STOP=1", "-c"])
        .arg(format!("COPY {table} FROM STDIN (FORMAT csv)"))
        .stdin(Stdio::piped())
        .spawn()?;
    let failed = || Error::other(format!("{table} could not be loaded"));
    let stdin = psql.stdin.take().ok_or_else(failed)?;
    let written = write_rows(stdin, rows);
    if !psql.wait()?.success() {
        return Err(failed());
    }
    written
}

fn write_rows(stdin: ChildStdin, rows: &mut dyn Iterator<Item = String>) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, stdin);
    for row in rows {
        out.write_all(row.as_bytes())?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Refresh function 1: new orders with their lineitems.
///
/// Loaded orders use eight of every 32 keys. New ones are further orders of the same generator under
/// keys from the gaps, as the specification has it.
pub struct NewOrders {
    orders: Box<dyn Iterator<Item = Order<'static>>>,
    lineitems: std::iter::Peekable<Box<dyn Iterator<Item = LineItem<'static>>>>,
}

impl std::fmt::Debug for NewOrders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NewOrders")
    }
}

/// How far a new order's key lies from the key that it was generated with.
const KEY_SHIFT: i64 = 8;

impl NewOrders {
    /// From the beginning, at this scale factor.
    pub fn new(scale: f64) -> Self {
        let lineitems: Box<dyn Iterator<Item = LineItem<'static>>> =
            Box::new(LineItemGenerator::new(scale, 1, 1).iter());
        Self {
            orders: Box::new(OrderGenerator::new(scale, 1, 1).iter()),
            lineitems: lineitems.peekable(),
        }
    }

    /// The next `count` orders and their lineitems, as CSV rows.
    pub fn take(&mut self, count: usize) -> (Vec<String>, Vec<String>) {
        let (mut orders, mut lineitems) = (Vec::new(), Vec::new());
        for mut order in self.orders.by_ref().take(count) {
            let key = order.o_orderkey;
            while let Some(mut item) = self.lineitems.next_if(|item| item.l_orderkey <= key) {
                item.l_orderkey += KEY_SHIFT;
                lineitems.push(LineItemCsv::new(item).to_string());
            }
            order.o_orderkey += KEY_SHIFT;
            orders.push(OrderCsv::new(order).to_string());
        }
        (orders, lineitems)
    }

    /// Inserts the next `count` orders; returns how many rows that were.
    pub fn insert(&mut self, cluster: &Cluster, database: &str, count: usize) -> Result<u64> {
        let (orders, lineitems) = self.take(count);
        let rows = orders.len() + lineitems.len();
        copy(cluster, database, "orders", &mut orders.into_iter())?;
        copy(cluster, database, "lineitem", &mut lineitems.into_iter())?;
        Ok(rows as u64)
    }
}

/// The queries, with the validation parameters of the specification: name and SQL. Where LIMIT leaves
/// the order of equal rows open, further columns decide.
pub fn queries() -> Vec<(&'static str, &'static str)> {
    named_queries::of(include_str!("queries.sql"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_queries_are_there() {
        let names: Vec<usize> = queries()
            .iter()
            .map(|(name, _)| name.parse().unwrap())
            .collect();
        assert_eq!(names, (1..=22).collect::<Vec<_>>());
    }

    #[test]
    fn new_orders_come_with_their_lineitems_under_unused_keys() {
        let key = |row: &String| row.split(',').next().unwrap().parse::<i64>().unwrap();
        let mut new = NewOrders::new(0.001);
        let (orders, lineitems) = new.take(20);
        assert_eq!(orders.len(), 20);
        assert!(lineitems.len() >= 20);
        for order in &orders {
            assert!((key(order) - 1) % 32 >= KEY_SHIFT - 1, "{order}");
            assert!(lineitems.iter().any(|item| key(item) == key(order)));
        }
        let (more, _) = new.take(1);
        assert!(key(&more[0]) > key(&orders[19]));
    }
}

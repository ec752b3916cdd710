//! TPC-DS: tables, rows, and the 99 queries as they are published, LIMIT included.
//!
//! Its texts may not be copied here, so rows and queries come from the wheel of duckdb, which has both: pip
//! fetches it when it is first needed, pinned by hash, and a script of ours writes them below `target/tpcds`. Where
//! there is no pip, no registry, or no wheel for the interpreter, [`Kit::for_test`] says so.

use std::fs::{self, File};
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::cluster::Cluster;

/// How many queries there are.
pub const QUERIES: u32 = 99;

/// The keys of the specification. Dimensions have theirs in the first column.
pub const KEYS: &str = "
ALTER TABLE store_sales ADD PRIMARY KEY (ss_item_sk, ss_ticket_number);
ALTER TABLE store_returns ADD PRIMARY KEY (sr_item_sk, sr_ticket_number);
ALTER TABLE catalog_sales ADD PRIMARY KEY (cs_item_sk, cs_order_number);
ALTER TABLE catalog_returns ADD PRIMARY KEY (cr_item_sk, cr_order_number);
ALTER TABLE web_sales ADD PRIMARY KEY (ws_item_sk, ws_order_number);
ALTER TABLE web_returns ADD PRIMARY KEY (wr_item_sk, wr_order_number);
ALTER TABLE inventory ADD PRIMARY KEY (inv_date_sk, inv_item_sk, inv_warehouse_sk);
DO $$
DECLARE name text; first text;
BEGIN
    FOR name, first IN
        SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = 1
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid)
    LOOP
        EXECUTE format('ALTER TABLE %I ADD PRIMARY KEY (%I)', name, first);
    END LOOP;
END $$;";

/// Indexes on the foreign keys of facts and of customers.
pub const INDEXES: &str = "
CREATE INDEX ON store_sales (ss_sold_date_sk); CREATE INDEX ON store_sales (ss_customer_sk);
CREATE INDEX ON store_sales (ss_addr_sk); CREATE INDEX ON store_sales (ss_ticket_number);
CREATE INDEX ON store_sales (ss_cdemo_sk); CREATE INDEX ON store_sales (ss_hdemo_sk); CREATE INDEX ON store_sales (ss_sold_time_sk);
CREATE INDEX ON store_returns (sr_returned_date_sk); CREATE INDEX ON store_returns (sr_customer_sk);
CREATE INDEX ON store_returns (sr_ticket_number); CREATE INDEX ON store_returns (sr_cdemo_sk);
CREATE INDEX ON catalog_sales (cs_sold_date_sk); CREATE INDEX ON catalog_sales (cs_bill_customer_sk);
CREATE INDEX ON catalog_sales (cs_ship_date_sk); CREATE INDEX ON catalog_sales (cs_order_number);
CREATE INDEX ON catalog_sales (cs_ship_customer_sk); CREATE INDEX ON catalog_sales (cs_bill_cdemo_sk);
CREATE INDEX ON catalog_sales (cs_bill_addr_sk); CREATE INDEX ON catalog_sales (cs_ship_addr_sk);
CREATE INDEX ON catalog_returns (cr_returned_date_sk); CREATE INDEX ON catalog_returns (cr_order_number);
CREATE INDEX ON catalog_returns (cr_returning_customer_sk);
CREATE INDEX ON web_sales (ws_sold_date_sk); CREATE INDEX ON web_sales (ws_bill_customer_sk);
CREATE INDEX ON web_sales (ws_order_number); CREATE INDEX ON web_sales (ws_ship_customer_sk);
CREATE INDEX ON web_sales (ws_bill_addr_sk); CREATE INDEX ON web_sales (ws_ship_addr_sk);
CREATE INDEX ON web_returns (wr_returned_date_sk); CREATE INDEX ON web_returns (wr_order_number);
CREATE INDEX ON web_returns (wr_returning_customer_sk); CREATE INDEX ON web_returns (wr_refunded_cdemo_sk);
CREATE INDEX ON inventory (inv_item_sk);
CREATE INDEX ON customer (c_current_addr_sk); CREATE INDEX ON customer (c_current_cdemo_sk); CREATE INDEX ON customer (c_current_hdemo_sk);
CREATE INDEX ON date_dim (d_date); CREATE INDEX ON date_dim (d_week_seq); CREATE INDEX ON date_dim (d_month_seq);
CREATE INDEX ON date_dim (d_year, d_moy); CREATE INDEX ON item (i_item_id); CREATE INDEX ON item (i_manufact_id);";

/// Rows and queries, written down.
#[derive(Debug)]
pub struct Kit {
    folder: PathBuf,
}

impl Kit {
    /// The kit at this scale factor, or else says that the test is skipped and why.
    pub fn for_test(test: &str, scale: f64) -> Option<Self> {
        Self::at(scale)
            .map_err(|why| println!("skipped: {test}: {}", why.to_string().trim()))
            .ok()
    }

    /// The kit at this scale factor; an error says why there is none.
    pub fn at(scale: f64) -> Result<Self> {
        let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tpcds");
        fs::create_dir_all(&cache)?;
        let wheel = made(&cache.join("wheel"), |folder| {
            let mut pip = Command::new("python3");
            pip.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--require-hashes",
            ])
            .args([
                "--only-binary",
                ":all:",
                "--root-user-action",
                "ignore",
                "--target",
            ])
            .arg(folder)
            .arg("--requirement")
            .arg(source("requirements.txt"));
            done(&pip.output()?)
        })?;
        let folder = made(&cache.join(format!("scale-{scale}")), |folder| {
            let mut export = Command::new("python3");
            export
                .arg(source("from_wheel.py"))
                .arg(scale.to_string())
                .arg(folder)
                .env("PYTHONPATH", &wheel);
            done(&export.output()?)
        })?;
        Ok(Self { folder })
    }

    /// CREATE TABLE for all tables, without keys.
    pub fn tables(&self) -> Result<String> {
        fs::read_to_string(self.folder.join("tables.sql"))
    }

    /// Fills every table, and returns their names.
    pub fn load(&self, cluster: &Cluster, database: &str) -> Result<Vec<String>> {
        let mut tables = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let Some(table) = path
                .extension()
                .filter(|end| *end == "csv")
                .and(path.file_stem())
            else {
                continue;
            };
            let table = table.to_string_lossy().into_owned();
            let mut psql = cluster.client_command("psql");
            psql.args(["-X", "-q", "-d", database, "-v", "ON_ERROR_STOP=1", "-c"])
                .arg(format!("COPY {table} FROM STDIN (FORMAT csv)"))
                .stdin(File::open(&path)?);
            done(&psql.output()?)?;
            tables.push(table);
        }
        Ok(tables)
    }

    /// The queries: number and SQL. PostgreSQL takes them as they are.
    pub fn queries(&self) -> Result<Vec<(u32, String)>> {
        (1..=QUERIES)
            .map(|number| {
                let text = fs::read_to_string(self.folder.join(format!("{number}.sql")))?;
                Ok((number, text.trim().trim_end_matches(';').to_owned()))
            })
            .collect()
    }
}

fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/tpcds")
        .join(file)
}

/// A folder that is there whole or not at all.
fn made(folder: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    if !folder.exists() {
        let mut unfinished = folder.to_owned().into_os_string();
        unfinished.push(format!(".{}", std::process::id()));
        let unfinished = PathBuf::from(unfinished);
        fs::create_dir_all(&unfinished)?;
        let outcome = make(&unfinished).and_then(|()| fs::rename(&unfinished, folder));
        if outcome.is_err() {
            fs::remove_dir_all(&unfinished)?;
        }
        // Another test may have been first.
        if !folder.exists() {
            outcome?;
        }
    }
    Ok(folder.to_owned())
}

fn done(output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said
        .lines()
        .rfind(|line| line.contains("ERROR"))
        .or(said.lines().last());
    Err(Error::other(last.unwrap_or("no reason given").to_owned()))
}

//! What pg_trickle costs, measured on one server against what it replaces.
//!
//! A measurement is *paired*: the same changes to the same tables are followed by a refresh of the stream
//! table and by its rival, in turns, so that caches and noise meet both alike. Reported are medians.
//! Gates stand on ratios, never on times, since only ratios mean the same on another machine.
//!
//! - [`settings`]: sizes, which the environment can make smaller
//! - [`data`]: the tables and the changes
//! - [`views`]: the four views, each as a stream table and as an expert would maintain it by hand
//! - [`refresh`], [`growth`], [`capture`]: the measurements
//! - [`captured`]: columns for the text of capture triggers, and what that took before
//! - [`citus`]: writers and refreshes on a Citus coordinator with two workers
//! - [`creation`]: creating and recomputing, against a materialized view
//! - [`crossing`]: where deltas end and recomputation begins
//! - [`first`]: the first refresh of a session
//! - [`gate`], [`gate_cases`]: when a ratio fails a run, and which ratios
//! - [`immediate`]: what writers pay whose statements are followed at once
//! - [`latency`]: from commit to stream table, with the scheduler at work
//! - [`queries`] over [`tpch`], [`tpcds`] and [`nexmark`]: refreshing well-known queries against computing them again
//! - [`many`]: many stream tables, and what they cost each other and everything else
//! - [`planning`]: reading and compiling the queries of TPC-H
//! - [`plot`]: lines with logarithmic axes
//! - [`processor`]: processor time of refreshes, steady on a busy machine
//! - [`report`]: the tables and the gates
//! - [`round_trips`]: what is saved by asking the server once, or not at all
//! - [`trees`]: operator trees for the benchmarks that need no server
//! - [`wide`]: joins of many tables, against their number
//! - [`writers`]: what is left of the throughput of writers

pub mod capture;
pub mod captured;
pub mod citus;
pub mod creation;
pub mod crossing;
pub mod data;
pub mod first;
pub mod gate;
pub mod gate_cases;
pub mod growth;
pub mod immediate;
pub mod latency;
pub mod many;
pub mod nexmark;
pub mod planning;
pub mod plot;
pub mod processor;
pub mod queries;
pub mod refresh;
pub mod report;
pub mod round_trips;
pub mod server;
pub mod settings;
pub mod stats;
pub mod tpcds;
pub mod tpch;
pub mod trees;
pub mod views;
pub mod wide;
pub mod writers;

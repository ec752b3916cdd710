//! The proof around pg_trickle: real servers, real sessions, and one question asked again and
//! again — does the stream table hold exactly what its query returns?
//!
//! From the bottom up: [`postgres`] finds a server's programs, [`cluster`] runs a private one, [`backend`]
//! is what the rest knows of it, [`citus`] has several of them, [`client`] talks to it, [`oracle`] judges, [`scenario`] replays written stories and
//! [`generator`] makes up new ones.

pub mod backend;
pub mod citus;
pub mod client;
pub mod cluster;
pub mod document;
pub mod generator;
pub mod insist;
pub mod latency;
mod named_queries;
pub mod nexmark;
pub mod oracle;
pub mod permutation;
pub mod postgres;
pub mod previous;
pub mod random;
pub mod runtime;
pub mod scenario;
pub mod tpcds;
pub mod tpch;
pub mod waiting_shell;
pub mod workload;

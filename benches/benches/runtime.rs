//! What the scheduler's structures and the text of capture triggers cost, without a server. The
//! extension's own sources are compiled in here, since the crate itself links only within a server.

#[allow(dead_code, unused_imports)]
#[path = "../../extension/src/dag/graph.rs"]
mod graph;

/// What the ring counts with, here without shared memory.
#[allow(dead_code)]
mod counters {
    pub struct Counter;
    impl Counter {
        pub fn count(&self) {}
        pub fn get(&self) -> u64 {
            0
        }
    }
    pub const INVALIDATION_RING_OVERFLOWS: Counter = Counter;
}

/// The limit of the setting, which the ring knows.
mod config {
    pub const INVALIDATION_RING_MAX_CAPACITY: usize = 1024;
}

#[allow(dead_code, unused_imports)]
#[path = "../../extension/src/shmem/ring.rs"]
mod ring;

use benches::captured;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use graph::Graph;
use pgtrickle_dvm::capture_sql::build_stmt_trigger_fn_sql;
use ring::Ring;
use std::collections::BTreeSet;
use std::hint::black_box;

/// Stream tables of the graph: chains of this length, each over a table of its own.
const NODES: i64 = 10_000;
const CHAIN: i64 = 10;

fn capture_text(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("capture trigger text");
    for count in [10, 50, 100, 500] {
        let columns = captured::columns(count);
        group.bench_with_input(BenchmarkId::new("one buffer", count), &columns, |b, c| {
            b.iter(|| build_stmt_trigger_fn_sql("s.f", "s.b", black_box(c)));
        });
    }
    group.finish();
}

fn graph_of(nodes: i64) -> Graph {
    let mut graph = Graph::default();
    for id in 1..=nodes {
        let relid = |id: i64| 100_000 + id as u32;
        let source = match id % CHAIN {
            1 => id as u32,
            _ => relid(id - 1),
        };
        graph.insert(id, relid(id), vec![source]);
    }
    graph
}

fn graph(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("graph of {NODES} stream tables"));
    group.bench_function("build", |b| b.iter(|| graph_of(black_box(NODES))));
    let graph = graph_of(NODES);
    group.bench_function("island", |b| b.iter(|| graph.island(black_box(NODES / 2))));
    let due: BTreeSet<i64> = (1..=CHAIN).collect();
    group.bench_function("order of a chain", |b| {
        b.iter(|| graph.in_order(black_box(&due)));
    });
    group.finish();
}

fn invalidations(criterion: &mut Criterion) {
    const CAPACITY: usize = 256;
    let ring = Box::new(Ring::default());
    let mut position = ring.head();
    criterion.bench_function("ring, push and read 100", |b| {
        b.iter(|| {
            for id in 1..=100 {
                ring.push_invalidation(1, id, CAPACITY);
            }
            ring.read(&mut position, 1, CAPACITY)
        });
    });
}

criterion_group!(runtime, capture_text, graph, invalidations);
criterion_main!(runtime);

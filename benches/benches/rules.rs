//! What compiling a query and writing its delta statements costs, without a server.

use benches::trees::join_then_group;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pgtrickle_dvm::operators::Links;
use pgtrickle_dvm::operators::join::differentiate;
use pgtrickle_dvm::operators::statement::Context;
use pgtrickle_dvm::plan::compile;
use pgtrickle_dvm::sql::names;
use std::hint::black_box;

/// Joins of one, a few, and more tables than corrections are inlined for.
const TABLES: [u32; 4] = [1, 3, 5, 8];

fn compiling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    for tables in TABLES {
        let tree = join_then_group(tables);
        group.bench_with_input(BenchmarkId::from_parameter(tables), &tree, |bench, tree| {
            bench.iter(|| compile(black_box(tree.clone())));
        });
    }
    group.finish();
}

fn differentiating(criterion: &mut Criterion) {
    for (name, changes_of_all) in [("one table changed", false), ("all tables changed", true)] {
        let mut group = criterion.benchmark_group(format!("differentiate, {name}"));
        for tables in TABLES {
            let Ok(plan) = compile(join_then_group(tables)) else {
                continue;
            };
            let context = Context {
                plan: &plan,
                state_prefix: "pgtrickle_state.st_1_",
                inline_limit: 5,
                links: Links::Sought,
            };
            let block = &plan.nodes[0].block;
            let mut changed = block.sources();
            if !changes_of_all {
                changed = changed.into_iter().take(1).collect();
            }
            group.bench_function(BenchmarkId::from_parameter(tables), |bench| {
                bench.iter(|| differentiate(context, block, black_box(&changed), &names::column));
            });
        }
        group.finish();
    }
}

criterion_group!(rules, compiling, differentiating);
criterion_main!(rules);

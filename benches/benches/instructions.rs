//! Instructions of the pure code, counted by valgrind: the same on every run, whatever else the machine does.
//!
//! Needs `valgrind` and `gungraun-runner` (`cargo xtask bench` brings the latter where the former is there);
//! without them it says so and counts nothing.

use benches::settings::is_trial;
use benches::{captured, trees::join_then_group};
use gungraun::{library_benchmark, library_benchmark_group};
use pgtrickle_dvm::capture_sql::{CapturedColumn, build_stmt_trigger_fn_sql};
use pgtrickle_dvm::operators::Links;
use pgtrickle_dvm::operators::join::differentiate;
use pgtrickle_dvm::operators::statement::Context;
use pgtrickle_dvm::plan::{Plan, compile};
use pgtrickle_dvm::sql::names;
use std::hint::black_box;
use std::process::Command;

fn plan(tables: u32) -> Option<Plan> {
    compile(join_then_group(tables)).ok()
}

#[library_benchmark]
#[bench::of_one_table(join_then_group(1))]
#[bench::of_five_tables(join_then_group(5))]
fn compiling(tree: pgtrickle_dvm::tree::Relation) -> Option<Plan> {
    compile(black_box(tree)).ok()
}

#[library_benchmark]
#[bench::of_one_table(plan(1))]
#[bench::of_five_tables(plan(5))]
fn differentiating(plan: Option<Plan>) -> usize {
    let Some(plan) = plan else { return 0 };
    let context = Context {
        plan: &plan,
        state_prefix: "pgtrickle_state.st_1_",
        inline_limit: 5,
        links: Links::Sought,
    };
    let block = &plan.nodes[0].block;
    let changed = block.sources();
    black_box(differentiate(context, block, &changed, &names::column));
    changed.len()
}

#[library_benchmark]
#[bench::ten_columns(captured::columns(10))]
#[bench::five_hundred_columns(captured::columns(500))]
fn capture_text_in_one_buffer(columns: Vec<CapturedColumn>) -> String {
    build_stmt_trigger_fn_sql("s.f", "s.b", black_box(&columns))
}

library_benchmark_group!(
    name = pure,
    benchmarks = [compiling, differentiating, capture_text_in_one_buffer]
);

/// What the macro makes is a `main` of its own.
mod counted {
    use super::pure;

    gungraun::main!(library_benchmark_groups = pure);

    pub fn run() {
        main();
    }
}

fn main() {
    if is_trial() {
        return;
    }
    let runner = option_env!("GUNGRAUN_RUNNER").unwrap_or("gungraun-runner");
    let missing = |program: &str| Command::new(program).arg("--version").output().is_err();
    match ["valgrind", runner]
        .into_iter()
        .find(|program| missing(program))
    {
        Some(program) => println!("skipped: instructions are not counted without {program}"),
        None => counted::run(),
    }
}

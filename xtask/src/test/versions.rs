//! The major versions beside the usual one: what depends on the server.

use super::budget::Budget;
use super::suite::{Counts, Runner};
use super::{delta_rules, tell, tests, with_install};
use crate::command::{self, Group};
use crate::previous;
use crate::report::results::{self, Suite};
use crate::setup::{self, Machine};
use harness::postgres::{self, SERVED};
use std::time::Instant;

/// The rows of every other version, each in a process of its own, since a process knows one server. A version is expected to
/// take at most half as long as the usual one did; what takes longer than is left is stopped, and counts as skipped.
pub fn others(budget: &Budget) -> Vec<Suite> {
    let expected = budget.spent() / 2;
    let other = |major: &u32| *major != postgres::MAJOR;
    SERVED
        .into_iter()
        .filter(other)
        .flat_map(|major| match budget.is_enough_for(expected) {
            true => elsewhere(major, budget.end()),
            false => {
                println!("\nskipped: PostgreSQL {major}: the time that is left is too short");
                vec![Counts::skipped().row("every suite", &major.to_string(), Instant::now())]
            }
        })
        .collect()
}

/// A server that cannot be had at this hour is one row, skipped with the reason. Rows that a run does not leave behind are
/// one that failed.
fn elsewhere(major: u32, end: Option<Instant>) -> Vec<Suite> {
    let (name, server, started) = ("set-up", major.to_string(), Instant::now());
    println!("\n== {name}, PostgreSQL {major}");
    let own = |task: &str| setup::on_version(major, task);
    if let Err(why) = own("setup").and_then(command::output) {
        println!("skipped: PostgreSQL {major}: {why:#}");
        return vec![Counts::skipped().row(name, &server, started)];
    }
    let history = history(major);
    let known = results::history::<Vec<Suite>>(&history).len();
    let outcome = own("test")
        .and_then(Group::spawn)
        .and_then(|mut own| own.wait(end));
    if matches!(outcome, Ok(None)) {
        println!("skipped: PostgreSQL {major}: stopped, since no time is left");
        return vec![Counts::skipped().row("every suite", &server, started)];
    }
    let mut runs = results::history::<Vec<Suite>>(&history);
    if runs.len() > known {
        return runs.swap_remove(0).outcome;
    }
    eprintln!("error: PostgreSQL {major}: its tests leave no result: {outcome:?}");
    vec![Counts::one(false).row("every suite", &server, started)]
}

fn history(major: u32) -> String {
    format!("test{}", postgres::suffix_of(major))
}

/// Here: the tests of single functions and of delta rules, all scenarios, a thousand cases of the generator, dumps, updates.
pub fn here(machine: &Machine, runner: &Runner) -> Vec<Suite> {
    let mut server = None;
    let mut suites = vec![
        runner.suite("delta rules, in PostgreSQL", || {
            delta_rules(machine, &mut server)
        }),
        runner.suite("extension, without a server", || {
            let mut cargo = tests(machine, "--package pg_trickle --lib");
            cargo.args(machine.features(""));
            Ok(cargo)
        }),
    ];
    drop(server);
    suites.push(
        runner.suite("harness: scenarios, generator, updates, dumps", || {
            let mut cargo = with_install(
                machine,
                "--package harness --no-fail-fast --test scenarios --test generator --test upgrade \
                 --test dump_restore --test guard --test settings",
            )?;
            // By then there is a build for each of them.
            if SERVED.iter().max() == Some(&machine.postgres.major) {
                cargo.args(["--test", "major_upgrade"]);
            }
            cargo.args(["--", "--show-output"]);
            let previous = previous::build(machine);
            tell(
                &mut cargo,
                ["PGT_PREVIOUS_INSTALL_DIR", "PGT_NO_PREVIOUS"],
                &previous,
            );
            cargo.env("PGT_FUZZ_CASES", "1000");
            Ok(cargo)
        }),
    );
    results::record(&history(machine.postgres.major), &suites);
    suites
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_begins_only_if_it_would_end_in_time() {
        let rows = others(&Budget::new(Some(0)));
        assert!(rows.iter().all(|row| row.skipped == 1 && row.failed == 0));
        assert_eq!(rows.len(), SERVED.len() - 1);
    }

    #[test]
    fn a_server_that_cannot_be_had_is_a_row_that_is_skipped() {
        // The program of these tests knows no set-up.
        let rows = elsewhere(17, None);
        let [row] = rows.as_slice() else {
            panic!("{rows:?}");
        };
        assert_eq!((row.skipped, row.passed, row.failed), (1, 0, 0));
        assert_eq!((row.name.as_str(), row.server.as_str()), ("set-up", "17"));
    }
}

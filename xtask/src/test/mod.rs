//! `cargo xtask test`: every suite, one after the other, with the counts of all of them at the end.
//!
//! A suite is a `cargo test` command. A failing suite does not stop the others. The closing line is in
//! the form that cargo itself prints.

mod budget;
mod suite;
mod versions;

use crate::build;
use crate::cluster;
use crate::demo;
use crate::docs;
use crate::images::{self, Engine};
use crate::package::{self, Profile, Verdict};
use crate::previous;
use crate::report::results::{self, Suite};
use crate::setup::{self, Machine};
use crate::soak;
use anyhow::{Error, Result, bail};
use budget::Budget;
use harness::cluster::Cluster;
use harness::postgres;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;
use suite::{Runner, summary};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Then, on the other major versions, what depends on the server
    #[arg(long)]
    every_version: bool,
    /// Leave out, and say so, seeded bugs and versions that would probably end later than this many minutes after the start
    #[arg(long)]
    minutes: Option<u64>,
}

/// Runs everything, or on another major version than the usual one what depends on it.
pub fn run(options: &Options) -> Result<ExitCode> {
    let budget = Budget::new(options.minutes);
    let machine = setup::ensure()?;
    let on = Runner {
        server: machine.postgres.number().to_owned(),
    };
    if machine.postgres.major != postgres::MAJOR {
        return Ok(summary(&versions::here(&machine, &on)));
    }
    setup::ensure_test_tools();
    let previous = previous::build(&machine);
    let mut suites = crates(&machine, &on);
    suites.extend(servers(&machine, &on, &previous));
    suites.extend(products(&machine, &on, &previous));
    suites.push(canaries(&machine, &on, &budget));
    if options.every_version {
        suites.extend(versions::others(&budget));
    }
    results::record("test", &suites);
    Ok(summary(&suites))
}

/// What needs no server, and the delta rules in one.
fn crates(machine: &Machine, on: &Runner) -> Vec<Suite> {
    let none = Runner {
        server: "none".to_owned(),
    };
    let plain = |arguments: &str| Ok(tests(machine, arguments));
    let mut server = None;
    vec![
        none.suite("pure crates", || {
            plain("--package pgtrickle-dvm --package xtask")
        }),
        none.suite("soak: its own parts", || plain("--package soak")),
        none.suite("images: digests, against a registry", || {
            plain("--package images --features registry")
        }),
        on.suite("delta rules, in PostgreSQL", || {
            delta_rules(machine, &mut server)
        }),
        on.suite("extension, without a server", || {
            plain("--package pg_trickle --lib")
        }),
    ]
}

/// The extension on servers of all kinds.
fn servers(machine: &Machine, on: &Runner, previous: &Result<PathBuf>) -> Vec<Suite> {
    let dbt = setup::ensure_dbt();
    let mut engine = None;
    vec![
        on.suite("harness: clusters, scenarios, generator, faults", || {
            let mut cargo =
                with_install(machine, "--package harness --no-fail-fast -- --show-output")?;
            tell(
                &mut cargo,
                ["PGT_PREVIOUS_INSTALL_DIR", "PGT_NO_PREVIOUS"],
                previous,
            );
            tell(&mut cargo, ["PGT_DBT", "PGT_NO_DBT"], &dbt);
            Ok(cargo)
        }),
        on.suite("beside: scenarios with other extensions", || {
            let mut cargo =
                with_install(machine, "--package harness --test beside -- --show-output")?;
            tell(
                &mut cargo,
                ["PGT_BESIDE", "PGT_NO_BESIDE"],
                &images::beside(machine),
            );
            Ok(cargo)
        }),
        on.suite("monitoring: metrics and alerts", || {
            with_install(machine, "--package monitoring -- --show-output")
        }),
        on.suite("containers: scenarios, stops, a standby", || {
            containers(machine, previous.as_ref().err(), &mut engine)
        }),
    ]
}

/// What people run, and read.
fn products(machine: &Machine, on: &Runner, previous: &Result<PathBuf>) -> Vec<Suite> {
    vec![
        on.suite("benches: the rivals are right, too", || {
            Ok(tests(machine, "--package benches --lib --tests"))
        }),
        on.check("soak, one minute", || soak::smoke(machine).map(|()| None)),
        on.check(
            "demo, small",
            || match demo::run(&demo::Options::small())? {
                true => Ok(None),
                false => bail!("a stream table was not exact"),
            },
        ),
        on.check("packages, in a fresh Debian", || {
            packages(machine, previous)
        }),
        on.check("generated documentation", || {
            docs::run(machine, &docs::Options { check: true }).map(|()| None)
        }),
    ]
}

/// What building the test and the slowest seeded bug may take.
const ONE_BUG: Duration = Duration::from_secs(480);

/// The last suite of this server, since the build with the seeded bugs takes the other one's place in the target folder.
fn canaries(machine: &Machine, on: &Runner, budget: &Budget) -> Suite {
    on.suite("canaries: every seeded bug is reported", || {
        let options = build::Options {
            features: "canary".to_owned(),
            ..build::Options::default()
        };
        let which = "--package harness --features canary --test canary --test canary_citus -- --show-output";
        let mut cargo = tests(machine, which);
        cargo.env("PGT_CANARY_INSTALL_DIR", build::run(machine, &options)?);
        if let Some(left) = budget.left() {
            let seconds = left.saturating_sub(ONE_BUG).as_secs();
            cargo.env("PGT_CANARY_SECONDS", seconds.to_string());
        }
        Ok(cargo)
    })
}

/// The packages, with the build of the other tests. Why they are skipped where a fresh Debian cannot be made, which fails if
/// they must not be.
fn packages(machine: &Machine, previous: &Result<PathBuf>) -> Result<Option<String>> {
    let options = package::Options {
        profile: Profile::Dev,
        ..package::Options::default()
    };
    match package::check(machine, &options, previous)? {
        Verdict::Works => Ok(None),
        Verdict::Skipped(why) if std::env::var_os("PGT_REQUIRE_PACKAGES").is_some() => {
            bail!("{why}")
        }
        Verdict::Skipped(why) => Ok(Some(why)),
    }
}

/// Tells tests where something is, or why it is not there.
fn tell(cargo: &mut Command, [place, reason]: [&str; 2], found: &Result<PathBuf>) {
    match found {
        Ok(path) => cargo.env(place, path),
        Err(why) => cargo.env(reason, format!("{why:#}")),
    };
}

/// Tests that run servers with the extension as just built.
fn with_install(machine: &Machine, arguments: &str) -> Result<Command> {
    let mut cargo = tests(machine, arguments);
    let install = build::run(machine, &build::Options::default())?;
    cargo.env("PGT_INSTALL_DIR", install);
    Ok(cargo)
}

fn tests(machine: &Machine, arguments: &str) -> Command {
    let mut cargo = machine.cargo("test");
    cargo.args(arguments.split(' '));
    cargo
}

/// The tests of the engine that want a server, which is left running.
fn delta_rules(machine: &Machine, server: &mut Option<Cluster>) -> Result<Command> {
    let cluster = cluster::start(machine, &build::Options::default(), &[])?;
    let psql = cluster.client_command("psql");
    let mut cargo = tests(
        machine,
        "--package pgtrickle-dvm --features canary --lib -- --include-ignored in_postgres oracle_catches",
    );
    let environment = psql
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    cargo
        .env("PGT_PSQL", psql.get_program())
        .env("PGDATABASE", cluster::DATABASE)
        .envs(environment);
    *server = Some(cluster);
    Ok(cargo)
}

/// The tests in containers, whose engine is left running.
fn containers(
    machine: &Machine,
    no_previous: Option<&Error>,
    engine: &mut Option<Engine>,
) -> Result<Command> {
    let mut cargo = tests(
        machine,
        "--package containers --no-fail-fast -- --show-output --test-threads 2",
    );
    let found = match Engine::ensure() {
        Ok(found) => found,
        Err(why) => {
            cargo.env("PGT_NO_ENGINE", format!("{why:#}"));
            return Ok(cargo);
        }
    };
    images::local(machine, &build::Options::default(), &found)?;
    if let Some(why) = no_previous {
        cargo.env("PGT_NO_PREVIOUS", format!("{why:#}"));
    } else {
        let options = build::Options {
            previous: true,
            ..build::Options::default()
        };
        images::local(machine, &options, &found)?;
    }
    found.tell(&mut cargo);
    *engine = Some(found);
    Ok(cargo)
}

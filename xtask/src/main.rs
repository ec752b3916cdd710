//! `cargo xtask`: everything a person or CI does with this repository, as one program.
//!
//! The program compiles without PostgreSQL, because its first job is to bring PostgreSQL.
//! It knows how to set up, build and start things; what a stream table is, it does not know.

mod bench;
mod build;
mod cluster;
mod command;
mod demo;
mod digests;
mod docs;
mod doctor;
mod fuzz;
mod images;
mod installation;
mod objects;
mod package;
mod paths;
mod previous;
mod report;
mod setup;
mod soak;
mod test;
mod tidy;
mod ui;

use anyhow::Result;
use clap::{Parser, Subcommand};
use harness::postgres;
use std::process::ExitCode;

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// The major version of PostgreSQL: 17, 18 or 19; 18 if none is chosen
    #[arg(long, global = true, value_name = "MAJOR", value_parser = served)]
    pg: Option<u32>,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make this machine ready: system packages, PostgreSQL, a user for the server
    Setup,
    /// Say what is there, what is missing, and what to do about it
    Doctor,
    /// Build the extension and lay it out for the private clusters
    Build(build::Options),
    /// Show stream tables over TPC-H data: changes, refreshes, times, and an oracle's verdict
    Demo(demo::Options),
    /// Run everything that must hold: unit tests, scenarios, generator, concurrency, faults
    Test(test::Options),
    /// Run the generator of schemas, queries and changes for as long as you like
    Fuzz(fuzz::Options),
    /// Let writers, faults and checkers loose on one server, for minutes or days
    #[command(disable_help_flag = true)]
    Soak(soak::Options),
    /// Measure the optimised extension and print the speed table (minutes)
    Bench(bench::Options),
    /// Make one page of what soaks, tests, the generator, benchmarks and the demo have left
    Report,
    /// Open psql on a private cluster that has the extension
    Psql(cluster::PsqlOptions),
    /// Check the rules of the house that no compiler checks
    Tidy,
    /// Regenerate the tables of functions and settings in docs/
    Docs(docs::Options),
    /// Pin container images to digests, or check that they are
    #[command(subcommand)]
    Digests(digests::Task),
    /// Build a container image of what this machine has built
    #[command(subcommand)]
    Images(images::Task),
    /// Make packages: .deb, .rpm, and the distribution for PGXN
    Package(package::Options),
    /// Print the environment that plain `cargo` commands need, for `eval "$(cargo xtask env)"`
    Env,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Some(major) = cli.pg {
        postgres::choose(major);
    }
    match run(cli.task, cli.pg) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A major version that the extension is built for.
fn served(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(major) if postgres::SERVED.contains(&major) => Ok(major),
        _ => Err(format!("one of {:?}", postgres::SERVED)),
    }
}

fn run(task: Task, chosen: Option<u32>) -> Result<ExitCode> {
    match task {
        Task::Setup => setup::run().map(|_| ExitCode::SUCCESS),
        Task::Doctor => doctor::run(),
        Task::Build(options) => {
            let machine = setup::ensure()?;
            let install = build::run(&machine, &options)?;
            if options.print_path {
                println!("{}", install.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        Task::Demo(options) => Ok(ui::exit(demo::run(&options)?)),
        Task::Test(options) => test::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Bench(options) => bench::run(&options),
        Task::Report => report::run(),
        Task::Psql(options) => cluster::psql(&options),
        Task::Tidy => tidy::run(),
        Task::Docs(options) => docs::run(&setup::ensure()?, &options).map(|()| ExitCode::SUCCESS),
        Task::Digests(task) => digests::run(&task, setup::ensure),
        Task::Images(task) => images::run(&task, &setup::ensure()?).map(|()| ExitCode::SUCCESS),
        Task::Package(options) => Ok(ui::exit(package::run(chosen, &options)?)),
        Task::Env => {
            let machine = setup::ensure()?;
            for (name, value) in machine.environment() {
                println!("export {name}='{}'", value.replace('\'', r"'\''"));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_command_can_be_given() {
        Cli::command().debug_assert();
    }
}

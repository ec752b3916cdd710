//! `cargo xtask doctor`: what is there, what is missing, and the remedy. Changes nothing.

use crate::command;
use crate::paths;
use crate::setup::{packages, postgres, server_user};
use crate::ui;
use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use std::process::ExitCode;
use xshell::{Shell, cmd};

struct Finding {
    what: &'static str,
    found: Result<String, String>,
    remedy: String,
}

/// Prints the table; fails if something is missing.
pub fn run() -> Result<ExitCode> {
    let findings = [
        rust(),
        system_packages(),
        postgres(),
        user(),
        cache(),
        citus(),
    ];
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["", "what", "found", "remedy"]);
    for finding in &findings {
        let (mark, found, remedy) = match &finding.found {
            Ok(found) => ("ok", found, ""),
            Err(why) => ("MISSING", why, finding.remedy.as_str()),
        };
        table.add_row([mark, finding.what, found, remedy]);
    }
    println!("{table}");
    let missing = findings.iter().filter(|f| f.found.is_err()).count();
    match missing {
        0 => println!("nothing is missing"),
        _ => println!("{missing} missing; `cargo xtask setup` installs what it may"),
    }
    Ok(ui::exit(missing == 0))
}

fn rust() -> Finding {
    let ask = |program: &str| {
        let sh = Shell::new()?;
        command::output(cmd!(sh, "{program} --version"))
    };
    let found = ["rustc", "rustfmt", "cargo-clippy"]
        .into_iter()
        .map(|program| ask(program).map_err(|_| format!("{program} does not run")))
        .collect::<Result<Vec<_>, _>>()
        .map(|versions| versions.join("\n"));
    Finding {
        what: "Rust toolchain",
        found,
        remedy: "rustup component add rustfmt clippy".to_owned(),
    }
}

fn system_packages() -> Finding {
    let missing = packages::missing(packages::BUILD);
    let names = |list: &[packages::Package]| {
        list.iter()
            .map(|package| package.name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    Finding {
        what: "system packages",
        found: if missing.is_empty() {
            Ok(names(packages::BUILD))
        } else {
            Err(missing.join(" "))
        },
        remedy: packages::remedy(&missing),
    }
}

fn postgres() -> Finding {
    let search = postgres::find();
    Finding {
        what: "PostgreSQL with headers",
        found: match search.found {
            Some(found) => Ok(format!("{} ({})", found.version, found.pg_config.display())),
            None if search.rejected.is_empty() => Err("no pg_config found".to_owned()),
            None => Err(search.rejected.join("\n")),
        },
        remedy: "cargo xtask setup, or set PG_CONFIG to the pg_config of an installation"
            .to_owned(),
    }
}

fn user() -> Finding {
    Finding {
        what: "server user",
        found: server_user::find().ok_or_else(|| "only root is here".to_owned()),
        remedy: "cargo xtask setup, or useradd --system pgtrickle".to_owned(),
    }
}

fn cache() -> Finding {
    let cache = paths::cache();
    let writable = std::fs::create_dir_all(&cache)
        .and_then(|()| std::fs::File::create(cache.join("setup.lock")));
    Finding {
        what: "cache folder",
        found: match writable {
            Ok(_) => Ok(cache.display().to_string()),
            Err(error) => Err(format!("{}: {error}", cache.display())),
        },
        remedy: "set PG_TRICKLE_CACHE to a folder that you can write to".to_owned(),
    }
}

/// Nothing needs it but its own tests.
fn citus() -> Finding {
    let absent = |why| format!("not there, its tests are skipped: {why}");
    Finding {
        what: "Citus",
        found: Ok(harness::citus::found().unwrap_or_else(absent)),
        remedy: String::new(),
    }
}

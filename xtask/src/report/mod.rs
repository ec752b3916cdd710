//! `cargo xtask report`: one page of what soaks, tests, the generator, benchmarks and the demo have left below
//! `target/`. It needs no server, no script and no network to be read.
//!
//! [`soak`] and [`results`] read, [`plot`] draws, [`page`] puts together. What has not been run is said to be
//! missing.

mod page;
mod plot;
pub mod results;
mod soak;

use crate::paths;
use anyhow::{Context, Result};
use page::Section;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

/// What benchmarks draw.
const PLOTS: [(&str, &str); 2] = [
    (
        "Joins of many tables: refresh after a change of each",
        "wide.svg",
    ),
    (
        "AUTO and recomputation against the share of changed rows",
        "crossing.svg",
    ),
];

/// Writes `target/report/index.html`.
pub fn run() -> Result<ExitCode> {
    let target = paths::target();
    let dir = target.join("report");
    fs::create_dir_all(&dir).with_context(|| format!("could not create {}", dir.display()))?;
    let file = dir.join("index.html");
    fs::write(&file, make(&target)?)?;
    println!("report: {}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// The page of what is below this folder.
fn make(target: &Path) -> Result<String> {
    let mut sections = vec![soak::section(&target.join("soak"))?];
    sections.push(results::tests(target)?);
    sections.push(results::fuzz(target)?);
    let mut benchmarks = results::benchmarks(target)?;
    for (caption, plot) in PLOTS {
        if let Ok(svg) = fs::read_to_string(target.join(plot)) {
            benchmarks.body.push_str(&page::figure(caption, &svg));
        }
    }
    sections.push(benchmarks);
    sections.push(demo(&target.join("demo/refresh.svg")));
    Ok(page::html(&sections))
}

/// The demo's own plot of TPC-H.
fn demo(plot: &Path) -> Section {
    let body = match fs::read_to_string(plot) {
        Ok(svg) => page::figure("TPC-H in the demo: refresh and recomputation", &svg),
        Err(_) => page::missing("cargo xtask demo"),
    };
    Section {
        title: "TPC-H".into(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_nothing_is_well_formed_and_names_the_commands() {
        let empty = std::env::temp_dir().join(format!("pgt-report-{}", std::process::id()));
        let page = make(&empty).unwrap();
        page::tests::parse(&page);
        for command in ["soak", "test", "fuzz", "bench", "demo"] {
            assert!(
                page.contains(&format!("cargo xtask {command}")),
                "{command}"
            );
        }
    }
}

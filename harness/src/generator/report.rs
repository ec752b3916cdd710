//! Writes findings down, ready to be replayed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::case::Case;
use super::finding::Finding;

/// Where findings go.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz")
}

/// Writes the script, the finding, the plan and the case; returns the folder.
pub fn write_report(seed: u64, case: &Case, finding: &Finding) -> io::Result<PathBuf> {
    let folder = folder().join(seed.to_string());
    fs::create_dir_all(&folder)?;
    let script = case.script();
    fs::write(folder.join("replay.sql"), script.psql(finding.act))?;
    fs::write(
        folder.join("finding.txt"),
        format!(
            "{finding}\n\nRepeat with: PGT_FUZZ_SEED={seed} cargo run -p harness --bin fuzz\n\n{}\n",
            finding.explain
        ),
    )?;
    fs::write(folder.join("case.txt"), format!("{case:#?}\n"))?;
    Ok(folder)
}

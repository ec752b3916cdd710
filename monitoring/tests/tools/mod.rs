//! Programs that a machine may lack.

use std::path::PathBuf;

/// The program; otherwise says that the test is skipped, which fails where `PGT_REQUIRE_PROMETHEUS` is set.
pub fn find(test: &str, program: &str, package: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file());
    if found.is_none() {
        let why = format!("skipped: {test}: there is no {program} (Debian package {package})");
        assert!(
            std::env::var_os("PGT_REQUIRE_PROMETHEUS").is_none(),
            "{why}"
        );
        println!("{why}");
    }
    found
}

//! Dependencies between rooms run one way.

use super::{Complaint, File};

/// The rooms of the extension from the bottom up; a room may use those before it. Rooms that share
/// an entry are independent of each other.
const ROOMS: &[&[&str]] = &[
    &["pg"],
    &["shmem"],
    &["catalog", "cdc", "frontier", "parse"],
    &["refresh"],
    &["dag"],
    &["scheduler"],
    &["monitor"],
    &["api"],
];

const EXTENSION: &str = "extension/src/";
const ENGINE: &str = "extension/dvm/";

pub fn dependencies_run_downward(file: &File) -> Vec<Complaint> {
    if file.path.starts_with(ENGINE) {
        return engine_is_pure(file);
    }
    let Some(room) = room_of(&file.path) else {
        return Vec::new();
    };
    let Some(own) = level(room) else {
        return Vec::new();
    };
    let above: Vec<&str> = ROOMS[own + 1..]
        .iter()
        .flat_map(|r| r.iter().copied())
        .collect();
    code_lines(file)
        .filter_map(|(number, line)| {
            let used = above
                .iter()
                .find(|used| line.contains(&format!("crate::{used}::")))?;
            let what = format!("`{room}` uses `{used}`, which is built on it; turn it round");
            Some(Complaint::new(file, number, what))
        })
        .collect()
}

/// The delta engine knows nothing of the server but the text of expressions.
fn engine_is_pure(file: &File) -> Vec<Complaint> {
    let impure = |line: &str| {
        if file.path.ends_with("Cargo.toml") {
            line.starts_with("pgrx")
        } else {
            line.contains("pgrx::") || line.contains("pg_sys")
        }
    };
    code_lines(file)
        .filter(|(_, line)| impure(line))
        .map(|(number, _)| {
            let what = "the delta engine must compile without PostgreSQL; pass in what it needs";
            Complaint::new(file, number, what)
        })
        .collect()
}

fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix(EXTENSION)?;
    inside
        .split('/')
        .next()
        .map(|room| room.trim_end_matches(".rs"))
}

fn level(room: &str) -> Option<usize> {
    ROOMS.iter().position(|rooms| rooms.contains(&room))
}

fn code_lines(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_lower_room_may_not_use_a_higher_one() {
        let upward = file(
            "extension/src/cdc/buffer.rs",
            "//! x\nuse crate::refresh::Outcome;\n",
        );
        assert_eq!(
            dependencies_run_downward(&upward)[0].to_string(),
            "extension/src/cdc/buffer.rs:2: `cdc` uses `refresh`, which is built on it; turn it round"
        );
        let downward = file("extension/src/refresh/mod.rs", "use crate::cdc::Buffer;\n");
        assert!(dependencies_run_downward(&downward).is_empty());
    }

    #[test]
    fn the_engine_may_not_know_the_server() {
        let impure = file("extension/dvm/src/plan/mod.rs", "use pgrx::prelude::*;\n");
        assert_eq!(dependencies_run_downward(&impure).len(), 1);
        let comment = file(
            "extension/dvm/src/plan/mod.rs",
            "//! without pgrx::anything\n",
        );
        assert!(dependencies_run_downward(&comment).is_empty());
    }
}

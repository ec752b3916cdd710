//! Dependencies between rooms run one way, and the code map shows every room.

use super::mentions::{code, mentioned};
use super::{Complaint, File};

/// A crate whose folders and files are rooms.
struct House {
    /// Where they are.
    root: &'static str,
    /// From the bottom up; a room may use those below its floor, and no other.
    floors: &'static [&'static [&'static str]],
}

const EXTENSION: House = House {
    root: "extension/src/",
    floors: &[
        &["error"],
        &["pg"],
        &["config"],
        &["shmem"],
        &["frontier"],
        &["catalog", "cdc"],
        &["citus", "dag", "parse"],
        &["refresh"],
        &["ddl"],
        &["scheduler"],
        &["monitor"],
        &["api"],
    ],
};

const ENGINE: House = House {
    root: "extension/dvm/src/",
    floors: &[
        &["canary", "capability", "error"],
        &["capture_sql", "frontier", "schedule", "tree", "weight"],
        &["rewrite"],
        &["plan"],
        &["sql"],
        &["operators"],
        &["oracle"],
    ],
};

const HOUSES: [&House; 2] = [&ENGINE, &EXTENSION];

pub fn dependencies_run_downward(file: &File) -> Vec<Complaint> {
    HOUSES
        .iter()
        .find_map(|house| Some(judge(house, file, file.path.strip_prefix(house.root)?)))
        .unwrap_or_default()
}

fn judge(house: &House, file: &File, inside: &str) -> Vec<Complaint> {
    let room = inside.split('/').next().unwrap_or(inside);
    let room = room.trim_end_matches(".rs");
    if room == "lib" || is_test(inside) {
        return Vec::new();
    }
    let level = |room: &str| house.floors.iter().position(|floor| floor.contains(&room));
    let Some(own) = level(room) else {
        let what = format!("`{room}` has no floor; give it one in xtask/src/tidy/layers.rs");
        return vec![Complaint::new(file, 1, what)];
    };
    let is_upward = |used: &str| used != room && level(used).is_some_and(|level| level >= own);
    uses(&file.text)
        .into_iter()
        .filter(|(_, used)| is_upward(used))
        .map(|(line, used)| {
            let what = format!("`{room}` uses `{used}`, which is not below it; turn it round");
            Complaint::new(file, line, what)
        })
        .collect()
}

/// Tests may look up, at what is built on the code that they test.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("/testing.rs")
}

/// The rooms that a text names after `crate::`, with their lines.
fn uses(text: &str) -> Vec<(usize, &str)> {
    let mentions = mentioned(code(text)).into_iter();
    let of_crate = mentions.filter(|mention| mention.path.first() == Some(&"crate"));
    of_crate
        .filter_map(|mention| Some((mention.line, *mention.path.get(1)?)))
        .collect()
}

/// The code map of ARCHITECTURE.md has a row for each room, and says in which order they stand.
pub fn code_map_is_whole(file: &File) -> Vec<Complaint> {
    if file.path != "ARCHITECTURE.md" {
        return Vec::new();
    }
    let (rows, rest): (Vec<&str>, Vec<&str>) =
        file.text.lines().partition(|line| line.starts_with("| `"));
    let mut missing = Vec::new();
    for house in HOUSES {
        let order: Vec<String> = house.floors.iter().rev().map(|f| f.join(", ")).collect();
        let order = order.join(" → ");
        if !rest.iter().any(|line| line.contains(&order)) {
            missing.push(format!("does not say that dependencies run `{order}`"));
        }
        let short = house
            .root
            .strip_prefix("extension/dvm")
            .map(|inside| format!("…/dvm{inside}"));
        let root = short.as_deref().unwrap_or(house.root);
        let rooms = house.floors.iter().copied().flatten();
        missing.extend(rooms.filter_map(|room| {
            let (folder, single) = (format!("`{root}{room}/`"), format!("`{root}{room}.rs`"));
            let is_there = rows
                .iter()
                .any(|row| row.contains(&folder) || row.contains(&single));
            (!is_there).then(|| format!("the code map has no row for {folder} or {single}"))
        }));
    }
    missing
        .into_iter()
        .map(|what| Complaint::new(file, 1, what))
        .collect()
}

/// Where code may depend on the major version of the server: one file per difference.
const VERSIONED: [&str; 2] = ["extension/src/pg/version/", "extension/src/parse/"];

pub fn only_one_room_asks_for_the_version(file: &File) -> Vec<Complaint> {
    let is_bound = file.path.starts_with(EXTENSION.root)
        && !VERSIONED.iter().any(|room| file.path.starts_with(room));
    if !is_bound {
        return Vec::new();
    }
    let asks = |line: &str| !line.trim_start().starts_with("//") && line.contains("feature = \"pg");
    let code = file.text.lines().enumerate();
    code.filter(|(_, line)| asks(line))
        .map(|(index, _)| {
            let what = "depends on the server's version; have a file in pg/version/ answer for it";
            Complaint::new(file, index + 1, what)
        })
        .collect()
}

/// The delta engine knows nothing of the server but the text of expressions.
pub fn engine_is_pure(file: &File) -> Vec<Complaint> {
    let is_manifest = file.path == "extension/dvm/Cargo.toml";
    if !is_manifest && !file.path.starts_with(ENGINE.root) {
        return Vec::new();
    }
    let is_impure = |line: &str| match is_manifest {
        true => line.starts_with("pgrx"),
        false => line.contains("pgrx::") || line.contains("pg_sys"),
    };
    let code = file.text.lines().enumerate();
    code.filter(|(_, line)| !line.trim_start().starts_with("//") && is_impure(line))
        .map(|(index, _)| {
            let what = "the delta engine must compile without PostgreSQL; pass in what it needs";
            Complaint::new(file, index + 1, what)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn shown(path: &str, text: &str) -> Vec<String> {
        let complaints = dependencies_run_downward(&file(path, text));
        complaints.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_lower_room_may_not_use_a_higher_one() {
        assert_eq!(
            shown(
                "extension/src/cdc/buffer.rs",
                "//! x\nuse crate::refresh::Outcome;\n"
            ),
            [
                "extension/src/cdc/buffer.rs:2: `cdc` uses `refresh`, which is not below it; turn it round"
            ]
        );
        let downward = "use crate::cdc::Buffer;\nuse crate::sql_function;\n// crate::ddl\n";
        assert!(shown("extension/src/refresh/mod.rs", downward).is_empty());
    }

    #[test]
    fn rooms_of_one_floor_do_not_use_each_other() {
        let complaints = shown("extension/src/catalog/names.rs", "use crate::cdc;\n");
        assert_eq!(complaints.len(), 1);
    }

    #[test]
    fn braces_are_read() {
        let text = "use crate::{\n    catalog::{self, ddl},\n    ddl,\n};\n";
        assert_eq!(
            shown("extension/src/refresh/layout.rs", text),
            [
                "extension/src/refresh/layout.rs:1: `refresh` uses `ddl`, which is not below it; turn it round"
            ]
        );
    }

    #[test]
    fn a_room_without_a_floor_is_found() {
        assert_eq!(
            shown("extension/src/attic/mod.rs", "//! x\n"),
            [
                "extension/src/attic/mod.rs:1: `attic` has no floor; give it one in xtask/src/tidy/layers.rs"
            ]
        );
    }

    #[test]
    fn the_version_is_asked_for_in_its_room_only() {
        let text = "//! x\n#[cfg(feature = \"pg19\")]\n";
        let found = |path: &str| only_one_room_asks_for_the_version(&file(path, text)).len();
        assert_eq!(found("extension/src/pg/table.rs"), 1);
        assert_eq!(found("extension/src/refresh/node.rs"), 1);
        assert_eq!(found("extension/src/pg/version/domain.rs"), 0);
        assert_eq!(found("extension/src/parse/window.rs"), 0);
    }

    #[test]
    fn the_engine_may_not_know_the_server() {
        let complaints = |text| engine_is_pure(&file("extension/dvm/src/plan/mod.rs", text)).len();
        assert_eq!(complaints("use pgrx::prelude::*;\n"), 1);
        assert_eq!(complaints("//! without pgrx::anything\n"), 0);
    }

    #[test]
    fn a_room_that_the_code_map_lacks_is_found() {
        let complaints =
            code_map_is_whole(&file("ARCHITECTURE.md", "| `extension/src/pg/` | x |\n"));
        let shown: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert!(!shown.iter().any(|c| c.contains("src/pg/")));
        assert!(shown.contains(
            &"ARCHITECTURE.md:1: the code map has no row for `extension/src/cdc/` or `extension/src/cdc.rs`"
                .to_owned()
        ));
    }
}

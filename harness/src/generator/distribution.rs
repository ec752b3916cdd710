//! Where the tables of a case are on a cluster of Citus.

use proptest::collection::vec;
use proptest::prelude::*;

use super::case::Case;
use super::schema::{Key, Spread, Table};

/// Where tables are, and how stream tables are asked for.
#[derive(Debug, Clone)]
pub struct Distribution {
    /// For each table: how it is kept, by which column, and whether it is apart from all others.
    tables: Vec<(u8, u8, bool)>,
    /// Stream tables are asked for in DIFFERENTIAL, and in AUTO where that is refused; or in AUTO.
    pub asks_differential: bool,
}

/// A distribution.
pub fn distribution() -> impl Strategy<Value = Distribution> {
    let table = (0u8..10, any::<u8>(), prop::bool::weighted(0.15));
    (vec(table, 3), prop::bool::weighted(0.7)).prop_map(|(tables, asks_differential)| {
        Distribution {
            tables,
            asks_differential,
        }
    })
}

impl Distribution {
    /// The case without what no cluster has: children, policies of other owners, IMMEDIATE.
    pub fn fitting(&self, mut case: Case) -> Case {
        for table in &mut case.tables {
            table.spread = Spread::Alone;
            table.policy = None;
        }
        case.at_once = false;
        case
    }

    /// Statements that spread the tables.
    pub fn statements(&self, case: &Case) -> Vec<String> {
        let tables = case.tables.iter().zip(&self.tables).enumerate();
        let statements = tables.filter_map(|(index, (table, (kept, column, is_apart)))| {
            let beside = if *is_apart { "none" } else { "default" };
            match kept {
                0..=6 => Some(format!(
                    "SELECT create_distributed_table('t{index}', '{}', colocate_with => '{beside}')",
                    by(table, *column)
                )),
                7 => Some(format!("SELECT create_reference_table('t{index}')")),
                8 => Some(format!("SELECT citus_add_local_table_to_metadata('t{index}')")),
                _ => None,
            }
        });
        statements.collect()
    }
}

/// A column that every unique index has: mostly one that is an integer, as that of other tables is.
fn by(table: &Table, number: u8) -> String {
    let mut columns = match table.key {
        Key::Primary => vec!["id".to_owned()],
        Key::Composite => vec!["id".to_owned(), "k".to_owned()],
        Key::None => vec!["k".to_owned(), "k".to_owned()],
    };
    if table.key == Key::None {
        columns.extend(table.column_infos().into_iter().map(|column| column.name));
    }
    let quoted = columns.swap_remove(usize::from(number) % columns.len());
    // Without the quotes of an identifier, with those of a text.
    let plain = match quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => quoted,
    };
    plain.replace('\'', "''")
}

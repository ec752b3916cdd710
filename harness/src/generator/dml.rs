//! Single changes, biased to the known killers.

use proptest::collection::vec;
use proptest::prelude::*;

use super::schema::{Key, Table, row};
use super::scoped::{Scoped, column};
use super::types::Ty;

/// Which rows a change touches.
#[derive(Debug, Clone)]
pub enum Which {
    /// A column compared with a value.
    Value(u8, u8),
    /// A column that is NULL.
    Null(u8),
    /// One row.
    One,
    /// Every second value of `k`.
    Some(u8),
    /// One value of `k`.
    Key(u8),
    /// All of them.
    All,
}

/// A change.
#[derive(Debug, Clone)]
pub enum Dml {
    /// New rows.
    Insert(u8, Vec<Vec<u8>>),
    /// Deleted rows.
    Delete(u8, Which),
    /// A column set to a value.
    Update(u8, u8, u8, Which),
    /// Copies of its own rows.
    Copy(u8, Which),
    /// `k` moves, and with it joins and groups.
    MoveKeys(u8, Which),
    /// The same by MERGE, which may also insert a row, or delete some.
    Merge(u8, Which, Vec<u8>, u8),
    /// The rows with the largest or smallest value of a column.
    DeleteExtremum(u8, u8, bool),
    /// All rows of one group.
    KillGroup(u8, u8),
    /// Sets columns to what they are.
    NoChange(u8, Which),
    /// Makes the scale of all numerics as small as their value allows, or that of some larger; values stay.
    Rescale(u8, bool, Which),
    /// INSERT … ON CONFLICT DO UPDATE.
    Upsert(u8, Vec<u8>),
    /// DELETE of everything, then one row.
    Reborn(u8, Vec<u8>),
    /// TRUNCATE.
    Truncate(u8),
    /// Dozens of rows at once.
    Bulk(u8, u8),
    /// DDL that changes nothing that the query reads.
    Ddl(u8, u8),
}

/// Rows of a table.
pub fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        4 => (any::<u8>(), 0u8..64).prop_map(|(column, value)| Which::Value(column, value)),
        1 => any::<u8>().prop_map(Which::Null),
        2 => Just(Which::One),
        2 => any::<u8>().prop_map(Which::Some),
        1 => Just(Which::All),
    ]
}

/// A change.
pub fn dml() -> impl Strategy<Value = Dml> {
    let table = any::<u8>;
    prop_oneof![
        8 => (table(), vec(row(), 1..4)).prop_map(|(table, rows)| Dml::Insert(table, rows)),
        5 => (table(), which()).prop_map(|(table, which)| Dml::Delete(table, which)),
        8 => (table(), any::<u8>(), 0u8..64, which())
            .prop_map(|(table, column, value, which)| Dml::Update(table, column, value, which)),
        1 => (table(), which()).prop_map(|(table, which)| Dml::Copy(table, which)),
        4 => (table(), which()).prop_map(|(table, which)| Dml::MoveKeys(table, which)),
        2 => (table(), which(), row(), any::<u8>())
            .prop_map(|(table, which, row, arms)| Dml::Merge(table, which, row, arms)),
        2 => (table(), any::<u8>(), any::<bool>())
            .prop_map(|(table, column, largest)| Dml::DeleteExtremum(table, column, largest)),
        2 => (table(), any::<u8>()).prop_map(|(table, column)| Dml::KillGroup(table, column)),
        1 => (table(), which()).prop_map(|(table, which)| Dml::NoChange(table, which)),
        7 => (table(), any::<bool>(), which())
            .prop_map(|(table, larger, which)| Dml::Rescale(table, larger, which)),
        2 => (table(), row()).prop_map(|(table, row)| Dml::Upsert(table, row)),
        1 => (table(), row()).prop_map(|(table, row)| Dml::Reborn(table, row)),
        1 => table().prop_map(Dml::Truncate),
        1 => (table(), any::<u8>()).prop_map(|(table, size)| Dml::Bulk(table, size)),
        1 => (table(), any::<u8>()).prop_map(|(table, kind)| Dml::Ddl(table, kind)),
    ]
}

/// The columns of a table without an alias.
fn bare(table: &Table) -> Vec<Scoped> {
    table
        .column_infos()
        .into_iter()
        .map(|column| Scoped {
            sql: column.name,
            ty: column.ty,
        })
        .collect()
}

/// The columns that changes may set: all but `id`.
fn settable(table: &Table) -> Vec<Scoped> {
    let mut columns = bare(table);
    columns.retain(|column| column.sql != "id");
    columns
}

impl Which {
    /// The condition.
    pub fn render(&self, table: &Table, name: &str) -> String {
        let columns = bare(table);
        match self {
            Self::Value(index, value) => match column(&columns, *index) {
                Some(column) => format!("{} = {}", column.sql, column.ty.value(*value)),
                None => "true".into(),
            },
            Self::Null(index) => match column(&columns, *index) {
                Some(column) => format!("{} IS NULL", column.sql),
                None => "true".into(),
            },
            Self::One => format!(
                "(tableoid, ctid) = (SELECT tableoid, ctid FROM {name} ORDER BY {name}::text, ctid LIMIT 1)"
            ),
            Self::Some(rest) => format!("k % 2 = {}", rest % 2),
            Self::Key(value) => format!("k = {}", value % 4),
            Self::All => "true".into(),
        }
    }
}

/// The columns that INSERT names.
fn names(table: &Table) -> String {
    let names: Vec<String> = bare(table).into_iter().map(|column| column.sql).collect();
    names.join(", ")
}

/// The next free id of a table, as SQL.
fn next_id(name: &str, offset: usize) -> String {
    format!("(SELECT coalesce(max(id), 0) + {} FROM {name})", offset + 1)
}

/// MERGE that moves the keys of the rows of a condition. What it inserts comes before these or after them.
fn merge(table: &Table, name: &str, condition: &str, row: &[u8], arms: u8) -> String {
    let rows = format!("SELECT tableoid, ctid FROM {name} WHERE {condition}");
    let none = "VALUES (NULL::oid, NULL::tid)".to_owned();
    let (first, last) = match arms & 8 {
        0 => (rows, none),
        _ => (none, rows),
    };
    let mut sql = format!(
        "MERGE INTO {name} USING ({first} UNION ALL {last}) s (s_table, s_row) \
         ON {name}.tableoid = s_table AND {name}.ctid = s_row WHEN MATCHED THEN UPDATE SET k = (k + 1) % 4"
    );
    if arms & 1 == 1 {
        sql.push_str(&format!(
            " WHEN NOT MATCHED BY TARGET THEN INSERT ({}) VALUES {}",
            names(table),
            table.values(row, &next_id(name, 0))
        ));
    }
    if arms & 6 == 6 {
        sql.push_str(" WHEN NOT MATCHED BY SOURCE AND k % 3 = 0 THEN DELETE");
    }
    sql
}

/// A table that statements are made for.
struct Target<'t> {
    table: &'t Table,
    /// Its name.
    name: String,
    /// Its name, or that of one of its parts, for what changes rows.
    place: String,
}

impl Target<'_> {
    fn filter(&self, which: &Which) -> String {
        which.render(self.table, &self.name)
    }

    fn insert(&self, rows: &[Vec<u8>]) -> String {
        let name = &self.name;
        let rows = rows.iter().enumerate();
        let rows = rows.map(|(number, row)| self.table.values(row, &next_id(name, number)));
        let rows: Vec<String> = rows.collect();
        let place = self.place.trim_start_matches("ONLY ");
        format!(
            "INSERT INTO {place} ({}) VALUES {}",
            names(self.table),
            rows.join(", ")
        )
    }

    /// UPDATE; nothing if there is nothing to set.
    fn update(&self, set: &[String], condition: &str) -> Vec<String> {
        match set.is_empty() {
            true => Vec::new(),
            false => vec![format!(
                "UPDATE {} SET {} WHERE {condition}",
                self.place,
                set.join(", ")
            )],
        }
    }

    fn copy(&self, which: &Which) -> String {
        let name = &self.name;
        let columns = bare(self.table).into_iter();
        let columns = columns.map(|column| match column.sql.as_str() {
            "id" => format!("(SELECT max(id) FROM {name}) + row_number() OVER (ORDER BY id)"),
            other => other.to_owned(),
        });
        let columns: Vec<String> = columns.collect();
        format!(
            "INSERT INTO {name} ({}) SELECT {} FROM {name} WHERE {} LIMIT 20",
            names(self.table),
            columns.join(", "),
            self.filter(which)
        )
    }

    fn delete_extremum(&self, index: u8, largest: bool) -> Vec<String> {
        let name = &self.name;
        let columns = bare(self.table).into_iter();
        let columns: Vec<Scoped> = columns.filter(|column| column.ty.has_extremes()).collect();
        let direction = if largest { "DESC" } else { "ASC" };
        let delete = |Scoped { sql, .. }: &Scoped| {
            // Not by max and min: before 18 there are none of bytea and record.
            format!(
                "DELETE FROM {name} WHERE {sql} = \
                 (SELECT {sql} FROM {name} ORDER BY {sql} {direction} NULLS LAST LIMIT 1)"
            )
        };
        column(&columns, index).map(delete).into_iter().collect()
    }

    fn kill_group(&self, index: u8) -> Vec<String> {
        let name = &self.name;
        let delete = |Scoped { sql, .. }: &Scoped| {
            format!(
                "DELETE FROM {name} WHERE {sql} IS NOT DISTINCT FROM \
                 (SELECT {sql} FROM {name} ORDER BY {sql}::text LIMIT 1)"
            )
        };
        column(&bare(self.table), index)
            .map(delete)
            .into_iter()
            .collect()
    }

    fn rescale(&self, larger: bool, which: &Which) -> Vec<String> {
        let columns = settable(self.table).into_iter();
        let numeric = columns.filter(|column| column.ty == Ty::Numeric);
        let set: Vec<String> = numeric
            .map(|column| match larger {
                true => format!("{0} = {0} * 1.0", column.sql),
                false => format!("{0} = trim_scale({0})", column.sql),
            })
            .collect();
        let rows = match larger {
            true => self.filter(which),
            false => "true".into(),
        };
        self.update(&set, &rows)
    }

    fn upsert(&self, row: &[u8]) -> String {
        let (target, sets_k) = match self.table.key {
            Key::None => return self.insert(&[row.to_vec()]),
            Key::Primary => ("id", true),
            _ => ("id, k", false),
        };
        let columns = settable(self.table).into_iter();
        let set: Vec<String> = columns
            .filter(|column| column.sql != "k" || sets_k)
            .map(|column| format!("{0} = excluded.{0}", column.sql))
            .collect();
        let id = row.first().map_or(1, |index| index % 8 + 1);
        let values = self.table.values(row, &id.to_string());
        format!(
            "INSERT INTO {} ({}) VALUES {values} ON CONFLICT ({target}) DO UPDATE SET {}",
            self.name,
            names(self.table),
            set.join(", ")
        )
    }

    fn bulk(&self, size: u8) -> String {
        let name = &self.name;
        let columns = self.table.column_infos();
        let values = columns.iter().enumerate();
        let values = values.map(|(position, column)| match column.name.as_str() {
            "id" => format!("(SELECT coalesce(max(id), 0) FROM {name}) + i"),
            _ => column
                .ty
                .varied(&format!("i + {position}"), column.required),
        });
        let values: Vec<String> = values.collect();
        format!(
            "INSERT INTO {name} ({}) SELECT {} FROM generate_series(1, {}) i \
             WHERE (SELECT count(*) FROM {name}) < 60",
            names(self.table),
            values.join(", "),
            size % 40 + 10
        )
    }

    fn ddl(&self, kind: u8) -> Vec<String> {
        let name = &self.name;
        match kind % 6 {
            0 => vec![format!("ANALYZE {name}")],
            1 => vec![format!(
                "ALTER TABLE {name} ADD COLUMN IF NOT EXISTS late int DEFAULT 5"
            )],
            2 => vec![
                format!("ALTER TABLE {name} RENAME TO renamed"),
                format!("ALTER TABLE renamed RENAME TO {name}"),
            ],
            3 => vec![
                format!("ALTER TABLE {name} RENAME COLUMN k TO kk"),
                format!("UPDATE {name} SET kk = kk + 1 WHERE kk = 1"),
                format!("ALTER TABLE {name} RENAME COLUMN kk TO k"),
            ],
            4 => vec![format!("CREATE INDEX ON {name} (k)")],
            _ => vec![format!(
                "ALTER TABLE {name} ALTER COLUMN k SET STATISTICS 50"
            )],
        }
    }
}

impl Dml {
    /// The statement or statements.
    pub fn render(&self, tables: &[Table]) -> Vec<String> {
        let index = usize::from(self.table()) % tables.len().max(1);
        let Some(table) = tables.get(index) else {
            return Vec::new();
        };
        let name = format!("t{index}");
        let number = usize::from(self.table()) / tables.len().max(1);
        let place = table.written(&name, number);
        let on = Target { table, name, place };
        let name = &on.name;
        match self {
            Self::Insert(_, rows) => vec![on.insert(rows)],
            Self::Delete(_, which) => {
                vec![format!(
                    "DELETE FROM {} WHERE {}",
                    on.place,
                    on.filter(which)
                )]
            }
            Self::Update(_, index, value, which) => {
                let columns = settable(table);
                let set = column(&columns, *index)
                    .map(|c| format!("{} = {}", c.sql, c.ty.stored(*value, false)));
                on.update(set.as_slice(), &on.filter(which))
            }
            Self::Copy(_, which) => vec![on.copy(which)],
            Self::MoveKeys(_, which) => on.update(&["k = (k + 1) % 4".into()], &on.filter(which)),
            Self::Merge(_, which, row, arms) => {
                vec![merge(table, name, &on.filter(which), row, *arms)]
            }
            Self::DeleteExtremum(_, index, largest) => on.delete_extremum(*index, *largest),
            Self::KillGroup(_, index) => on.kill_group(*index),
            Self::NoChange(_, which) => {
                let columns = settable(table).into_iter();
                let set: Vec<String> = columns.map(|c| format!("{0} = {0}", c.sql)).collect();
                on.update(&set, &on.filter(which))
            }
            Self::Rescale(_, larger, which) => on.rescale(*larger, which),
            Self::Upsert(_, row) => vec![on.upsert(row)],
            Self::Reborn(_, row) => vec![
                format!("DELETE FROM {name}"),
                format!(
                    "INSERT INTO {name} ({}) VALUES {}",
                    names(table),
                    table.values(row, "1")
                ),
            ],
            Self::Truncate(_) => vec![format!("TRUNCATE {name}")],
            Self::Bulk(_, size) => vec![on.bulk(*size)],
            Self::Ddl(_, kind) => on.ddl(*kind),
        }
    }

    /// The table's index.
    fn table(&self) -> u8 {
        match self {
            Self::Insert(table, _)
            | Self::Delete(table, _)
            | Self::Update(table, ..)
            | Self::Copy(table, _)
            | Self::MoveKeys(table, _)
            | Self::Merge(table, ..)
            | Self::DeleteExtremum(table, ..)
            | Self::KillGroup(table, _)
            | Self::NoChange(table, _)
            | Self::Rescale(table, ..)
            | Self::Upsert(table, _)
            | Self::Reborn(table, _)
            | Self::Truncate(table)
            | Self::Bulk(table, _)
            | Self::Ddl(table, _) => *table,
        }
    }
}

//! The columns of a relation, compared: a stream table has exactly those of its query.

use pgrx::pg_sys;

use crate::catalog::StreamTable;
use crate::error::{Error, Result};
use crate::pg::table::TableFacts;
use crate::pg::user::OwnerContext;
use crate::pg::{depend, name, type_name, utility};

/// A column as a user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Type, modifier and collation.
    pub kind: (pg_sys::Oid, i32, pg_sys::Oid),
}

/// The columns of a relation, in order, without dropped ones.
pub fn of(relid: pg_sys::Oid) -> Result<Vec<Column>> {
    let facts = TableFacts::load(relid).ok_or(Error::RelationVanished(relid))?;
    Ok(facts
        .attributes
        .into_iter()
        .map(|a| Column {
            name: a.name,
            kind: (a.type_oid, a.typmod, a.collation),
        })
        .collect())
}

/// The first difference between the columns that are and those that would be, as a sentence.
pub fn first_difference(present: &[Column], new: &[Column]) -> Option<String> {
    if present.len() != new.len() {
        return Some(format!(
            "The number of columns is {} and would be {}.",
            present.len(),
            new.len()
        ));
    }
    let mut pairs = present.iter().zip(new).enumerate();
    pairs
        .find(|(_, (present, new))| present != new)
        .map(|(at, (present, new))| {
            let what = if present.name == new.name {
                "type or collation"
            } else {
                "name"
            };
            format!(
                "Column {} is \"{}\" and would be \"{}\", with another {what}.",
                at + 1,
                present.name,
                new.name
            )
        })
}

/// Gives a stream table more columns at its end, those of its view. What users have declared on it is not touched.
pub fn add(table: &StreamTable, view: pg_sys::Oid, added: &[Column]) -> Result<()> {
    if added.is_empty() {
        return Ok(());
    }
    let owner = depend::owner_of(table.relid).ok_or(Error::Vanished)?;
    let actions = added.iter().map(|column| {
        let (type_oid, typmod, collation) = column.kind;
        let ty = type_name::definition(type_oid, typmod, collation)?;
        Ok(format!("ADD COLUMN {} {ty}", name::quote(&column.name)))
    });
    let actions = actions.collect::<Result<Vec<_>>>()?.join(", ");
    let _owner = OwnerContext::enter(owner, &table.settings)?;
    utility::run(&format!("ALTER TABLE {} {actions}", table.qualified_name()))?;
    require_same_types(&table.plain_name(), table.relid, view)
}

/// Refuses a stream table whose columns have another number or other types than its view's. Names
/// may differ: users may rename columns.
pub fn require_same_types(table: &str, relid: pg_sys::Oid, view: pg_sys::Oid) -> Result<()> {
    let kinds = |relid| Ok::<_, Error>(of(relid)?.into_iter().map(|c| c.kind).collect::<Vec<_>>());
    if kinds(relid)? == kinds(view)? {
        Ok(())
    } else {
        Err(Error::ColumnsFixed(table.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, kind: u32) -> Column {
        Column {
            name: name.to_owned(),
            kind: (kind.into(), -1, pg_sys::InvalidOid),
        }
    }

    #[test]
    fn the_first_difference_is_told() {
        let present = [column("a", 23), column("b", 25)];
        assert_eq!(first_difference(&present, &present), None);
        assert_eq!(
            first_difference(&present, &present[..1]).as_deref(),
            Some("The number of columns is 2 and would be 1.")
        );
        assert_eq!(
            first_difference(&present, &[column("a", 20), column("c", 25)]).as_deref(),
            Some("Column 1 is \"a\" and would be \"a\", with another type or collation.")
        );
        assert_eq!(
            first_difference(&present, &[column("a", 23), column("c", 25)]).as_deref(),
            Some("Column 2 is \"b\" and would be \"c\", with another name.")
        );
    }
}

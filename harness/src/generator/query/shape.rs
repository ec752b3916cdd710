//! Select lists, and what follows WHERE.

use super::super::expr::comparison;
use super::super::names;
use super::super::scoped::Scoped;
use super::super::types::Ty;
use super::Shape;
use super::subquery::Around;

/// What a query shows.
pub struct Shown {
    /// DISTINCT and the like, before the list.
    pub word: String,
    /// Behind SELECT.
    pub list: String,
    /// Its columns.
    pub columns: Vec<(String, Ty)>,
    /// Behind WHERE.
    pub tail: String,
}

/// The shape as SQL.
pub fn print_shape(shape: &Shape, style: u8, scope: &[Scoped], around: &mut Around<'_>) -> Shown {
    let mut list = Vec::new();
    let mut columns = Vec::new();
    let mut tail = String::new();
    let mut put = |sql: String, ty: Option<Ty>| {
        let name = names::column("o", style, list.len());
        list.push(format!("{sql} AS {name}"));
        columns.extend(ty.map(|ty| (name, ty)));
    };
    let mut word = String::new();
    let clauses = match shape {
        Shape::Ordered(ordered) => Some(ordered.clauses(scope, around)),
        Shape::Tied(tied) => Some(tied.clauses(scope, around)),
        _ => None,
    };
    if let Some(clauses) = clauses {
        for (sql, ty) in clauses.list {
            put(sql, Some(ty));
        }
        word = clauses.word;
        tail = clauses.tail;
    }
    match shape {
        Shape::Project(exprs, made, lookups) => {
            for typed in exprs {
                let ty = typed.ty(scope);
                put(typed.1.render(ty, scope), Some(ty));
            }
            if let Some((sql, ty)) = made.as_ref().map(|made| made.selected(scope)) {
                put(sql, Some(ty));
            }
            for lookup in lookups {
                let (sql, ty) = lookup.render(scope, around);
                put(sql, ty);
            }
        }
        // Printed above.
        Shape::Ordered(_) | Shape::Tied(_) => {}
        Shape::Distinct(exprs) => {
            word = "DISTINCT ".to_owned();
            for typed in exprs {
                let ty = typed.ty(scope);
                put(ty.canonical(&typed.1.render(ty, scope)), Some(ty));
            }
        }
        Shape::Group {
            keys,
            shown,
            sets,
            aggregates,
            having,
        } => {
            let mut group = Vec::new();
            for (index, typed) in keys.iter().enumerate() {
                let ty = typed.ty(scope);
                let key = ty.canonical(&typed.1.render(ty, scope));
                // A literal key would be taken for a column number or be constant anyway.
                let key = format!("({key})");
                if shown & (1 << (index % 8)) != 0 {
                    put(key.clone(), Some(ty));
                }
                group.push(key);
            }
            for aggregate in aggregates {
                let (sql, ty) = aggregate.render(scope);
                put(sql, ty);
            }
            if !group.is_empty() {
                tail = format!(" GROUP BY {}", grouping(*sets, &group));
            }
            if let Some((aggregate, op, value, lookup)) = having {
                let found = lookup
                    .as_ref()
                    .map(|lookup| lookup.render(&columns_of(&group, scope), around));
                tail.push_str(&match (aggregate.render(scope), found) {
                    ((sql, Some(ty)), Some((found, Some(other)))) if ty == other => {
                        format!(" HAVING {sql} {} {found}", comparison(*op))
                    }
                    (_, Some((found, _))) => format!(" HAVING {found} IS NOT NULL"),
                    ((sql, Some(ty)), None) => {
                        format!(" HAVING {sql} {} {}", comparison(*op), ty.value(*value))
                    }
                    ((sql, None), None) => format!(" HAVING {sql} IS NOT NULL"),
                });
            }
        }
    }
    Shown {
        word,
        list: list.join(", "),
        columns,
        tail,
    }
}

/// The keys that are columns: what a subquery above the grouping may read of the rows.
fn columns_of(keys: &[String], scope: &[Scoped]) -> Vec<Scoped> {
    let is_key = |column: &&Scoped| keys.contains(&format!("({})", column.sql));
    scope.iter().filter(is_key).cloned().collect()
}

/// What stands behind GROUP BY.
fn grouping(sets: u8, keys: &[String]) -> String {
    let all = keys.join(", ");
    match (sets, keys) {
        (1, _) => format!("ROLLUP ({all})"),
        (2, _) => format!("CUBE ({all})"),
        (3, [first, ..]) => format!("GROUPING SETS (({first}), ({all}), ())"),
        _ => all,
    }
}

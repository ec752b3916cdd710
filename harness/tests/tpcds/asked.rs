//! What the queries ask for, made frequent: at this scale a quarter of them would find nothing.

use std::collections::BTreeMap;

use harness::client::{Session, SqlError};

/// What the columns of dimensions begin with; dates stay as they are.
const DIMENSIONS: [&str; 12] = [
    "i", "ca", "cd", "hd", "s", "c", "p", "r", "sm", "web", "cc", "w",
];

/// Columns of dimensions that are compared with literals, and those.
fn literals(queries: &[(u32, String)]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, sql) in queries {
        for (place, _) in sql.match_indices(['=', '(']) {
            let (before, after) = (&sql[..place], &sql[place + 1..]);
            let before = before.trim_end();
            let before = match sql.as_bytes().get(place) {
                Some(b'(') => match before.to_ascii_uppercase().strip_suffix("IN") {
                    Some(rest) => before[..rest.len()].trim_end(),
                    None => continue,
                },
                _ => before,
            };
            let column: String = before
                .chars()
                .rev()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let column: String = column.chars().rev().collect();
            let prefix = column.split('_').next().unwrap_or_default();
            if !DIMENSIONS.contains(&prefix) {
                continue;
            }
            let values = found.entry(column).or_default();
            for value in after.split(')').next().unwrap_or_default().split(',') {
                values.extend(literal(value.trim_start()));
                if sql.as_bytes().get(place) == Some(&b'=') {
                    break;
                }
            }
        }
    }
    found.retain(|_, values| !values.is_empty());
    found
}

/// The text or number at the beginning, as a text.
fn literal(text: &str) -> Option<String> {
    if let Some(quoted) = text.strip_prefix('\'') {
        return quoted.split('\'').next().map(str::to_owned);
    }
    let number: String = text.chars().take_while(|c| c.is_ascii_digit()).collect();
    (!number.is_empty()).then_some(number)
}

/// Statements that give a third of each dimension's rows values that the queries ask for.
pub async fn made_frequent(
    session: &Session,
    tables: &[String],
    queries: &[(u32, String)],
) -> Result<String, SqlError> {
    let mut statements = Vec::new();
    for (number, (column, values)) in literals(queries).into_iter().enumerate() {
        let found = session
            .table(&format!(
                "SELECT c.relname AS table, k.attname AS key, format_type(a.atttypid, a.atttypmod) AS type
                   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'r'
                   JOIN pg_attribute k ON k.attrelid = c.oid AND k.attnum = 1
                  WHERE a.attname = '{column}' AND a.attnum > 1 AND c.relname IN ('{}')",
                tables.join("', '")
            ))
            .await?;
        let (Some(table), Some(key), Some(kind)) = (
            found.value(0, "table"),
            found.value(0, "key"),
            found.value(0, "type"),
        ) else {
            continue;
        };
        let list: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
        let (list, count) = (list.join(", "), values.len());
        statements.push(format!(
            "UPDATE {table} SET {column} = ((ARRAY[{list}])[1 + abs(hashint4({key} * 31 + {number})::bigint) % {count}])::{kind}
              WHERE {key} % 3 = 1"
        ));
    }
    assert!(statements.len() > 30, "{} columns", statements.len());
    Ok(statements.join("; "))
}

//! The generated writer of change buffers: a PL/pgSQL trigger function over transition tables, one
//! `INSERT … SELECT` per statement.
//!
//! Its body is pure SQL: transaction and epoch are scalar subqueries, evaluated once, and only if there
//! is a row. An UPDATE is written only where a captured column changed: old and new versions are paired
//! by position in the transition tables. If the positions do not correspond, equal rows still cancel out.

/// A captured column: its name in the buffer and, quoted, in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedColumn {
    /// Name in the buffer, which needs no quotes.
    pub buffer: String,
    /// Name in the source, quoted where it has to be.
    pub source: String,
}

/// The transaction and its epoch. The latter is asked for only if there is a row to write, and so
/// wakes the scheduler only then.
fn head(buffer: &str) -> String {
    format!(
        "(SELECT pg_catalog.pg_current_xact_id()::text::bigint), \
         (SELECT pgtrickle.capture_epoch('{}'::pg_catalog.regclass)), ",
        buffer.replace('\'', "''")
    )
}

/// The text of `CREATE OR REPLACE FUNCTION function()`, which writes the changes of a table to
/// `buffer`. Both names are qualified and quoted.
pub fn build_stmt_trigger_fn_sql(
    function: &str,
    buffer: &str,
    columns: &[CapturedColumn],
) -> String {
    let width: usize = columns
        .iter()
        .map(|c| c.buffer.len() + c.source.len() + 16)
        .sum();
    let mut sql = String::with_capacity(1400 + function.len() + 8 * buffer.len() + 6 * width);
    let quote = dollar_quote(columns);
    sql.push_str("CREATE OR REPLACE FUNCTION ");
    sql.push_str(function);
    sql.push_str(
        "() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp AS ",
    );
    sql.push_str(&quote);
    // What acts for another server fires row triggers.
    sql.push_str(
        "\nBEGIN\n  IF TG_OP <> 'TRUNCATE' \
         AND pg_catalog.current_setting('session_replication_role') = 'replica' THEN\n    RETURN NULL;\n  \
         ELSIF TG_OP = 'INSERT' THEN\n    ",
    );
    push_all(&mut sql, buffer, columns, "1", "pgt_new");
    sql.push_str("  ELSIF TG_OP = 'DELETE' THEN\n    ");
    push_all(&mut sql, buffer, columns, "-1", "pgt_old");
    if !columns.is_empty() {
        sql.push_str("  ELSIF TG_OP = 'UPDATE' THEN\n    ");
        push_changed(&mut sql, buffer, columns);
    }
    sql.push_str("  ELSIF TG_OP = 'TRUNCATE' THEN\n    ");
    push_insert(&mut sql, buffer, &[]);
    sql.push_str("    SELECT ");
    sql.push_str(&head(buffer));
    sql.push_str("0;\n  END IF;\n  RETURN NULL;\nEND\n");
    sql.push_str(&quote);
    sql
}

/// `INSERT INTO buffer (…)` with the columns.
fn push_insert(sql: &mut String, buffer: &str, columns: &[CapturedColumn]) {
    sql.push_str("INSERT INTO ");
    sql.push_str(buffer);
    sql.push_str(" (__pgt_xid, __pgt_epoch, __pgt_w");
    for column in columns {
        sql.push_str(", ");
        sql.push_str(&column.buffer);
    }
    sql.push_str(")\n");
}

/// All rows of a transition table, with one weight.
fn push_all(sql: &mut String, buffer: &str, columns: &[CapturedColumn], weight: &str, rows: &str) {
    push_insert(sql, buffer, columns);
    sql.push_str("    SELECT ");
    sql.push_str(&head(buffer));
    sql.push_str(weight);
    push_list(sql, columns, ", ", "r.");
    sql.push_str(" FROM ");
    sql.push_str(rows);
    sql.push_str(" r;\n");
}

/// Old and new versions of the rows whose captured columns changed.
fn push_changed(sql: &mut String, buffer: &str, columns: &[CapturedColumn]) {
    push_insert(sql, buffer, columns);
    sql.push_str("    SELECT ");
    sql.push_str(&head(buffer));
    sql.push_str("v.*\n      FROM (SELECT pg_catalog.row_number() OVER () AS __pgt_n");
    push_list(sql, columns, ", ", "r.");
    sql.push_str(" FROM pgt_old r) o (__pgt_n");
    push_names(sql, columns);
    sql.push_str(")\n      FULL JOIN (SELECT pg_catalog.row_number() OVER () AS __pgt_n");
    push_list(sql, columns, ", ", "r.");
    sql.push_str(" FROM pgt_new r) n (__pgt_n");
    push_names(sql, columns);
    sql.push_str(") ON o.__pgt_n = n.__pgt_n\n      CROSS JOIN LATERAL (VALUES (-1");
    push_buffer_list(sql, columns, ", ", "o.");
    sql.push_str("), (1");
    push_buffer_list(sql, columns, ", ", "n.");
    sql.push_str(")) v (__pgt_w");
    push_names(sql, columns);
    sql.push_str(
        ")\n      WHERE CASE WHEN o.__pgt_n IS NULL THEN v.__pgt_w = 1\n        \
         WHEN n.__pgt_n IS NULL THEN v.__pgt_w = -1\n        \
         ELSE pg_catalog.record_image_ne(ROW(",
    );
    push_buffer_list(sql, columns, "", "o.");
    sql.push_str("), ROW(");
    push_buffer_list(sql, columns, "", "n.");
    sql.push_str(")) END;\n");
}

fn push_names(sql: &mut String, columns: &[CapturedColumn]) {
    for column in columns {
        sql.push_str(", ");
        sql.push_str(&column.buffer);
    }
}

/// Source columns of `alias`, comma-separated, the first after `first`.
fn push_list(sql: &mut String, columns: &[CapturedColumn], first: &str, alias: &str) {
    push_columns(sql, columns.iter().map(|c| c.source.as_str()), first, alias);
}

/// Buffer columns of `alias`, comma-separated, the first after `first`.
fn push_buffer_list(sql: &mut String, columns: &[CapturedColumn], first: &str, alias: &str) {
    push_columns(sql, columns.iter().map(|c| c.buffer.as_str()), first, alias);
}

fn push_columns<'a>(
    sql: &mut String,
    names: impl Iterator<Item = &'a str>,
    first: &str,
    alias: &str,
) {
    for (i, name) in names.enumerate() {
        sql.push_str(if i == 0 { first } else { ", " });
        sql.push_str(alias);
        sql.push_str(name);
    }
}

/// A dollar quote that no column name contains.
fn dollar_quote(columns: &[CapturedColumn]) -> String {
    let mut tag = String::from("$pgt$");
    while columns.iter().any(|column| column.source.contains(&tag)) {
        tag.insert(tag.len() - 1, '_');
    }
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str]) -> Vec<CapturedColumn> {
        let column = |(i, name): (usize, &&str)| CapturedColumn {
            buffer: format!("a{}", i + 1),
            source: (*name).to_string(),
        };
        names.iter().enumerate().map(column).collect()
    }

    #[test]
    fn each_kind_of_statement_is_one_insert() {
        let sql = build_stmt_trigger_fn_sql("s.f", "s.b", &columns(&["id", "\"Odd Name\""]));
        assert_eq!(sql.matches("INSERT INTO s.b ").count(), 4);
        assert!(sql.contains(
            "INSERT INTO s.b (__pgt_xid, __pgt_epoch, __pgt_w, a1, a2)\n    \
             SELECT (SELECT pg_catalog.pg_current_xact_id()::text::bigint), \
             (SELECT pgtrickle.capture_epoch('s.b'::pg_catalog.regclass)), 1, r.id, r.\"Odd Name\" FROM pgt_new r;"
        ));
        assert!(sql.contains("record_image_ne(ROW(o.a1, o.a2), ROW(n.a1, n.a2))"));
        assert!(sql.starts_with("CREATE OR REPLACE FUNCTION s.f() RETURNS trigger"));
        assert!(sql.contains("SECURITY DEFINER SET search_path = pg_catalog, pg_temp"));
    }

    #[test]
    fn a_table_without_captured_columns_has_no_updates() {
        let sql = build_stmt_trigger_fn_sql("s.f", "s.b", &[]);
        assert!(!sql.contains("'UPDATE'"));
        assert!(sql.contains("-1 FROM pgt_old r;"));
    }

    #[test]
    fn the_text_is_built_in_one_allocation() {
        let columns = columns(&["a", "a_rather_long_column_name_of_some_sort", "\"c\"\"d\""]);
        let sql = build_stmt_trigger_fn_sql("pgtrickle_changes.f", "pgtrickle_changes.b", &columns);
        let estimate: usize = columns
            .iter()
            .map(|c| c.buffer.len() + c.source.len() + 16)
            .sum();
        assert!(sql.len() <= 1400 + 19 + 8 * 19 + 6 * estimate);
    }

    #[test]
    fn no_column_name_ends_the_function_body() {
        let sql = build_stmt_trigger_fn_sql("s.f", "s.b", &columns(&["\"x$pgt$y\""]));
        assert!(sql.contains(" AS $pgt_$\n") && sql.ends_with("$pgt_$"));
    }
}

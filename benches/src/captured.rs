//! The text of a capture trigger as one would write it first: a formatted string per column, joined
//! afterwards. What `build_stmt_trigger_fn_sql` is measured against; both make the same text.

use pgtrickle_dvm::capture_sql::CapturedColumn;

/// The same text as `build_stmt_trigger_fn_sql` for names that need no special dollar quote.
pub fn trigger_fn_sql(function: &str, buffer: &str, columns: &[CapturedColumn]) -> String {
    let list = |alias: &str| -> String {
        let each: Vec<String> = columns
            .iter()
            .map(|c| format!("{alias}.{}", c.source))
            .collect();
        each.join(", ")
    };
    let buffer_list = |alias: &str| -> String {
        let each: Vec<String> = columns
            .iter()
            .map(|c| format!("{alias}.{}", c.buffer))
            .collect();
        each.join(", ")
    };
    let names: Vec<String> = columns.iter().map(|c| format!(", {}", c.buffer)).collect();
    let names = names.join("");
    let head = format!(
        "(SELECT pg_catalog.pg_current_xact_id()::text::bigint), \
         (SELECT pgtrickle.capture_epoch('{buffer}'::pg_catalog.regclass)), "
    );
    let insert =
        |names: &str| format!("INSERT INTO {buffer} (__pgt_xid, __pgt_epoch, __pgt_w{names})\n");
    let all = |weight: &str, rows: &str| {
        format!(
            "{}    SELECT {head}{weight}, {} FROM {rows} r;\n",
            insert(&names),
            list("r")
        )
    };
    let changed = format!(
        "{}    SELECT {head}v.*\n      FROM (SELECT pg_catalog.row_number() OVER () AS __pgt_n, {rows} FROM pgt_old r) \
         o (__pgt_n{names})\n      FULL JOIN (SELECT pg_catalog.row_number() OVER () AS __pgt_n, {rows} FROM pgt_new r) \
         n (__pgt_n{names}) ON o.__pgt_n = n.__pgt_n\n      CROSS JOIN LATERAL (VALUES (-1, {old}), (1, {new})) v \
         (__pgt_w{names})\n      WHERE CASE WHEN o.__pgt_n IS NULL THEN v.__pgt_w = 1\n        \
         WHEN n.__pgt_n IS NULL THEN v.__pgt_w = -1\n        \
         ELSE pg_catalog.record_image_ne(ROW({old}), ROW({new})) END;\n",
        insert(&names),
        rows = list("r"),
        old = buffer_list("o"),
        new = buffer_list("n"),
    );
    format!(
        "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
         SET search_path = pg_catalog, pg_temp AS $pgt$\nBEGIN\n  IF TG_OP = 'INSERT' THEN\n    {}\
         \x20 ELSIF TG_OP = 'DELETE' THEN\n    {}  ELSIF TG_OP = 'UPDATE' THEN\n    {changed}\
         \x20 ELSIF TG_OP = 'TRUNCATE' THEN\n    {}    SELECT {head}0;\n  END IF;\n  RETURN NULL;\nEND\n$pgt$",
        all("1", "pgt_new"),
        all("-1", "pgt_old"),
        insert(""),
    )
}

/// So many columns with names of a usual length.
pub fn columns(count: usize) -> Vec<CapturedColumn> {
    (1..=count)
        .map(|number| CapturedColumn {
            buffer: format!("a{number}"),
            source: format!("column_number_{number}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgtrickle_dvm::capture_sql::build_stmt_trigger_fn_sql;

    #[test]
    fn both_ways_make_the_same_text() {
        let columns = columns(3);
        assert_eq!(
            trigger_fn_sql("s.f", "s.b", &columns),
            build_stmt_trigger_fn_sql("s.f", "s.b", &columns)
        );
    }
}

//! Files of queries: each stands under a comment `-- q` with its name.

/// The queries of such a file: name and SQL.
pub fn of(file: &str) -> Vec<(&str, &str)> {
    file.split("-- q")
        .skip(1)
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, sql)| (name, sql.trim().trim_end_matches(';')))
        .collect()
}

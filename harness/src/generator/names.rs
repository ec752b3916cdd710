//! Names that need quotes, or that the engine gives to things of its own.

/// Column names.
const COLUMNS: [&str; 18] = [
    "\"Order by\"",
    "\"__pgt_w\"",
    "\"a1\"",
    "\"k0\"",
    "\"select\"",
    "\"x0\"",
    "\"Zoë ☃\"",
    "\"say \"\"hi\"\"\"",
    "\"__pgt_present\"",
    "\"c.d\"",
    "\"ord\"",
    "\"new_keep\"",
    "\"$1\"",
    "\"recompute\"",
    "\"a0\"",
    "\"it's {0}\"",
    "\"present\"",
    "\"f0\"",
];

/// Aliases, among them the names of tables.
const ALIASES: [&str; 12] = [
    "t0",
    "d",
    "t1",
    "s0",
    "\"T 1\"",
    "g",
    "\"__pgt_groups\"",
    "t",
    "\"user\"",
    "s1",
    "\"__pgt_touched\"",
    "\"é.\"\"\"",
];

/// The name of this number in a style; style 0 is plain.
fn styled(names: &[&str], prefix: &str, style: u8, number: usize) -> String {
    match names.get((usize::from(style) + number) % names.len()) {
        Some(name) if style > 0 && number < names.len() => (*name).to_owned(),
        _ => format!("{prefix}{number}"),
    }
}

/// The name of a column.
pub fn column(prefix: &str, style: u8, number: usize) -> String {
    styled(&COLUMNS, prefix, style, number)
}

/// The alias of an entry of FROM, by its place; each style has one name for a place, so that levels
/// shadow each other.
pub fn alias(style: u8, place: usize) -> Option<String> {
    (style > 0 && place < ALIASES.len()).then(|| styled(&ALIASES, "a", style, place))
}

//! Values of one type read off those of another: most of them depend on settings of the session.

use super::scoped::Scoped;
use super::types::Ty;

/// From which type, to which, and how.
const READINGS: [(Ty, Ty, &str); 45] = [
    (Ty::Instant, Ty::Date, "({})::date"),
    (Ty::Instant, Ty::Instant, "date_trunc('day', {})"),
    (Ty::Instant, Ty::Text, "({})::text"),
    (Ty::Instant, Ty::Text, "to_char({}, 'YYYY-MM-DD HH24 TZ')"),
    (Ty::Instant, Ty::Int, "extract(isodow FROM {})::int"),
    (Ty::Instant, Ty::Int, "extract(hour FROM {})::int"),
    (Ty::Instant, Ty::Instant, "({} + interval '1 day')"),
    (
        Ty::Instant,
        Ty::Instant,
        "date_trunc('week', {}, 'America/New_York')",
    ),
    (Ty::Instant, Ty::Timestamp, "({})::timestamp"),
    (
        Ty::Instant,
        Ty::Timestamp,
        "({} AT TIME ZONE 'Asia/Kolkata')",
    ),
    (Ty::Instant, Ty::Bool, "({} >= date '2024-01-01')"),
    (Ty::Instant, Ty::Json, "to_jsonb({})"),
    (Ty::Instant, Ty::Text, "format('%s', {})"),
    (Ty::Timestamp, Ty::Instant, "({})::timestamptz"),
    (Ty::Timestamp, Ty::Text, "({})::text"),
    (
        Ty::Timestamp,
        Ty::Bool,
        "({} < timestamptz '2024-01-01 00:00+00')",
    ),
    (Ty::Date, Ty::Instant, "({})::timestamptz"),
    (Ty::Date, Ty::Text, "({})::text"),
    (Ty::Date, Ty::Text, "to_char({}, 'TMDay')"),
    (Ty::Date, Ty::Timestamp, "({} + interval '1 hour')"),
    (Ty::Interval, Ty::Text, "({})::text"),
    (Ty::Interval, Ty::Text, "concat({}, '!')"),
    (Ty::Float, Ty::Text, "({} / 3)::text"),
    (Ty::Float, Ty::Json, "to_jsonb({} / 3)"),
    (Ty::Bytea, Ty::Text, "({})::text"),
    (Ty::Bytea, Ty::Text, "concat({}, '!')"),
    (Ty::Ints, Ty::Text, "array_to_string({}, ',')"),
    (Ty::Ints, Ty::Text, "({})::text"),
    (Ty::Span, Ty::Text, "({})::text"),
    (Ty::Text, Ty::Text, "to_tsvector({})::text"),
    (Ty::Text, Ty::Text, "quote_ident({})"),
    (Ty::Text, Ty::Bool, "({} @@ 'a')"),
    (Ty::Numeric, Ty::Text, "to_char({}, '9D99')"),
    (Ty::Dated, Ty::Date, "({})::date"),
    (Ty::Dated, Ty::Date, "({})::varchar(30)::date"),
    (Ty::Dated, Ty::Timestamp, "({})::timestamp"),
    (Ty::Dated, Ty::Instant, "({})::timestamptz"),
    (
        Ty::Dated,
        Ty::Instant,
        "(jsonb_build_object('at', {}) ->> 'at')::timestamptz",
    ),
    (Ty::Dated, Ty::Text, "({})::date::text"),
    (Ty::Dated, Ty::Date, "((ARRAY[NULL, {}])::date[])[2]"),
    (
        Ty::Dated,
        Ty::Instant,
        "JSON_VALUE(jsonb_build_object('at', {}), '$.at' RETURNING timestamptz)",
    ),
    (Ty::Dated, Ty::Bool, "(({})::date >= date '2024-01-01')"),
    (
        Ty::Dated,
        Ty::Int,
        "extract(year FROM ({})::timestamp)::int",
    ),
    (Ty::Lasting, Ty::Interval, "({})::interval"),
    (Ty::Lasting, Ty::Text, "({})::interval::text"),
];

/// One of what can be read off the columns in scope as a value of the type.
pub(super) fn reading(index: u8, ty: Ty, scope: &[Scoped]) -> Option<String> {
    let readings: Vec<String> = READINGS
        .iter()
        .filter(|(_, to, _)| *to == ty)
        .flat_map(|(from, _, how)| {
            let columns = scope.iter().filter(|column| column.ty == *from);
            columns.map(|column| how.replace("{}", &column.sql))
        })
        .collect();
    readings
        .get(usize::from(index) % readings.len().max(1))
        .cloned()
}

//! The rules of a time zone, as this process has loaded them: it reads them once, from files that packages update.

use std::ffi::CString;

use pgrx::pg_sys;

/// The years whose rules count, as seconds since 1970: from the beginning of 1900 to that of 2100.
const YEARS: std::ops::Range<pg_sys::pg_time_t> = -2_208_988_800..4_102_444_800;

/// A hash of the offsets of a time zone and of the moments when they change; `None` where there is no such zone.
#[pgrx::pg_extern(
    stable,
    parallel_safe,
    schema = "pgtrickle",
    sql = r#"
CREATE FUNCTION pgtrickle.time_zone_rules(zone text) RETURNS bigint
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
COMMENT ON FUNCTION pgtrickle.time_zone_rules(text) IS 'hash of the rules of a time zone as this session knows them; NULL if there is no such zone';
"#
)]
pub fn time_zone_rules(zone: &str) -> Option<i64> {
    let name = CString::new(zone).ok()?;
    // SAFETY: a name; the zone lives as long as the process.
    let zone = unsafe { pg_sys::pg_tzset(name.as_ptr()) };
    if zone.is_null() {
        return None;
    }
    let mut rules: Vec<i64> = Vec::new();
    let mut from = YEARS.start;
    loop {
        let (mut before, mut after, mut next) = (0, 0, 0);
        let (mut was_summer, mut is_summer) = (0, 0);
        // SAFETY: out parameters are valid, the zone is the server's.
        let found = unsafe {
            pg_sys::pg_next_dst_boundary(
                &from,
                &mut before,
                &mut was_summer,
                &mut next,
                &mut after,
                &mut is_summer,
                zone,
            )
        };
        rules.extend([i64::from(found), before, i64::from(was_summer)]);
        if found != 1 || !YEARS.contains(&next) {
            break;
        }
        rules.push(next);
        from = next;
    }
    let bytes: Vec<u8> = rules.iter().flat_map(|rule| rule.to_le_bytes()).collect();
    // SAFETY: so many bytes.
    let hash = unsafe { pg_sys::hash_bytes_extended(bytes.as_ptr(), bytes.len() as i32, 0) };
    Some(hash.cast_signed())
}

//! What is known about window functions.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::Ties;

use crate::pg::types;

/// Whether a frame depends on the place of a row among its peers.
pub(super) fn follows_position(options: u32) -> bool {
    let whole =
        pg_sys::FRAMEOPTION_START_UNBOUNDED_PRECEDING | pg_sys::FRAMEOPTION_END_UNBOUNDED_FOLLOWING;
    options & pg_sys::FRAMEOPTION_ROWS != 0 && options & whole != whole
}

/// When ties change the result of a call. `in_rows`: its frame depends on the place among peers.
pub(super) fn ties_of(call: &pg_sys::WindowFunc, in_rows: bool) -> Ties {
    let is_builtin = types::is_builtin(call.winfnoid);
    if call.winagg {
        return match in_rows {
            true => Ties::Rows,
            false if is_builtin && commutes(&types::function_name(call.winfnoid)) => Ties::Harmless,
            false => Ties::Arguments,
        };
    }
    match call.winfnoid.to_u32() {
        pg_sys::F_RANK_
        | pg_sys::F_DENSE_RANK_
        | pg_sys::F_PERCENT_RANK_
        | pg_sys::F_CUME_DIST_ => Ties::Harmless,
        pg_sys::F_FIRST_VALUE | pg_sys::F_LAST_VALUE | pg_sys::F_NTH_VALUE if !in_rows => {
            Ties::Arguments
        }
        _ => Ties::Rows,
    }
}

/// Whether an aggregate of the server has the same result for its inputs in any order. Sums of floats do
/// but for the last digits.
pub(super) fn commutes(name: &str) -> bool {
    const NAMES: [&str; 13] = [
        "count",
        "sum",
        "avg",
        "min",
        "max",
        "every",
        "stddev",
        "variance",
        "corr",
        "range_agg",
        "range_intersect_agg",
        "covar_pop",
        "covar_samp",
    ];
    const FAMILIES: [&str; 5] = ["bool_", "bit_", "stddev_", "var_", "regr_"];
    NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
}

/// Whether a function looks at the order of its partition alone, whatever the frame.
pub(super) fn ignores_frame(call: &pg_sys::WindowFunc) -> bool {
    !call.winagg
        && types::is_builtin(call.winfnoid)
        && !is_first(call)
        && !is_last(call)
        && call.winfnoid.to_u32() != pg_sys::F_NTH_VALUE
}

/// Whether a call's result is one of the values of its first argument, or a sum of them.
pub(super) fn passes_scale(name: &str, arguments: usize) -> bool {
    match name {
        "min" | "max" | "sum" | "first_value" | "last_value" | "nth_value" => true,
        "lag" | "lead" => arguments < 3,
        _ => false,
    }
}

/// Whether its result is never NULL.
pub(super) fn is_never_null(function: pg_sys::Oid) -> bool {
    matches!(
        function.to_u32(),
        pg_sys::F_ROW_NUMBER
            | pg_sys::F_RANK_
            | pg_sys::F_DENSE_RANK_
            | pg_sys::F_PERCENT_RANK_
            | pg_sys::F_CUME_DIST_
            | pg_sys::F_COUNT_
            | pg_sys::F_COUNT_ANY
    )
}

/// Whether it is `first_value`.
pub(super) fn is_first(call: &pg_sys::WindowFunc) -> bool {
    call.winfnoid.to_u32() == pg_sys::F_FIRST_VALUE
}

/// Whether it is `last_value`.
pub(super) fn is_last(call: &pg_sys::WindowFunc) -> bool {
    call.winfnoid.to_u32() == pg_sys::F_LAST_VALUE
}

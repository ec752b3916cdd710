//! Settings of the planner that not every version has.

/// Those that a refresh turns off. Aggregating below a join, as 19 does, adds up floats in another order, so that a sum
/// that is recomputed would differ from one that was computed at once in its last digits.
#[cfg(feature = "pg19")]
pub const OFF: &[&std::ffi::CStr] = &[c"enable_eager_aggregate"];
/// Those that a refresh turns off.
#[cfg(not(feature = "pg19"))]
pub const OFF: &[&std::ffi::CStr] = &[];

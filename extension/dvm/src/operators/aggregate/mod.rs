//! Grouping with aggregates, and DISTINCT (grouping without aggregates).
//!
//! ```text
//! Δn_g   = Σ weights of ΔR in group g            n_g⁺ = n_g⁻ + Δn_g, the group lives while n_g > 0
//! Δacc_g = Σ weight · x                          acc_g⁺ = acc_g⁻ + Δacc_g   (invertible aggregates)
//! min, max: acc⁺ = least/greatest(acc⁻, inserted), unless a removed value reaches acc⁻
//! Δγ(R)  = − (old row of g) + (new row of g)     for each touched group g
//! ```
//! State: one row per group with `n`, one accumulator per invertible aggregate, and a count of
//! non-NULL inputs where the result depends on it. Cost: O(|Δ|) plus one look-up per touched group.
//!
//! Recomputes **only touched groups**, from R⁺: when a removed value equals the extremum, when
//! a sum stops being finite, for aggregates without an inverse, and where equal keys can have
//! different images (so that the shown key still exists). An index on the group key
//! makes that O(size of the touched groups).

mod rendering;
mod statements;
#[cfg(test)]
mod tests;
mod whole;

pub use statements::{CombineLayout, combine, delta, initial, recompute};

//! The weight of a joined row.

use crate::canary;

/// Product of weights, negated for a correction. Consolidated weights may be large (a hundred thousand
/// equal rows on each side), so that the product needs the wider type.
pub(super) fn weight(weights: &[String], negative: bool) -> String {
    let sign = if negative { "- " } else { "" };
    if canary::active(canary::LOST_DUPLICATE) && !weights.is_empty() {
        return format!("{sign}sign({})::integer", weights.join(" * "));
    }
    match weights {
        [] => format!("{sign}1"),
        [one] => format!("{sign}{one}"),
        [first, rest @ ..] => format!("{sign}({first}::bigint * {})", rest.join(" * ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_multiply_and_corrections_are_negative() {
        let weights = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        for (names, negative, expected) in [
            (&[][..], false, "1"),
            (&["a"], false, "a"),
            (&["a"], true, "- a"),
            (&["a", "b"], true, "- (a::bigint * b)"),
            (&["a", "b", "c"], false, "(a::bigint * b * c)"),
        ] {
            assert_eq!(weight(&weights(names), negative), expected);
        }
    }
}

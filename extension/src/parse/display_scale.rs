//! What is known about the display scale of `numeric` values.
//!
//! Invariant: [`Scale::Fixed`] is said only when *every* finite value of the expression has it.

/// What is known of the display scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Always NULL, so any scale is right.
    Any,
    /// Every finite value has this display scale.
    Fixed(i32),
    /// Not known.
    Unknown,
}

impl Scale {
    /// The scale that a type modifier of `numeric` fixes.
    pub fn of_typmod(typmod: i32) -> Self {
        if typmod < 4 {
            return Scale::Unknown;
        }
        let scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
        Scale::Fixed(scale.max(0))
    }

    /// As the engine's tree says it.
    pub fn fixed(self) -> Option<i32> {
        match self {
            Scale::Fixed(scale) => Some(scale),
            Scale::Any | Scale::Unknown => None,
        }
    }

    /// The scale of a value that comes from either side.
    pub fn either(self, other: Self) -> Self {
        match (self, other) {
            (Scale::Any, scale) | (scale, Scale::Any) => scale,
            (Scale::Fixed(a), Scale::Fixed(b)) if a == b => Scale::Fixed(a),
            _ => Scale::Unknown,
        }
    }

    /// What a rule says of two fixed scales.
    pub fn combine(self, other: Self, rule: impl Fn(i32, i32) -> i32) -> Self {
        match (self, other) {
            (Scale::Fixed(a), Scale::Fixed(b)) => Scale::Fixed(rule(a, b)),
            (Scale::Any, _) | (_, Scale::Any) => Scale::Any,
            _ => Scale::Unknown,
        }
    }
}

//! The display scale of `numeric` expressions, where the query fixes it.
//!
//! `1.0` and `1.00` are equal but not the same image. A sum shows the largest scale among its
//! inputs, so an incremental sum is only exact when that scale is known not to vary.
//! Invariant: [`Scale::Fixed`] is said only when *every* finite value of the expression has it.

use pgrx::pg_sys;
use pgtrickle_dvm::tree::ColumnId;

use super::analyzer::Analyzer;
use super::display_scale::Scale;
use crate::pg::constant;
use crate::pg::node::{self, Node};
use crate::pg::types;

impl Analyzer {
    /// The display scale of an expression whose columns are parameters.
    pub fn scale(&self, expr: Node) -> Scale {
        node::check_stack_depth();
        if let Some(param) = expr.cast::<pg_sys::Param>() {
            return self
                .slot(ColumnId(param.paramid as u32))
                .map_or(Scale::Unknown, |slot| slot.scale);
        }
        let (base, typmod) = types::base_type(expr.type_oid(), expr.typmod());
        if base != pg_sys::NUMERICOID {
            return Scale::Unknown;
        }
        if let Some(constant) = expr.cast::<pg_sys::Const>() {
            return constant_scale(&constant);
        }
        let by_typmod = Scale::of_typmod(typmod);
        if by_typmod != Scale::Unknown {
            return by_typmod;
        }
        let child = |pointer: *mut pg_sys::Expr| {
            Node::new(pointer).map_or(Scale::Unknown, |node| self.scale(node))
        };
        if let Some(relabel) = expr.cast::<pg_sys::RelabelType>() {
            return child(relabel.arg);
        }
        if let Some(domain) = expr.cast::<pg_sys::CoerceToDomain>() {
            return child(domain.arg);
        }
        if let Some(operator) = expr.cast::<pg_sys::OpExpr>() {
            let function = types::operator_function(operator.opno);
            return self.function_scale(function, &node::list(operator.args));
        }
        if let Some(call) = expr.cast::<pg_sys::FuncExpr>() {
            return self.function_scale(call.funcid, &node::list(call.args));
        }
        if let Some(case) = expr.cast::<pg_sys::CaseExpr>() {
            let other = Node::new(case.defresult).map_or(Scale::Any, |node| self.scale(node));
            return node::list_of::<pg_sys::CaseWhen>(case.args)
                .iter()
                .fold(other, |scale, when| scale.either(child(when.result)));
        }
        let arms = if let Some(coalesce) = expr.cast::<pg_sys::CoalesceExpr>() {
            node::list(coalesce.args)
        } else if let Some(extremum) = expr.cast::<pg_sys::MinMaxExpr>() {
            node::list(extremum.args)
        } else {
            return Scale::Unknown;
        };
        arms.into_iter()
            .fold(Scale::Any, |scale, arm| scale.either(self.scale(arm)))
    }

    fn function_scale(&self, function: pg_sys::Oid, arguments: &[Node]) -> Scale {
        let argument = |i: usize| arguments.get(i).map_or(Scale::Unknown, |n| self.scale(*n));
        match function.to_u32() {
            pg_sys::F_NUMERIC_ADD | pg_sys::F_NUMERIC_SUB => {
                argument(0).combine(argument(1), i32::max)
            }
            pg_sys::F_NUMERIC_MUL => argument(0).combine(argument(1), |a, b| a.saturating_add(b)),
            pg_sys::F_NUMERIC_UMINUS
            | pg_sys::F_NUMERIC_UPLUS
            | pg_sys::F_NUMERIC_ABS
            | pg_sys::F_ABS_NUMERIC => argument(0),
            pg_sys::F_NUMERIC_INT2 | pg_sys::F_NUMERIC_INT4 | pg_sys::F_NUMERIC_INT8 => {
                Scale::Fixed(0)
            }
            pg_sys::F_ROUND_NUMERIC
            | pg_sys::F_TRUNC_NUMERIC
            | pg_sys::F_CEIL_NUMERIC
            | pg_sys::F_CEILING_NUMERIC
            | pg_sys::F_FLOOR_NUMERIC => Scale::Fixed(0),
            pg_sys::F_ROUND_NUMERIC_INT4 | pg_sys::F_TRUNC_NUMERIC_INT4 => arguments
                .get(1)
                .and_then(|digits| digits.cast::<pg_sys::Const>())
                .map_or(Scale::Unknown, |digits| rounding_scale(&digits)),
            pg_sys::F_EXTRACT_TEXT_DATE
            | pg_sys::F_EXTRACT_TEXT_TIME
            | pg_sys::F_EXTRACT_TEXT_TIMESTAMP
            | pg_sys::F_EXTRACT_TEXT_INTERVAL => arguments
                .first()
                .and_then(|field| field.cast::<pg_sys::Const>())
                .map_or(Scale::Unknown, |field| extracted_scale(&field)),
            _ => Scale::Unknown,
        }
    }
}

/// `EXTRACT(field FROM x)`: most fields are integers; seconds show microseconds.
fn extracted_scale(field: &pg_sys::Const) -> Scale {
    match constant::text_of(field).as_deref() {
        Some(
            "year" | "quarter" | "month" | "week" | "day" | "dow" | "isodow" | "doy" | "isoyear"
            | "decade" | "century" | "millennium" | "hour" | "minute" | "microseconds",
        ) => Scale::Fixed(0),
        Some("milliseconds") => Scale::Fixed(3),
        Some("second") => Scale::Fixed(6),
        _ => Scale::Unknown,
    }
}

/// `round(x, n)` and `trunc(x, n)` show `n` digits, at most 2000 and none below zero.
fn rounding_scale(digits: &pg_sys::Const) -> Scale {
    match constant::integer_of(digits) {
        Some(digits) if digits <= 2000 => Scale::Fixed(digits.max(0)),
        _ => Scale::Unknown,
    }
}

fn constant_scale(constant: &pg_sys::Const) -> Scale {
    if constant.constisnull {
        return Scale::Any;
    }
    // The printed form shows exactly the display scale.
    match constant::printed_numeric(constant) {
        Some(text) if text.ends_with(|c: char| c.is_ascii_digit()) => {
            Scale::Fixed(text.split_once('.').map_or(0, |(_, f)| f.len() as i32))
        }
        _ => Scale::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_modifiers_fix_the_scale() {
        assert_eq!(Scale::of_typmod(((12 << 16) | 2) + 4), Scale::Fixed(2));
        assert_eq!(
            Scale::of_typmod(((5 << 16) | (0x7ff & -3)) + 4),
            Scale::Fixed(0)
        );
        assert_eq!(Scale::of_typmod(-1), Scale::Unknown);
    }

    #[test]
    fn null_arms_fit_every_scale() {
        assert_eq!(Scale::Any.either(Scale::Fixed(2)), Scale::Fixed(2));
        assert_eq!(Scale::Fixed(1).either(Scale::Fixed(2)), Scale::Unknown);
    }
}

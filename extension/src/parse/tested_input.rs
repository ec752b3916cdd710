//! `pg_input_is_valid(text, 'type')`: whether text is a value of a type depends on what reading one depends on.
//!
//! Words of the clock are valid at every time, so unlike a conversion it needs no guard against them.

use pgrx::pg_sys;

use crate::pg::node::{self, Node};
use crate::pg::{constant, type_name, types};

/// The type that a call tests for, if it is named by a constant and is one of the server's own: any other can be altered.
pub(super) fn tested_type(function: pg_sys::Oid, call: Node) -> Option<pg_sys::Oid> {
    if function.to_u32() != pg_sys::F_PG_INPUT_IS_VALID {
        return None;
    }
    let arguments = node::list(call.cast::<pg_sys::FuncExpr>()?.args);
    let named = constant::text(*arguments.get(1)?)?;
    type_name::parse(&named).filter(|type_oid| types::is_builtin(*type_oid))
}

//! New expression nodes, in the current memory context.

use std::ffi::CString;

use pgrx::pg_sys;
use pgrx::pg_sys::NodeTag;

use super::node::{Node, NodeOf};

/// Zeroed memory for a node of type `T` with this tag.
pub(super) fn allocate<T>(tag: NodeTag) -> *mut T {
    // SAFETY: palloc0 returns zeroed, aligned memory of the size asked for, and every node starts
    // with its tag.
    unsafe {
        let node = pg_sys::palloc0(std::mem::size_of::<T>());
        (*node.cast::<pg_sys::Node>()).type_ = tag;
        node.cast()
    }
}

/// A list of these nodes.
pub(super) fn list_of(nodes: &[Node]) -> *mut pg_sys::List {
    nodes.iter().fold(std::ptr::null_mut(), |list, node| {
        // SAFETY: NULL is the empty list; otherwise a list made here.
        unsafe { pg_sys::lappend(list, node.as_ptr().cast()) }
    })
}

/// A parameter that stands for a column in an expression.
pub fn make_param(
    id: i32,
    type_oid: pg_sys::Oid,
    typmod: i32,
    collation: pg_sys::Oid,
) -> Option<Node> {
    let param = allocate::<pg_sys::Param>(NodeTag::T_Param);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*param).paramkind = pg_sys::ParamKind::PARAM_EXTERN;
        (*param).paramid = id;
        (*param).paramtype = type_oid;
        (*param).paramtypmod = typmod;
        (*param).paramcollid = collation;
        (*param).location = -1;
        Node::new(param)
    }
}

/// A reference to a column of an item of the query itself.
pub fn make_var(item: i32, attnum: i16, type_oid: pg_sys::Oid) -> Option<Node> {
    // SAFETY: makes a node in the current memory context.
    Node::new(unsafe { pg_sys::makeVar(item, attnum, type_oid, -1, pg_sys::InvalidOid, 0) })
}

/// A reference to the column of an item that shows an expression.
pub fn make_column(item: i32, attnum: i16, shown: Node) -> Option<Node> {
    let (ty, typmod, collation) = (shown.type_oid(), shown.typmod(), shown.collation());
    // SAFETY: makes a node in the current memory context.
    Node::new(unsafe { pg_sys::makeVar(item, attnum, ty, typmod, collation, 0) })
}

/// `ROW(…)::type`.
pub fn make_row(fields: &[Node], type_oid: pg_sys::Oid) -> Option<Node> {
    let row = allocate::<pg_sys::RowExpr>(NodeTag::T_RowExpr);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*row).args = list_of(fields);
        (*row).row_typeid = type_oid;
        (*row).row_format = pg_sys::CoercionForm::COERCE_EXPLICIT_CAST;
        (*row).location = -1;
    }
    Node::new(row)
}

/// `(SELECT r FROM (SELECT fields) r(names))`: a row whose fields have names.
pub fn make_record(fields: &[Node], names: &[CString]) -> Option<Node> {
    let targets = targets_of(fields);
    let inner = allocate::<pg_sys::Query>(NodeTag::T_Query);
    let entry = allocate::<pg_sys::RangeTblEntry>(NodeTag::T_RangeTblEntry);
    let link = allocate::<pg_sys::SubLink>(NodeTag::T_SubLink);
    // SAFETY: fresh nodes of these types; names are copied.
    unsafe {
        (*inner).commandType = pg_sys::CmdType::CMD_SELECT;
        (*inner).canSetTag = true;
        (*inner).jointree = pg_sys::makeFromExpr(std::ptr::null_mut(), std::ptr::null_mut());
        (*inner).targetList = list_of(&targets);
        let names = names.iter().fold(std::ptr::null_mut(), |list, name| {
            pg_sys::lappend(
                list,
                pg_sys::makeString(pg_sys::pstrdup(name.as_ptr())).cast(),
            )
        });
        (*entry).rtekind = pg_sys::RTEKind::RTE_SUBQUERY;
        (*entry).subquery = inner;
        (*entry).alias = pg_sys::makeAlias(c"r".as_ptr(), names);
        (*entry).eref = pg_sys::makeAlias(c"r".as_ptr(), names);
        (*entry).inFromCl = true;
        let row = make_var(1, 0, pg_sys::RECORDOID)?;
        (*link).subLinkType = pg_sys::SubLinkType::EXPR_SUBLINK;
        (*link).subselect = make_query(Node::new(entry)?, &[row])?.as_ptr().cast();
        (*link).location = -1;
    }
    Node::new(link)
}

/// A NULL constant of the given type.
pub fn make_null(type_oid: pg_sys::Oid, typmod: i32, collation: pg_sys::Oid) -> Option<Node> {
    // SAFETY: makes a node in the current memory context.
    Node::new(unsafe { pg_sys::makeNullConst(type_oid, typmod, collation) })
}

/// A time after all others, or before them, if the type has one.
pub fn make_infinite(type_oid: pg_sys::Oid, is_after: bool) -> Option<Node> {
    let (length, value) = match type_oid {
        pg_sys::DATEOID if is_after => (4, pg_sys::Datum::from(i32::MAX)),
        pg_sys::DATEOID => (4, pg_sys::Datum::from(i32::MIN)),
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID if is_after => {
            (8, pg_sys::Datum::from(i64::MAX))
        }
        pg_sys::TIMESTAMPOID | pg_sys::TIMESTAMPTZOID => (8, pg_sys::Datum::from(i64::MIN)),
        _ => return None,
    };
    // SAFETY: a value of the type by value, of its length.
    let constant =
        unsafe { pg_sys::makeConst(type_oid, -1, pg_sys::InvalidOid, length, value, false, true) };
    Node::new(constant)
}

/// A constant interval.
pub fn make_duration(microseconds: i64) -> Option<Node> {
    // SAFETY: an interval by reference, 16 bytes, in memory of the server's.
    let constant = unsafe {
        let interval = pg_sys::palloc0(size_of::<pg_sys::Interval>()).cast::<pg_sys::Interval>();
        (*interval).time = microseconds;
        let value = pg_sys::Datum::from(interval);
        pg_sys::makeConst(
            pg_sys::INTERVALOID,
            -1,
            pg_sys::InvalidOid,
            16,
            value,
            false,
            false,
        )
    };
    Node::new(constant)
}

/// The call of a function whose arguments and result have no collation.
pub fn make_call(function: u32, result: pg_sys::Oid, arguments: &[Node]) -> Option<Node> {
    // SAFETY: makes a node over nodes of the right types.
    Node::new(unsafe {
        pg_sys::makeFuncExpr(
            function.into(),
            result,
            list_of(arguments),
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            pg_sys::CoercionForm::COERCE_EXPLICIT_CALL,
        )
    })
}

/// A conversion by way of the value's text.
pub fn make_conversion(
    expr: Node,
    result: pg_sys::Oid,
    collation: pg_sys::Oid,
    form: pg_sys::CoercionForm::Type,
) -> Option<Node> {
    let conversion = allocate::<pg_sys::CoerceViaIO>(NodeTag::T_CoerceViaIO);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*conversion).arg = expr.as_ptr().cast();
        (*conversion).resulttype = result;
        (*conversion).resultcollid = collation;
        (*conversion).coerceformat = form;
        (*conversion).location = -1;
        Node::new(conversion)
    }
}

/// An expression under another collation.
pub fn make_collate(expr: Node, collation: pg_sys::Oid) -> Option<Node> {
    let collate = allocate::<pg_sys::CollateExpr>(NodeTag::T_CollateExpr);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*collate).arg = expr.as_ptr().cast();
        (*collate).collOid = collation;
        (*collate).location = -1;
        Node::new(collate)
    }
}

/// `CURRENT_DATE`.
pub fn make_current_date() -> Option<Node> {
    let date = allocate::<pg_sys::SQLValueFunction>(NodeTag::T_SQLValueFunction);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*date).op = pg_sys::SQLValueFunctionOp::SVFOP_CURRENT_DATE;
        (*date).type_ = pg_sys::DATEOID;
        (*date).typmod = -1;
        (*date).location = -1;
    }
    Node::new(date)
}

/// The truth value.
pub fn make_true() -> Option<Node> {
    // SAFETY: makes a constant.
    Node::new(unsafe { pg_sys::makeBoolConst(true, false) })
}

/// `NOT condition`.
pub fn make_not(condition: Node) -> Option<Node> {
    // SAFETY: a boolean expression.
    Node::new(unsafe { pg_sys::make_notclause(condition.as_ptr().cast()) })
}

/// `expr IS [NOT] NULL`, of the value as a whole.
pub fn make_null_test(expr: Node, is_null: bool) -> Option<Node> {
    let test = allocate::<pg_sys::NullTest>(NodeTag::T_NullTest);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*test).arg = expr.as_ptr().cast();
        (*test).nulltesttype = if is_null {
            pg_sys::NullTestType::IS_NULL
        } else {
            pg_sys::NullTestType::IS_NOT_NULL
        };
        (*test).argisrow = false;
        (*test).location = -1;
    }
    Node::new(test)
}

/// A boolean operator call.
pub fn make_condition(
    operator: pg_sys::Oid,
    arguments: [Node; 2],
    collation: pg_sys::Oid,
) -> Option<Node> {
    let call = allocate::<pg_sys::OpExpr>(NodeTag::T_OpExpr);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*call).opno = operator;
        (*call).opfuncid = pg_sys::get_opcode(operator);
        (*call).opresulttype = pg_sys::BOOLOID;
        (*call).inputcollid = collation;
        (*call).args = list_of(&arguments);
        (*call).location = -1;
    }
    Node::new(call)
}

/// `CASE WHEN … THEN … ELSE … END` with conditions of its own, of the type and collation of `like`.
pub fn make_case(arms: &[(Node, Node)], otherwise: Option<Node>, like: Node) -> Option<Node> {
    let whens: Vec<Node> = arms
        .iter()
        .filter_map(|(condition, result)| {
            let when = allocate::<pg_sys::CaseWhen>(NodeTag::T_CaseWhen);
            // SAFETY: a fresh node of this type.
            unsafe {
                (*when).expr = condition.as_ptr().cast();
                (*when).result = result.as_ptr().cast();
                (*when).location = -1;
            }
            Node::new(when)
        })
        .collect();
    let case = allocate::<pg_sys::CaseExpr>(NodeTag::T_CaseExpr);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*case).casetype = like.type_oid();
        (*case).casecollid = like.collation();
        (*case).args = list_of(&whens);
        (*case).defresult = otherwise.map_or(std::ptr::null_mut(), |node| node.as_ptr().cast());
        (*case).location = -1;
    }
    Node::new(case)
}

/// The call of a window function over these arguments without its window, as a call of a plain function or
/// of an aggregate: that is how the server prints it.
pub fn make_call_without_window(
    call: NodeOf<pg_sys::WindowFunc>,
    arguments: &[Node],
    filter: Option<Node>,
) -> Option<Node> {
    if !call.winagg {
        let plain = allocate::<pg_sys::FuncExpr>(NodeTag::T_FuncExpr);
        // SAFETY: a fresh node of this type.
        unsafe {
            (*plain).funcid = call.winfnoid;
            (*plain).funcresulttype = call.wintype;
            (*plain).funcformat = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
            (*plain).funccollid = call.wincollid;
            (*plain).inputcollid = call.inputcollid;
            (*plain).args = list_of(arguments);
            (*plain).location = -1;
        }
        return Node::new(plain);
    }
    let targets = targets_of(arguments);
    let aggregate = allocate::<pg_sys::Aggref>(NodeTag::T_Aggref);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*aggregate).aggfnoid = call.winfnoid;
        (*aggregate).aggtype = call.wintype;
        (*aggregate).aggcollid = call.wincollid;
        (*aggregate).inputcollid = call.inputcollid;
        (*aggregate).aggargtypes = arguments
            .iter()
            .fold(std::ptr::null_mut(), |list, argument| {
                pg_sys::lappend_oid(list, argument.type_oid())
            });
        (*aggregate).args = list_of(&targets);
        (*aggregate).aggfilter = filter.map_or(std::ptr::null_mut(), |node| node.as_ptr().cast());
        (*aggregate).aggstar = call.winstar;
        (*aggregate).aggkind = b'n' as std::ffi::c_char;
        (*aggregate).location = -1;
    }
    Node::new(aggregate)
}

/// `EXISTS (query)`.
pub fn make_exists(query: NodeOf<pg_sys::Query>) -> Option<Node> {
    let link = allocate::<pg_sys::SubLink>(NodeTag::T_SubLink);
    // SAFETY: a fresh node of this type.
    unsafe {
        (*link).subLinkType = pg_sys::SubLinkType::EXISTS_SUBLINK;
        (*link).subselect = query.as_ptr().cast();
        (*link).location = -1;
    }
    Node::new(link)
}

/// `WITH RECURSIVE ctes SELECT outputs FROM entry`, of a reference to one of the CTEs.
pub fn make_with(
    ctes: &[NodeOf<pg_sys::CommonTableExpr>],
    entry: NodeOf<pg_sys::RangeTblEntry>,
    outputs: &[Node],
) -> Option<NodeOf<pg_sys::Query>> {
    // SAFETY: a shallow copy of the entry, of which only its own fields are changed.
    let reference = unsafe {
        let copy = pg_sys::palloc(size_of::<pg_sys::RangeTblEntry>()).cast();
        std::ptr::copy_nonoverlapping(entry.as_ptr(), copy, 1);
        (*copy).ctelevelsup = 0;
        (*copy).lateral = false;
        Node::new(copy)?
    };
    let query = make_query(reference, outputs)?;
    let ctes: Vec<Node> = ctes.iter().map(|cte| cte.node()).collect();
    // SAFETY: a fresh node.
    unsafe {
        (*query.as_ptr()).cteList = list_of(&ctes);
        (*query.as_ptr()).hasRecursive = true;
    }
    Some(query)
}

/// Expressions as entries of a target list.
fn targets_of(exprs: &[Node]) -> Vec<Node> {
    exprs
        .iter()
        .zip(1_i16..)
        .filter_map(|(expr, resno)| {
            // SAFETY: a fresh node over a valid expression.
            Node::new(unsafe {
                pg_sys::makeTargetEntry(expr.as_ptr().cast(), resno, std::ptr::null_mut(), false)
            })
        })
        .collect()
}

/// `SELECT outputs FROM entry`.
pub fn make_query(entry: Node, outputs: &[Node]) -> Option<NodeOf<pg_sys::Query>> {
    let targets = targets_of(outputs);
    let reference = allocate::<pg_sys::RangeTblRef>(NodeTag::T_RangeTblRef);
    let query = allocate::<pg_sys::Query>(NodeTag::T_Query);
    // SAFETY: fresh nodes of these types.
    unsafe {
        (*reference).rtindex = 1;
        let from = list_of(&[Node::new(reference)?]);
        (*query).commandType = pg_sys::CmdType::CMD_SELECT;
        (*query).canSetTag = true;
        (*query).rtable = list_of(&[entry]);
        (*query).jointree = pg_sys::makeFromExpr(from, std::ptr::null_mut());
        (*query).targetList = list_of(&targets);
    }
    Node::new(query)?.cast()
}

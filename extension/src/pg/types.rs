//! Facts about types, operators and functions from the system catalogs.

use pgrx::{IntoDatum, pg_sys};

use super::name;
use super::node::{Node, NodeOf, text};
use super::tupdesc::attributes;

/// Number of the btree support function "equal image" (`access/nbtree.h`).
const BTEQUALIMAGE_PROC: i16 = 4;

/// B-tree facts of a type's default operator class.
#[derive(Debug, Clone, Copy)]
pub struct Ordering {
    /// Operator family.
    pub family: pg_sys::Oid,
    /// The type that the operator class is declared for.
    pub input_type: pg_sys::Oid,
    /// Its equality operator for the type.
    pub equality: pg_sys::Oid,
}

/// The default btree ordering of a type, if values of it can be sorted.
pub fn ordering(type_oid: pg_sys::Oid) -> Option<Ordering> {
    let flags = pg_sys::TYPECACHE_BTREE_OPFAMILY
        | pg_sys::TYPECACHE_EQ_OPR
        | pg_sys::TYPECACHE_LT_OPR
        | pg_sys::TYPECACHE_CMP_PROC;
    // SAFETY: the type exists; entries of the type cache live as long as the session.
    let entry = unsafe { &*pg_sys::lookup_type_cache(type_oid, flags as i32) };
    let known = |oid: pg_sys::Oid| oid != pg_sys::InvalidOid;
    (known(entry.btree_opf) && known(entry.lt_opr) && known(entry.cmp_proc)).then_some(Ordering {
        family: entry.btree_opf,
        input_type: entry.btree_opintype,
        equality: entry.eq_opr,
    })
}

/// Whether the type's default equality under this collation holds only for equal binary images.
pub fn equality_is_image(type_oid: pg_sys::Oid, collation: pg_sys::Oid) -> bool {
    let Some(ordering) = ordering(type_oid) else {
        return false;
    };
    if is_collatable(type_oid) && collation == pg_sys::InvalidOid {
        return false;
    }
    // SAFETY: catalog look-ups, then a call of the operator class's "equal image" support function
    // exactly as the btree access method does it.
    unsafe {
        let support = pg_sys::get_opfamily_proc(
            ordering.family,
            ordering.input_type,
            ordering.input_type,
            BTEQUALIMAGE_PROC,
        );
        if support == pg_sys::InvalidOid {
            return false;
        }
        let Some(input_type) = ordering.input_type.into_datum() else {
            return false;
        };
        pg_sys::OidFunctionCall1Coll(support, collation, input_type).value() != 0
    }
}

/// The type's default equality operator, or `InvalidOid`.
pub fn equality_operator(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: the type exists; entries of the type cache live as long as the session.
    unsafe { (*pg_sys::lookup_type_cache(type_oid, pg_sys::TYPECACHE_EQ_OPR as i32)).eq_opr }
}

/// Whether the server can hash the type's values so that equal ones have the same hash.
pub fn is_hashable(type_oid: pg_sys::Oid) -> bool {
    // SAFETY: the type exists; entries of the type cache live as long as the session.
    let entry = unsafe {
        &*pg_sys::lookup_type_cache(type_oid, pg_sys::TYPECACHE_HASH_EXTENDED_PROC as i32)
    };
    entry.hash_extended_proc != pg_sys::InvalidOid
}

/// Whether the server takes the type's equality for hashable and finds no hash function: joins that it plans by hashing fail.
pub fn hashes_without_function(type_oid: pg_sys::Oid) -> bool {
    let equality = equality_operator(type_oid);
    let (mut left, mut right) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
    // SAFETY: look-ups in the catalog; the results go to the variables.
    equality != pg_sys::InvalidOid
        && unsafe {
            pg_sys::op_hashjoinable(equality, type_oid)
                && !pg_sys::get_op_hash_functions(equality, &mut left, &mut right)
        }
}

/// An operator by schema and name, as it may stand between two operands; empty when there is none.
pub fn operator_text(operator: pg_sys::Oid) -> String {
    let Some(key) = operator.into_datum() else {
        return String::new();
    };
    // SAFETY: a syscache look-up; the tuple is read before it is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, key);
        if tuple.is_null() {
            return String::new();
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
        let name = text((*form).oprname.data.as_ptr());
        let schema = text(pg_sys::get_namespace_name((*form).oprnamespace));
        pg_sys::ReleaseSysCache(tuple);
        format!("OPERATOR({}.{name})", name::quote(&schema))
    }
}

/// Whether values of the type have a collation.
pub fn is_collatable(type_oid: pg_sys::Oid) -> bool {
    default_collation(type_oid) != pg_sys::InvalidOid
}

/// The collation that the type has by default.
pub fn default_collation(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::get_typcollation(type_oid) }
}

/// Whether values, or parts of them, are compared by functions of an extension under a nondeterministic collation. The
/// server's own types follow such a collation in all they do; of others the catalog only says that they were declared
/// before there was one. Fields and bounds of ranges have collations of their own.
pub fn may_compare_otherwise(type_oid: pg_sys::Oid, collation: pg_sys::Oid) -> bool {
    let (base, _) = base_type(type_oid, -1);
    // SAFETY: look-ups in the catalog.
    let element = unsafe { pg_sys::get_element_type(base) };
    if element != pg_sys::InvalidOid {
        return may_compare_otherwise(element, collation);
    }
    match kind(base) {
        pg_sys::TYPTYPE_COMPOSITE => fields(base)
            .into_iter()
            .any(|(field, collation)| may_compare_otherwise(field, collation)),
        pg_sys::TYPTYPE_RANGE => bounds_may_compare_otherwise(base),
        pg_sys::TYPTYPE_MULTIRANGE => {
            // SAFETY: a catalog look-up.
            bounds_may_compare_otherwise(unsafe { pg_sys::get_multirange_range(base) })
        }
        _ => {
            base.to_u32() >= pg_sys::FirstNormalObjectId
                && collation != pg_sys::InvalidOid
                // SAFETY: a catalog look-up.
                && !unsafe { pg_sys::get_collation_isdeterministic(collation) }
        }
    }
}

fn bounds_may_compare_otherwise(range: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    may_compare_otherwise(range_subtype(range), unsafe {
        pg_sys::get_range_collation(range)
    })
}

/// Types and collations of a composite type's fields.
fn fields(composite: pg_sys::Oid) -> Vec<(pg_sys::Oid, pg_sys::Oid)> {
    // SAFETY: the type is a composite one; the copy lives as long as the memory context of the moment.
    let desc = unsafe { pg_sys::lookup_rowtype_tupdesc_copy(composite, -1) };
    attributes(desc)
        .iter()
        .filter(|field| !field.attisdropped)
        .map(|field| (field.atttypid, field.attcollation))
        .collect()
}

/// Whether values of the type have to pass a constraint of a domain.
pub fn is_constrained_domain(type_oid: pg_sys::Oid) -> bool {
    super::version::domain::is_constrained(type_oid)
}

/// The type under all domains, and the modifier that they impose.
pub fn base_type(type_oid: pg_sys::Oid, typmod: i32) -> (pg_sys::Oid, i32) {
    let mut typmod = typmod;
    // SAFETY: a catalog look-up; `typmod` is read and written during the call only.
    let base = unsafe { pg_sys::getBaseTypeAndTypmod(type_oid, &raw mut typmod) };
    (base, typmod)
}

/// Length of the type: bytes, or negative for variable length.
pub fn length(type_oid: pg_sys::Oid) -> i16 {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::get_typlen(type_oid) }
}

/// Kind of the type (`pg_type.typtype`).
pub fn kind(type_oid: pg_sys::Oid) -> u8 {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::get_typtype(type_oid) as u8 }
}

/// The subtype of a range type, or `InvalidOid`.
pub fn range_subtype(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::get_range_subtype(type_oid) }
}

/// The most bytes that one character takes in this database.
pub fn character_bytes_max() -> i32 {
    // SAFETY: reads the database's encoding.
    unsafe { pg_sys::pg_encoding_max_length(pg_sys::GetDatabaseEncoding()) }
}

/// Whether the operator is the equality of the btree operator family.
pub fn is_equality_in(operator: pg_sys::Oid, family: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    let strategy = unsafe { pg_sys::get_op_opfamily_strategy(operator, family) };
    strategy == pg_sys::BTEqualStrategyNumber as i32
}

/// Whether the operator belongs to the operator family.
pub fn is_operator_in(operator: pg_sys::Oid, family: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::op_in_opfamily(operator, family) }
}

/// Whether the operator sorts as a btree operator class of the type does by default, and then whether
/// upwards.
pub fn sorts_by_default(operator: pg_sys::Oid, type_oid: pg_sys::Oid) -> Option<bool> {
    let family = ordering(type_oid)?.family;
    // SAFETY: a catalog look-up.
    match unsafe { pg_sys::get_op_opfamily_strategy(operator, family) } as u32 {
        pg_sys::BTLessStrategyNumber => Some(true),
        pg_sys::BTGreaterStrategyNumber => Some(false),
        _ => None,
    }
}

/// The operator with its operands exchanged, if it has one.
pub fn commutator(operator: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a catalog look-up.
    let other = unsafe { pg_sys::get_commutator(operator) };
    (other != pg_sys::InvalidOid).then_some(other)
}

/// The operator that is true exactly where this one is false.
pub fn negator(operator: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a catalog look-up.
    let other = unsafe { pg_sys::get_negator(operator) };
    (other != pg_sys::InvalidOid).then_some(other)
}

/// The comparison of two values of a type, by its number in the default btree ordering.
pub fn ordering_operator(type_oid: pg_sys::Oid, strategy: u32) -> Option<pg_sys::Oid> {
    let Ordering {
        family, input_type, ..
    } = ordering(type_oid)?;
    // SAFETY: a catalog look-up.
    let found = unsafe {
        pg_sys::get_opfamily_member(
            family,
            input_type,
            input_type,
            i16::try_from(strategy).ok()?,
        )
    };
    (found != pg_sys::InvalidOid).then_some(found)
}

/// Name of an operator without its schema.
pub fn operator_name(operator: pg_sys::Oid) -> String {
    // SAFETY: a catalog look-up; NULL when there is no such operator.
    text(unsafe { pg_sys::get_opname(operator) })
}

/// The function behind an operator.
pub fn operator_function(operator: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: a catalog look-up.
    unsafe { pg_sys::get_opcode(operator) }
}

/// Volatility of a function (`pg_proc.provolatile`).
pub fn function_volatility(function: pg_sys::Oid) -> u8 {
    // SAFETY: a catalog look-up; the function comes from an analysed query, so it exists.
    unsafe { pg_sys::func_volatile(function) as u8 }
}

/// Name of a function, for messages.
pub fn function_name(function: pg_sys::Oid) -> String {
    // SAFETY: a catalog look-up; NULL when there is no such function.
    text(unsafe { pg_sys::get_func_name(function) })
}

/// Whether an object was made by `initdb`'s bootstrap catalogs, so that its OID is fixed.
pub fn is_builtin(oid: pg_sys::Oid) -> bool {
    oid.to_u32() < pg_sys::FirstGenbkiObjectId
}

/// Attribute numbers in `pg_aggregate`: transition, final, combine, serialise, deserialise function.
const AGGREGATE_FUNCTIONS: [i16; 5] = [4, 5, 6, 7, 8];

/// Attribute number of the sort operator in `pg_aggregate`.
const AGGSORTOP: i16 = 16;

/// Facts of an aggregate function.
#[derive(Debug, Clone)]
pub struct AggregateFunction {
    /// Whether it is sensitive to a sort operator (`min`, `max` and the like).
    pub has_sort_operator: bool,
    /// Its component functions.
    pub functions: Vec<pg_sys::Oid>,
}

/// Looks an aggregate function up.
pub fn aggregate_function(function: pg_sys::Oid) -> Option<AggregateFunction> {
    // SAFETY: a syscache look-up; the tuple is read before it is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::AGGFNOID as i32,
            function.into_datum()?,
        );
        if tuple.is_null() {
            return None;
        }
        let oid = |attribute: i16| {
            let cache = pg_sys::SysCacheIdentifier::AGGFNOID as i32;
            let datum = pg_sys::SysCacheGetAttrNotNull(cache, tuple, attribute);
            pg_sys::Oid::from(datum.value() as u32)
        };
        let facts = AggregateFunction {
            has_sort_operator: oid(AGGSORTOP) != pg_sys::InvalidOid,
            functions: AGGREGATE_FUNCTIONS
                .into_iter()
                .map(oid)
                .filter(|oid| *oid != pg_sys::InvalidOid)
                .collect(),
        };
        pg_sys::ReleaseSysCache(tuple);
        Some(facts)
    }
}

/// The functions that a node itself calls (not those of its children).
pub fn functions_called(node: Node) -> Vec<pg_sys::Oid> {
    let mut functions: Vec<pg_sys::Oid> = Vec::new();
    // SAFETY: the callback gets back the pointer to `functions`, which outlives the call.
    unsafe {
        pg_sys::check_functions_in_node(
            node.as_ptr(),
            Some(collect_function),
            (&raw mut functions).cast(),
        );
    }
    functions
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn collect_function(
    function: pg_sys::Oid,
    context: *mut std::ffi::c_void,
) -> bool {
    // SAFETY: `context` is the vector of `functions_called`.
    unsafe { (*context.cast::<Vec<pg_sys::Oid>>()).push(function) };
    false
}

/// Whether the server itself finds anything in the expression that is not immutable.
pub fn is_mutable(expr: Node) -> bool {
    // SAFETY: a valid expression, only read.
    unsafe { pg_sys::contain_mutable_functions(expr.as_ptr()) }
}

/// The function that prints values of the type.
pub fn output_function(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    let mut function = pg_sys::InvalidOid;
    let mut is_varlena = false;
    // SAFETY: a catalog look-up that fills both variables.
    unsafe { pg_sys::getTypeOutputInfo(type_oid, &raw mut function, &raw mut is_varlena) };
    function
}

/// The function that reads values of the type from text.
pub fn input_function(type_oid: pg_sys::Oid) -> pg_sys::Oid {
    let mut function = pg_sys::InvalidOid;
    let mut argument = pg_sys::InvalidOid;
    // SAFETY: a catalog look-up that fills both variables.
    unsafe { pg_sys::getTypeInputInfo(type_oid, &raw mut function, &raw mut argument) };
    function
}

/// Whether an SQL/JSON constructor makes `jsonb`.
pub fn returns_binary_json(constructor: &NodeOf<pg_sys::JsonConstructorExpr>) -> bool {
    // SAFETY: the server gives each constructor the form that it returns.
    unsafe {
        let returning = constructor.returning;
        !returning.is_null()
            && !(*returning).format.is_null()
            && (*(*returning).format).format_type == pg_sys::JsonFormatType::JS_FORMAT_JSONB
    }
}

/// Whether the expression can have several rows.
pub fn returns_set(expr: Node) -> bool {
    // SAFETY: a valid expression, or a list of them.
    unsafe { pg_sys::expression_returns_set(expr.as_ptr()) }
}

/// Whether printing a value of the type as JSON depends on nothing but the value.
pub fn json_is_immutable(type_oid: pg_sys::Oid, binary: bool) -> bool {
    // SAFETY: catalog look-ups.
    unsafe {
        if binary {
            pg_sys::to_jsonb_is_immutable(type_oid)
        } else {
            pg_sys::to_json_is_immutable(type_oid)
        }
    }
}

//! Rows by their types' equality: a hash that is the same for equal rows, and the comparison.
//!
//! The hash is the server's own of a row of those columns that it can hash, as the index expression
//! `hash_record_extended(ROW(…), 0)` computes it. All columns are compared.

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use super::index_lookup::equality_columns;
use super::memory::MemoryContext;
use super::relation::Relation;
use super::row::Row;
use super::tupdesc::{Column, OwnTupleDesc, attributes};
use crate::error::{Error, Result};

/// Hashes and compares keys of one table.
pub struct RowEquality {
    comparisons: Vec<Comparison>,
    /// Positions in the key of the columns that are hashed.
    hashed: Vec<usize>,
    /// Type of a row of these.
    row_type: OwnTupleDesc,
    hash: pg_sys::FmgrInfo,
    /// For the row that is hashed.
    scratch: MemoryContext,
    /// Where the row type is; dropped last.
    _lasting: MemoryContext,
}

impl std::fmt::Debug for RowEquality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowEquality")
            .field("hashed", &self.hashed)
            .finish_non_exhaustive()
    }
}

/// Compares the values of one column of the key.
struct Comparison {
    /// Its position in the table, from 0.
    column: usize,
    equality: pg_sys::FmgrInfo,
    collation: pg_sys::Oid,
}

impl RowEquality {
    /// For keys that consist of these columns (positions from 0) of an open table.
    pub fn new(table: &Relation, columns: &[usize]) -> Result<Self> {
        let lasting = MemoryContext::new(c"pg_trickle key");
        let all = attributes(table.tuple_desc());
        let of_key: Vec<_> = columns.iter().filter_map(|at| all.get(*at)).collect();
        let comparisons = columns
            .iter()
            .zip(&of_key)
            .map(|(column, attribute)| {
                let function = equality_function(attribute.atttypid)?;
                Ok(Comparison {
                    column: *column,
                    equality: look_up(function, &lasting),
                    collation: attribute.attcollation,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let hashable = equality_columns(table, columns);
        let hashed: Vec<usize> = (0..columns.len())
            .filter(|at| columns.get(*at).is_some_and(|c| hashable.contains(c)))
            .collect();
        let row: Vec<Column> = hashed
            .iter()
            .filter_map(|at| of_key.get(*at))
            .map(|attribute| Column::from(*attribute))
            .collect();
        let row_type = OwnTupleDesc::build(lasting.as_ptr(), &row)?;
        // SAFETY: a complete row type of our own, which the server copies to make it known.
        unsafe { pg_sys::BlessTupleDesc(row_type.as_ptr()) };
        Ok(RowEquality {
            comparisons,
            hashed,
            row_type,
            hash: look_up(pg_sys::F_HASH_RECORD_EXTENDED.into(), &lasting),
            scratch: MemoryContext::new(c"pg_trickle key row"),
            _lasting: lasting,
        })
    }

    /// The hash of a key.
    pub fn hash(&mut self, key: Row<'_>) -> Datum {
        let hashed = self.hashed.iter().filter_map(|at| key.get(*at));
        let (mut values, mut nulls): (Vec<Datum>, Vec<bool>) = hashed.unzip();
        let (desc, hash) = (self.row_type.as_ptr(), &mut self.hash);
        // SAFETY: one value and one flag for each column of the row type; the function takes a row
        // and a seed.
        let hashed = self.scratch.within(|| unsafe {
            let tuple = pg_sys::heap_form_tuple(desc, values.as_mut_ptr(), nulls.as_mut_ptr());
            let row = pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data);
            pg_sys::FunctionCall2Coll(hash, pg_sys::InvalidOid, row, Datum::from(0_i64))
        });
        self.scratch.reset();
        hashed
    }

    /// Whether a row of the table has the key. NULLs equal NULLs.
    pub fn is_equal(&mut self, stored: Row<'_>, key: Row<'_>) -> bool {
        let scratch = &self.scratch;
        let mut key = key.columns();
        let is_equal = self.comparisons.iter_mut().all(|comparison| {
            let at = comparison.column;
            match (stored.get(at), key.next()) {
                (Some((a, a_null)), Some((b, b_null))) => {
                    a_null == b_null && (a_null || scratch.within(|| comparison.holds(a, b)))
                }
                _ => false,
            }
        });
        scratch.reset();
        is_equal
    }
}

impl Comparison {
    fn holds(&mut self, a: Datum, b: Datum) -> bool {
        // SAFETY: the equality function of the column's type, for two values of it.
        unsafe { pg_sys::FunctionCall2Coll(&mut self.equality, self.collation, a, b).value() != 0 }
    }
}

/// The function behind the default equality of a type.
fn equality_function(type_oid: pg_sys::Oid) -> Result<pg_sys::Oid> {
    let operator = super::types::equality_operator(type_oid);
    // SAFETY: a catalog look-up.
    let function = unsafe { pg_sys::get_opcode(operator) };
    if function == pg_sys::InvalidOid {
        return Err(Error::Internal("a type of a key has no equality".into()));
    }
    Ok(function)
}

fn look_up(function: pg_sys::Oid, context: &MemoryContext) -> pg_sys::FmgrInfo {
    let mut info = pg_sys::FmgrInfo::default();
    // SAFETY: an existing function; the context outlives the entry.
    unsafe { pg_sys::fmgr_info_cxt(function, &mut info, context.as_ptr()) };
    info
}

//! Functions that SQL calls by the server's own convention, for what pgrx's typed functions cannot
//! express or where their conversion costs too much: triggers and `VARIADIC "any"`.

use pgrx::{FromDatum, pg_sys};

use super::tupdesc::attributes;
use crate::error::{Error, Result};

/// Exports `$name` with the version-1 calling convention; the body gets a [`Call`] and returns a
/// `Datum`. Declare it to SQL with `extension_sql!` and `AS 'MODULE_PATHNAME', '$name'`.
#[macro_export]
macro_rules! sql_function {
    ($(#[$doc:meta])* fn $name:ident, $finfo:ident, $body:path) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// Called by the server only, with a valid call.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        #[::pgrx::pg_guard]
        pub unsafe extern "C-unwind" fn $name(
            fcinfo: ::pgrx::pg_sys::FunctionCallInfo,
        ) -> ::pgrx::pg_sys::Datum {
            $body(&$crate::pg::fmgr::Call::new(fcinfo))
        }

        /// Says that the function follows the version-1 calling convention.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub extern "C" fn $finfo() -> &'static ::pgrx::pg_sys::Pg_finfo_record {
            static V1: ::pgrx::pg_sys::Pg_finfo_record =
                ::pgrx::pg_sys::Pg_finfo_record { api_version: 1 };
            &V1
        }
    };
}

/// A call of a function.
#[derive(Debug)]
pub struct Call {
    raw: pg_sys::FunctionCallInfo,
}

impl Call {
    /// Wraps the server's call, valid until the function returns.
    pub fn new(raw: pg_sys::FunctionCallInfo) -> Self {
        Call { raw }
    }

    /// The arguments.
    pub fn arguments(&self) -> &[pg_sys::NullableDatum] {
        // SAFETY: the server passes nargs initialised arguments.
        unsafe {
            let nargs = (*self.raw).nargs.max(0) as usize;
            std::slice::from_raw_parts((*self.raw).args.as_ptr(), nargs)
        }
    }

    /// An argument that the function is declared to take as `text`; `None` for NULL.
    pub fn text(&self, index: usize) -> Option<&str> {
        let argument = self.arguments().get(index)?;
        // SAFETY: the parser has seen to the type.
        unsafe { <&str>::from_datum(argument.value, argument.isnull) }
    }

    /// An argument that the function is declared to take as `boolean`; `None` for NULL.
    pub fn boolean(&self, index: usize) -> Option<bool> {
        let argument = self.arguments().get(index)?;
        // SAFETY: as above.
        unsafe { bool::from_datum(argument.value, argument.isnull) }
    }

    /// The type of an argument as the parser saw it, 0 if unknown.
    pub fn argument_type(&self, index: usize) -> pg_sys::Oid {
        // SAFETY: flinfo is set for each call through SQL.
        unsafe { pg_sys::get_fn_expr_argtype((*self.raw).flinfo, index as i32) }
    }

    /// Whether the caller wrote `VARIADIC array`.
    pub fn has_variadic_array(&self) -> bool {
        // SAFETY: as above.
        unsafe { pg_sys::get_fn_expr_variadic((*self.raw).flinfo) }
    }

    /// A row of the composite type that the function is declared to return.
    pub fn row(&self, values: &[Option<pg_sys::Datum>]) -> Result<pg_sys::Datum> {
        let mut datums: Vec<_> = values
            .iter()
            .map(|value| value.unwrap_or(pg_sys::Datum::from(0)))
            .collect();
        let mut nulls: Vec<_> = values.iter().map(Option::is_none).collect();
        let mut desc = std::ptr::null_mut();
        // SAFETY: the row type is copied for us; the slices have an entry for each of its columns.
        unsafe {
            let class = pg_sys::get_call_result_type(self.raw, std::ptr::null_mut(), &mut desc);
            if class != pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE
                || attributes(desc).len() != values.len()
            {
                return Err(Error::Internal(
                    "a function is not declared to return what it does".into(),
                ));
            }
            let tuple = pg_sys::heap_form_tuple(desc, datums.as_mut_ptr(), nulls.as_mut_ptr());
            Ok(pg_sys::HeapTupleHeaderGetDatum((*tuple).t_data))
        }
    }

    /// What an earlier call of the same expression left with [`Call::remember`].
    ///
    /// # Safety
    /// This function of SQL only ever remembers `[T]`.
    pub unsafe fn remembered<T: Copy>(&self, len: usize) -> Option<&[T]> {
        // SAFETY: fn_extra is NULL or what `remember` put there, an array of T.
        unsafe {
            let extra = (*(*self.raw).flinfo).fn_extra as *const T;
            (!extra.is_null()).then(|| std::slice::from_raw_parts(extra, len))
        }
    }

    /// Keeps a copy of `values` for the later calls of the same expression.
    pub fn remember<T: Copy>(&self, values: &[T]) {
        // SAFETY: fn_mcxt lives as long as flinfo; the chunk has room for all values.
        unsafe {
            let flinfo = (*self.raw).flinfo;
            let bytes = size_of_val(values).max(1);
            let chunk = pg_sys::MemoryContextAlloc((*flinfo).fn_mcxt, bytes) as *mut T;
            std::ptr::copy_nonoverlapping(values.as_ptr(), chunk, values.len());
            (*flinfo).fn_extra = chunk.cast();
        }
    }

    /// The trigger event, if the function was called as a trigger.
    pub fn trigger(&self) -> Option<*mut pg_sys::TriggerData> {
        // SAFETY: a non-NULL context is a node.
        unsafe {
            let context = (*self.raw).context;
            let is_trigger =
                !context.is_null() && (*context).type_ == pg_sys::NodeTag::T_TriggerData;
            is_trigger.then_some(context.cast())
        }
    }
}

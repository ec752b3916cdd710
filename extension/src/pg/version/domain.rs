//! Constraints of domains: 19 also says whether they are volatile.

use pgrx::pg_sys;

/// Whether values of the type have to pass a constraint of a domain.
pub fn is_constrained(type_oid: pg_sys::Oid) -> bool {
    // SAFETY: a look into the type cache; the other answer is not asked for.
    unsafe {
        #[cfg(not(feature = "pg19"))]
        let has = pg_sys::DomainHasConstraints(type_oid);
        #[cfg(feature = "pg19")]
        let has = pg_sys::DomainHasConstraints(type_oid, std::ptr::null_mut());
        has
    }
}

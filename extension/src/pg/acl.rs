//! What a user owns and may access.

use pgrx::pg_sys;

use super::user;

/// Whether the current user owns the relation: directly, through a role, or as superuser.
pub fn owns_relation(relid: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up.
    unsafe { pg_sys::object_ownercheck(pg_sys::RelationRelationId, relid, user::current()) }
}

/// Whether the user has a privilege of `mode` (`ACL_SELECT`, `ACL_TRIGGER`, …) on the relation.
pub fn may_access(relid: pg_sys::Oid, user: pg_sys::Oid, mode: u32) -> bool {
    // SAFETY: a syscache look-up.
    unsafe {
        pg_sys::pg_class_aclcheck(relid, user, pg_sys::AclMode::from(mode))
            == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// Whether the current user may refresh a table without owning it.
pub fn may_maintain(relid: pg_sys::Oid) -> bool {
    may_access(relid, user::current(), pg_sys::ACL_MAINTAIN)
}

/// Whether the current user may read the relation.
pub fn may_read(relid: pg_sys::Oid) -> bool {
    may_access(relid, user::current(), pg_sys::ACL_SELECT)
}

/// Whether the current user is a superuser.
pub fn is_superuser() -> bool {
    // SAFETY: a syscache look-up.
    unsafe { pg_sys::superuser() }
}

/// Whether the current user may see statistics of tables that it may not read.
pub fn may_monitor() -> bool {
    // SAFETY: a role of the server's, by its fixed OID.
    unsafe {
        pg_sys::has_privs_of_role(
            user::current(),
            pg_sys::Oid::from(pg_sys::ROLE_PG_READ_ALL_STATS),
        )
    }
}

/// Whether the current user may stop and start what others run.
pub fn may_signal() -> bool {
    // SAFETY: a role of the server's, by its fixed OID.
    unsafe {
        pg_sys::has_privs_of_role(
            user::current(),
            pg_sys::Oid::from(pg_sys::ROLE_PG_SIGNAL_BACKEND),
        )
    }
}

//! Running as another role.

use super::is_aborting;
use super::local_settings::set_on_level;
use super::settings::Settings;
use super::version;
use crate::error::{Error, Result};
use pgrx::pg_sys;
use std::cell::Cell;

thread_local! {
    /// Whether the current restriction is one of ours, and there was none before.
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// Another role, a security-restricted operation, `search_path` pinned to `pg_catalog`; all set
/// back on drop, and by the abort of the (sub)transaction.
#[derive(Debug)]
pub struct OwnerContext {
    user: pg_sys::Oid,
    sec_context: i32,
    guc_level: i32,
    was_ours: bool,
}

impl OwnerContext {
    /// Becomes `role`, under the settings that a stream table keeps; they hold until drop.
    pub fn enter(role: pg_sys::Oid, kept: &Settings) -> Result<Self> {
        let context = Self::switch(role, pg_sys::SECURITY_RESTRICTED_OPERATION as i32);
        kept.set_for_running()?;
        for name in version::planner::OFF {
            set_on_level(name, c"off");
        }
        Ok(context)
    }

    /// Becomes the extension's owner, for catalog and capture objects that users must not touch.
    pub fn extension_owner() -> Result<Self> {
        Ok(Self::switch(
            extension_owner()?,
            pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32,
        ))
    }

    fn switch(role: pg_sys::Oid, flag: i32) -> Self {
        let mut user = pg_sys::InvalidOid;
        let mut sec_context = 0;
        // SAFETY: out parameters are valid; the abort of the transaction restores both if we
        // do not get to drop, since it saved them at its start.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut sec_context);
            pg_sys::SetUserIdAndSecContext(role, sec_context | flag);
            let was_ours = IS_OURS.get();
            if sec_context & pg_sys::SECURITY_RESTRICTED_OPERATION as i32 == 0 {
                IS_OURS.set(true);
            }
            let guc_level = pg_sys::NewGUCNestLevel();
            pg_sys::RestrictSearchPath();
            OwnerContext {
                user,
                sec_context,
                guc_level,
                was_ours,
            }
        }
    }
}

/// What is left of a restriction while triggers of the owner's are queued, until drop.
#[derive(Debug)]
pub struct OwnersOwn {
    sec_context: Option<i32>,
}

impl OwnersOwn {
    /// Whether the calling role owns the written table. Then triggers may be deferred to the end of the
    /// transaction, as in the caller's own statement; for other callers the owner's code must not run there.
    pub fn applies() -> bool {
        // SAFETY: reads variables of the server.
        IS_OURS.get() && unsafe { pg_sys::GetOuterUserId() == pg_sys::GetUserId() }
    }

    /// Lifts our restriction where that is so.
    pub fn enter() -> Self {
        if !Self::applies() {
            return OwnersOwn { sec_context: None };
        }
        let (mut user, mut sec_context) = (pg_sys::InvalidOid, 0);
        // SAFETY: out parameters are valid; an abort restores what was there before all of this.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut sec_context);
            let lifted = sec_context & !(pg_sys::SECURITY_RESTRICTED_OPERATION as i32);
            pg_sys::SetUserIdAndSecContext(user, lifted);
        }
        OwnersOwn {
            sec_context: Some(sec_context),
        }
    }
}

impl Drop for OwnersOwn {
    fn drop(&mut self) {
        if let Some(sec_context) = self.sec_context
            && !is_aborting()
        {
            // SAFETY: the role is the one that it was.
            unsafe { pg_sys::SetUserIdAndSecContext(pg_sys::GetUserId(), sec_context) }
        }
    }
}

impl Drop for OwnerContext {
    fn drop(&mut self) {
        IS_OURS.set(self.was_ours);
        if !is_aborting() {
            // SAFETY: the nest level is ours; the identity is the one that we found.
            unsafe {
                pg_sys::AtEOXact_GUC(false, self.guc_level);
                pg_sys::SetUserIdAndSecContext(self.user, self.sec_context);
            }
        }
    }
}

/// The role that owns the extension's schema, and so its catalog and buffers.
pub fn extension_owner() -> Result<pg_sys::Oid> {
    // SAFETY: the cache is searched by OID; the tuple is read before it is released.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"pgtrickle".as_ptr(), true);
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::NAMESPACEOID as i32,
            pg_sys::ObjectIdGetDatum(schema),
        );
        if tuple.is_null() {
            return Err(Error::Internal(
                "schema \"pgtrickle\" does not exist".into(),
            ));
        }
        let form = pg_sys::GETSTRUCT(tuple) as *const pg_sys::FormData_pg_namespace;
        let owner = (*form).nspowner;
        pg_sys::ReleaseSysCache(tuple);
        Ok(owner)
    }
}

/// The name of a role.
pub fn name_of(role: pg_sys::Oid) -> Result<String> {
    // SAFETY: a syscache look-up; the name is a copy.
    let name = unsafe { pg_sys::GetUserNameFromId(role, true) };
    if name.is_null() {
        return Err(Error::Vanished);
    }
    // SAFETY: NUL-terminated, as the server has made it.
    let name = unsafe { std::ffi::CStr::from_ptr(name) };
    Ok(name.to_string_lossy().into_owned())
}

/// The current role.
pub fn current() -> pg_sys::Oid {
    // SAFETY: reads a variable of the server.
    unsafe { pg_sys::GetUserId() }
}

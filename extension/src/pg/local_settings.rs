//! Temporary settings: on a nest level, which ends with a guard or with the (sub)transaction.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::is_aborting;
use crate::error::{Error, Result};

/// Settings that hold until drop, or until the (sub)transaction aborts.
#[derive(Debug)]
pub struct LocalSettings {
    guc_level: i32,
}

impl LocalSettings {
    /// Makes these settings.
    pub fn enter(settings: &[(&CStr, &CStr)]) -> Self {
        // SAFETY: the level ends on drop, or with the (sub)transaction.
        let guc_level = unsafe { pg_sys::NewGUCNestLevel() };
        for (name, value) in settings {
            set_on_level(name, value);
        }
        LocalSettings { guc_level }
    }
}

impl Drop for LocalSettings {
    fn drop(&mut self) {
        if !is_aborting() {
            // SAFETY: the nest level is ours.
            unsafe { pg_sys::AtEOXact_GUC(false, self.guc_level) };
        }
    }
}

/// Sets a parameter for the current GUC nest level.
pub(super) fn set_local(name: &str, value: &str) -> Result<()> {
    let text =
        |s: &str| CString::new(s).map_err(|_| Error::Internal("a setting contains NUL".into()));
    set_on_level(&text(name)?, &text(value)?);
    Ok(())
}

/// Sets a parameter for the current GUC nest level.
pub fn set_on_level(name: &CStr, value: &CStr) {
    set(name, value, 0);
}

/// Sets a parameter for the current GUC nest level; false if the server does not take the value.
pub(super) fn try_set(name: &CStr, value: &CStr) -> bool {
    set(name, value, pg_sys::DEBUG5 as i32) > 0
}

fn set(name: &CStr, value: &CStr, level: i32) -> i32 {
    // SAFETY: both strings are NUL-terminated and copied by the server.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_USERSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SAVE,
            true,
            level,
            false,
        )
    }
}

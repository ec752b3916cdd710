//! The settings of a session that the meaning of a query, or the text of a value, can depend on:
//! `settings.txt` lists them. A stream table keeps their values, so every session computes the same.
//!
//! Invariant: while a query is parsed, printed or run, only the kept values are in force. Only values that differ
//! are set, so a session like the creator's pays only for comparisons.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::rc::Rc;
use std::sync::LazyLock;

use pgrx::pg_sys;

use crate::error::SettingError;

use super::is_aborting;
use super::local_settings::try_set;
use super::node::text;

/// A setting of the list.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    c_name: CString,
    is_kept: bool,
    /// The value while statements run; `None` for the kept one.
    running: Option<CString>,
}

static LIST: LazyLock<Vec<Listed>> = LazyLock::new(|| {
    include_str!("settings.txt")
        .lines()
        .filter_map(listed)
        .collect()
});

fn listed(line: &'static str) -> Option<Listed> {
    let line = line.split('#').next()?;
    let mut words = line.split_whitespace();
    let (name, kept, running) = (words.next()?, words.next()?, words.next()?);
    let running = (running != "kept").then(|| running.trim_matches('\''));
    Some(Listed {
        name,
        c_name: CString::new(name).ok()?,
        is_kept: kept == "kept",
        running: running.and_then(|value| CString::new(value).ok()),
    })
}

type Result<T> = std::result::Result<T, SettingError>;

fn kept() -> impl Iterator<Item = (usize, &'static Listed)> {
    let listed = LIST.iter().enumerate();
    listed.filter(|(_, listed)| listed.is_kept)
}

/// Kept values, by the number of the setting in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(Rc<Vec<(usize, CString)>>);

impl Settings {
    /// Those of the session.
    pub fn of_session() -> Self {
        let value = |(at, listed): (usize, &Listed)| Some((at, listed.of_session()?));
        Settings(Rc::new(kept().filter_map(value).collect()))
    }

    /// Those of `name=value` texts; what is not on the list is left out.
    pub fn from_items(items: &[String]) -> Self {
        let mut settings = Settings::default();
        for (name, value) in items.iter().filter_map(|item| item.split_once('=')) {
            if let (Some((at, _)), Ok(value)) = (find(name), CString::new(value)) {
                settings.put(at, value);
            }
        }
        settings
    }

    /// Whether none is kept, as in a catalog of a former version.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Texts `name=value`, in the order of the list.
    pub fn items(&self) -> Vec<String> {
        let items = self.values();
        items
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// Texts `name=value` of some.
    pub fn items_of(&self, names: &BTreeSet<&'static str>) -> Vec<String> {
        let values = self.values().filter(|(name, _)| names.contains(name));
        values
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// Names and values, in the order of the list.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.0.iter().filter_map(|(at, value)| {
            let listed = LIST.get(*at)?;
            Some((listed.name, value.to_string_lossy().into_owned()))
        })
    }

    /// With these changes: `name=value`, or `name` for the value of the session.
    pub fn changed(&self, changes: &[String]) -> Result<Self> {
        let mut settings = self.clone();
        for change in changes {
            let (name, value) = match change.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (change.trim(), None),
            };
            let not_kept = || SettingError::NotKept {
                name: name.to_owned(),
                kept: kept().map(|(_, listed)| listed.name).collect(),
            };
            let (at, listed) = find(name).ok_or_else(not_kept)?;
            let value = match value {
                Some(value) => {
                    let value = CString::new(value).map_err(|_| not_kept())?;
                    listed.canonical(&value)?
                }
                None => listed.of_session().ok_or_else(not_kept)?,
            };
            settings.put(at, value);
        }
        Ok(settings)
    }

    fn put(&mut self, at: usize, value: CString) {
        let values = Rc::make_mut(&mut self.0);
        match values.binary_search_by_key(&at, |(at, _)| *at) {
            Ok(found) => {
                if let Some(entry) = values.get_mut(found) {
                    entry.1 = value;
                }
            }
            Err(place) => values.insert(place, (at, value)),
        }
    }

    /// Sets what statements run under, for the current level of settings.
    pub(super) fn set_for_running(&self) -> Result<()> {
        for (at, value) in self.0.iter() {
            if let Some(listed) = LIST.get(*at).filter(|listed| listed.running.is_none()) {
                listed.set(value)?;
            }
        }
        let fixed = LIST.iter();
        let mut fixed = fixed.filter_map(|listed| Some((listed, listed.running.as_ref()?)));
        fixed.try_for_each(|(listed, value)| listed.set(value))
    }
}

/// Whether the text of a float, under the settings in force, is read as the same float.
pub fn prints_whole_floats() -> bool {
    // SAFETY: the server's variable of the setting.
    unsafe { pg_sys::extra_float_digits > 0 }
}

/// Whether stream tables keep the value of the setting with this name, as it is listed.
pub fn is_kept(name: &str) -> bool {
    kept().any(|(_, listed)| listed.name == name)
}

fn find(name: &str) -> Option<(usize, &'static Listed)> {
    kept().find(|(_, listed)| listed.name.eq_ignore_ascii_case(name))
}

impl Listed {
    /// The value in the session. A text search configuration is named so that it is found on any search path.
    fn of_session(&self) -> Option<CString> {
        if self.name == "default_text_search_config"
            && let Some(name) = text_search_configuration()
        {
            return Some(name);
        }
        self.current().map(CStr::to_owned)
    }

    fn current(&self) -> Option<&CStr> {
        value_of(&self.c_name)
    }

    /// Sets the value for the current level of settings, unless it is the current one.
    fn set(&self, value: &CStr) -> Result<()> {
        if self.current() == Some(value) || try_set(&self.c_name, value) {
            return Ok(());
        }
        Err(SettingError::Refused {
            name: self.name.to_owned(),
            value: value.to_string_lossy().into_owned(),
        })
    }

    /// The value as the server writes it.
    fn canonical(&self, value: &CStr) -> Result<CString> {
        let _level = Level::begin();
        self.set(value)?;
        Ok(self.of_session().unwrap_or_else(|| value.to_owned()))
    }
}

/// The current value of a setting of the server or of a library, also one that few roles see; none if there is no such setting.
pub fn current(name: &CStr) -> Option<String> {
    value_of(name).map(|value| value.to_string_lossy().into_owned())
}

/// The value that a setting has until something is set.
fn value_of(name: &CStr) -> Option<&CStr> {
    // SAFETY: a NUL-terminated name; the server's string is compared or copied before anything is set.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value))
    }
}

/// The configuration that is used by default, qualified unless it is the server's own.
fn text_search_configuration() -> Option<CString> {
    // SAFETY: a look-up by the setting; then catalog look-ups, whose results are copied.
    unsafe {
        let configuration = pg_sys::getTSCurrentConfig(false);
        if configuration == pg_sys::InvalidOid {
            return None;
        }
        let _level = Level::with_pinned_path();
        let name: Option<&CStr> = pgrx::direct_function_call(
            pg_sys::regconfigout,
            &[Some(pg_sys::Datum::from(configuration))],
        );
        let name = text(name?.as_ptr());
        let is_builtin = !name.contains('.');
        CString::new(if is_builtin {
            format!("pg_catalog.{name}")
        } else {
            name
        })
        .ok()
    }
}

/// A level of settings: what is set on it is set back on drop, and by an error that aborts the transaction.
#[derive(Debug)]
pub struct Level(i32);

impl Level {
    /// Begins one.
    pub fn begin() -> Self {
        // SAFETY: counts up; drop ends it.
        Level(unsafe { pg_sys::NewGUCNestLevel() })
    }

    /// Begins one on which nothing is found but what is the server's own.
    pub fn with_pinned_path() -> Self {
        let level = Self::begin();
        // SAFETY: sets a setting on the level that has just begun.
        unsafe { pg_sys::RestrictSearchPath() };
        level
    }

    /// Begins one on which the text of a query is read.
    pub fn for_reading(settings: &Settings) -> Result<Self> {
        let level = Self::begin();
        for (at, value) in settings.0.iter() {
            if let Some(listed) = LIST.get(*at) {
                listed.set(value)?;
            }
        }
        Ok(level)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        // An error on its way out aborts the transaction, which sets back everything.
        if !is_aborting() {
            // SAFETY: ends the level that `begin` began.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_list_is_read() {
        let lines = include_str!("settings.txt").lines();
        let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(LIST.len(), entries.count());
    }

    #[test]
    fn items_are_in_the_order_of_the_list_and_foreign_ones_left_out() {
        let items = ["DateStyle=ISO, MDY", "work_mem=1", "timezone=UTC"].map(str::to_owned);
        let settings = Settings::from_items(&items);
        assert_eq!(settings.items(), ["TimeZone=UTC", "DateStyle=ISO, MDY"]);
    }
}

//! The statement triggers of a table that is written without a statement, and the transition tables that they and
//! row triggers read.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::relation::Relation;
use super::user::OwnersOwn;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A row comes.
    Insert,
    /// A row becomes another.
    Update,
    /// A row goes.
    Delete,
}

/// In the order in which MERGE fires them.
const CHANGES: [Change; 3] = [Change::Delete, Change::Update, Change::Insert];

/// What the writes have fired, and will. Between begin and end there is one level of the server's queue of triggers:
/// such levels end in the reverse order of their beginnings.
#[derive(Debug)]
pub struct StatementTriggers {
    capture: *mut pg_sys::TransitionCaptureState,
    /// The kinds of changes that there were.
    seen: Vec<Change>,
}

impl StatementTriggers {
    /// Begins, in the memory of the writes. The guard, a statement trigger that always refuses, will not fire.
    ///
    /// # Safety
    /// `target` is initialised, and outlives the writes.
    pub unsafe fn begin(target: *mut pg_sys::ResultRelInfo) -> Self {
        // SAFETY: per contract; the description of the triggers is the target's own copy.
        let capture = unsafe {
            disarm_guard((*target).ri_TrigDesc);
            if !OwnersOwn::applies() {
                put_nothing_off((*target).ri_TrigDesc);
            }
            pg_sys::AfterTriggerBeginQuery();
            pg_sys::MakeTransitionCaptureState(
                (*target).ri_TrigDesc,
                (*(*target).ri_RelationDesc).rd_id,
                pg_sys::CmdType::CMD_MERGE,
            )
        };
        StatementTriggers {
            capture,
            seen: Vec::new(),
        }
    }

    /// Where rows are put for those triggers that read transition tables; NULL if none does.
    pub fn capture(&self) -> *mut pg_sys::TransitionCaptureState {
        self.capture
    }

    /// A change of this kind is about to be made.
    pub fn before(
        &mut self,
        change: Change,
        estate: *mut pg_sys::EState,
        target: *mut pg_sys::ResultRelInfo,
    ) {
        if self.seen.contains(&change) {
            return;
        }
        self.seen.push(change);
        // SAFETY: the writer's own state. Firing costs something even where there is nothing but the guard.
        unsafe {
            if !has_before((*target).ri_TrigDesc, change) {
                return;
            }
            match change {
                Change::Insert => pg_sys::ExecBSInsertTriggers(estate, target),
                Change::Update => pg_sys::ExecBSUpdateTriggers(estate, target),
                Change::Delete => pg_sys::ExecBSDeleteTriggers(estate, target),
            }
        }
    }

    /// Fires what is queued, statement triggers last.
    pub fn end(self, estate: *mut pg_sys::EState, target: *mut pg_sys::ResultRelInfo) {
        // SAFETY: the writer's own state, which has not been freed.
        unsafe {
            for change in CHANGES {
                if self.seen.contains(&change) {
                    match change {
                        Change::Insert => {
                            pg_sys::ExecASInsertTriggers(estate, target, self.capture);
                        }
                        Change::Update => {
                            pg_sys::ExecASUpdateTriggers(estate, target, self.capture);
                        }
                        Change::Delete => {
                            pg_sys::ExecASDeleteTriggers(estate, target, self.capture);
                        }
                    }
                }
            }
            let _own = OwnersOwn::enter();
            pg_sys::AfterTriggerEndQuery(estate);
        }
    }
}

/// The triggers of a description.
///
/// # Safety
/// A description of the server's, or NULL; it has no other holder.
unsafe fn triggers_of<'a>(description: *mut pg_sys::TriggerDesc) -> &'a mut [pg_sys::Trigger] {
    // SAFETY: per contract; there are as many entries as it says.
    unsafe {
        match description.as_ref() {
            None => &mut [],
            Some(description) => std::slice::from_raw_parts_mut(
                description.triggers,
                usize::try_from(description.numtriggers).unwrap_or(0),
            ),
        }
    }
}

/// Has the guard not fire.
///
/// # Safety
/// As [`triggers_of`].
unsafe fn disarm_guard(description: *mut pg_sys::TriggerDesc) {
    // SAFETY: per contract; names end with NUL.
    unsafe {
        for trigger in triggers_of(description) {
            if is_guard(trigger) {
                trigger.tgenabled = pg_sys::TRIGGER_DISABLED as std::ffi::c_char;
            }
        }
    }
}

/// # Safety
/// A trigger of the server's.
unsafe fn is_guard(trigger: &pg_sys::Trigger) -> bool {
    // SAFETY: names end with NUL.
    let name = unsafe { CStr::from_ptr(trigger.tgname) };
    trigger.tgisinternal && name.to_bytes().starts_with(b"pgt_guard")
}

/// Whether an open table has no triggers but the guard.
pub fn are_only_guards(table: &Relation) -> bool {
    // SAFETY: open, hence valid; there are as many entries as the description says.
    unsafe {
        let Some(description) = (*table.as_ptr()).trigdesc.as_ref() else {
            return true;
        };
        let count = usize::try_from(description.numtriggers).unwrap_or(0);
        std::slice::from_raw_parts(description.triggers, count)
            .iter()
            .all(|trigger| is_guard(trigger))
    }
}

/// Has deferred triggers fire at the end of the writes.
///
/// # Safety
/// As [`triggers_of`].
unsafe fn put_nothing_off(description: *mut pg_sys::TriggerDesc) {
    // SAFETY: per contract.
    for trigger in unsafe { triggers_of(description) } {
        trigger.tgdeferrable = false;
        trigger.tginitdeferred = false;
    }
}

/// Whether there is a statement trigger before such changes.
///
/// # Safety
/// As [`triggers_of`].
unsafe fn has_before(description: *mut pg_sys::TriggerDesc, change: Change) -> bool {
    // SAFETY: per contract.
    let triggers = unsafe { triggers_of(description) };
    triggers
        .iter()
        .any(|trigger| is_before(trigger, change, false))
}

/// The names of the triggers that fire before each row of such changes.
///
/// # Safety
/// As [`triggers_of`].
pub unsafe fn names_before_rows(
    description: *mut pg_sys::TriggerDesc,
    change: Change,
) -> Vec<String> {
    // SAFETY: per contract; names end with NUL.
    unsafe {
        triggers_of(description)
            .iter()
            .filter(|trigger| is_before(trigger, change, true))
            .map(|trigger| {
                CStr::from_ptr(trigger.tgname)
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }
}

fn is_before(trigger: &pg_sys::Trigger, change: Change, of_rows: bool) -> bool {
    let event = match change {
        Change::Insert => pg_sys::TRIGGER_TYPE_INSERT,
        Change::Update => pg_sys::TRIGGER_TYPE_UPDATE,
        Change::Delete => pg_sys::TRIGGER_TYPE_DELETE,
    };
    let (wanted, tgtype) = (event | pg_sys::TRIGGER_TYPE_BEFORE, trigger.tgtype as u32);
    trigger.tgenabled as u8 != pg_sys::TRIGGER_DISABLED
        && (tgtype & pg_sys::TRIGGER_TYPE_ROW != 0) == of_rows
        && tgtype & wanted == wanted
}

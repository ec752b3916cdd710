//! Comments on relations.

use pgrx::pg_sys;

use super::name::c_string;
use super::node::text;

/// Makes this the comment of a relation.
pub fn set_on_relation(relation: pg_sys::Oid, comment: &str) {
    let Ok(comment) = c_string(comment) else {
        return;
    };
    // SAFETY: writes pg_description; the text is copied.
    unsafe {
        pg_sys::CreateComments(relation, pg_sys::RelationRelationId, 0, comment.as_ptr());
    }
}

/// The comment of a relation.
pub fn on_relation(relation: pg_sys::Oid) -> Option<String> {
    // SAFETY: a look-up in pg_description under a snapshot of its own.
    let found = unsafe { pg_sys::GetComment(relation, pg_sys::RelationRelationId, 0) };
    (!found.is_null()).then(|| text(found))
}

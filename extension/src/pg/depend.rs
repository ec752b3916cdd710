//! Dependencies between relations, and dropping them.

use super::catalog_scan;
use super::lock_mode::LockMode;
use super::name::text_of;
use pgrx::pg_sys;

/// `pg_depend` and its index over the dependent object, as `catalog/pg_depend.h` has them.
const DEPEND: pg_sys::Oid = pg_sys::Oid::from_u32(2608);
const DEPEND_BY_DEPENDER: pg_sys::Oid = pg_sys::Oid::from_u32(2673);
/// Its index over the object that is depended on.
const DEPEND_BY_OWNER: pg_sys::Oid = pg_sys::Oid::from_u32(2674);

/// A row of `pg_depend`.
#[repr(C)]
struct DependRow {
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    object_sub: i32,
    owner_class: pg_sys::Oid,
    owner: pg_sys::Oid,
    owner_sub: i32,
    kind: std::ffi::c_char,
}

fn relation(oid: pg_sys::Oid) -> pg_sys::ObjectAddress {
    pg_sys::ObjectAddress {
        classId: pg_sys::RelationRelationId,
        objectId: oid,
        objectSubId: 0,
    }
}

/// The relation as the server's messages name it; `None` when it is gone.
pub fn describe_relation(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: a palloc'd C string, or null.
    unsafe { text_of(pg_sys::getObjectDescription(&relation(oid), true)) }
}

/// Makes one relation a part of another: it is dropped with it, cannot be dropped without it, and
/// whatever drops it by CASCADE drops the whole.
pub fn make_part_of(part: pg_sys::Oid, whole: pg_sys::Oid) {
    // SAFETY: two valid addresses.
    unsafe {
        pg_sys::recordDependencyOn(
            &relation(part),
            &relation(whole),
            pg_sys::DependencyType::DEPENDENCY_INTERNAL,
        );
        pg_sys::CommandCounterIncrement();
    }
}

/// Undoes [`make_part_of`], so that the part can be dropped alone.
pub fn detach(part: pg_sys::Oid) {
    // SAFETY: deletes rows of pg_depend by key.
    unsafe {
        pg_sys::deleteDependencyRecordsForClass(
            pg_sys::RelationRelationId,
            part,
            pg_sys::RelationRelationId,
            pg_sys::DependencyType::DEPENDENCY_INTERNAL as std::ffi::c_char,
        );
        pg_sys::CommandCounterIncrement();
    }
}

/// Drops one of the extension's objects, of the catalog `class`, without dependents and without a privilege check.
pub fn drop_object(class: pg_sys::Oid, oid: pg_sys::Oid) {
    // SAFETY: the server looks the object up, and fails if it is not there.
    unsafe {
        pg_sys::performDeletion(
            &pg_sys::ObjectAddress {
                classId: class,
                objectId: oid,
                objectSubId: 0,
            },
            pg_sys::DropBehavior::DROP_RESTRICT,
            pg_sys::PERFORM_DELETION_INTERNAL as i32,
        );
        pg_sys::CommandCounterIncrement();
    }
}

/// Drops a relation of the extension without asking for privileges.
pub fn drop_relation(oid: pg_sys::Oid, cascade: bool) {
    let behavior = if cascade {
        pg_sys::DropBehavior::DROP_CASCADE
    } else {
        pg_sys::DropBehavior::DROP_RESTRICT
    };
    // SAFETY: the relation is locked as DROP TABLE locks it, then dropped.
    unsafe {
        pg_sys::LockRelationOid(oid, LockMode::AccessExclusive.raw());
        if !pg_sys::SearchSysCacheExists(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(oid),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
            pg_sys::Datum::from(0),
        ) {
            return;
        }
        pg_sys::performDeletion(
            &relation(oid),
            behavior,
            pg_sys::PERFORM_DELETION_INTERNAL as i32,
        );
        pg_sys::CommandCounterIncrement();
    }
}

/// Gives a relation to another owner without asking for privileges.
pub fn change_owner(oid: pg_sys::Oid, owner: pg_sys::Oid) {
    // SAFETY: `recursing` tells the server that the caller has checked the privileges.
    unsafe {
        pg_sys::ATExecChangeOwner(oid, owner, true, LockMode::AccessExclusive.raw());
        pg_sys::CommandCounterIncrement();
    }
}

/// Notifies every session at commit that a relation has changed, and this one at once.
pub fn tell_of_change(oid: pg_sys::Oid) {
    // SAFETY: the relation is there, which its dependency on what has changed sees to.
    unsafe {
        pg_sys::CacheInvalidateRelcacheByRelid(oid);
        pg_sys::CommandCounterIncrement();
    }
}

/// The owner of a relation; `None` when it is gone.
pub fn owner_of(oid: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a syscache look-up; the tuple is released before return.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::RELOID as i32,
            pg_sys::Datum::from(oid),
        );
        if tuple.is_null() {
            return None;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let owner = (*form).relowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner)
    }
}

/// Makes a relation (or another object) go when `owner` goes, whatever way that is dropped.
pub fn drop_with(class: pg_sys::Oid, object: pg_sys::Oid, owner: pg_sys::Oid) {
    let object = pg_sys::ObjectAddress {
        classId: class,
        objectId: object,
        objectSubId: 0,
    };
    // SAFETY: two valid addresses.
    unsafe {
        pg_sys::recordDependencyOn(
            &object,
            &relation(owner),
            pg_sys::DependencyType::DEPENDENCY_AUTO,
        );
        pg_sys::CommandCounterIncrement();
    }
}

/// Whether [`drop_with`] ties a relation to `owner`.
pub fn belongs_to(part: pg_sys::Oid, owner: pg_sys::Oid) -> bool {
    depends(part, owner, pg_sys::DependencyType::DEPENDENCY_AUTO)
}

/// Whether [`make_part_of`] makes a relation a part of `whole`.
pub fn is_part_of(part: pg_sys::Oid, whole: pg_sys::Oid) -> bool {
    depends(part, whole, pg_sys::DependencyType::DEPENDENCY_INTERNAL)
}

fn depends(part: pg_sys::Oid, owner: pg_sys::Oid, kind: pg_sys::DependencyType::Type) -> bool {
    let mut found = false;
    catalog_scan::each(
        DEPEND,
        DEPEND_BY_DEPENDER,
        &[
            catalog_scan::oid_key(1, pg_sys::RelationRelationId),
            catalog_scan::oid_key(2, part),
        ],
        |row| {
            // SAFETY: a row of pg_depend, which has fixed-length columns only.
            let row = unsafe { &*row.cast::<DependRow>() };
            debug_assert!(row.class == pg_sys::RelationRelationId && row.object == part);
            found = row.owner_class == pg_sys::RelationRelationId
                && row.owner == owner
                && (row.object_sub, row.owner_sub) == (0, 0)
                && row.kind == kind as std::ffi::c_char;
            !found
        },
    );
    found
}

/// Whether something depends on the relation that would not be dropped with it.
pub fn has_dependents(owner: pg_sys::Oid) -> bool {
    let mut found = false;
    catalog_scan::each(
        DEPEND,
        DEPEND_BY_OWNER,
        &[
            catalog_scan::oid_key(4, pg_sys::RelationRelationId),
            catalog_scan::oid_key(5, owner),
        ],
        |row| {
            // SAFETY: a row of pg_depend, which has fixed-length columns only.
            let row = unsafe { &*row.cast::<DependRow>() };
            debug_assert!(row.owner == owner);
            found = row.kind == pg_sys::DependencyType::DEPENDENCY_NORMAL as std::ffi::c_char;
            !found
        },
    );
    found
}

/// Whether something beside the relation and its array type uses its row type: a column of another table, a function, a
/// domain.
pub fn row_type_is_used(of: pg_sys::Oid) -> bool {
    // SAFETY: a syscache look-up; 0 for a relation without a row type, or none.
    let row_type = unsafe { pg_sys::get_rel_type_id(of) };
    if row_type == pg_sys::InvalidOid {
        return false;
    }
    // SAFETY: a syscache look-up.
    let array = unsafe { pg_sys::get_array_type(row_type) };
    let is_used = |used: pg_sys::Oid| {
        let mut found = false;
        let keys = [
            catalog_scan::oid_key(4, pg_sys::TypeRelationId),
            catalog_scan::oid_key(5, used),
        ];
        catalog_scan::each(DEPEND, DEPEND_BY_OWNER, &keys, |row| {
            // SAFETY: a row of pg_depend, which has fixed-length columns only.
            let row = unsafe { &*row.cast::<DependRow>() };
            found = row.class != pg_sys::TypeRelationId || row.object != array;
            !found
        });
        found
    };
    is_used(row_type) || (array != pg_sys::InvalidOid && is_used(array))
}

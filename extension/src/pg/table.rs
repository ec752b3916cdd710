//! Facts about relations: kind, columns, indexes, inheritance, and privileges.

use pgrx::{PgTupleDesc, pg_sys};

use super::lock_mode::LockMode;
use super::name;
use super::node::{oid_list, text};
use super::version;

/// A column of a relation.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Attribute number.
    pub attnum: i16,
    /// Name.
    pub name: String,
    /// Type.
    pub type_oid: pg_sys::Oid,
    /// Type modifier.
    pub typmod: i32,
    /// Collation.
    pub collation: pg_sys::Oid,
    /// Whether a valid NOT NULL constraint holds.
    pub not_null: bool,
    /// Whether it is a virtual generated column.
    pub is_virtual: bool,
}

/// An index, as far as look-ups by equality can use it.
#[derive(Debug, Clone)]
pub struct IndexFacts {
    /// Attribute numbers of the key columns; `None` for expressions and for columns that the index
    /// compares differently from the column's default equality.
    pub attnums: Vec<Option<i16>>,
    /// Unique and immediate.
    pub is_unique: bool,
}

/// A relation with the facts that a query analysis needs.
#[derive(Debug, Clone)]
pub struct TableFacts {
    /// OID.
    pub oid: pg_sys::Oid,
    /// Kind (`pg_class.relkind`).
    pub kind: u8,
    /// Persistence (`pg_class.relpersistence`).
    pub persistence: u8,
    /// Whether it is a partition.
    pub is_partition: bool,
    /// Whether it belongs to the system catalogs.
    pub is_catalog: bool,
    /// Name of its schema.
    pub schema: String,
    /// Name, qualified and quoted.
    pub qualified: String,
    /// Columns that are not dropped.
    pub attributes: Vec<Attribute>,
    /// Usable indexes.
    pub indexes: Vec<IndexFacts>,
    /// Whether tables inherit from it (partitions and chunks of a hypertable do not count).
    pub has_children: bool,
    /// Whether it is a hypertable of TimescaleDB, whose keys hold for all chunks.
    pub is_hypertable: bool,
}

impl TableFacts {
    /// Reads the facts; `None` when there is no such relation. Takes a lock as a reader does.
    pub fn load(oid: pg_sys::Oid) -> Option<Self> {
        let lock = LockMode::AccessShare.raw();
        // SAFETY: the relation is open, and locked to the end of the transaction, while its
        // relcache entry is read.
        unsafe {
            let relation = pg_sys::try_relation_open(oid, lock);
            if relation.is_null() {
                return None;
            }
            let class = &*(*relation).rd_rel;
            let kind = class.relkind as u8;
            let is_table =
                kind == pg_sys::RELKIND_RELATION || kind == pg_sys::RELKIND_PARTITIONED_TABLE;
            let schema = text(pg_sys::get_namespace_name(class.relnamespace));
            let name = text(class.relname.data.as_ptr());
            let is_partition = class.relispartition;
            let is_hypertable = super::timescale::is_hypertable(oid);
            let attributes = attributes(relation);
            let facts = Self {
                oid,
                kind,
                persistence: class.relpersistence as u8,
                is_partition,
                is_catalog: pg_sys::IsCatalogRelation(relation)
                    || schema == "information_schema"
                    || schema == "pg_toast",
                qualified: format!("{}.{}", name::quote(&schema), name::quote(&name)),
                schema,
                indexes: if is_table {
                    indexes(relation, &attributes)
                } else {
                    Vec::new()
                },
                attributes,
                is_hypertable,
                has_children: !is_hypertable
                    && kind == pg_sys::RELKIND_RELATION
                    && class.relhassubclass
                    && oid_list(super::ffi::find_all_inheritors(
                        oid,
                        LockMode::None.raw(),
                        std::ptr::null_mut(),
                    ))
                    .len()
                        > 1,
            };
            pg_sys::relation_close(relation, LockMode::None.raw());
            Some(facts)
        }
    }

    /// The column with this attribute number.
    pub fn attribute(&self, attnum: i16) -> Option<&Attribute> {
        self.attributes.iter().find(|a| a.attnum == attnum)
    }
}

/// The columns of an open relation.
///
/// # Safety
/// `relation` is open and locked.
unsafe fn attributes(relation: pg_sys::Relation) -> Vec<Attribute> {
    // SAFETY: the descriptor belongs to the open relation and is only read here.
    let descriptor = unsafe { PgTupleDesc::from_pg_unchecked((*relation).rd_att) };
    (0..descriptor.len())
        .filter_map(|i| descriptor.get(i).map(|a| (i, a)))
        .filter(|(_, a)| !a.attisdropped)
        .map(|(i, a)| Attribute {
            attnum: a.attnum,
            name: a.name().to_owned(),
            type_oid: a.atttypid,
            typmod: a.atttypmod,
            collation: a.attcollation,
            // SAFETY: as above.
            not_null: a.attnotnull
                && unsafe { version::attributes::not_null_is_valid((*relation).rd_att, i) },
            is_virtual: a.attgenerated as u8 == b'v',
        })
        .collect()
}

/// The indexes of an open table that equality look-ups can use.
///
/// # Safety
/// `table` is open and locked.
unsafe fn indexes(table: pg_sys::Relation, attributes: &[Attribute]) -> Vec<IndexFacts> {
    let lock = LockMode::AccessShare.raw();
    // SAFETY: the table is open; the list is a copy.
    let oids = unsafe { oid_list(pg_sys::RelationGetIndexList(table)) };
    let mut found = Vec::new();
    for oid in oids {
        // SAFETY: the index is open while it is read. Its arrays have one entry per key column.
        unsafe {
            let index = pg_sys::relation_open(oid, lock);
            let form = &*(*index).rd_index;
            let method = (*(*index).rd_rel).relam;
            let is_btree = method == pg_sys::BTREE_AM_OID;
            let usable = (is_btree || method == pg_sys::HASH_AM_OID)
                && form.indisvalid
                && form.indisready
                && form.indislive
                && pg_sys::RelationGetIndexPredicate(index).is_null();
            if usable {
                let attnums = (0..form.indnkeyatts as usize)
                    .map(|i| {
                        let attnum = *form.indkey.values.as_ptr().add(i);
                        let family = *(*index).rd_opfamily.add(i);
                        let collation = *(*index).rd_indcollation.add(i);
                        attributes
                            .iter()
                            .find(|a| a.attnum == attnum)
                            .filter(|a| a.collation == collation && has_equality(a, family))
                            .map(|a| a.attnum)
                    })
                    .collect();
                found.push(IndexFacts {
                    attnums,
                    is_unique: is_btree && form.indisunique && form.indimmediate,
                });
            }
            pg_sys::relation_close(index, LockMode::None.raw());
        }
    }
    found
}

/// Whether the column's default equality operator belongs to the operator family.
fn has_equality(attribute: &Attribute, family: pg_sys::Oid) -> bool {
    let equality = super::types::equality_operator(attribute.type_oid);
    super::types::is_operator_in(equality, family)
}

fn name_of(relation: pg_sys::Oid) -> String {
    // SAFETY: a catalog look-up; NULL when there is no such relation.
    text(unsafe { pg_sys::get_rel_name(relation) })
}

/// Whether `role` may read all of these columns of the relation (any column when none is named).
pub fn may_read(relation: pg_sys::Oid, columns: &[i16], role: pg_sys::Oid) -> bool {
    let select = pg_sys::ACL_SELECT as pg_sys::AclMode;
    let ok = pg_sys::AclResult::ACLCHECK_OK;
    if !may_use_schema_of(relation, role) {
        return false;
    }
    // SAFETY: catalog look-ups.
    unsafe {
        if pg_sys::pg_class_aclcheck(relation, role, select) == ok {
            return true;
        }
        if columns.is_empty() {
            let any = pg_sys::AclMaskHow::ACLMASK_ANY;
            return pg_sys::pg_attribute_aclcheck_all(relation, role, select, any) == ok;
        }
        columns
            .iter()
            .all(|attnum| pg_sys::pg_attribute_aclcheck(relation, *attnum, role, select) == ok)
    }
}

fn may_use_schema_of(relation: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    let usage = pg_sys::ACL_USAGE as pg_sys::AclMode;
    // SAFETY: catalog look-ups.
    unsafe {
        let schema = pg_sys::get_rel_namespace(relation);
        pg_sys::object_aclcheck(pg_sys::NamespaceRelationId, schema, role, usage)
            == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// Reports, as the server does, that `role` may not read the relation, or use its schema.
pub fn report_denied(facts: &TableFacts, role: pg_sys::Oid) {
    let (kind, name) = match (facts.kind, may_use_schema_of(facts.oid, role)) {
        (_, false) => (pg_sys::ObjectType::OBJECT_SCHEMA, facts.schema.clone()),
        (pg_sys::RELKIND_VIEW, true) => (pg_sys::ObjectType::OBJECT_VIEW, name_of(facts.oid)),
        (_, true) => (pg_sys::ObjectType::OBJECT_TABLE, name_of(facts.oid)),
    };
    let Ok(name) = std::ffi::CString::new(name) else {
        return;
    };
    // SAFETY: reports an error with a copy of the name.
    unsafe { pg_sys::aclcheck_error(pg_sys::AclResult::ACLCHECK_NO_PRIV, kind, name.as_ptr()) }
}

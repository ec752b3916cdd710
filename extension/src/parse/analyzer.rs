//! The state of one analysis: identities of columns, findings, tables seen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use pgrx::pg_sys;
use pgtrickle_dvm::tree::{Column, ColumnId, Relation};

use super::analysis::{Analysis, Construct, OutputColumn, SourceTable, Unsupported};
use super::derived::{Access, Needed, OpenRecursion};
use super::display_scale::Scale;
use super::facts::TypeFacts;
use super::spread::{Place, Spread};
use crate::capability::{Capability, SETTINGS, TOO_MANY_LEVELS};
use crate::error::Result;
use crate::pg::make_node;
use crate::pg::node::{self, Node, NodeOf};
use crate::pg::reads::Reads;
use crate::pg::table::TableFacts;

/// All that is known of a column of the tree.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The column as the tree shows it.
    pub column: Column,
    /// Type.
    pub type_oid: pg_sys::Oid,
    /// Type modifier.
    pub typmod: i32,
    /// Collation.
    pub collation: pg_sys::Oid,
    /// Display scale of its values, for `numeric`.
    pub scale: Scale,
    /// Whether an expression that says COLLATE computes it.
    pub explicit_collation: bool,
}

/// The state of one analysis.
pub(super) struct Analyzer {
    /// Who owns the stream table.
    pub owner: pg_sys::Oid,
    /// What stands for tables of Citus.
    pub place: Place,
    /// The tables of Citus that the query reads.
    pub spread: Spread,
    /// Facts about types.
    pub types: TypeFacts,
    slots: Vec<Slot>,
    tables: HashMap<pg_sys::Oid, Option<Rc<TableFacts>>>,
    used: BTreeMap<u32, BTreeSet<i16>>,
    unsupported: Vec<Unsupported>,
    constructs: Vec<Construct>,
    levels: usize,
    definitions: BTreeSet<String>,
    defining: BTreeSet<u32>,
    /// Settings that expressions read.
    settings: BTreeSet<&'static str>,
    /// Tables of which policies hide rows.
    pub secured: BTreeSet<u32>,
    /// Whether an expression raises an error for text that says what the clock decides.
    pub may_meet_clock_words: bool,
    /// Columns that subqueries read of the levels around them, in the order of analysis.
    outside: Vec<ColumnId>,
    /// The recursion whose parts are being analysed.
    pub open_recursion: Option<OpenRecursion>,
}

/// How much has been found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Findings {
    /// Of what cannot be maintained.
    pub refused: usize,
    noted: usize,
}

/// Most query levels that an analysis enters: references to views and CTEs are expanded, so a short
/// text can stand for a tree of any size.
const LEVELS_MAX: usize = 1000;

impl Analyzer {
    /// Begins an analysis.
    pub fn new(owner: pg_sys::Oid, place: Place) -> Self {
        Self {
            owner,
            place,
            spread: Spread::default(),
            types: TypeFacts::new(),
            slots: Vec::new(),
            tables: HashMap::new(),
            used: BTreeMap::new(),
            unsupported: Vec::new(),
            constructs: Vec::new(),
            levels: 0,
            definitions: BTreeSet::new(),
            defining: BTreeSet::new(),
            settings: BTreeSet::new(),
            secured: BTreeSet::new(),
            may_meet_clock_words: false,
            outside: Vec::new(),
            open_recursion: None,
        }
    }

    /// Analyses the outermost query.
    pub fn run(mut self, query: NodeOf<pg_sys::Query>) -> Result<Analysis> {
        let access = Access {
            through_view: false,
            roles: vec![self.owner],
        };
        self.read_shards(query)?;
        let named = self.named_sources(query)?;
        let mut columns = self.output_columns(query);
        let derived = self.query(query, None, &access, &Needed::All)?;
        for (output, id) in columns.iter_mut().zip(&derived.columns) {
            if let Some(slot) = id.and_then(|id| self.slot(id)) {
                output.nullable = slot.column.nullable;
                output.ty = slot.column.ty.clone();
            }
        }
        let supported = self.unsupported.is_empty();
        let used = if supported { self.used.clone() } else { named };
        let mut relations = std::mem::take(&mut self.defining);
        relations.extend(self.tables.keys().map(|oid| oid.to_u32()));
        Ok(Analysis {
            relation: supported.then_some(derived.relation),
            columns,
            sources: self.sources(used),
            relations: relations.into_iter().map(Into::into).collect(),
            definitions: self.definitions,
            settings: self.settings,
            secured: self.secured,
            may_meet_clock_words: self.may_meet_clock_words,
            spread: self.spread,
            unsupported: self.unsupported,
            constructs: self.constructs,
        })
    }

    /// Records something that cannot be maintained, once.
    pub fn refuse(&mut self, capability: &'static Capability, construct: impl Into<String>) {
        let found = Unsupported::new(capability, construct);
        if !self.unsupported.contains(&found) {
            self.unsupported.push(found);
        }
    }

    /// Counts a query level; false when there are too many.
    pub fn enter_level(&mut self) -> bool {
        self.levels += 1;
        let fits = self.levels <= LEVELS_MAX;
        if !fits {
            self.refuse(
                &TOO_MANY_LEVELS,
                format!("more than {LEVELS_MAX} subqueries"),
            );
        }
        fits
    }

    /// Records a construct that is maintained, once.
    pub fn note(&mut self, capability: &'static Capability, construct: impl Into<String>) {
        let construct = construct.into();
        let known = self
            .constructs
            .iter()
            .any(|c| c.capability.code == capability.code && c.construct == construct);
        if !known {
            self.constructs.push(Construct {
                capability,
                construct,
            });
        }
    }

    /// How much has been found so far.
    pub fn findings(&self) -> Findings {
        Findings {
            refused: self.unsupported.len(),
            noted: self.constructs.len(),
        }
    }

    /// Forgets what has been found since then.
    pub fn forget_since(&mut self, before: Findings) {
        self.unsupported.truncate(before.refused);
        self.constructs.truncate(before.noted);
    }

    /// Records that what a relation is decides about the analysis.
    pub fn define_by(&mut self, relation: pg_sys::Oid) {
        self.defining.insert(relation.to_u32());
    }

    /// Records what expressions read besides columns.
    pub fn depend_on(&mut self, reads: Reads) {
        for name in &reads.settings {
            self.note(&SETTINGS, format!("setting {name}"));
        }
        self.settings.extend(reads.settings);
        self.definitions.extend(reads.described);
        let relations = reads.relations.iter().map(|oid| oid.to_u32());
        self.defining.extend(relations);
    }

    /// Records that a query reads a column of a level around it.
    pub fn read_outside(&mut self, id: ColumnId) {
        self.outside.push(id);
    }

    /// How many such reads there were, for [`Self::reads_outside_since`].
    pub fn reads_outside(&self) -> usize {
        self.outside.len()
    }

    /// The columns read from the outside since then, by whatever is inside of what was analysed.
    pub fn reads_outside_since(&self, before: usize) -> BTreeSet<ColumnId> {
        self.outside.iter().skip(before).copied().collect()
    }

    /// The tree under fresh identities, and the new ones by the old.
    pub fn copy(&mut self, relation: Relation) -> (Relation, HashMap<ColumnId, ColumnId>) {
        let mut names = HashMap::new();
        for id in relation.made_columns() {
            names.entry(id).or_insert_with(|| self.fresh(id));
        }
        (relation.relabelled(&names), names)
    }

    /// A column like another.
    pub fn fresh(&mut self, like: ColumnId) -> ColumnId {
        let new = ColumnId(self.slots.len() as u32 + 1);
        let Some(mut slot) = self.slot(like).cloned() else {
            return like;
        };
        slot.column.id = new;
        self.slots.push(slot);
        new
    }

    /// Records that an outer join can make a column NULL.
    pub fn set_nullable(&mut self, id: ColumnId) {
        let slot = (id.0 as usize)
            .checked_sub(1)
            .and_then(|i| self.slots.get_mut(i));
        if let Some(slot) = slot {
            slot.column.nullable = true;
        }
    }

    /// Makes a column.
    pub fn add_column(
        &mut self,
        name: impl Into<String>,
        (type_oid, typmod, collation): (pg_sys::Oid, i32, pg_sys::Oid),
        nullable: bool,
        scale: Scale,
    ) -> Column {
        let id = ColumnId(self.slots.len() as u32 + 1);
        let column = Column {
            id,
            name: name.into(),
            ty: self.types.column_type(type_oid, typmod, collation, scale),
            nullable,
        };
        self.slots.push(Slot {
            column: column.clone(),
            type_oid,
            typmod,
            collation,
            scale,
            explicit_collation: false,
        });
        column
    }

    /// Makes a boolean column that is never NULL.
    pub fn truth(&mut self, name: &str) -> Column {
        let boolean = (pg_sys::BOOLOID, -1, pg_sys::InvalidOid);
        self.add_column(name, boolean, false, Scale::Unknown)
    }

    /// Records whether an expression that says COLLATE computes the column.
    pub fn set_explicit_collation(&mut self, id: ColumnId, explicit: bool) {
        let slot = (id.0 as usize)
            .checked_sub(1)
            .and_then(|i| self.slots.get_mut(i));
        if let Some(slot) = slot {
            slot.explicit_collation |= explicit;
        }
    }

    /// Records of a column that its values are equal only when their images are, where that is
    /// known better than by its type, and returns it so.
    pub fn with_image_equality(&mut self, mut column: Column) -> Column {
        column.ty.image_equality = true;
        let slot = (column.id.0 as usize)
            .checked_sub(1)
            .and_then(|i| self.slots.get_mut(i));
        if let Some(slot) = slot {
            slot.column = column.clone();
        }
        column
    }

    /// What is known of a column.
    pub fn slot(&self, id: ColumnId) -> Option<&Slot> {
        self.slots.get((id.0 as usize).checked_sub(1)?)
    }

    /// The column, as a parameter in an expression.
    pub fn parameter(&self, id: ColumnId) -> Option<Node> {
        let slot = self.slot(id)?;
        make_node::make_param(id.0 as i32, slot.type_oid, slot.typmod, slot.collation)
    }

    /// Facts about a relation, read once.
    pub fn table(&mut self, oid: pg_sys::Oid) -> Option<Rc<TableFacts>> {
        self.tables
            .entry(oid)
            .or_insert_with(|| TableFacts::load(oid).map(Rc::new))
            .clone()
    }

    /// Records that the tree reads these columns of a table.
    pub fn use_columns(&mut self, oid: pg_sys::Oid, attnums: impl IntoIterator<Item = i16>) {
        self.used.entry(oid.to_u32()).or_default().extend(attnums);
    }

    fn output_columns(&mut self, query: NodeOf<pg_sys::Query>) -> Vec<OutputColumn> {
        node::list_of::<pg_sys::TargetEntry>(query.targetList)
            .into_iter()
            .filter(|target| !target.resjunk)
            .filter_map(|target| {
                let expr = Node::new(target.expr)?;
                let (type_oid, typmod, collation) =
                    (expr.type_oid(), expr.typmod(), expr.collation());
                Some(OutputColumn {
                    name: node::text(target.resname),
                    ty: self
                        .types
                        .column_type(type_oid, typmod, collation, Scale::Unknown),
                    type_oid,
                    typmod,
                    collation,
                    nullable: true,
                })
            })
            .collect()
    }

    fn sources(&mut self, used: BTreeMap<u32, BTreeSet<i16>>) -> Vec<SourceTable> {
        used.into_iter()
            .filter_map(|(oid, columns)| {
                let facts = self.table(oid.into())?;
                Some(SourceTable {
                    oid: facts.oid,
                    relkind: facts.kind,
                    is_partitioned: facts.kind == pg_sys::RELKIND_PARTITIONED_TABLE,
                    columns: columns.into_iter().collect(),
                    relation: facts.qualified.clone(),
                })
            })
            .collect()
    }
}

//! A plan with what its execution needs: the tables that it reads, kept statements, the shapes of its deltas.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use pgrx::pg_sys;
use pgtrickle_dvm::canary;
use pgtrickle_dvm::operators::Links;
use pgtrickle_dvm::operators::statement::{BlockDelta, Context};
use pgtrickle_dvm::plan::{BlockScan, Factor, Independence, Node, Output, Plan, Source, Store};

use crate::catalog::{self, RefreshMode, StreamTable};
use crate::error::Result;
use crate::parse;
use crate::pg::settings::Settings;
use crate::pg::time_zone::time_zone_rules;
use crate::{cdc, config};

use super::delta_shape::{DeltaShape, Reads, StepShape};
use super::draft::Draft;
use super::lookup::Lookup;
use super::row_types::RowTypes;
use super::state_names::state_prefix;
use super::statements::Statements;

/// A table that the plan reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSource {
    /// The table.
    pub oid: pg_sys::Oid,
    /// Attribute numbers that the plan reads, rising.
    pub attnums: Vec<i16>,
    /// The table and its partitions, by OID: part of the plan's identity.
    pub tree: Vec<u32>,
    /// Whether it is a stream table, whose changes the refresh itself records.
    pub is_stream_table: bool,
}

/// A node, or the output (`None`), and the sources that changed.
type ShapeKey = (Option<Source>, BTreeSet<Source>);

/// A plan with everything that its execution needs.
#[derive(Debug)]
pub struct Compiled {
    /// The plan.
    pub plan: Plan,
    /// Its identity, partitions of the sources included.
    pub fingerprint: i64,
    /// The tables that it reads, by rising OID.
    pub tables: Vec<TableSource>,
    /// Kept statements.
    pub statements: Statements,
    /// Kept row types.
    pub row_types: RowTypes,
    /// The stream table.
    pub stream_table: pg_sys::Oid,
    /// The settings that it was made under.
    pub settings: Settings,
    /// Those of them that its result depends on.
    pub settings_read: BTreeSet<&'static str>,
    /// What it takes to maintain each of its rows without regard to others, if that is possible.
    pub independence: Option<Independence>,
    /// Whether the plan may fail where the query does not: nodes compute what it does not reach, or text may say what the
    /// clock decides.
    pub computes_apart: bool,
    /// The query to be read for the content, where that is not the view itself.
    pub query: Option<String>,
    /// For each node, by its position, the positions of its columns that are read.
    read: Vec<Vec<usize>>,
    pub(super) state_prefix: String,
    /// How rows of the stream table are found, and when that was looked up: until an index changes.
    pub(super) output_lookup: RefCell<Option<(u64, Lookup)>>,
    shapes: RefCell<HashMap<ShapeKey, DeltaShape>>,
    inline_limit: usize,
    canary_generation: u64,
}

impl Compiled {
    /// The rules of the time zone that the result depends on, if it depends on one.
    pub fn zone_rules(&self) -> Option<i64> {
        const SETTING: &str = "TimeZone";
        let zone = self.settings.values().find(|(name, _)| *name == SETTING);
        let zone = zone.filter(|_| self.settings_read.contains(SETTING));
        zone.and_then(|(_, zone)| time_zone_rules(&zone))
    }

    pub(super) fn new(table: &StreamTable, draft: Draft) -> Result<Self> {
        let plan = draft.plan;
        let tables = tables_of(&plan)?;
        let trees: Vec<&[u32]> = tables.iter().map(|source| source.tree.as_slice()).collect();
        let mut definitions = draft.definitions;
        definitions.extend(table.settings.items_of(&draft.settings_read));
        // Without definitions it is the one that version 0.1.0 stored.
        let fingerprint = match definitions.is_empty() {
            true => plan.fingerprint(&trees),
            false => plan.fingerprint(&(trees, definitions)),
        };
        let is_part = draft.rest.is_some() || draft.reads_shards;
        let query = match draft.rest {
            Some(rest) => Some(rest),
            None if draft.reads_shards => {
                Some(parse::text_on_this_node(table.view, &table.settings)?)
            }
            None if draft.may_meet_clock_words => {
                Some(parse::text_as_maintained(table.view, &table.settings)?)
            }
            None => None,
        };
        Ok(Compiled {
            independence: plan.independence().filter(|_| are_apart(&tables)),
            // IMMEDIATE and a part of a distributed query have nothing to fall back on.
            computes_apart: table.refresh_mode != RefreshMode::Immediate
                && !is_part
                && (draft.may_meet_clock_words || plan.computes_apart(draft.is_dependent)),
            query,
            read: plan.nodes.iter().map(|n| plan.columns_read(n)).collect(),
            plan,
            fingerprint: fingerprint.cast_signed(),
            tables,
            statements: Statements::default(),
            row_types: RowTypes::default(),
            stream_table: table.relid,
            settings: table.settings.clone(),
            settings_read: draft.settings_read,
            state_prefix: state_prefix(table.pgt_id),
            output_lookup: RefCell::default(),
            shapes: RefCell::default(),
            inline_limit: config::inline_limit(),
            canary_generation: canary::generation(),
        })
    }

    /// Whether it was made under these settings and the present ones of the engine.
    pub(super) fn is_made_for(&self, settings: &Settings) -> bool {
        self.settings == *settings
            && self.inline_limit == config::inline_limit()
            && self.canary_generation == canary::generation()
    }

    /// The positions of the node's columns that are read.
    pub fn columns_read(&self, node: &Node) -> &[usize] {
        self.read.get(node.id).map_or(&[], Vec::as_slice)
    }

    /// What statement builders need.
    pub fn context(&self) -> Context<'_> {
        Context {
            plan: &self.plan,
            state_prefix: &self.state_prefix,
            inline_limit: self.inline_limit,
            links: Links::Sought,
        }
    }

    /// Locks the sources in the weakest mode, so that none is truncated or rewritten between the
    /// snapshot and the end of the refresh. Refuses one that a running statement changes.
    pub fn lock_sources(&self) -> Result<()> {
        (self.tables.iter()).for_each(|table| cdc::lock_chunks(table.oid));
        let mut tables = self.tables.iter().flat_map(|table| &table.tree);
        tables.try_for_each(|oid| cdc::lock_idle(pg_sys::Oid::from(*oid)))
    }

    /// Whether the partitions and children of the sources are those that the plan was made for: the
    /// first child also ends what the keys of its parent say. ATTACH PARTITION conflicts with none of
    /// our locks, and its rows are visible to any snapshot taken after they were written: a refresh
    /// during which one came must not commit.
    pub fn partitions_are_current(&self) -> Result<bool> {
        for table in &self.tables {
            if cdc::partitions_signature(table.oid)? != table.tree {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether one join can read the deltas of two relations, if these sources change. With one
    /// changed relation that it reads once, every pair that a term forms is or was there.
    pub fn changes_may_meet(&self, changed: &[Source]) -> bool {
        let mut changed: BTreeSet<Source> = changed.iter().copied().collect();
        for node in &self.plan.nodes {
            if !node.block.sources().is_disjoint(&changed) {
                changed.insert(Source::Node(node.id));
            }
        }
        let mut branches = self.plan.blocks().flat_map(|block| &block.branches);
        branches.any(|branch| {
            let is_changed = |factor: &&Factor| factor.sources().any(|s| changed.contains(&s));
            branch.scans.iter().filter(is_changed).count() > 1
        })
    }

    /// Where these columns of a source stand in its delta.
    pub fn positions(&self, source: u32, attnums: &[i16]) -> Vec<usize> {
        let table = self.tables.iter().find(|t| t.oid.to_u32() == source);
        let position = |attnum| table?.attnums.iter().position(|there| there == attnum);
        attnums.iter().filter_map(position).collect()
    }

    /// Which statements a delta consists of.
    pub fn delta_shape(
        &self,
        of: Option<Source>,
        changed: &[(Source, u64)],
        delta: &dyn Fn() -> BlockDelta,
    ) -> DeltaShape {
        let key = (of, changed.iter().map(|(source, _)| *source).collect());
        self.shapes
            .borrow_mut()
            .entry(key)
            .or_insert_with(|| {
                let delta = delta();
                let steps = delta.steps.into_iter().map(|step| StepShape {
                    name: step.name,
                    reads: Reads {
                        sources: step.reads,
                        steps: step.after.into_iter().collect(),
                    },
                });
                DeltaShape {
                    steps: steps.collect(),
                    terms: delta.terms.map(|_| Reads {
                        sources: delta.reads,
                        steps: delta.after,
                    }),
                }
            })
            .clone()
    }

    /// The node whose projection the stream table holds, if it is one.
    pub fn last_node(&self) -> Option<&Node> {
        match self.plan.output {
            Output::Post { .. } => self.plan.nodes.last(),
            Output::Linear { .. } => None,
        }
    }
}

fn tables_of(plan: &Plan) -> Result<Vec<TableSource>> {
    let blocks = plan.blocks();
    let mut attnums: std::collections::BTreeMap<u32, BTreeSet<i16>> = Default::default();
    for scan in blocks.flat_map(|b| &b.branches).flat_map(|b| &b.scans) {
        if let BlockScan::Table(table) = &scan.scan {
            attnums
                .entry(table.oid)
                .or_default()
                .extend(table.columns.iter().map(|c| c.attnum));
        }
    }
    for source in plan.images.iter().flat_map(|i| &i.opaque.sources) {
        let read = attnums.entry(source.oid).or_default();
        read.extend(source.attnums.iter().copied());
    }
    attnums
        .into_iter()
        .map(|(oid, attnums)| {
            let oid = pg_sys::Oid::from(oid);
            Ok(TableSource {
                oid,
                attnums: attnums.into_iter().collect(),
                tree: cdc::partitions_signature(oid)?,
                is_stream_table: catalog::is_stream_table(oid)?,
            })
        })
        .collect()
}

/// Whether no table is below another one.
fn are_apart(tables: &[TableSource]) -> bool {
    let all: Vec<u32> = tables.iter().flat_map(|t| t.tree.iter().copied()).collect();
    all.iter().collect::<BTreeSet<_>>().len() == all.len()
}

/// Whether a node keeps a table of its own.
pub(super) fn has_table(node: &Node) -> bool {
    matches!(node.store, Store::Table { .. })
}

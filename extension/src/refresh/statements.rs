//! The template cache: prepared plans per stream table, set of changed sources and order of
//! magnitude of their deltas. A cached refresh plans nothing.
//!
//! Where rows are linked by values that may be NULL, a statement can be written for look-ups or for hashing. Over large
//! deltas both are planned, and the cheaper one is kept.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use pgtrickle_dvm::operators::script::Statement;
use pgtrickle_dvm::operators::{Links, states_its_order};
use pgtrickle_dvm::plan::Source;

use crate::error::Result;
use crate::pg::spi::{Connection, Kept};

/// Which statement of a plan: of which stage (`None` is the output), and which of its.
pub type Kind = (Option<Source>, Statement);

/// What a kept plan depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    changed: BTreeSet<Source>,
    magnitudes: Vec<u32>,
}

/// Kept plans of one stream table.
#[derive(Debug, Default)]
pub struct Statements {
    kept: RefCell<HashMap<Key, Rc<Kept>>>,
}

/// At most this many plans are kept per stream table; then all are dropped.
const CAPACITY: usize = 256;

/// The sizes of up to this many inputs are distinguished; of more only the largest counts, so that a wide join is not
/// planned again for each combination.
const SIZES_MAX: usize = 3;

/// For fewer rows links are always sought: planning both ways would take longer than it can save.
const HASHED_ROWS_MIN: u64 = 64;

impl Statements {
    /// The kept plan for these inputs, prepared from what `sql` returns if there is none.
    pub fn get(
        &self,
        connection: &Connection,
        kind: Kind,
        inputs: &[(Source, u64)],
        sql: impl Fn(Links) -> String,
    ) -> Result<Rc<Kept>> {
        let sizes: Vec<u64> = inputs.iter().map(|(_, rows)| *rows).collect();
        self.get_for(connection, kind, inputs, &sizes, sql)
    }

    /// The same for a statement that follows from which sources changed, and reads inputs of these sizes.
    pub fn get_for(
        &self,
        connection: &Connection,
        kind: Kind,
        changed: &[(Source, u64)],
        sizes: &[u64],
        sql: impl Fn(Links) -> String,
    ) -> Result<Rc<Kept>> {
        let mut magnitudes: Vec<u32> = sizes.iter().map(|rows| magnitude(*rows)).collect();
        if magnitudes.len() > SIZES_MAX {
            magnitudes = magnitudes.into_iter().max().into_iter().collect();
        }
        let key = Key {
            kind,
            changed: changed.iter().map(|(source, _)| *source).collect(),
            magnitudes,
        };
        if let Some(kept) = self.kept.borrow().get(&key) {
            return Ok(kept.clone());
        }
        let kept = Rc::new(prepared(connection, &key.kind, sizes, sql)?);
        let mut cache = self.kept.borrow_mut();
        if cache.len() >= CAPACITY {
            cache.clear();
        }
        cache.insert(key, kept.clone());
        Ok(kept)
    }
}

/// The statement with links as the planner takes them for cheaper, over inputs of these sizes.
fn prepared(
    connection: &Connection,
    kind: &Kind,
    sizes: &[u64],
    sql: impl Fn(Links) -> String,
) -> Result<Kept> {
    let prepare = |sql: &str| match kind {
        (_, Statement::Content | Statement::Initial) => connection.prepare_whole(sql),
        _ if states_its_order(sql) => connection.prepare_in_order(sql),
        _ => connection.prepare(sql),
    };
    let sought = sql(Links::Sought);
    if sizes.iter().all(|rows| *rows < HASHED_ROWS_MIN) {
        return prepare(&sought);
    }
    let hashed = sql(Links::Hashed);
    if hashed == sought {
        return prepare(&sought);
    }
    let (sought, hashed) = (prepare(&sought)?, prepare(&hashed)?);
    Ok(match connection.cost(&hashed) < connection.cost(&sought) {
        true => hashed,
        false => sought,
    })
}

/// Order of magnitude, in steps of four.
fn magnitude(rows: u64) -> u32 {
    (u64::BITS - rows.leading_zeros()).div_ceil(2)
}

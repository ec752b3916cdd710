//! Running the statements of a block's delta.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use pgtrickle_dvm::operators::Links;
use pgtrickle_dvm::operators::script::Statement;
use pgtrickle_dvm::operators::statement::{BlockDelta, Context};
use pgtrickle_dvm::plan::Source;

use crate::error::Result;
use crate::pg::memory::MemoryContext;
use crate::pg::spi::Connection;
use crate::pg::tuplestore::TupleStore;

use super::compiled::Compiled;
use super::consolidated::consolidated;

/// Runs the steps and the delta statement of a block; `None` when it has no term.
pub fn run_delta(
    compiled: &Compiled,
    connection: &Connection,
    memory: &MemoryContext,
    of: Option<Source>,
    changed: &[(Source, u64)],
    delta: &dyn Fn(Context<'_>, &BTreeSet<Source>) -> BlockDelta,
) -> Result<Option<TupleStore>> {
    let written = [const { OnceCell::new() }; 2];
    let sources = || changed.iter().map(|(source, _)| *source).collect();
    let delta = |links| -> &BlockDelta {
        let [sought, hashed] = &written;
        let written = match links {
            Links::Sought => sought,
            Links::Hashed => hashed,
        };
        written.get_or_init(|| delta(compiled.context().linking(links), &sources()))
    };
    let shape = compiled.delta_shape(of, changed, &|| delta(Links::Sought).clone());
    let mut steps: Vec<TupleStore> = Vec::new();
    for (position, step) in shape.steps.iter().enumerate() {
        let kind = (of, Statement::Step(position));
        let sql = |links| {
            let step = delta(links).steps.get(position);
            step.map_or_else(String::new, |step| step.sql.clone())
        };
        let sizes = step.reads.sizes(changed, &steps);
        let statement = compiled
            .statements
            .get_for(connection, kind, changed, &sizes, sql)?;
        let store = consolidated(connection.run(&statement, memory.as_ptr())?, memory);
        connection.register(&step.name, &store)?;
        steps.push(store);
    }
    let Some(terms) = &shape.terms else {
        return Ok(None);
    };
    let kind = (of, Statement::Delta);
    let sql = |links| delta(links).terms.clone().unwrap_or_default();
    let sizes = terms.sizes(changed, &steps);
    let statement = compiled
        .statements
        .get_for(connection, kind, changed, &sizes, sql)?;
    let store = connection.run(&statement, memory.as_ptr())?;
    for step in &shape.steps {
        connection.unregister(&step.name)?;
    }
    drop(steps);
    Ok(Some(store))
}

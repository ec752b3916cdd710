//! A new two-step stream table: nodes maintain parts of it, and the coordinator combines them.
//!
//! Its tables are made in the transaction that creates it: a failure leaves nothing on any node. The first refresh
//! afterwards sends the nodes their parts and fills it.

use pgrx::pg_sys;

use super::mode::Decision;
use crate::capability::CITUS_TWO_STEPS;
use crate::catalog::{self, RequestedMode};
use crate::error::Result;
use crate::pg::citus::is_installed;
use crate::pg::report;
use crate::pg::settings::Settings;
use crate::refresh::two_steps;

/// A query in two steps.
#[derive(Debug, Clone)]
pub struct Divided {
    query: two_steps::Divided,
    /// Settings that the result depends on, with their values.
    settings: Vec<String>,
}

/// Whether a query that crosses shards can be divided.
#[derive(Debug, Clone)]
pub enum Finding {
    /// It cannot, or is not to be.
    Whole,
    /// It can, with images of tables as such. They may be of any size, and are made only where DIFFERENTIAL is asked for.
    ByImages,
    /// It can.
    Divided(Box<Divided>),
}

/// Divides the query in `view`, which crosses shards.
pub fn find(
    view: pg_sys::Oid,
    owner: pg_sys::Oid,
    settings: &Settings,
    requested: RequestedMode,
) -> Result<Finding> {
    let may_be = matches!(requested, RequestedMode::Auto | RequestedMode::Differential);
    if !may_be || !is_installed() {
        return Ok(Finding::Whole);
    }
    Ok(match two_steps::find(view, owner, settings)? {
        None => Finding::Whole,
        Some(query) if query.holds_rows() && requested == RequestedMode::Auto => Finding::ByImages,
        Some(query) => Finding::Divided(Box::new(Divided {
            settings: settings.items_of(&query.analysis.settings),
            query,
        })),
    })
}

impl Divided {
    /// The code under which the catalog knows it.
    pub const CODE: &str = CITUS_TWO_STEPS.code;

    /// The decision to have nodes keep parts of it.
    pub fn decision(&self, requested: RequestedMode) -> Decision {
        let sources = self.query.analysis.sources.clone();
        Decision::by_nodes(requested, sources, self.settings.clone())
    }

    /// Why it is maintained in this way, in words.
    pub fn reason(&self) -> String {
        let parts = self.query.parts.len();
        format!(
            "the nodes that hold the shards maintain {parts} of its parts, the coordinator the rest"
        )
    }

    /// Makes the tables that it needs.
    pub fn apply(&self, pgt_id: i64) -> Result<()> {
        let table = catalog::existing(pgt_id)?;
        two_steps::create(&table, &self.query)
    }

    /// Tells the user, with the size of what images are of, and that it is still empty.
    pub fn announce(&self, name: &str) -> Result<()> {
        let images = self.query.parts.iter().map(|part| match part.holds_rows {
            true => two_steps::describe_rows(part),
            false => Ok("one row for each group and shard".to_owned()),
        });
        let images = images.collect::<Result<Vec<_>>>()?.join(", ");
        report::notice(
            &format!("stream table \"{name}\" is maintained in two steps"),
            Some(&format!(
                "Nodes maintain what is local to their shards; the coordinator stores images of it: {images}."
            )),
            None,
        );
        report::notice(
            &format!("stream table \"{name}\" is empty until its first refresh"),
            Some("Nodes maintain parts of it once this transaction has committed."),
            Some(
                "The scheduler then starts the refresh; so does pgtrickle.refresh_stream_table().",
            ),
        );
        Ok(())
    }
}

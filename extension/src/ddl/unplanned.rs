//! Queries over Citus tables that Citus does not plan: those that nothing here maintains cannot be recomputed either, and
//! are refused when they are created, not by the error of a refresh.

use pgrx::pg_sys;

use crate::capability::{
    CITUS_DISTRIBUTED_TABLE, CITUS_IMAGES, CITUS_LOCAL_TABLE, CITUS_REFERENCE_TABLE,
    CITUS_UNPLANNED,
};
use crate::error::{Error, Obstacle, Result};
use crate::parse::{self, Analysis, Unsupported};
use crate::pg::settings::{Level, Settings};
use crate::pg::{query, subtransaction};

/// `feature_not_supported`, with which Citus refuses a query; and `internal_error`, with which it refuses a join.
const REFUSED: [&str; 2] = ["0A000", "XX000"];

/// Whether it is a table of Citus that is not maintained here.
pub fn is_of_citus(found: &Unsupported) -> bool {
    [
        CITUS_DISTRIBUTED_TABLE.code,
        CITUS_LOCAL_TABLE.code,
        CITUS_REFERENCE_TABLE.code,
    ]
    .contains(&found.code)
}

/// Fails if only Citus could run the query in `view`, and does not. `by_images`: DIFFERENTIAL would maintain it.
pub fn require_plan(
    view: pg_sys::Oid,
    settings: &Settings,
    analysis: &Analysis,
    by_images: bool,
) -> Result<()> {
    let Some(found) = analysis.unsupported.iter().find(|found| is_of_citus(found)) else {
        return Ok(());
    };
    let text = parse::text_of(view, settings)?;
    let _level = Level::for_reading(settings)?;
    let Err(failure) = subtransaction::contain(|| query::try_planning(&text)) else {
        return Ok(());
    };
    // What else is wrong, running it says better.
    if !REFUSED.contains(&failure.sqlstate().as_str()) {
        return Ok(());
    }
    let obstacle =
        |capability| Obstacle::from(&Unsupported::new(capability, found.construct.as_str()));
    let unplanned = obstacle(&CITUS_UNPLANNED);
    Err(Error::Refused(vec![Obstacle {
        reason: format!("{}: {}", unplanned.reason, failure.message),
        remedy: match by_images {
            true => obstacle(&CITUS_IMAGES).remedy,
            false => unplanned.remedy,
        },
        code: unplanned.code,
    }]))
}

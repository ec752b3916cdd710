//! The refresh mode of a query: the requested one, against what its constructs allow.

use pgrx::pg_sys;

use crate::capability::{
    CHANGES_UNTOLD, CITUS_DISTRIBUTED_TABLE, CITUS_IMAGES, FAILING_EXPRESSION,
};
use crate::catalog::{self, RefreshMode, RequestedMode};
use crate::error::{Error, Obstacle, Result};
use crate::pg::settings::Settings;
use crate::pg::{acl, invalidation, report};
use crate::refresh::Draft;
use crate::{parse, refresh};

use super::unplanned;

/// How a stream table will be refreshed, why, and from which tables.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The mode that was asked for.
    pub requested: RequestedMode,
    /// The mode to use.
    pub used: RefreshMode,
    /// The constructs because of which AUTO came to FULL.
    pub obstacles: Vec<Obstacle>,
    /// The plan, where there is one to be maintained.
    pub draft: Option<Draft>,
    sources: Vec<parse::SourceTable>,
    /// Whether their changes are captured here.
    is_captured: bool,
    /// Settings that the result depends on, with their values.
    settings: Vec<String>,
}

impl Decision {
    /// The decision to have nodes keep it, or parts of it.
    pub fn by_nodes(
        requested: RequestedMode,
        sources: Vec<parse::SourceTable>,
        settings: Vec<String>,
    ) -> Self {
        Decision {
            requested,
            used: RefreshMode::Differential,
            obstacles: Vec::new(),
            draft: None,
            sources,
            is_captured: false,
            settings,
        }
    }

    /// Code and reason to store: the first obstacle's code, and the reasons of all.
    pub fn why(&self) -> Option<(String, String)> {
        let first = self.obstacles.first()?;
        let reasons: Vec<_> = self.obstacles.iter().map(|o| o.reason.as_str()).collect();
        Some((first.code.clone(), reasons.join("; ")))
    }

    /// Tells the user when AUTO came to FULL, and which settings the result depends on.
    pub fn announce(&self, name: &str) {
        if !self.settings.is_empty() {
            report::notice(
                &format!(
                    "stream table \"{name}\" depends on settings: {}",
                    self.settings.join("; ")
                ),
                Some(
                    "It uses these values in every session that writes to its sources or refreshes it.",
                ),
                Some("Change them with pgtrickle.alter_stream_table(name, settings => …)."),
            );
        }
        if !self.obstacles.is_empty() {
            report::notice(
                &format!("stream table \"{name}\" will be refreshed in FULL mode"),
                Some(&Obstacle::reasons(&self.obstacles)),
                Some(&Obstacle::remedies(&self.obstacles)),
            );
        }
    }

    /// The decision when an expression has failed, as `message` says, for a row that the query does not reach: FULL, if
    /// it was left to us.
    pub fn without_state(self, message: &str) -> Result<Self> {
        let what = format!("an expression that the query does not reach ({message})");
        let obstacles = vec![Obstacle::from(&parse::Unsupported::new(
            &FAILING_EXPRESSION,
            what,
        ))];
        if self.requested != RequestedMode::Auto {
            return Err(Error::Unsupported(obstacles));
        }
        Ok(Decision {
            used: RefreshMode::Full,
            obstacles,
            draft: None,
            is_captured: false,
            ..self
        })
    }

    /// Stores the tables that the query reads. Those that are captured are stored with that, by the refresh.
    pub fn insert_dependencies(&self, pgt_id: i64) -> Result<()> {
        if self.is_captured {
            return Ok(());
        }
        let sources = self.sources.iter();
        let sources: Vec<_> = sources.map(|s| (s.oid, s.columns.as_slice())).collect();
        refresh::store_dependencies(pgt_id, &sources, false)
    }
}

/// Why a query is not spread over the nodes that have its tables.
#[derive(Debug, Clone)]
pub struct Crossing {
    /// In words.
    pub why: String,
    /// Whether DIFFERENTIAL would maintain it, by images of tables.
    pub by_images: bool,
}

/// Decides for the query in `view`, which will run with the rights of `owner` under these settings.
pub fn decide(
    view: pg_sys::Oid,
    owner: pg_sys::Oid,
    settings: &Settings,
    requested: RequestedMode,
    crossing: Option<&Crossing>,
) -> Result<Decision> {
    let generation = invalidation::generation();
    let mut analysis = parse::analyse_view(view, owner, settings)?;
    let refused: Vec<Obstacle> = analysis
        .unsupported
        .iter()
        .filter(|unsupported| unsupported.hard)
        .map(Obstacle::from)
        .collect();
    if !refused.is_empty() {
        return Err(Error::Refused(refused));
    }
    if requested != RequestedMode::Immediate {
        let by_images = crossing.is_some_and(|crossing| crossing.by_images);
        unplanned::require_plan(view, settings, &analysis, by_images)?;
    }
    let (obstacles, draft) = match requested {
        RequestedMode::Full => (Vec::new(), None),
        _ => obstacles_of(&mut analysis, generation, requested, crossing),
    };
    if !obstacles.is_empty() {
        match requested {
            RequestedMode::Differential => return Err(Error::Unsupported(obstacles)),
            RequestedMode::Immediate => return Err(Error::NotImmediate(obstacles)),
            RequestedMode::Auto | RequestedMode::Full => {}
        }
    }
    let used = match requested {
        RequestedMode::Immediate => RefreshMode::Immediate,
        RequestedMode::Full => RefreshMode::Full,
        _ if !obstacles.is_empty() => RefreshMode::Full,
        RequestedMode::Auto | RequestedMode::Differential => RefreshMode::Differential,
    };
    if used != RefreshMode::Full {
        for source in &analysis.sources {
            require_capture(source, owner)?;
        }
    }
    Ok(Decision {
        requested,
        used,
        obstacles,
        draft,
        sources: analysis.sources,
        is_captured: used != RefreshMode::Full,
        settings: settings.items_of(&analysis.settings),
    })
}

/// What stands against maintaining the query, and the draft of its plan, if there is one.
fn obstacles_of(
    analysis: &mut parse::Analysis,
    generation: u64,
    requested: RequestedMode,
    crossing: Option<&Crossing>,
) -> (Vec<Obstacle>, Option<Draft>) {
    let is_immediate = requested == RequestedMode::Immediate;
    let found = analysis.unsupported.iter();
    let found = found.filter(|found| !is_immediate || !unplanned::is_of_citus(found));
    let mut obstacles: Vec<Obstacle> = found
        .map(|found| crossing_shards(found, crossing))
        .collect();
    if is_immediate {
        obstacles.extend(refresh::not_immediate(analysis));
    }
    match Draft::of(analysis, generation) {
        Some(Err(obstacle)) => obstacles.push(obstacle),
        Some(Ok(plan)) if is_immediate && plan.is_polled() => {
            let untold = parse::Unsupported::new(&CHANGES_UNTOLD, "the query");
            obstacles.push(Obstacle::from(&untold));
        }
        Some(Ok(made)) => return (obstacles, Some(made)),
        None => {}
    }
    (obstacles, None)
}

/// What was found, with how it crosses shards.
fn crossing_shards(found: &parse::Unsupported, crossing: Option<&Crossing>) -> Obstacle {
    let (Some(crossing), true) = (crossing, found.code == CITUS_DISTRIBUTED_TABLE.code) else {
        return Obstacle::from(found);
    };
    let obstacle = match crossing.by_images {
        true => Obstacle::from(&parse::Unsupported::new(
            &CITUS_IMAGES,
            found.construct.as_str(),
        )),
        false => Obstacle::from(found),
    };
    Obstacle {
        reason: format!("{}; here, {}", obstacle.reason, crossing.why),
        ..obstacle
    }
}

/// Capture puts triggers on a table, so it takes the privilege for that. A stream table's changes
/// are recorded by its own refreshes.
fn require_capture(source: &parse::SourceTable, owner: pg_sys::Oid) -> Result<()> {
    if catalog::is_stream_table(source.oid)?
        || acl::may_access(source.oid, owner, pg_sys::ACL_TRIGGER)
    {
        Ok(())
    } else {
        Err(Error::CaptureDenied(source.relation.clone()))
    }
}

//! Where the rows of a new stream table are maintained.

use pgrx::pg_sys;

use super::definition::Definition;
use super::divided::{self, Divided};
use super::mode::{self, Crossing, Decision};
use super::spread::{self, Spread};
use crate::error::Result;
use crate::pg::user;

/// Who maintains a stream table, and holds its rows.
#[derive(Debug)]
pub(super) enum Keeper {
    /// This server. On the coordinator of a cluster, with the reason why its nodes do not.
    Server(Option<Crossing>),
    /// The nodes that have the shards.
    Nodes(Spread),
    /// In two steps: nodes keep parts, this server the rest.
    Both(Box<Divided>),
}

impl Keeper {
    /// Looks at the query in `view`.
    pub fn find(view: pg_sys::Oid, definition: &Definition<'_>) -> Result<Self> {
        if !definition.may_spread {
            return Ok(Keeper::Server(None));
        }
        let (owner, settings, mode) = (user::current(), &definition.settings, definition.mode);
        let column = definition.distribution_column;
        let why = match spread::find(view, owner, settings, mode, column)? {
            spread::Finding::Spread(spread) => return Ok(Keeper::Nodes(spread)),
            spread::Finding::Crosses(why) => Some(why),
            spread::Finding::Local => None,
        };
        let by_images = match divided::find(view, owner, settings, mode)? {
            divided::Finding::Divided(divided) => return Ok(Keeper::Both(divided)),
            divided::Finding::ByImages => true,
            divided::Finding::Whole => false,
        };
        Ok(Keeper::Server(why.map(|why| Crossing { why, by_images })))
    }

    /// In which mode it is maintained.
    pub fn decide(&self, view: pg_sys::Oid, definition: &Definition<'_>) -> Result<Decision> {
        let (settings, mode) = (&definition.settings, definition.mode);
        match self {
            Keeper::Nodes(spread) => Ok(spread.decision(mode)),
            Keeper::Both(divided) => Ok(divided.decision(mode)),
            Keeper::Server(crossing) => {
                mode::decide(view, user::current(), settings, mode, crossing.as_ref())
            }
        }
    }

    /// Code and reason to store, where nodes take part.
    pub fn why(&self) -> Option<(String, String)> {
        match self {
            Keeper::Server(_) => None,
            Keeper::Nodes(spread) => Some((Spread::CODE.to_owned(), spread.reason())),
            Keeper::Both(divided) => Some((Divided::CODE.to_owned(), divided.reason())),
        }
    }
}

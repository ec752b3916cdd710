//! What a refresh did and why, as recorded in the history.

/// What a refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing, as nothing had changed.
    NoData,
    /// It applied deltas.
    Differential,
    /// It computed everything again.
    Full,
    /// It filled the table for the first time.
    Initialize,
    /// It failed.
    None,
}

impl Action {
    /// Its name in the catalog.
    pub fn name(self) -> &'static str {
        match self {
            Action::NoData => "NO_DATA",
            Action::Differential => "DIFFERENTIAL",
            Action::Full => "FULL",
            Action::Initialize => "INITIALIZE",
            Action::None => "NONE",
        }
    }
}

/// Why a refresh was not, or not only, a matter of deltas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It was asked for.
    Forced,
    /// An IMMEDIATE stream table had not followed, being suspended.
    Suspended,
    /// The plan, or the basis of capture, has changed.
    DefinitionChanged,
    /// A source was truncated, for which there is no delta.
    Truncate,
    /// A command rewrote a source, or something gave it another file: its rows may be others.
    Rewritten,
    /// Something wrote to a source, and no trigger saw it.
    UnseenWrites,
    /// Text made a date or time says what the clock decides.
    ClockWord,
    /// A delta had no value where the query has one.
    DataException,
    /// So many changes cost more than computing everything again.
    Cost,
    /// Too much of a recursion had changed.
    RecursionLargeChange,
    /// A delta of a recursion had no value where the query has one.
    RecursionDataException,
    /// Shards of a spread stream table have come to a node, and were computed there.
    ShardMoved,
    /// The query has a construct that no delta rule maintains: its code.
    Construct(String),
}

impl Reason {
    /// Its name in the catalog.
    pub fn name(&self) -> &str {
        match self {
            Reason::Forced => "FORCED",
            Reason::Suspended => "SUSPENDED",
            Reason::DefinitionChanged => "DEFINITION_CHANGED",
            Reason::Truncate => "TRUNCATE",
            Reason::Rewritten => "REWRITTEN",
            Reason::UnseenWrites => "UNSEEN_WRITES",
            Reason::ClockWord => "CLOCK_WORD",
            Reason::DataException => "DATA_EXCEPTION",
            Reason::Cost => "COST",
            Reason::RecursionLargeChange => "RECURSION_LARGE_CHANGE",
            Reason::RecursionDataException => "RECURSION_DATA_EXCEPTION",
            Reason::ShardMoved => "SHARD_MOVED",
            Reason::Construct(code) => code,
        }
    }
}

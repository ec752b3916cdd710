//! Queries with several right answers: whether an answer is one of them.

use crate::client::{Session, SqlError};
use crate::oracle::Question;

use super::{Item, Select, Shape};

/// A query that chooses among rows, by an order that may leave ties.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The columns that it orders by.
    pub by: Vec<String>,
    /// SQL of the rows among which it chooses.
    pub among: String,
}

impl Choice {
    /// Whether the stream table holds a right answer: the values that order, as often as the query has them, and no
    /// row that it does not choose among.
    pub async fn verdict(
        &self,
        session: &Session,
        stream_table: &str,
        query: &str,
    ) -> Result<bool, SqlError> {
        let by = match self.by.as_slice() {
            [] => "1".to_owned(),
            by => by.join(", "),
        };
        let (have, want) = (
            format!("SELECT {by} FROM {stream_table}"),
            format!("SELECT {by} FROM ({query}) q"),
        );
        let differ = format!(
            "SELECT EXISTS (({have}) EXCEPT ALL ({want})) OR EXISTS (({want}) EXCEPT ALL ({have}))"
        );
        let found = Question::query(stream_table, &self.among)
            .ask(session)
            .await?;
        Ok(session.scalar(&differ).await? == "f" && found.surplus == 0)
    }
}

/// How many columns ties leave alone, if nothing below leaves any.
pub(super) fn decided(select: &Select) -> Option<usize> {
    let Shape::Tied(tied) = &select.shape else {
        return None;
    };
    let items = select.joins.iter().map(|join| &join.item);
    let is_plain = |item: &Item| !matches!(item, Item::Query(..) | Item::Pair(..));
    tied.decided()
        .filter(|_| items.chain([&select.first]).all(is_plain))
}

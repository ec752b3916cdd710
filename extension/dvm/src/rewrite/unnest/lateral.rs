//! LATERAL subqueries.

use crate::tree::{ApplyKind, Expr, Predicate, Relation};

use super::whole::Whole;
use super::{Outputs, Unnester, kept, projected, substituted};

impl Unnester<'_> {
    /// `CROSS JOIN LATERAL`.
    pub(super) fn cross(
        &mut self,
        input: Relation,
        subquery: Relation,
    ) -> Result<Relation, crate::Error> {
        if let Some(whole) = Whole::of(&subquery) {
            return self.whole(input, whole, ApplyKind::Cross);
        }
        let mut shown = kept(&input.columns());
        let (below, outputs) = unprojected(subquery);
        let linked = self.linked(&input, below)?;
        shown.extend(outputs);
        let rows = input.joined(linked.relation, linked.links);
        Ok(projected(rows, shown))
    }

    /// `LEFT JOIN LATERAL … ON`.
    pub(super) fn left(
        &mut self,
        input: Relation,
        subquery: Relation,
        predicates: Vec<Predicate>,
    ) -> Result<Relation, crate::Error> {
        if let Some(whole) = Whole::of(&subquery) {
            return self.whole(input, whole, ApplyKind::Left { predicates });
        }
        let mut shown = kept(&input.columns());
        let (below, outputs) = unprojected(subquery);
        let linked = self.linked(&input, below)?;
        let mut on = linked.links;
        on.extend(
            predicates
                .iter()
                .map(|p| p.map(|expr| substituted(expr, &outputs))),
        );
        let present = self.truth("present");
        let has_match = Expr::of(&present);
        shown.extend(outputs.into_iter().map(|(column, expr)| {
            let value = Expr::case(&has_match, &expr, None);
            (column, value)
        }));
        let rows = input.left_joined(linked.relation, on, Some(present));
        Ok(projected(rows, shown))
    }
}

/// The relation below a projection, which may depend on the outer row, and its columns over it.
fn unprojected(subquery: Relation) -> (Relation, Outputs) {
    match subquery {
        Relation::Project { input, columns } => {
            let (below, outputs) = unprojected(*input);
            let columns = columns
                .into_iter()
                .map(|(column, expr)| {
                    let expr = substituted(&expr, &outputs);
                    (column, expr)
                })
                .collect();
            (below, columns)
        }
        other => {
            let outputs = kept(&other.columns());
            (other, outputs)
        }
    }
}

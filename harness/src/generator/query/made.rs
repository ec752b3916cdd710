//! Rows that functions make of the rows before them.

use proptest::prelude::*;

use super::super::expr::{Expr, expr};
use super::super::scoped::Scoped;
use super::super::types::Ty;

/// Such rows.
#[derive(Debug, Clone)]
pub struct Made {
    function: u8,
    a: Expr,
    b: Expr,
    ty: u8,
    numbered: bool,
}

/// Such rows.
pub fn made() -> impl Strategy<Value = Made> {
    (any::<u8>(), expr(), expr(), any::<u8>(), any::<bool>()).prop_map(
        |(function, a, b, ty, numbered)| Made {
            function,
            a,
            b,
            ty,
            numbered,
        },
    )
}

impl Made {
    /// The call, and the type of its rows.
    fn call(&self, scope: &[Scoped]) -> (String, Ty) {
        let a = |ty: Ty| self.a.render(ty, scope);
        let b = |ty: Ty| self.b.render(ty, scope);
        let own = scope
            .get(usize::from(self.ty) % scope.len().max(1))
            .map(|column| column.ty)
            // An array of arrays is one with two dimensions.
            .filter(|ty| *ty != Ty::Ints)
            .unwrap_or(Ty::Int);
        match self.function % 5 {
            // Two bounds that may be far apart are brought together.
            0 => (
                format!(
                    "generate_series(least({}, 2), least({}, 3) % 4)",
                    a(Ty::Int),
                    b(Ty::Int)
                ),
                Ty::Int,
            ),
            1 => (format!("unnest({})", a(Ty::Ints)), Ty::Int),
            2 => (format!("string_to_table({}, 'a')", a(Ty::Text)), Ty::Text),
            3 => (
                format!(
                    "jsonb_array_elements(jsonb_path_query_array({}, '$[*]'))",
                    a(Ty::Json)
                ),
                Ty::Json,
            ),
            _ => (format!("unnest(ARRAY[{}, {}])", a(own), b(own)), own),
        }
    }

    /// In the select list.
    pub fn selected(&self, scope: &[Scoped]) -> (String, Ty) {
        self.call(scope)
    }

    /// In FROM: its SQL with this alias, and its columns.
    pub fn item(&self, alias: &str, scope: &[Scoped]) -> (String, Vec<(String, Ty)>) {
        let (call, ty) = self.call(scope);
        let mut columns = vec![("x".to_owned(), ty)];
        let item = match (self.function / 5 % 4, self.numbered) {
            (0, _) => {
                let (a, b) = (self.a.render(ty, scope), self.b.render(ty, scope));
                format!("(VALUES ({a}), ({b})) {alias}(x)")
            }
            (1, _) => {
                columns.push(("y".into(), Ty::Int));
                format!("ROWS FROM ({call}, generate_series(1, 2)) {alias}(x, y)")
            }
            (_, true) => {
                columns.push(("n".into(), Ty::BigInt));
                format!("{call} WITH ORDINALITY {alias}(x, n)")
            }
            (_, false) => format!("{call} {alias}(x)"),
        };
        (item, columns)
    }
}

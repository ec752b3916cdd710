//! Columns that a query can name.

use super::types::Ty;

/// A column that can be named.
#[derive(Debug, Clone)]
pub struct Scoped {
    /// `a0.c1`.
    pub sql: String,
    /// Its type.
    pub ty: Ty,
}

impl Scoped {
    /// The whole row that the column is of, where it is named by its item.
    pub fn row(&self) -> Option<String> {
        let end = match self.sql.strip_prefix('"') {
            Some(quoted) => quoted.find("\".")? + 2,
            None => self.sql.find('.')?,
        };
        let item = self.sql.get(..end)?;
        let is_plain = item.chars().all(|c| c.is_alphanumeric() || c == '_');
        (is_plain || item.starts_with('"')).then(|| format!("({item}.*)"))
    }
}

/// The column of this index.
pub fn column(scope: &[Scoped], index: u8) -> Option<&Scoped> {
    scope.get(usize::from(index) % scope.len().max(1))
}

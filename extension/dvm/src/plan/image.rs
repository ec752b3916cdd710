//! Subqueries that are computed whole, and where their rows are stored.

use crate::tree::{Column, Opaque};

use super::block::Block;

/// A subquery with an image of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Image {
    /// Position in [`super::Plan::images`].
    pub id: usize,
    /// The subquery.
    pub opaque: Opaque,
    /// Whether it is a bound that values are compared with, and nothing else reads it.
    pub is_bound: bool,
    /// Positions of columns that joins look up: each wants an index.
    pub indexes: Vec<usize>,
    /// For a recursion: how its rows follow from each other.
    pub recursion: Option<Recursion>,
}

/// A recursion that is maintained by deltas. Both blocks have the columns of the image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recursion {
    /// The rows that it begins with.
    pub seed: Block,
    /// The rows that follow from those of the image, which each branch reads once.
    pub step: Block,
    /// Whether a row counts once, however often it is derived.
    pub distinct: bool,
}

impl Image {
    /// The blocks that its rows are derived by.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        (self.recursion.iter()).flat_map(|recursion| [&recursion.seed, &recursion.step])
    }
}

/// The number of the subquery's image: copies share one.
pub(super) fn intern(images: &mut Vec<Image>, opaque: Opaque, is_bound: bool) -> usize {
    let types = |columns: &[Column]| columns.iter().map(|c| c.ty.clone()).collect::<Vec<_>>();
    let known = images.iter().find(|image| {
        image.is_bound == is_bound
            && image.opaque.query == opaque.query
            && types(&image.opaque.columns) == types(&opaque.columns)
    });
    if let Some(image) = known {
        return image.id;
    }
    let id = images.len();
    images.push(Image {
        id,
        opaque,
        is_bound,
        indexes: Vec::new(),
        recursion: None,
    });
    id
}

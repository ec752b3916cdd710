//! Subqueries that are computed as a whole, and where their rows are kept.

use crate::tree::{Column, Opaque};

use super::block::Source;
use super::{Node, Output, blocks_of, keys};

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
    });
    id
}

/// Finds the columns of images that joins look up.
pub(super) fn place_indexes(images: &mut [Image], nodes: &[Node], output: &Output) {
    for (source, position) in keys::looked_up(blocks_of(nodes, output)) {
        if let Source::Image(image) = source
            && let Some(image) = images.get_mut(image)
            && !image.indexes.contains(&position)
            && (image.opaque.columns.get(position)).is_some_and(|c| c.ty.bounded && c.ty.sortable)
        {
            image.indexes.push(position);
        }
    }
}

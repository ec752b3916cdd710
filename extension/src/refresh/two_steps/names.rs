//! The names of a two-step stream table's tables for its parts, and finding images by them.

use pgtrickle_dvm::plan::ImageTable;

use crate::error::Result;
use crate::pg::name;
use crate::pg::table::TableFacts;

/// Attribute number of the first column of an image that is the part's.
const FIRST: i16 = 3;

/// The names of a part's tables, qualified.
#[derive(Debug, Clone)]
pub struct Names {
    /// The distributed one.
    pub anchor: String,
    /// The image.
    pub image: String,
    /// The positions.
    pub taken: String,
}

/// The names of the tables of a part.
pub fn names(pgt_id: i64, part: usize) -> Names {
    let name = |kind: &str| format!("pgtrickle_state.{kind}_{pgt_id}_{part}");
    Names {
        anchor: format!("{}.part_{part}", schema(pgt_id)),
        image: name("image"),
        taken: name("taken"),
    }
}

/// The schema of the distributed tables of a stream table.
pub fn schema(pgt_id: i64) -> String {
    format!("pgtrickle_part_{pgt_id}")
}

/// Whether a relation of this qualified name is an image.
pub fn is_image(relation: &str) -> bool {
    relation.starts_with("pgtrickle_state.image_")
}

/// The images that a stream table has, by part.
pub fn images(pgt_id: i64) -> Result<Vec<ImageTable>> {
    let mut images = Vec::new();
    loop {
        let relation = names(pgt_id, images.len()).image;
        let Some(facts) = name::find_relation(&relation)?.and_then(TableFacts::load) else {
            return Ok(images);
        };
        let indexed = facts.indexes.iter();
        images.push(ImageTable {
            oid: facts.oid.to_u32(),
            relation,
            first: FIRST,
            indexed: indexed
                .filter_map(|index| *index.attnums.first()?)
                .collect(),
        });
    }
}

//! Stream tables over distributed tables in two steps. Nodes maintain the *parts* of the query that are local to their
//! shards, as stream tables; the coordinator keeps an *image* of each part, an ordinary captured table,
//! and the stream table is an ordinary one over the images.
//!
//! Every refresh first asks the nodes for changes since the *positions* that the image contains, one per shard,
//! and updates image and positions in its own transaction. A node repeats the same changes until it receives a
//! position that a committed transaction has stored; so each change is applied exactly once, whatever fails, without a
//! transaction over several nodes. A shard that is new on a node, or whose part was rebuilt, has another
//! *generation*: all its rows replace those in the image.
//!
//! - [`division`]: the parts and the rest, as texts and trees; [`layout`] and [`names`]: the tables for them;
//!   [`pull`]: fetching changes from the nodes; [`apply`]: updating an image.

mod apply;
mod division;
mod layout;
mod names;
mod pull;

pub use division::{Divided, divide, find, find_in_text, rest_of};
pub use layout::{anchors, change_owner, create, describe_rows, drop_anchors};
pub use names::is_image;
pub use pull::pull;

//! Stream tables over distributed tables in two steps. Nodes keep the *parts* of the query that are local to their
//! shards, as stream tables of their own; the coordinator keeps an *image* of each part, an ordinary captured table,
//! and the stream table is an ordinary one over the images.
//!
//! Every refresh first asks the nodes for what has changed since the *positions* that the image contains, one per shard,
//! and moves image and positions in its own transaction. A node gives the same changes again until it is told of a
//! position that a committed transaction has stored; so each change is taken exactly once, whatever fails, without a
//! transaction of several nodes. A shard that has come to a node, or whose part was made again, has another
//! *generation*: its rows are taken as a whole, in the place of those that the image has.
//!
//! - [`division`]: what the parts are, and the rest, as texts and trees; [`layout`] and [`names`]: the tables for them;
//!   [`pull`]: taking changes from the nodes; [`apply`]: moving an image by them.

mod apply;
mod division;
mod layout;
mod names;
mod pull;

pub use division::{Divided, divide, find, find_in_text, rest_of};
pub use layout::{anchors, change_owner, create, describe_rows, drop_anchors};
pub use names::is_image;
pub use pull::pull;

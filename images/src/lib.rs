//! What container images the project names, and the digests that they are pinned to.
//!
//! `images/digests.toml` is the record: for each image that comes from a registry its tag, the digest of its
//! multi-platform index, and who said so on which day: the registry, or a public listing where none could be reached.
//! [`check`] compares files and
//! record without a network; [`update`] asks the registries and writes both.
//!
//! **Invariants:** a digest says where it comes from, and a registry outdoes a listing; files are written only after every
//! image has been resolved; what a file says otherwise, down to comments, stays as it is.

pub mod check;
mod dockerfile;
mod place;
mod record;
#[cfg(feature = "registry")]
mod registry;
#[cfg(feature = "registry")]
pub mod update;
mod yaml;

pub use place::{Image, Place, files_of, places_in};
pub use record::{Pin, RECORD, Record, Source};
#[cfg(feature = "registry")]
pub use registry::Registries;

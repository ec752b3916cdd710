//! What SECURITY.md promises of the code: the lints that enforce it are on, and nothing turns them off.

use super::{Complaint, File};

/// The roots of what runs in the server, and how each keeps `unsafe` out.
const ROOTS: [(&str, &str); 2] = [
    ("extension/src/lib.rs", "#![deny(unsafe_code)]"),
    ("extension/dvm/src/lib.rs", "#![forbid(unsafe_code)]"),
];

/// What would panic on data.
const PANICS: [&str; 4] = [
    "clippy::unwrap_used",
    "clippy::expect_used",
    "clippy::panic",
    "clippy::indexing_slicing",
];

/// The one declaration that no other place could make, beside the room `pg` itself.
const UNSAFE_ALLOWED: [(&str, usize); 2] = [
    ("extension/src/lib.rs", 1),
    ("extension/src/shmem/block.rs", 1),
];

pub fn backend_code_is_guarded(file: &File) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    if let Some((_, lint)) = ROOTS.iter().find(|(path, _)| file.path == *path) {
        complaints.extend(
            PANICS
                .iter()
                .chain([lint])
                .filter(|lint| !file.text.contains(*lint))
                .map(|lint| Complaint::new(file, 1, format!("must turn `{lint}` on"))),
        );
    }
    if !file.path.starts_with("extension/") || file.path.starts_with("extension/src/pg/") {
        return complaints;
    }
    let mut left = UNSAFE_ALLOWED
        .iter()
        .find(|(path, _)| file.path == *path)
        .map_or(0, |(_, count)| *count);
    for (index, line) in file.text.lines().enumerate() {
        let is_exception = line.contains("allow(unsafe_code)");
        if is_exception && left > 0 {
            left -= 1;
        } else if is_exception {
            let what = "`unsafe` belongs into extension/src/pg/, behind a safe wrapper";
            complaints.push(Complaint::new(file, index + 1, what));
        }
        if line.contains("allow(clippy::") && PANICS.iter().any(|lint| line.contains(lint)) {
            let what = "backend code must not panic on data; return an error";
            complaints.push(Complaint::new(file, index + 1, what));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    #[test]
    fn a_lint_that_is_off_is_found() {
        let lib = file(
            "extension/dvm/src/lib.rs",
            "//! x\n#![forbid(unsafe_code)]\n",
        );
        assert_eq!(backend_code_is_guarded(&lib).len(), PANICS.len());
    }

    #[test]
    fn an_exception_is_found() {
        let allow = concat!("#[allow", "(unsafe_code)]\nfn f() {}\n");
        let found = |path| backend_code_is_guarded(&file(path, allow)).len();
        assert_eq!(found("extension/src/cdc/capture.rs"), 1);
        assert_eq!(found("extension/src/pg/background.rs"), 0);
        assert_eq!(found("extension/src/shmem/block.rs"), 0);
        let unwrap = concat!("#[allow", "(clippy::unwrap_used)]\n");
        assert_eq!(
            backend_code_is_guarded(&file("extension/src/cdc/a.rs", unwrap)).len(),
            1
        );
    }
}

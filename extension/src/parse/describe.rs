//! An analysis as text, for `explain_capabilities` and for tests.

use std::fmt::Write;

use super::analysis::Analysis;
use crate::capability::Support;

/// One line per finding: first what cannot be maintained, then what can and how.
pub fn describe(analysis: &Analysis) -> String {
    let mut text = String::new();
    for found in &analysis.unsupported {
        let _ = writeln!(
            text,
            "{}: {}: {}; {}",
            found.code, found.construct, found.reason, found.remedy
        );
    }
    for found in &analysis.constructs {
        let how = match found.capability.support {
            Support::Maintained { how } => how,
            Support::FullOnly { reason, .. }
            | Support::NotImmediate { reason, .. }
            | Support::Refused { reason, .. } => reason,
        };
        let _ = writeln!(
            text,
            "{}: {}: {how}",
            found.capability.code, found.construct
        );
    }
    for source in &analysis.sources {
        let columns: Vec<String> = source.columns.iter().map(i16::to_string).collect();
        let _ = writeln!(text, "source {} ({})", source.relation, columns.join(", "));
    }
    text
}

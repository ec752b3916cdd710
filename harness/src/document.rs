//! Documentation as a test: every SQL block of a Markdown file runs, in order, in one session, then every
//! block of shell commands.
//!
//! The SQL becomes one psql script **with the line numbers of the file**, so that an error names the
//! line to mend. What may stand behind `sql` and `sh` on the fence:
//!
//! | mark | meaning |
//! |---|---|
//! | (none) | runs; any error fails the test |
//! | `sql fails` | every statement in it may fail, and one must |
//! | `sql signature` | shows the form of a call; not run |
//! | `sql citus` | needs a cluster of Citus, where `tests/citus_spread.rs` creates such stream tables; not run |
//! | `sh elsewhere` | is for another machine, or never ends; has to be well formed |
//! | `sh packaged install` | the test of packages runs it in a fresh Debian; so it does `update` and `remove`, and elsewhere `dnf` and `pgxn` |
//!
//! A line `<!-- with a scheduler -->` asks for a server that has the library preloaded.
//! A block in an HTML comment, `<!-- sql` or `<!-- sh` to `-->`, runs too: it prepares what readers have already.
//! A result shown in comments is compared: a line followed by a rule of dashes, then rows. Blanks do
//! not count, and a cell `…` stands for any value.

use std::fmt::Write;

/// Announces the output of a block.
const MARKER: &str = "-- block at line ";

/// A fenced or commented block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The first word of the info string.
    pub language: String,
    /// The other words.
    pub marks: Vec<String>,
    /// What stands between the fences.
    pub lines: Vec<String>,
}

impl Block {
    fn opened(line: usize, info: &str) -> Self {
        let mut words = info.split_whitespace().map(str::to_owned);
        Self {
            line,
            language: words.next().unwrap_or_default(),
            marks: words.collect(),
            lines: Vec::new(),
        }
    }

    /// Whether psql gets it.
    pub fn runs(&self) -> bool {
        self.language == "sql" && !self.is("signature") && !self.is("citus")
    }

    /// Whether the info string carries this mark.
    pub fn is(&self, mark: &str) -> bool {
        self.marks.iter().any(|word| word == mark)
    }

    /// Words of the info string that mean nothing.
    pub fn unknown_marks(&self) -> Vec<&str> {
        self.marks
            .iter()
            .map(String::as_str)
            .filter(|mark| match self.language.as_str() {
                "sql" => !["citus", "fails", "signature"].contains(mark),
                "sh" => ![
                    "dnf",
                    "elsewhere",
                    "install",
                    "packaged",
                    "pgxn",
                    "remove",
                    "update",
                ]
                .contains(mark),
                _ => false,
            })
            .collect()
    }

    /// The results that its comments show, each a list of rows of cells.
    fn shown(&self) -> Vec<Vec<Vec<String>>> {
        let comments: Vec<Option<&str>> = self
            .lines
            .iter()
            .map(|line| line.trim_start().strip_prefix("--"))
            .collect();
        let mut results = Vec::new();
        let mut index = 0;
        while let Some(line) = comments.get(index) {
            index += 1;
            let next = comments.get(index).copied().flatten();
            if let Some(head) = line
                && next.is_some_and(is_rule)
            {
                let rows = comments[index + 1..].iter().map_while(|row| *row);
                let result: Vec<_> = std::iter::once(*head).chain(rows).map(cells).collect();
                index += result.len();
                results.push(result);
            }
        }
        results
    }

    /// What is shown and is not in the output, as a complaint.
    pub fn difference(&self, output: &str) -> Option<String> {
        let mut printed = output.lines().map(cells);
        for row in self.shown().into_iter().flatten() {
            if !printed.any(|printed| matches(&row, &printed)) {
                return Some(format!(
                    "line {}: `{}` is shown, but psql printed\n{output}",
                    self.line,
                    row.join(" | ")
                ));
            }
        }
        None
    }
}

fn is_rule(comment: &str) -> bool {
    let rule = comment.trim();
    rule.contains("---") && rule.chars().all(|c| matches!(c, '-' | '+'))
}

fn cells(line: &str) -> Vec<String> {
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn matches(shown: &[String], printed: &[String]) -> bool {
    shown.len() == printed.len()
        && shown
            .iter()
            .zip(printed)
            .all(|(shown, printed)| shown == "…" || shown == printed)
}

/// The blocks of a Markdown text.
pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block, &str)> = None;
    for (index, line) in markdown.lines().enumerate() {
        match &mut open {
            Some((block, end)) if line.trim() == *end => {
                blocks.push(block.clone());
                open = None;
            }
            Some((block, _)) => block.lines.push(line.to_owned()),
            None => {
                let line = line.trim();
                if let Some(info) = line.strip_prefix("```") {
                    open = Some((Block::opened(index + 1, info), "```"));
                } else if let Some(info) = line.strip_prefix("<!-- ")
                    && ["sql", "sh"].contains(&info)
                {
                    open = Some((Block::opened(index + 1, info), "-->"));
                }
            }
        }
    }
    blocks
}

/// Whether a Markdown text asks for a server with a scheduler.
pub fn wants_scheduler(markdown: &str) -> bool {
    markdown
        .lines()
        .any(|line| line.trim() == "<!-- with a scheduler -->")
}

/// The psql script of the blocks that run. Line `n` of the script is line `n` of the file.
pub fn script(blocks: &[Block]) -> String {
    let mut text = String::new();
    let mut written = 0;
    for block in blocks.iter().filter(|block| block.runs()) {
        while written + 1 < block.line {
            text.push('\n');
            written += 1;
        }
        // The fences' own lines carry the commands around the block.
        let stop = if block.is("fails") { "off" } else { "on" };
        let _ = writeln!(
            text,
            "\\echo '{MARKER}{}' \\\\ \\set ON_ERROR_STOP {stop} \\\\ \\set LAST_ERROR_SQLSTATE 00000",
            block.line
        );
        for line in &block.lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("\\echo 'sqlstate' :LAST_ERROR_SQLSTATE\n");
        written += block.lines.len() + 2;
    }
    text
}

/// Compares what psql printed with what the blocks say.
pub fn complaints(blocks: &[Block], output: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for block in blocks.iter().filter(|block| block.runs()) {
        let begin = format!("{MARKER}{}\n", block.line);
        let Some((_, rest)) = output.split_once(&begin) else {
            complaints.push(format!("line {}: did not run", block.line));
            continue;
        };
        let printed = rest.split(MARKER).next().unwrap_or(rest);
        if block.is("fails") && printed.lines().any(|line| line == "sqlstate 00000") {
            complaints.push(format!("line {}: nothing failed", block.line));
        }
        complaints.extend(block.difference(printed));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n<!-- sql\nCREATE TABLE t (a int);\n-->\n\nText\n\n```sql\nSELECT a, b\nFROM t;\n\
                        --  a | b\n-- ---+---\n--  1 | …\n-- (1 row)\n```\n\n```sql signature\nf(x)\n```\n\n```sh\nls\n```\n";

    #[test]
    fn line_numbers_of_the_script_are_those_of_the_file() {
        let blocks = blocks(TEXT);
        assert_eq!(blocks.len(), 4);
        let script = script(&blocks);
        let lines: Vec<&str> = script.lines().collect();
        assert_eq!(lines[3], "CREATE TABLE t (a int);");
        assert_eq!(lines[9], "SELECT a, b");
        assert!(!script.contains("f(x)"));
    }

    #[test]
    fn a_shown_result_is_compared_cell_by_cell() {
        let block = &blocks(TEXT)[1];
        assert_eq!(
            block.difference(" a |  b\n---+----\n 1 | 17\n(1 row)\n"),
            None
        );
        let wrong = block.difference(" a |  b\n---+----\n 2 | 17\n(1 row)\n");
        assert!(wrong.unwrap().starts_with("line 9: `1 | …` is shown"));
    }

    #[test]
    fn a_block_that_should_fail_and_does_not_is_reported() {
        let blocks = blocks("```sql fails\nSELECT 1;\n```\n");
        let output = "-- block at line 1\nsqlstate 00000\n";
        assert_eq!(complaints(&blocks, output), ["line 1: nothing failed"]);
        let output = "-- block at line 1\nsqlstate 42P01\n";
        assert!(complaints(&blocks, output).is_empty());
        assert_eq!(complaints(&blocks, ""), ["line 1: did not run"]);
    }

    #[test]
    fn a_mark_that_means_nothing_is_found() {
        for (info, wrong) in [("sql skip", "skip"), ("sh fails", "fails")] {
            let blocks = blocks(&format!("```{info}\n```\n"));
            assert_eq!(blocks[0].unknown_marks(), [wrong]);
        }
    }
}

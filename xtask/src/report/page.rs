//! The page: HTML that is well-formed XML as well, readable on paper, on a phone, and without colours.

use std::fmt::Write;

/// A part of the page.
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its content, as HTML.
    pub body: String,
}

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; color: #111; background: #fff; }
h1 { font-size: 1.6rem; } h2 { border-bottom: 2px solid #111; margin-top: 2.5rem; }
nav a { margin-right: 1rem; }
figure { margin: 1.5rem 0; break-inside: avoid; }
figure { overflow-x: auto; }
figure svg { width: 100%; height: auto; }
@media screen and (max-width: 44rem) { figure svg { min-width: 40rem; } }
figcaption { font-weight: 600; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { border-bottom: 1px solid #bbb; padding: 0.25rem 0.75rem 0.25rem 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.good::before { content: '\\2713\\00a0'; } .bad { font-weight: 700; } .bad::before { content: '\\2717\\00a0'; }
@media print { nav { display: none; } body { max-width: none; padding: 0; font-size: 11px; } h2 { break-after: avoid; } a { color: inherit; } }
@media (max-width: 40rem) { body { padding: 0.5rem; } h1 { font-size: 1.3rem; } }
";

/// The whole page.
pub fn html(sections: &[Section]) -> String {
    let mut page =
        String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    page.push_str("<title>pg_trickle: what was run and measured</title>\n");
    let _ = writeln!(page, "<style>{STYLE}</style>\n</head>\n<body>");
    page.push_str("<h1>pg_trickle: what was run and measured</h1>\n<nav>");
    for (number, section) in sections.iter().enumerate() {
        let _ = write!(
            page,
            "<a href=\"#s{number}\">{}</a>",
            escape(&section.title)
        );
    }
    page.push_str("</nav>\n");
    for (number, section) in sections.iter().enumerate() {
        let _ = writeln!(
            page,
            "<h2 id=\"s{number}\">{}</h2>\n{}",
            escape(&section.title),
            section.body
        );
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// A drawing with its caption, which is also its name for those who cannot see it.
pub fn figure(caption: &str, svg: &str) -> String {
    let caption = escape(caption);
    // A declaration may stand only at the beginning of a file.
    let svg = svg.find("<svg").map_or("", |at| &svg[at..]);
    let svg = svg.replacen(
        "<svg",
        &format!("<svg role=\"img\" aria-label=\"{caption}\""),
        1,
    );
    format!("<figure><figcaption>{caption}</figcaption>\n{svg}\n</figure>\n")
}

/// What to say of what has not been run.
pub fn missing(command: &str) -> String {
    format!(
        "<p>Nothing yet: <code>{}</code> makes it.</p>\n",
        escape(command)
    )
}

/// A table; numbers stand to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = String::from("<div class=\"scroll\"><table><thead><tr>");
    for cell in head {
        let _ = write!(text, "<th scope=\"col\">{}</th>", escape(cell));
    }
    text.push_str("</tr></thead><tbody>\n");
    for row in rows {
        text.push_str("<tr>");
        for cell in row {
            let is_number = cell.parse::<f64>().is_ok();
            let class = if is_number { " class=\"number\"" } else { "" };
            let _ = write!(text, "<td{class}>{}</td>", escape(cell));
        }
        text.push_str("</tr>\n");
    }
    text.push_str("</tbody></table></div>\n");
    text
}

/// A verdict in words, with a mark that does not depend on colour.
pub fn verdict(good: bool, text: &str) -> String {
    let class = if good { "good" } else { "bad" };
    format!("<p class=\"{class}\">{}</p>\n", escape(text))
}

/// Text as HTML; characters that XML does not know are left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => {}
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Fails unless the page is well-formed.
    pub fn parse(page: &str) -> roxmltree::Document<'_> {
        let options = roxmltree::ParsingOptions {
            allow_dtd: true,
            ..Default::default()
        };
        roxmltree::Document::parse_with_options(page, options).unwrap()
    }

    #[test]
    fn text_from_outside_cannot_break_the_page() {
        let evil = "</h2><script>\u{1}\"&";
        let page = html(&[Section {
            title: evil.into(),
            body: table(&[evil], &[vec![evil.into()]]) + &verdict(false, evil),
        }]);
        let document = parse(&page);
        assert!(
            !document
                .descendants()
                .any(|node| node.has_tag_name("script"))
        );
    }

    #[test]
    fn a_figure_has_a_name_and_no_declaration() {
        let drawing = "<?xml version=\"1.0\"?><svg width=\"1\" height=\"1\"></svg>";
        let figure = figure("a < b", drawing);
        assert!(figure.contains("<svg role=\"img\" aria-label=\"a &lt; b\" width"));
        assert!(!figure.contains("<?xml"));
    }
}

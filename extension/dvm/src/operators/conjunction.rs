//! The text of conditions over items: links as they are found there, see [`super::links`].

use super::links::{Ends, Link, Links, same_rows};
use super::order::{Condition, Item};

/// Conditions over the items, with AND between them.
pub(super) fn conjunction(conditions: &[Condition], items: &[Item], links: Links) -> String {
    if conditions.is_empty() {
        return "true".into();
    }
    let mut texts: Vec<String> = Vec::new();
    let mut hashed: Vec<(Ends, Vec<&Link>)> = Vec::new();
    for condition in conditions {
        let Some((link, ends)) = hashed_link(condition, items, links) else {
            texts.push(condition.text.clone());
            continue;
        };
        match hashed.iter_mut().find(|(others, _)| *others == ends) {
            Some((_, group)) => group.push(link),
            None => hashed.push((ends, vec![link])),
        }
    }
    texts.extend(hashed.iter().map(|(_, group)| same_rows(group)));
    texts.join(" AND ")
}

/// The link that a condition is, and between which items, where those are hashed.
fn hashed_link<'a>(
    condition: &'a Condition,
    items: &[Item],
    links: Links,
) -> Option<(&'a Link, Ends)> {
    let link = condition.link.as_ref()?;
    let ends = link.between(|id| items.iter().position(|item| item.columns.contains(&id)))?;
    let is_delta = |at| items.get(at).is_some_and(|item: &Item| item.is_delta);
    (links == Links::Hashed || ends.places().all(is_delta)).then_some((link, ends))
}

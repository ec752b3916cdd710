//! The images that the stages of a Dockerfile begin with.

use anyhow::Result;
use dockerfile_parser::{Dockerfile, Instruction};

use crate::Place;

/// Every image of a FROM that is neither an earlier stage nor `scratch`.
pub fn places(text: &str) -> Result<Vec<Place>> {
    let file = Dockerfile::parse(text)?;
    let mut stages: Vec<String> = vec!["scratch".to_owned()];
    let mut places = Vec::new();
    for instruction in &file.instructions {
        let Instruction::From(from) = instruction else {
            continue;
        };
        let image = &from.image.content;
        if !stages.contains(image) {
            let range = from.image.span.start..from.image.span.end;
            places.push(Place {
                text: image.clone(),
                line: text[..range.start].lines().count().max(1),
                range,
            });
        }
        stages.extend(from.alias.as_ref().map(|alias| alias.content.clone()));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_and_scratch_are_no_images() {
        let text = "# FROM comment:1\nFROM a:1 AS build\nRUN x \\\n  FROM\n\nFROM --platform=linux/amd64 b:2\n\
                    FROM build\nFROM scratch\nCOPY --from=build /x /y\n";
        let places = places(text).unwrap();
        let found: Vec<_> = places.iter().map(|p| (p.text.as_str(), p.line)).collect();
        assert_eq!(found, [("a:1", 2), ("b:2", 6)]);
        for place in &places {
            assert_eq!(text[place.range.clone()], place.text);
        }
    }
}

//! The images that a manifest or a compose file names.

use anyhow::{Result, anyhow};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::Place;

/// Keys whose scalar is an image reference: of containers and compose services, of a Cluster, of an image
/// volume.
const KEYS: [&str; 3] = ["image", "imageName", "reference"];

/// What the parser is in.
enum Inside {
    Sequence,
    /// A mapping; the key whose value comes next, if the key has come.
    Mapping(Option<String>),
}

/// Every scalar behind such a key.
pub fn places(text: &str) -> Result<Vec<Place>> {
    // Positions come in characters.
    let bytes: Vec<usize> = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .collect();
    let mut inside: Vec<Inside> = Vec::new();
    let mut places = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| anyhow!("{error}"))?;
        match event {
            Event::MappingStart(..) => {
                take_value(&mut inside);
                inside.push(Inside::Mapping(None));
            }
            Event::SequenceStart(..) => {
                take_value(&mut inside);
                inside.push(Inside::Sequence);
            }
            Event::MappingEnd | Event::SequenceEnd => {
                inside.pop();
            }
            Event::Alias(..) => {
                take_value(&mut inside);
            }
            Event::Scalar(value, style, ..) => match inside.last_mut() {
                Some(Inside::Mapping(key @ None)) => *key = Some(value.into_owned()),
                _ => {
                    if take_value(&mut inside).is_some_and(|key| KEYS.contains(&key.as_str())) {
                        places.push(place(&value, style, span, &bytes)?);
                    }
                }
            },
            _ => {}
        }
    }
    Ok(places)
}

/// A value has come: the key that it belongs to, if it is the value of one.
fn take_value(inside: &mut [Inside]) -> Option<String> {
    match inside.last_mut() {
        Some(Inside::Mapping(key)) => key.take(),
        _ => None,
    }
}

fn place(value: &str, style: ScalarStyle, span: Span, bytes: &[usize]) -> Result<Place> {
    let quote = match style {
        ScalarStyle::Plain => 0,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        _ => return Err(anyhow!("line {}: an image in a block", span.start.line())),
    };
    let at = |index: usize| {
        bytes
            .get(index)
            .copied()
            .ok_or_else(|| anyhow!("a position outside of the text"))
    };
    let start = at(span.start.index() + quote)?;
    Ok(Place {
        text: value.to_owned(),
        range: start..start + value.len(),
        line: span.start.line(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scalars_behind_the_keys_are_images() {
        let text = "# image: comment:1\na:\n  image: é:1 # why\n  name: image\n  list:\n    - image: \"b:2\"\n    \
                    - image\nspec:\n  image:\n    reference: 'c:3'\n  text: |\n    image: d:4\nimage: &x e:5\n\
                    ---\nimageName: f:6\n";
        let places = places(text).unwrap();
        let found: Vec<_> = places.iter().map(|p| (p.text.as_str(), p.line)).collect();
        assert_eq!(
            found,
            [
                ("é:1", 3),
                ("b:2", 6),
                ("c:3", 10),
                ("e:5", 13),
                ("f:6", 15)
            ]
        );
        for place in places.iter().filter(|place| place.text != "e:5") {
            assert_eq!(text[place.range.clone()], place.text);
        }
    }

    #[test]
    fn what_is_no_yaml_is_an_error() {
        assert!(places("a: [b").is_err());
    }
}

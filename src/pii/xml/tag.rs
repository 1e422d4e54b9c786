//! Tags, names, references: the strict little grammar of XML 1.0 that markup needs.
//!
//! Knows the five predefined entities and character references, no others.

use crate::bounds::XML_ATTRIBUTES_MAX;

/// A start tag, as parts of its own text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct XmlTag<'a> {
    text: &'a str,
    pub(super) name: &'a str,
    marks: &'a [AttributeSpan],
    /// What follows the last attribute: space, and a slash when the element is empty.
    pub(super) rest: &'a str,
}

/// Where an attribute is in its tag's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AttributeSpan {
    lead_from: usize,
    name_from: usize,
    name_end: usize,
    value_from: usize,
    value_end: usize,
}

/// One attribute.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct XmlAttribute<'a> {
    /// The space before it, its name and its `=`, up to the quote of its value.
    pub(super) lead: &'a str,
    pub(super) name: &'a str,
    pub(super) quote: char,
    pub(super) value: &'a str,
}

impl<'a> XmlTag<'a> {
    /// Reads the text between `<` and `>`, or `<?` and `?>`; `marks` receives the places of the attributes. Errors
    /// say what is wrong.
    pub(super) fn parse(text: &'a str, marks: &'a mut Vec<AttributeSpan>) -> Result<Self, &'static str> {
        let (name, mut rest) = take_name(text).ok_or("a tag without a name")?;
        marks.clear();
        loop {
            let bare = rest.trim_start_matches(is_space);
            if matches!(bare, "" | "/") {
                return Ok(Self { text, name, marks, rest });
            }
            if bare.len() == rest.len() {
                return Err("attributes without a space between them");
            }
            let (attribute, after) = XmlAttribute::parse(rest, bare)?;
            if marks.iter().any(|other| text[other.name_from..other.name_end] == *attribute.name) {
                return Err("a repeated attribute");
            }
            if marks.len() == XML_ATTRIBUTES_MAX {
                return Err("more attributes than an element can have");
            }
            marks.push(attribute.mark(text.len() - rest.len(), text.len() - bare.len()));
            rest = after;
        }
    }

    /// Its attributes, in their order.
    pub(super) fn attributes(&self) -> impl Iterator<Item = XmlAttribute<'a>> + use<'a> {
        let text = self.text;
        self.marks.iter().map(move |mark| mark.of(text))
    }

    /// Whether the tag is that of an empty element.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.ends_with('/')
    }
}

impl AttributeSpan {
    /// The attribute at this place.
    fn of(self, text: &str) -> XmlAttribute<'_> {
        XmlAttribute {
            lead: &text[self.lead_from..self.value_from - 1],
            name: &text[self.name_from..self.name_end],
            quote: char::from(text.as_bytes()[self.value_from - 1]),
            value: &text[self.value_from..self.value_end],
        }
    }
}

impl<'a> XmlAttribute<'a> {
    fn parse(spaced: &'a str, bare: &'a str) -> Result<(Self, &'a str), &'static str> {
        let (name, after) = take_name(bare).ok_or("an attribute without a name")?;
        let equals = after.trim_start_matches(is_space).strip_prefix('=').ok_or("an attribute without a value")?;
        let quoted = equals.trim_start_matches(is_space);
        let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or("an attribute without quotes")?;
        let (value, after) = quoted[1..].split_once(quote).ok_or("an attribute without its end")?;
        if value.contains('<') {
            return Err("a '<' in an attribute");
        }
        let lead = &spaced[..spaced.len() - quoted.len()];
        Ok((Self { lead, name, quote, value }, after))
    }

    /// Its place, given the offsets of its lead and its name.
    fn mark(&self, lead_from: usize, name_from: usize) -> AttributeSpan {
        let value_from = lead_from + self.lead.len() + 1;
        AttributeSpan {
            lead_from,
            name_from,
            name_end: name_from + self.name.len(),
            value_from,
            value_end: value_from + self.value.len(),
        }
    }

    /// Whether it declares a namespace.
    pub(super) fn is_namespace(&self) -> bool {
        self.name == "xmlns" || self.name.starts_with("xmlns:")
    }

    /// Whether it belongs to XML itself: a namespace, or `xml:lang` and its like.
    pub(super) fn is_of_xml(&self) -> bool {
        self.is_namespace() || ["xml:", "xsi:"].iter().any(|prefix| self.name.starts_with(prefix))
    }
}

fn take_name(text: &str) -> Option<(&str, &str)> {
    let good = |(at, c): (usize, char)| {
        c.is_ascii_alphabetic()
            || matches!(c, '_' | ':')
            || !c.is_ascii()
            || (at > 0 && (c.is_ascii_digit() || matches!(c, '-' | '.')))
    };
    let end = text.char_indices().find(|&found| !good(found)).map_or(text.len(), |(at, _)| at);
    let (name, rest) = text.split_at(end);
    let parts = name.split(':').count();
    (parts <= 2 && !name.split(':').any(str::is_empty)).then_some((name, rest))
}

/// The name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// Whether XML takes a character for space.
pub(super) const fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The character that a reference means, given without `&` and `;`.
pub(super) fn reference(name: &str) -> Option<char> {
    let code = match name {
        "amp" => return Some('&'),
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "apos" => return Some('\''),
        "quot" => return Some('"'),
        name => name.strip_prefix('#')?,
    };
    let digits = |text: &str, radix: u32| {
        let good = !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
        good.then(|| u32::from_str_radix(text, radix).ok()).flatten()
    };
    let code = code.strip_prefix('x').map_or_else(|| digits(code, 10), |hex| digits(hex, 16))?;
    char::from_u32(code).filter(|&c| is_character(c))
}

/// Whether XML 1.0 has this character at all.
pub(super) const fn is_character(c: char) -> bool {
    !matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

/// Appends an attribute's value, decoded: references resolved, each line end and tab a space.
pub(super) fn decode(value: &str, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut rest = value;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let after = &rest[at + 1..];
        rest = if rest.as_bytes()[at] == b'&' {
            let (name, after) = after.split_once(';').ok_or(BAD_REFERENCE)?;
            let c = reference(name).ok_or(BAD_REFERENCE)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            after
        } else {
            out.push(b' ');
            after
        };
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// The error for a reference that is not one of the known ones.
pub(super) const BAD_REFERENCE: &str = "a reference to something that is not predefined";

/// Appends a text, escaped for content and for attributes; false when XML cannot hold it.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) -> bool {
    put_escaped(text, false, out)
}

/// As [`escape`], for content only: there, tabs, line ends and quotes need no escape.
pub(super) fn escape_content(text: &[u8], out: &mut Vec<u8>) -> bool {
    put_escaped(text, true, out)
}

fn put_escaped(text: &[u8], is_content: bool, out: &mut Vec<u8>) -> bool {
    let Ok(text) = simdutf8::basic::from_utf8(text) else { return false };
    for c in text.chars() {
        match c {
            '\t' | '\n' | '\r' | '"' | '\'' if is_content => out.push(c as u8),
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            '\'' => out.extend_from_slice(b"&#39;"),
            '\t' => out.extend_from_slice(b"&#9;"),
            '\n' => out.extend_from_slice(b"&#10;"),
            '\r' => out.extend_from_slice(b"&#13;"),
            c if is_character(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_is_read_into_its_name_its_attributes_and_the_rest() {
        let mut marks = Vec::new();
        let tag = XmlTag::parse("p:a\n x = \"1>\"  y='\"' /", &mut marks).expect("a tag");
        let parts: Vec<_> = tag.attributes().map(|a| (a.lead, a.name, a.quote, a.value)).collect();
        assert_eq!(parts, [("\n x = ", "x", '"', "1>"), ("  y=", "y", '\'', "\"")]);
        assert_eq!((tag.name, tag.rest, tag.is_empty()), ("p:a", " /", true));
        assert_eq!(XmlTag::parse("a", &mut Vec::new()).map(|tag| tag.is_empty()), Ok(false));
    }

    #[test]
    fn a_tag_of_another_grammar_is_refused() {
        for text in [
            "",
            " a",
            "1",
            "a x",
            "a x=1",
            "a x=\"1",
            "a x=\"1\"y=\"2\"",
            "a x=\"1\" x=\"2\"",
            "a x=\"<\"",
            "a /x",
            "a//",
            "a:b:c",
            ":a",
            "a:",
            "a \"x\"",
            "a x=\"1\"/ ",
            "-a",
        ] {
            assert!(XmlTag::parse(text, &mut Vec::new()).is_err(), "{text}");
        }
        let attributes = |count| (0..count).map(|n| format!(" a{n}=\"\"")).collect::<String>();
        assert!(XmlTag::parse(&format!("a{}", attributes(XML_ATTRIBUTES_MAX)), &mut Vec::new()).is_ok());
        assert!(XmlTag::parse(&format!("a{}", attributes(XML_ATTRIBUTES_MAX + 1)), &mut Vec::new()).is_err());
    }

    #[test]
    fn only_predefined_references_are_known() {
        for (name, c) in
            [("amp", '&'), ("lt", '<'), ("#65", 'A'), ("#x41", 'A'), ("#x1F600", '\u{1f600}'), ("#10", '\n')]
        {
            assert_eq!(reference(name), Some(c), "{name}");
        }
        for name in
            ["", "nbsp", "AMP", "#", "#x", "#0", "#x0", "#xD800", "#x110000", "#+65", "#-1", "#x 41", "#xFFFE", "#8"]
        {
            assert_eq!(reference(name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_decodes_to_itself(text in "[a-z&<>\"'\n\r\t\u{e9}\u{1f600}]{0,20}") {
            let (mut escaped, mut decoded) = (Vec::new(), Vec::new());
            prop_assert!(escape(text.as_bytes(), &mut escaped));
            prop_assert_eq!(decode(std::str::from_utf8(&escaped).unwrap(), &mut decoded), Ok(()));
            prop_assert_eq!(String::from_utf8(decoded), Ok(text));
        }

        #[test]
        fn random_text_never_panics(text in "[a-c:=\"'/<>&;# \n\u{e9}]{0,30}") {
            prop_assert!(XmlTag::parse(&text, &mut Vec::new()).is_err() || !text.is_empty());
            prop_assert!(decode(&text, &mut Vec::new()).is_ok() || text.contains('&'));
        }
    }
}

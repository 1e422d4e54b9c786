//! Reads a description, and follows its references.
//!
//! References lead within the document only. Those to other files and addresses are named, and never followed.

use serde_json::Value;

use crate::bounds::{OPENAPI_BYTES_MAX, OPENAPI_DEPTH_MAX, OPENAPI_HOPS_MAX};
use crate::config::parse_yaml_value;

/// A description of an API.
#[derive(Debug)]
pub(crate) struct ApiDocument {
    root: Value,
}

/// Why a text is no description that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenApiError {
    /// It is larger than [`OPENAPI_BYTES_MAX`].
    #[error("is larger than {} MiB; split it, or take out what the vendor does not need", OPENAPI_BYTES_MAX >> 20)]
    TooLarge,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    NotText,
    /// It is neither JSON nor YAML, or exceeds a bound of their readers.
    #[error("cannot be read at line {line}, column {column}: {wrong}")]
    Unreadable {
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// The reader's words.
        wrong: String,
    },
    /// Swagger 2.0.
    #[error("is Swagger 2.0; convert it to OpenAPI 3 first, such as with `npx swagger2openapi FILE`")]
    Swagger,
    /// Another document.
    #[error("is no OpenAPI description: it lacks openapi: 3.0 or 3.1 at its root")]
    NotOpenApi,
    /// A version that is not known.
    #[error("is OpenAPI {0}; 3.0 and 3.1 can be read")]
    Version(String),
    /// No `paths`.
    #[error("has no paths, so it describes nothing that could be called")]
    NoPaths,
}

impl ApiDocument {
    /// Reads a description.
    ///
    /// # Errors
    /// [`OpenApiError`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, OpenApiError> {
        if bytes.len() as u64 > OPENAPI_BYTES_MAX {
            return Err(OpenApiError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| OpenApiError::NotText)?;
        let root = parse(text.trim_start_matches('\u{feff}'))?;
        match (root.get("openapi").and_then(Value::as_str), root.get("swagger")) {
            (Some(version), _) if version.starts_with("3.0") || version.starts_with("3.1") => {}
            (Some(version), _) => return Err(OpenApiError::Version(version.chars().take(16).collect())),
            (None, Some(_)) => return Err(OpenApiError::Swagger),
            (None, None) => return Err(OpenApiError::NotOpenApi),
        }
        if !root.get("paths").is_some_and(Value::is_object) {
            return Err(OpenApiError::NoPaths);
        }
        Ok(Self { root })
    }

    /// A member of the root.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.root.get(name)
    }

    /// A text of `info`, on one line.
    pub(super) fn info(&self, name: &str) -> String {
        let text = self.get("info").and_then(|info| info.get(name)).and_then(Value::as_str).unwrap_or_default();
        one_line(text)
    }

    /// The paths and what is below them.
    pub(super) fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.get("paths").and_then(Value::as_object).into_iter().flatten()
    }

    /// The value, or the one that its `$ref` leads to.
    ///
    /// # Errors
    /// In words: the reference leads elsewhere, to nothing, or in a circle.
    pub(super) fn resolve<'a>(&'a self, value: &'a Value) -> Result<&'a Value, String> {
        let mut found = value;
        for _ in 0..OPENAPI_HOPS_MAX {
            let Some(reference) = reference_of(found) else { return Ok(found) };
            found = self.target(reference)?;
        }
        Err(format!("{} leads in a circle", reference_of(value).unwrap_or_default()))
    }

    fn target(&self, reference: &str) -> Result<&Value, String> {
        let shown = one_line(reference);
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(format!(
                "{shown} is in another file: bundle the description first, such as with `redocly bundle`"
            ));
        };
        let pointer = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
        self.root.pointer(&pointer).ok_or_else(|| format!("{shown} is not there"))
    }
}

/// Where a value refers to.
pub(super) fn reference_of(value: &Value) -> Option<&str> {
    value.get("$ref").and_then(Value::as_str)
}

/// A text for one line of a comment or a message.
pub(super) fn one_line(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 120;
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS_MAX);
    plain.collect::<String>().trim().to_owned()
}

fn parse(text: &str) -> Result<Value, OpenApiError> {
    if text.trim_start().starts_with('{') {
        // JSON is also YAML, but its own reader is faster.
        return serde_json::from_str(text).map_err(|error| OpenApiError::Unreadable {
            line: error.line() as u64,
            column: error.column() as u64,
            wrong: json_words(&error),
        });
    }
    parse_yaml_value(text).map_err(|(line, column, wrong)| OpenApiError::Unreadable { line, column, wrong })
}

fn json_words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("recursion limit") {
        return format!("is nested more than {OPENAPI_DEPTH_MAX} levels deep");
    }
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ApiDocument, String> {
        ApiDocument::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_no_description_is_refused_with_words() {
        for (text, wrong) in [
            ("swagger: '2.0'\npaths: {}\n", "swagger2openapi"),
            ("openapi: 4.0.0\npaths: {}\n", "OpenAPI 4.0.0"),
            ("openapi: 3.1.0\n", "no paths"),
            ("[1]", "no OpenAPI description"),
            ("{\"openapi\": \"3.0.0\",", "cannot be read at line 1"),
            ("openapi: 3.0.0\npaths: [\n", "cannot be read at line"),
            ("a: 1\na: 2\n", "duplicate mapping key"),
            ("", "no OpenAPI description"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(wrong), "{text}: {said}");
        }
        assert!(ApiDocument::read(b"\xff").is_err());
        let deep = format!("{{\"openapi\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        assert!(read(&deep).expect_err("deep").contains("128 levels"));
        let deep = format!("openapi: {}1{}\n", "[".repeat(200), "]".repeat(200));
        assert!(read(&deep).is_err());
    }

    #[test]
    fn a_bomb_of_aliases_is_refused_soon() {
        let mut bomb = "openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..12 {
            let last = format!("*a{}", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![last; 10].join(", ")));
        }
        let said = read(&bomb).expect_err("a bomb");
        assert!(said.starts_with("cannot be read at line"), "{said}");
    }

    #[test]
    fn references_lead_within_the_document_and_never_in_a_circle() {
        let document = read(
            r##"{"openapi":"3.0.0","paths":{},"a":{"$ref":"#/b~1c"},"b/c":{"x":1},"d":{"$ref":"#/e"},"e":{"$ref":"#/d"},
               "f":{"$ref":"other.yaml#/x"},"g":{"$ref":"#/none"},"h":{"$ref":"#/b%7E1c"}}"##,
        )
        .expect("a description");
        let resolve = |name: &str| document.resolve(document.get(name).expect("a member"));
        assert_eq!(resolve("a").map(|found| found["x"].clone()), Ok(1.into()));
        assert_eq!(resolve("h").map(|found| found["x"].clone()), Ok(1.into()));
        for (name, wrong) in [("d", "circle"), ("f", "another file"), ("g", "not there")] {
            assert!(resolve(name).expect_err(name).contains(wrong));
        }
    }
}

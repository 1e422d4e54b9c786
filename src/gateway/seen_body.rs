//! Reads a body for the paths of its fields and the kinds of personal data in them, for `contract suggest`.
//!
//! Never delays or changes the body, and hands on no value.

use crate::observation::{SeenFields, SeenRoute};
use crate::pii::FieldScanner;

/// Reads one body for the fields in it.
#[derive(Debug)]
pub(super) struct SeenBody {
    scanner: FieldScanner,
    fields: SeenFields,
    route: SeenRoute,
    is_request: bool,
}

impl SeenBody {
    /// `None` where the body is not to be looked at.
    pub(super) fn begin(
        route: Option<&SeenRoute>,
        is_request: bool,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
    ) -> Option<Box<Self>> {
        let scanner = route?.scanner(content_type, content_encoding)?;
        let mut fields = SeenFields::default();
        fields.begin_body();
        Some(Box::new(Self { scanner, fields, route: route?.clone(), is_request }))
    }

    /// Reads a piece.
    pub(super) fn feed(&mut self, input: &[u8]) {
        let fields = &mut self.fields;
        self.scanner.feed(input, &mut |path, kinds| fields.add(path, kinds, 1));
    }

    /// Reads the end, and hands on what was found.
    pub(super) fn finish(mut self) {
        let fields = &mut self.fields;
        self.scanner.finish(&mut |path, kinds| fields.add(path, kinds, 1));
        self.route.add_fields(self.is_request, &self.fields);
    }
}

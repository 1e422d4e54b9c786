//! A contract as it is written, by its top-level sections: what a suggestion takes over without reading it.

/// The sections of a contract in block style. Of one in another style there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContractText {
    /// The key of each section, and its text with the lines below it.
    pub(super) sections: Vec<(String, String)>,
}

impl ContractText {
    /// Divides a file. Comments above the first section belong to none.
    pub fn new(text: &str) -> Self {
        let mut sections: Vec<(String, String)> = Vec::new();
        for line in text.split_inclusive('\n') {
            let key = line.split(':').next().filter(|_| line.starts_with(|c: char| c.is_ascii_lowercase()));
            match (key, sections.last_mut()) {
                (Some(key), _) if line.contains(':') => sections.push((key.to_owned(), line.to_owned())),
                (_, Some((_, section))) => section.push_str(line),
                (_, None) => {}
            }
        }
        Self { sections }
    }

    /// The scalar of a section of one line.
    pub fn scalar(&self, key: &str) -> Option<&str> {
        let (_, value) = self.section(key)?.lines().next()?.split_once(':')?;
        Some(value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']))
    }

    pub(super) fn section(&self, key: &str) -> Option<&str> {
        self.sections.iter().find(|(known, _)| known == key).map(|(_, section)| section.as_str())
    }

    /// The section `egress` without its `routes`; `None` where there is none in block style.
    pub(super) fn egress_without_routes(&self) -> Option<String> {
        let mut kept = String::new();
        let mut in_routes = false;
        let mut child_indent = None;
        let mut lines = self.section("egress")?.split_inclusive('\n');
        let is_comment = |text: &str| text.is_empty() || text.starts_with('#');
        let first = lines.next().filter(|line| is_comment(line.trim_start_matches("egress:").trim()))?;
        kept.push_str(first);
        for line in lines {
            let text = line.trim();
            let indent = line.len() - line.trim_start().len();
            if !is_comment(text) && indent <= *child_indent.get_or_insert(indent) && !text.starts_with("- ") {
                in_routes = text.starts_with("routes:");
            }
            if !in_routes {
                kept.push_str(line);
            }
        }
        if !kept.ends_with('\n') {
            kept.push('\n');
        }
        kept.push_str(&" ".repeat(child_indent?));
        kept.push_str("routes:\n");
        Some(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_kept_as_they_are_written() {
        let text = ContractText::new(
            "# ours\nvendor: \"acme\" # a comment\nidentity:\n  issuer: x\n  # why\n  audience: y\negress:\n   hosts: [a]\n   \
             routes:\n   - route: GET /\n     note: x\n   # theirs\n   upstream:\n     url: z\ntrip: { denials: 1 }\n",
        );
        let keys: Vec<_> = text.sections.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["vendor", "identity", "egress", "trip"]);
        assert_eq!(text.scalar("vendor"), Some("acme"));
        assert_eq!(text.section("identity"), Some("identity:\n  issuer: x\n  # why\n  audience: y\n"));
        let egress = "egress:\n   hosts: [a]\n   upstream:\n     url: z\n   routes:\n";
        assert_eq!(text.egress_without_routes().as_deref(), Some(egress));
        for flow in ["egress: { upstream: { url: z } }\n", "vendor: a\n", "{ vendor: a }\n", "egress:\n"] {
            assert_eq!(ContractText::new(flow).egress_without_routes(), None, "{flow}");
        }
    }
}

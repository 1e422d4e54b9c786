//! The parameters of a query.

use super::{ForbiddenParameter, NOT_TEXT, OtherNames, ParameterRules, decoded, not_listed, of_form};
use crate::bounds::QUERY_PARAMETERS_MAX;

impl ParameterRules {
    /// Checks a query. Returns it without what is dropped; `None` where nothing is.
    pub(super) fn check_query(&self, query: &str) -> Result<Option<String>, ForbiddenParameter> {
        let denied = |wrong: &'static str| {
            let key = if self.query.is_some() { "query" } else { "params" };
            Err(ForbiddenParameter { key: key.to_owned(), wrong: wrong.into() })
        };
        if query.contains(';') {
            return denied("holds a raw ';', which some servers read as a separator: send %3B");
        }
        if query.split('&').count() > QUERY_PARAMETERS_MAX {
            return denied("has more parameters than are checked");
        }
        let mut seen = vec![false; self.parameters.len()];
        let mut kept = Vec::new();
        let mut is_dropped = false;
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = decoded(name, true) else { return denied("has a name that is not UTF-8, or a bare %") };
            let place = self.parameters.iter().position(|(known, _)| **known == *name);
            if let Some(place) = place {
                if std::mem::replace(&mut seen[place], true) {
                    return Err(of_form(&name, "comes more than once"));
                }
                let form = &self.parameters[place].1;
                let wrong = decoded(value, true).ok_or(NOT_TEXT).and_then(|text| form.check(&text));
                wrong.map_err(|wrong| of_form(&name, wrong))?;
            }
            match &self.query {
                Some(list) if place.is_none() && !pair.is_empty() && !list.has(&name) => match list.other {
                    OtherNames::Refuse => {
                        // Without a value, the name itself may be data.
                        let shown = if pair.contains('=') { &*name } else { "" };
                        return Err(not_listed("query.allow", "the parameter", shown));
                    }
                    OtherNames::Drop => is_dropped = true,
                },
                Some(_) | None => kept.push(pair),
            }
        }
        Ok(is_dropped.then(|| kept.join("&")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AllowList, ParameterForm, ParameterPattern, ParameterType};
    use super::*;

    fn rules(other: OtherNames) -> ParameterRules {
        let form = |kind, pattern: Option<&str>, max_length| ParameterForm {
            kind,
            pattern: pattern.map(|text| ParameterPattern::parse(text).expect(text)),
            max_length,
        };
        ParameterRules {
            query: Some(AllowList { names: vec!["page".into(), "tag".into()], other }),
            headers: None,
            captures: vec![],
            parameters: vec![
                ("limit".into(), form(ParameterType::Integer, None, None)),
                ("sort".into(), form(ParameterType::String, Some("[a-z]+"), Some(8))),
            ],
        }
    }

    #[test]
    fn only_listed_parameters_of_their_form_pass() {
        let rules = rules(OtherNames::Refuse);
        for query in ["", "page=1", "page=1&page=2&tag", "limit=10&sort=name", "%70age=1", "sort=na%6De", "&page=&"] {
            assert_eq!(rules.check_query(query), Ok(None), "{query}");
        }
        for query in [
            "email=x",
            "%65mail=x",
            "page%00=1",
            "page[]=1",
            "PAGE=1",
            "%2570age=1",
            "limit=ten",
            "limit=1.5",
            "limit=",
            "limit",
            "limit=1&limit=2",
            "l%69mit=1&limit=2",
            "sort=na-me",
            "sort=name%0Aname",
            "sort=name%0A",
            "sort=namenamename",
            "sort=na+me",
            "page=1;email=x",
            "sort=%ff",
            "%zz=1",
            "=x",
            "=",
            "?page=1",
            "page%26=1",
            "page+=1",
        ] {
            assert!(rules.check_query(query).is_err(), "{query}");
        }
        assert_eq!(rules.check_query("page=%"), Ok(None), "a value of no form is not decoded");
        let many = "page=1&".repeat(QUERY_PARAMETERS_MAX + 1);
        assert!(rules.check_query(&many).is_err());
    }

    #[test]
    fn what_is_dropped_leaves_the_rest_as_it_was_written() {
        let rules = rules(OtherNames::Drop);
        for (query, left) in [
            ("page=%31&email=x&tag=a+b", Some("page=%31&tag=a+b")),
            ("email=x", Some("")),
            ("page=1", None),
            ("%65mail=x&page=1", Some("page=1")),
        ] {
            assert_eq!(rules.check_query(query).expect(query).as_deref(), left, "{query}");
        }
        assert!(rules.check_query("email=x&limit=ten").is_err(), "a form still holds");
        assert!(rules.check_query("page=1;email=x").is_err());
    }
}
